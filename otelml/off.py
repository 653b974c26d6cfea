"""What the public calls give while otelml is off, or observing is suppressed: the same methods, which do nothing."""

from __future__ import annotations

from typing import Any, Self

from otelml import _sdk, context

SUPPRESS = "suppress_instrumentation"
"""OpenTelemetry's own switch, by its public name: what runs in a context that has it is not to be observed."""
_get_current = _sdk.get_current


def suppressed() -> bool:
    """Return whether what runs here is not to be observed."""
    return bool(_get_current().get(SUPPRESS))


class NoStage:
    """A stage while otelml is off: does nothing."""

    __slots__ = ()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        return None


NO_STAGE = NoStage()


class NoPrediction(NoStage):
    """A prediction while otelml is off: has an id, takes results, records nothing."""

    __slots__ = ("_id", "request_id")
    stage_open = False

    def __init__(self, request_id: str | None = None, prediction_id: str | None = None) -> None:
        self.request_id = request_id
        self._id = prediction_id

    @property
    def id(self) -> str:
        """Id of this prediction, as with otelml on."""
        if self._id is None:
            self._id = context.new_id()
        return self._id

    def stage(self, name: str) -> NoStage:  # noqa: ARG002 - the same signature as Prediction
        """Return a stage that does nothing."""
        return NO_STAGE

    def result(self, **_: Any) -> None:
        """Take a result and forget it."""

    observe = slice = result

    def begin(self, *, attach: bool = True) -> Self:  # noqa: ARG002 - the same signature as Prediction
        """Do nothing."""
        return self

    def finish(self, error: BaseException | None = None) -> None:
        """Do nothing."""

    def item(self) -> None:
        """Do nothing."""

    def attached(self) -> NoStage:
        """Return a context manager that does nothing."""
        return NO_STAGE
