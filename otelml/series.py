"""Models and the names of their stages: what every prediction of a model and version shares."""

from __future__ import annotations

from otelml import _labels, semconv
from otelml.encoding import Known


class Series:
    """A model and version: its metric attributes, its span name and the predictions in flight."""

    __slots__ = ("active", "attributes", "model", "span_name", "stages", "version")

    def __init__(self, model: str, version: str | None) -> None:
        self.model, self.version = model, version
        self.attributes: dict[str, str] = {semconv.MODEL_NAME: model}
        if version is not None:
            self.attributes[semconv.MODEL_VERSION] = version
        self.span_name = f"predict {model}"
        self.stages: dict[str, StageName] = {}
        # A set of ids rather than a number: adding and discarding are atomic, `+= 1` is not.
        self.active: set[int] = set()

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
