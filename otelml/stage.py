"""One stage of a prediction, such as ``preprocessing``: itself the current span while it is open."""

from __future__ import annotations

from time import perf_counter_ns
from typing import TYPE_CHECKING, Self

from otelml import _sdk
from otelml._guard import failed, guard
from otelml.spans import KEY, ErrorFacts, SpanBlock, lay_out

if TYPE_CHECKING:
    from contextvars import Token
    from types import TracebackType

    from opentelemetry import trace
    from opentelemetry.context.context import Context
    from opentelemetry.trace import SpanContext

    from otelml.prediction import Prediction
    from otelml.series import StageName

_SPAN_KEY = _sdk.SPAN_KEY
_get_current, _attach, _detach, _with_span = _sdk.get_current, _sdk.attach, _sdk.detach, _sdk.with_span


class StageFields:
    """What a stage holds. Attributes start as the class's own: setting each one would cost more than all the rest."""

    prediction: Prediction
    known: StageName
    started = 0
    """``perf_counter_ns`` at its start, 0 before; ``ended`` likewise."""
    ended = 0
    span_id = 0
    other: trace.Span | None = None
    above: trace.Span | None = None
    """The span it is nested in, where that is not its prediction's."""
    error: ErrorFacts | None = None
    _token: Token[Context] | None = None


if _sdk.native is not None:
    StageFields = _sdk.native.StageFields  # type: ignore[misc]


class Stage(StageFields, SpanBlock):
    """One stage of a prediction; a context manager, sync and async. Made by ``Prediction.stage``."""

    def begin(self, start: int | None = None, *, attach: bool = True) -> Self:
        """Start the stage at ``start`` (``perf_counter_ns``; now by default) and make its span current."""
        prediction = self.prediction
        if prediction.ended:
            prediction.sink.drop("stage", "late", 1)
            return self
        try:  # a guard that costs nothing, 15 times a prediction
            self.started = tick = perf_counter_ns() if start is None else start
            if prediction.sampled:
                current = _get_current()
                if current.get(_SPAN_KEY) is not prediction:  # type: ignore[arg-type] # without a key nothing is found
                    self._nest(current)
                if prediction.other is None:
                    self.span_id = prediction.way.span_id()
                else:
                    prediction.way.start_stage(self, current, prediction.offset + tick)
                if attach:
                    self._token = _attach(_with_span(current, self.other or self, KEY, prediction))
            prediction.stages.append(self)
        except Exception as error:  # noqa: BLE001 - see above
            failed("stage.begin", error)
        return self

    __enter__ = begin

    def _nest(self, current: Context) -> None:
        """Note the current span as the one above, where it is of this trace."""
        now, prediction = _sdk.span_in(current), self.prediction
        if now is not prediction.span and now.get_span_context().trace_id == prediction.get_span_context().trace_id:
            self.above = now
            prediction.special = True

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        """End the stage; ``error`` is the exception that ended it."""
        closed = self.ended  # by its prediction, which it outlives
        if not closed and self.started:
            self.ended = perf_counter_ns()
            if error is not None:
                self._fail(error)
        token = self._token
        if token is not None:
            self._token = None
            if not closed or _sdk.span_in(_get_current()) is self.span:
                _detach(token)

    def _fail(self, error: BaseException) -> None:
        with guard("stage.finish"):
            if not isinstance(error, GeneratorExit):
                self.error = ErrorFacts(error)
                self.prediction.special = True

    def close(self) -> None:
        """End the stage but leave its span current, as the prediction does with a stage that outlives it."""
        self.ended = perf_counter_ns()

    # As a span -----------------------------------------------------------------------------------------------

    @property
    def span_name(self) -> str:
        """Return the name of the stage."""
        return self.known.name

    @property
    def open(self) -> bool:
        """Return whether it has begun, is recorded, and has not ended."""
        return bool(self.started and not self.ended)

    def touch(self) -> None:
        """Take note that the application added something."""
        self.prediction.special = True

    def made_context(self) -> SpanContext:
        """Return the context of the stage: its prediction's, with an id of its own."""
        return _sdk.child_context(self.prediction.get_span_context(), self.span_id)


if _sdk.native is not None:
    _sdk.native.use_stage(Stage, globals())
else:
    lay_out(Stage, "prediction", "known", "started", "span_id", "_token", "ended")
