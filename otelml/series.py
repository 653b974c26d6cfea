"""Models and the names of their stages: what every prediction of a model and version, or of a slice, shares."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from otelml import _labels, semconv
from otelml.encoding import Known

if TYPE_CHECKING:
    from collections.abc import Callable

    from otelml.features.taking import Taken

_NO_SLICE: dict[str, str] = {}


class Series:
    """A model and version: its metric attributes, its span name and the predictions in flight.

    A slice of them has the same, and labels of its own in ``slice``; ``whole`` is what it is a slice of.
    """

    __slots__ = (
        "active",
        "attributes",
        "measured",
        "model",
        "slice",
        "slices",
        "span_name",
        "stages",
        "take",
        "version",
        "whole",
    )

    def __init__(
        self,
        model: str,
        version: str | None,
        labels: dict[str, str] = _NO_SLICE,
        whole: Series | None = None,
    ) -> None:
        self.model, self.version, self.slice, self.whole = model, version, labels, whole
        self.attributes: dict[str, str] = {semconv.MODEL_NAME: model}
        if version is not None:
            self.attributes[semconv.MODEL_VERSION] = version
        self.measured = {**self.attributes, **labels} if labels else self.attributes
        """The attributes of spans, events and those metrics that are measured by slice."""
        self.span_name = f"predict {model}"
        self.slices: dict[tuple[tuple[str, str], ...], Series] = {}
        self.stages: dict[str, StageName] = {} if whole is None else whole.stages
        self.take: Callable[[Any], Taken] | None = None if whole is None else whole.take
        """Takes the inputs of a prediction, where its features have a reference."""
        # A set of ids rather than a number: adding and discarding are atomic, `+= 1` is not.
        self.active: set[int] = set() if whole is None else whole.active

    def stage(self, name: str) -> StageName:
        """Return the stage of that name; names are bounded."""
        bounded = _labels.bounded(semconv.STAGE, name)
        known = self.stages.get(bounded) or StageName(bounded, self)
        return self.stages.setdefault(bounded, known)


class StageName:
    """A stage of one model and version: its name and what its metrics and spans say."""

    __slots__ = ("attributes", "name")

    def __init__(self, name: str, series: Series) -> None:
        self.name = name
        self.attributes = Known({**series.attributes, semconv.STAGE: name})
