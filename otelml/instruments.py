"""Rows of ``semconv`` as OpenTelemetry instruments, and a batch of predictions turned into measurements."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from opentelemetry import metrics, trace

from otelml import _labels, _sdk, semconv
from otelml._lazy import LazyModule
from otelml.prediction import NANO
from otelml.result import Result

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray
    from opentelemetry.util.types import Attributes

    from otelml.prediction import Prediction, Series
else:
    np = LazyModule("numpy")

_Spans = list[trace.Span | None]


class Histogram:
    """A histogram that takes many values at once, and says what it could not take."""

    def __init__(
        self,
        meter: metrics.Meter,
        provider: metrics.MeterProvider,
        row: semconv.Metric,
        buckets: Sequence[float] | None,
    ) -> None:
        self._histogram = meter.create_histogram(
            row.name, row.unit, row.help, explicit_bucket_boundaries_advisory=buckets or row.buckets
        )
        self._batches = _sdk.takes_batches(provider, self._histogram)

    def record(self, values: NDArray[np.float64], attributes: Attributes, spans: _Spans) -> int:
        """Record finite values of shape (n,); returns how many the provider's own histogram refuses (negative ones)."""
        if not values.size:
            return 0
        context = _any_sampled(spans)
        if self._batches:
            self._histogram.record(_sdk.Batch(values, spans), attributes, context)
            return 0
        for value, span in zip(values.tolist(), spans or (None,) * values.size, strict=True):
            if value >= 0:
                self._histogram.record(value, attributes, _sdk.only_span(span or trace.INVALID_SPAN))
        return int((values < 0).sum())


class Instruments:
    """Every synchronous instrument of predictions. ``record`` is called by the recorder's thread only."""

    def __init__(
        self,
        meter: metrics.Meter,
        provider: metrics.MeterProvider,
        *,
        buckets: Mapping[str, Sequence[float]],
        low_confidence: float,
        drop: Callable[[str, str, int], None],
    ) -> None:
        def histogram(row: semconv.Metric) -> Histogram:
            return Histogram(meter, provider, row, buckets.get(row.name))

        def counter(row: semconv.Metric) -> metrics.Counter:
            return meter.create_counter(row.name, row.unit, row.help)

        self.low_confidence, self._drop = low_confidence, drop
        self._requests = counter(semconv.REQUESTS)
        self._predictions = counter(semconv.PREDICTIONS)
        self._low_confidence = counter(semconv.LOW_CONFIDENCE)
        self._missing = counter(semconv.INPUT_MISSING_VALUES)
        self._duration = histogram(semconv.PREDICTION_DURATION)
        self._first_item = histogram(semconv.PREDICTION_TIME_TO_FIRST_ITEM)
        self._stage = histogram(semconv.STAGE_DURATION)
        self._confidence = histogram(semconv.CONFIDENCE_HISTOGRAM)
        self._value = histogram(semconv.VALUE_HISTOGRAM)
        self._business = histogram(semconv.BUSINESS_VALUE_HISTOGRAM)
        self.flush_duration = histogram(semconv.FLUSH_DURATION)

    def record(self, series: Series, predictions: Sequence[Prediction]) -> None:
        """Turn the ended predictions of one model and version into measurements."""
        self._record_calls(series, predictions)
        self._record_stages(series, predictions)
        self._record_rows(series, [(p, p.outcome() or Result()) for p in predictions])

    def _record_calls(self, series: Series, predictions: Sequence[Prediction]) -> None:
        calls: dict[tuple[str | None, str | None], list[Prediction]] = defaultdict(list)
        durations: dict[str | None, tuple[list[float], _Spans]] = defaultdict(lambda: ([], []))
        for p in predictions:
            error = None if p.error is None else _labels.bounded(semconv.ERROR_TYPE, p.error.type)
            calls[p.operation, error].append(p)
            add(durations[error], p.seconds, p)
        for (operation, error), ended in calls.items():
            attributes = with_error(series.attributes, error)
            if operation is not None:
                attributes = {**attributes, semconv.OPERATION: _labels.bounded(semconv.OPERATION, operation)}
            self._requests.add(len(ended), attributes, _any_sampled([sampled(p) for p in ended]))
        for error, (seconds, spans) in durations.items():
            self._duration.record(np.array(seconds), with_error(series.attributes, error), spans)
        streams = [p for p in predictions if p.first_item]
        waits = np.array([(p.first_item - p.start) * NANO for p in streams])
        self._first_item.record(waits, series.attributes, [sampled(p) for p in streams])

    def _record_stages(self, series: Series, predictions: Sequence[Prediction]) -> None:
        stages: dict[tuple[str, str | None], tuple[list[float], _Spans]] = defaultdict(lambda: ([], []))
        for p in predictions:
            for stage in p.stages:
                error = None if stage.error is None else _labels.bounded(semconv.ERROR_TYPE, stage.error.type)
                seconds, spans = stages[stage.name, error]
                seconds.append((stage.end - stage.start) * NANO)
                spans.append(None if sampled(p) is None else stage.span)
        for (name, error), (seconds, spans) in stages.items():
            attributes = with_error({**series.attributes, semconv.STAGE: name}, error)
            self._stage.record(np.array(seconds), attributes, spans)

    def _record_rows(self, series: Series, results: Sequence[tuple[Prediction, Result]]) -> None:
        rows = _Rows()
        for p, result in results:
            rows.add(p, result)
        base = series.attributes
        for label, count in rows.counts.items():
            self._predictions.add(count, with_class(base, label), _any_sampled(()))
        for label, (values, spans) in rows.confidence.items():
            self._record_confidence(with_class(base, label), np.concatenate(values), spans)
        for label, (values, spans) in rows.values.items():
            self._record_finite("value", self._value, np.concatenate(values), with_class(base, label), spans)
        for unit, (values, spans) in rows.business.items():
            attributes = base if unit is None else {**base, semconv.BUSINESS_VALUE_UNIT: unit}
            self._record_finite("business_value", self._business, np.concatenate(values), attributes, spans)
        if rows.missing:
            self._missing.add(rows.missing, base, _any_sampled(()))

    def _record_confidence(self, attributes: Attributes, values: NDArray[np.float64], spans: _Spans) -> None:
        inside = (values >= 0) & (values <= 1)
        if not inside.all():
            self._drop("confidence", "out_of_range", int((~inside).sum()))
            spans = [span for span, keep in zip(spans, inside.tolist(), strict=True) if keep]
            values = values[inside]
        self._confidence.record(values, attributes, spans)
        low = values < self.low_confidence
        if low.any():
            doubtful = [span for span, is_low in zip(spans, low.tolist(), strict=True) if is_low]
            self._low_confidence.add(int(low.sum()), attributes, _any_sampled(doubtful))

    def _record_finite(
        self, what: str, histogram: Histogram, values: NDArray[np.float64], attributes: Attributes, spans: _Spans
    ) -> None:
        finite = np.isfinite(values)
        if not finite.all():
            self._drop(what, "not_finite", int((~finite).sum()))
            spans = [span for span, keep in zip(spans, finite.tolist(), strict=True) if keep]
            values = values[finite]
        refused = histogram.record(values, attributes, spans)
        if refused:
            self._drop(what, "negative", refused)


class _Rows:
    """Rows of many predictions, gathered by class so that each class costs one measurement."""

    def __init__(self) -> None:
        self.counts: dict[str | None, int] = defaultdict(int)
        self.confidence: dict[str | None, tuple[list[Any], _Spans]] = defaultdict(lambda: ([], []))
        self.values: dict[str | None, tuple[list[Any], _Spans]] = defaultdict(lambda: ([], []))
        self.business: dict[str | None, tuple[list[Any], _Spans]] = defaultdict(lambda: ([], []))
        self.missing = 0

    def add(self, p: Prediction, result: Result) -> None:
        """Take the rows of one prediction; a prediction that raised has predicted no rows."""
        span = sampled(p)
        self.missing += result.missing or 0
        if result.business_value is not None:
            unit = result.business_unit
            label = None if unit is None else _labels.bounded(semconv.BUSINESS_VALUE_UNIT, unit)
            gather(self.business[label], result.business_value, span)
        if p.error is not None:
            return
        classes = result.classes
        if classes is not None and not isinstance(classes, (str, float, int)):
            self._add_by_class(result, classes, span)
            return
        label = None if classes is None else _labels.bounded(semconv.PREDICTION_CLASS, classes)
        self.counts[label] += 1 if result.rows is None else result.rows
        for kept, into in ((result.confidence, self.confidence), (result.values, self.values)):
            if kept is not None:
                gather(into[label], kept, span)

    def _add_by_class(self, result: Result, classes: NDArray[Any], span: trace.Span | None) -> None:
        names, index = label_index(classes)
        for i, count in enumerate(np.bincount(index, minlength=len(names)).tolist()):
            self.counts[names[i]] += count
        for kept, into in ((result.confidence, self.confidence), (result.values, self.values)):
            if kept is None:
                continue
            if np.size(kept) != classes.size:
                gather(into[None], kept, span)
                continue
            rows = np.atleast_1d(kept)
            for i, name in enumerate(names):
                gather(into[name], rows[index == i], span)


def label_index(classes: NDArray[Any]) -> tuple[list[str], NDArray[np.intp]]:
    """Return the bounded labels in ``classes`` (each once) and, for every row, the index of its label."""
    raw: list[Any]
    if classes.dtype.kind == "O":  # of any type: what has no order, and what raises when it is compared
        texts = [_labels.text(x) for x in classes.tolist()]
        at: dict[str, int] = {}
        inverse = np.array([at.setdefault(text, len(at)) for text in texts], dtype=np.intp)
        raw = list(at)
    else:
        found, inverse = np.unique(classes, return_inverse=True)
        raw = found.tolist()
    names = [_labels.bounded(semconv.PREDICTION_CLASS, x) for x in raw]
    unique = list(dict.fromkeys(names))
    position = np.array([unique.index(name) for name in names], dtype=np.intp)
    return unique, position[inverse] if names else np.zeros(0, dtype=np.intp)


def sampled(p: Prediction) -> trace.Span | None:
    """Return the span an exemplar may point to: one that will be exported."""
    return p.span if p.sampled and not p.spans_dropped else None


def gather(into: tuple[list[Any], _Spans], kept: Any, span: trace.Span | None) -> None:
    """Add one value or an array of values that belong to one span."""
    array = np.atleast_1d(kept)
    into[0].append(array)
    into[1].extend([span] * array.size)


def add(into: tuple[list[float], _Spans], value: float, p: Prediction) -> None:
    """Add one value of a prediction."""
    into[0].append(value)
    into[1].append(sampled(p))


def with_error(attributes: Mapping[str, str], error: str | None) -> dict[str, str]:
    """Return attributes with ``error.type`` where there is one."""
    return dict(attributes) if error is None else {**attributes, semconv.ERROR_TYPE: error}


def with_class(attributes: Mapping[str, str], label: str | None) -> dict[str, str]:
    """Return attributes with the predicted class where it is known."""
    return dict(attributes) if label is None else {**attributes, semconv.PREDICTION_CLASS: label}


def _any_sampled(spans: Iterable[trace.Span | None]) -> Any:
    """Return a context for an exemplar; without one the SDK would take the thread's own, which is somebody else's."""
    return _sdk.only_span(next((s for s in spans if s is not None), trace.INVALID_SPAN))
