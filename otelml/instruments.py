"""Rows of ``semconv`` as OpenTelemetry instruments, and a batch of predictions turned into measurements."""

from __future__ import annotations

from collections import Counter, defaultdict
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from opentelemetry import metrics, trace

from otelml import _labels, _sdk, _sdk_metrics, semconv
from otelml._lazy import LazyModule, is_numpy
from otelml.columns import Origins, in_seconds

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray
    from opentelemetry.context.context import Context
    from opentelemetry.util.types import Attributes

    from otelml.columns import Columns
    from otelml.facts import Facts
    from otelml.prediction import Prediction
    from otelml.result import Result
    from otelml.values import Numbers
else:
    np = LazyModule("numpy")


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
        self.takes_batches = _sdk_metrics.takes_batches(provider, self._histogram)

    def record(self, values: NDArray[np.float64], attributes: Attributes, origins: Origins | None = None) -> int:
        """Record finite values of shape (n,); returns how many the provider's own histogram refuses (negative ones)."""
        if not values.size:
            return 0
        if self.takes_batches:
            self._histogram.record(_sdk_metrics.Batch(values, origins), attributes, _context(origins))
            return 0
        for i, value in enumerate(values.tolist()):
            if value >= 0:
                self._histogram.record(value, attributes, _context(origins, i))
        return int((values < 0).sum())


class Tally(NamedTuple):
    """What the rows of some predictions came to: how many, and of those whose confidence is known, its sum."""

    rows: int = 0
    confident: int = 0
    confidence: float = 0.0
    low: int = 0
    """How many of them are under the limit of low confidence."""


class Instruments:
    """Every synchronous instrument of predictions; ended ones are recorded by the recorder's thread only."""

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

    @property
    def takes_batches(self) -> bool:
        """Return whether histograms take many values at once."""
        return self._duration.takes_batches

    def record_calls(self, columns: Columns) -> None:
        """Measure ended predictions of one shape: how many there were, and how long they and their stages took."""
        seconds = columns.stage_seconds
        for k, name in enumerate(columns.names):
            attributes = with_error(name.attributes, columns.stage_errors[k])
            self._stage.record(seconds[:, k], attributes, columns.origins(k))
        origins = columns.origins()
        attributes = with_error(columns.series.measured, columns.error)
        for operation, count in _operations(columns).items():
            more = {} if operation is None else {semconv.OPERATION: _labels.bounded(semconv.OPERATION, operation)}
            self._requests.add(count, {**attributes, **more}, _context(origins))
        self._duration.record(columns.seconds, attributes, origins)
        if columns.facts is None or columns.facts.streams:
            self._record_streams(columns)

    def _record_streams(self, columns: Columns) -> None:
        ticks = np.array([p.first_item for p in columns.predictions])
        kept, origins = ticks > 0, columns.origins()
        waits = in_seconds(ticks - columns.started)[kept]
        self._first_item.record(waits, columns.series.attributes, None if origins is None else origins.kept(kept))

    def record_rows(self, columns: Columns) -> Tally:
        """Measure what ended predictions of one shape were given and gave; returns what their rows came to."""
        known: list[tuple[int, float, int]] = []
        rows = _Rows(columns)
        base, measured = columns.series.attributes, columns.series.measured
        for label, count in rows.counts.items():
            self._predictions.add(count, with_class(measured, label), _context(None))
        for label, gathered in rows.confidence.items():
            known.append(self._record_confidence(with_class(measured, label), *gathered.all()))
        for label, gathered in rows.values.items():
            self._record_finite("value", self._value, with_class(base, label), *gathered.all())
        for unit, gathered in rows.business.items():
            attributes = base if unit is None else {**base, semconv.BUSINESS_VALUE_UNIT: unit}
            self._record_finite("business_value", self._business, attributes, *gathered.all())
        if rows.missing:
            self._missing.add(rows.missing, base, _context(None))
        confident, confidence, low = map(sum, zip((0, 0.0, 0), *known, strict=True))
        return Tally(sum(rows.counts.values()), confident, confidence, low)

    def _record_confidence(
        self, attributes: Attributes, values: NDArray[np.float64], origins: Origins | None
    ) -> tuple[int, float, int]:
        """Record confidences of shape (n,); returns how many of them are any, their sum, and how many are low."""
        inside = (values >= 0) & (values <= 1)
        if not inside.all():
            self._drop("confidence", "out_of_range", int((~inside).sum()))
            values, origins = values[inside], None if origins is None else origins.kept(inside)
        self._confidence.record(values, attributes, origins)
        low = values < self.low_confidence
        doubted = int(low.sum())
        if doubted:
            doubtful = None if origins is None else origins.kept(low)
            self._low_confidence.add(doubted, attributes, _context(doubtful))
        return values.size, float(values.sum()), doubted

    def _record_finite(
        self,
        what: str,
        histogram: Histogram,
        attributes: Attributes,
        values: NDArray[np.float64],
        origins: Origins | None,
    ) -> None:
        finite = np.isfinite(values)
        if not finite.all():
            self._drop(what, "not_finite", int((~finite).sum()))
            values, origins = values[finite], None if origins is None else origins.kept(finite)
        refused = histogram.record(values, attributes, origins)
        if refused:
            self._drop(what, "negative", refused)


def _operations(columns: Columns) -> Counter[str | None]:
    """Return how many predictions there are of each operation."""
    if columns.facts is None:
        return Counter([p.operation for p in columns.predictions])
    found: Counter[str | None] = Counter()
    for key, count in zip(columns.facts.keys, columns.facts.counts(), strict=True):
        found[key.operation] += count
    return found


class _Gathered:
    """Numbers of many predictions that go into one series, and which prediction each is of."""

    def __init__(self, *, exported: bool) -> None:
        self._exported = exported
        self._parts: list[Any] = []
        self._predictions: list[Prediction] = []
        self._plain = True
        self._taken: tuple[NDArray[np.float64], Origins | None] | None = None

    def take(self, numbers: NDArray[np.float64], origins: Origins | None) -> None:
        """Take all there are at once."""
        self._taken = numbers, origins

    def add(self, p: Prediction, numbers: Numbers) -> None:
        """Take the number, or the array of shape (rows,), of one prediction."""
        self._parts.append(numbers)
        self._predictions.append(p)
        self._plain = self._plain and type(numbers) is float

    def all(self) -> tuple[NDArray[np.float64], Origins | None]:
        """Return all numbers as one array, and where they come from."""
        if self._taken is not None:
            return self._taken
        if self._plain:
            return np.array(self._parts), Origins(self._predictions) if self._exported else None
        arrays = [np.atleast_1d(part) for part in self._parts]
        origins = Origins(self._predictions, [array.size for array in arrays]) if self._exported else None
        return np.concatenate(arrays), origins


class _Rows:
    """Rows of many predictions, gathered by class so that each class costs one measurement."""

    def __init__(self, columns: Columns) -> None:
        new = partial(_Gathered, exported=columns.exported)
        self.counts: dict[str | None, int] = defaultdict(int)
        self.confidence: dict[str | None, _Gathered] = defaultdict(new)
        self.values: dict[str | None, _Gathered] = defaultdict(new)
        self.business: dict[str | None, _Gathered] = defaultdict(new)
        self.missing = 0
        if columns.facts is not None and columns.facts.plain:
            self._add_all(columns.facts, columns.origins())
            return
        for p in columns.predictions:
            result = p.outcome()
            if result is not None:
                self.add(p, result, failed=columns.error is not None)
            elif columns.error is None:
                self.counts[None] += 1

    def _add_all(self, facts: Facts, origins: Origins | None) -> None:
        """Take predictions of one number each at most."""
        for key, count in zip(facts.keys, facts.counts(), strict=True):
            self.counts[key.label] += count * (1 if key.rows is None else key.rows)
            self.missing += count * (key.missing or 0)
        labels = list(self.counts)
        places = np.array([labels.index(key.label) for key in facts.keys])[facts.which]
        for column, into in ((facts.confidence, self.confidence), (facts.values, self.values)):
            if column is None or not column.size:
                continue
            for i, label in enumerate(labels):
                keep = places == i
                into[label].take(column[keep], None if origins is None else origins.kept(keep))

    def add(self, p: Prediction, result: Result, *, failed: bool) -> None:
        """Take the rows of one prediction; a prediction that raised has predicted no rows."""
        if result.missing:
            self.missing += result.missing
        if result.business_value is not None:
            unit = result.business_unit
            label = None if unit is None else _labels.bounded(semconv.BUSINESS_VALUE_UNIT, unit)
            self.business[label].add(p, result.business_value)
        if failed:
            return
        if is_numpy(result.classes, "ndarray"):
            self._add_by_class(p, result)
            return
        label = result.label
        self.counts[label] += 1 if result.rows is None else result.rows
        if result.confidence is not None:
            self.confidence[label].add(p, result.confidence)
        if result.values is not None:
            self.values[label].add(p, result.values)

    def _add_by_class(self, p: Prediction, result: Result) -> None:
        classes: Any = result.classes
        names, index = label_index(classes)
        if classes.size == 1:
            result.label = names[0]
        for i, count in enumerate(np.bincount(index, minlength=len(names)).tolist()):
            self.counts[names[i]] += count
        for kept, into in ((result.confidence, self.confidence), (result.values, self.values)):
            if kept is None:
                continue
            if np.size(kept) != classes.size:
                into[None].add(p, kept)
                continue
            rows = np.atleast_1d(kept)
            for i, name in enumerate(names):
                into[name].add(p, rows[index == i])


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


def with_error(attributes: Mapping[str, str], error: str | None) -> dict[str, str]:
    """Return attributes with ``error.type`` where there is one."""
    return dict(attributes) if error is None else {**attributes, semconv.ERROR_TYPE: error}


def with_class(attributes: Mapping[str, str], label: str | None) -> dict[str, str]:
    """Return attributes with the predicted class where it is known."""
    return dict(attributes) if label is None else {**attributes, semconv.PREDICTION_CLASS: label}


def _context(origins: Origins | None, i: int = 0) -> Context:
    """Return a context for an exemplar; without one the SDK would take the thread's own, which is somebody else's."""
    return _sdk.only_span(trace.INVALID_SPAN if origins is None else origins.span(i))
