"""The private names of the OpenTelemetry SDK's metrics that otelml touches, each with a public way to fall back on.

``tests/test_sdk_metrics.py`` is the canary: it fails when a new SDK release changes one of them.

1. ``BatchHistogram`` adds many values to a histogram in one call. Fall-back: one ``record()`` per value.
2. ``forget_measurements`` gives a forked child fresh metric state. Fall-back: the child keeps the parent's.
"""

from __future__ import annotations

from bisect import bisect_left
from functools import lru_cache
from inspect import signature
from threading import Lock, RLock
from typing import TYPE_CHECKING, Any, Protocol, Self

from opentelemetry.sdk import metrics as metrics_sdk
from opentelemetry.sdk.metrics.view import ExplicitBucketHistogramAggregation, View

from otelml._lazy import LazyModule, computed_once
from otelml._sdk import native, only_span, sampled_span

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray
    from opentelemetry import metrics, trace
    from opentelemetry.context.context import Context
else:
    np = LazyModule("numpy")

try:
    from opentelemetry.sdk.metrics._internal.aggregation import (
        AggregationTemporality,
        _ExplicitBucketHistogramAggregation,
    )
    from opentelemetry.sdk.metrics._internal.metric_reader_storage import MetricReaderStorage
except ImportError:  # pragma: no cover - a later SDK; the canary test reports it
    _ExplicitBucketHistogramAggregation = object  # type: ignore[misc,assignment]
    MetricReaderStorage = None  # type: ignore[misc,assignment]


FEW = 64
"""Values that Python goes through sooner than numpy."""


class Origins(Protocol):
    """Where each of many measurements was made."""

    def span(self, i: int) -> trace.Span | None:
        """Return the span of measurement i; None where it has no sampled one."""


class Batch(float):
    """Many measurements that pass through ``Histogram.record`` as one: a float whose value is their number.

    ``values`` is a finite float64 array of shape (n,); ``origins`` tells the sampled span of each, or is None.
    """

    values: NDArray[np.float64]
    origins: Origins | None
    _spreads: dict[tuple[float, ...], tuple[list[int], list[int]]]

    def __new__(cls, values: NDArray[np.float64], origins: Origins | None = None) -> Self:
        self = super().__new__(cls, values.size)
        self.values, self.origins, self._spreads = values, origins, {}
        return self

    def _spread(self, bounds: tuple[float, ...]) -> tuple[list[int], list[int]]:
        found = self._spreads.get(bounds)
        if found is None:
            found = self._spreads[bounds] = _spread(self.values, bounds)
        return found

    @computed_once
    def sums(self) -> tuple[float, float, float]:
        """Return the sum, the lowest and the highest value."""
        return _summed(self.values)

    def counts(self, bounds: tuple[float, ...]) -> list[int]:
        """Return how many values fall into each bucket."""
        return self._spread(bounds)[0]

    def exemplars(self, bounds: tuple[float, ...]) -> list[tuple[float, Context]]:
        """Return the last measurement of each bucket: (value, context of its span)."""
        if self.origins is None:
            return []
        found = [(float(self.values[i]), self.origins.span(i)) for i in self._spread(bounds)[1]]
        return [(value, only_span(span)) for value, span in found if span is not None]


class PlainBatch(Batch):
    """The same without numpy: what is measured in a service that may never import it."""

    plain: Sequence[float]
    ids: Sequence[int]
    _last: dict[tuple[float, ...], dict[int, int]]

    def __new__(cls, values: Sequence[float], ids: Sequence[int]) -> Self:
        """Take finite ``values``, and for each trace and span id of its sampled span as one number, 0 without one."""
        self = float.__new__(cls, len(values))
        self.plain, self.ids, self._last = values, ids, {}
        return self

    def counts(self, bounds: tuple[float, ...]) -> list[int]:
        """Return how many values fall into each bucket."""
        counts, self._last[bounds] = _tallied(self.plain, self.ids, bounds)
        return counts

    @computed_once
    def sums(self) -> tuple[float, float, float]:
        """Return the sum, the lowest and the highest value."""
        return sum(self.plain), min(self.plain), max(self.plain)

    def exemplars(self, bounds: tuple[float, ...]) -> list[tuple[float, Context]]:
        """Return the last sampled measurement of each bucket, after ``counts``: (value, context of its span)."""
        last = self._last.get(bounds, {}).values()
        return [(self.plain[i], only_span(sampled_span(self.ids[i]))) for i in last]


def _tallied(
    values: Sequence[float], ids: Sequence[int], bounds: tuple[float, ...]
) -> tuple[list[int], dict[int, int]]:
    """Return how many values fall into each bucket, and of each the number of the last with an id."""
    counts, last = [0] * (len(bounds) + 1), {}
    for i, value in enumerate(values):
        bucket = bisect_left(bounds, value)
        counts[bucket] += 1
        if ids[i]:
            last[bucket] = i
    return counts, last


def _spread(values: NDArray[np.float64], bounds: tuple[float, ...]) -> tuple[list[int], list[int]]:
    """Return how many values fall into each bucket, and the number of the last value in each that has one.

    Bucket i holds ``bounds[i-1] < value <= bounds[i]``.
    """
    buckets = _as_array(bounds).searchsorted(values, side="left")
    counts: list[int] = np.bincount(buckets, minlength=len(bounds) + 1).tolist()
    if buckets.size < FEW:
        return counts, list(dict(zip(buckets.tolist(), range(buckets.size), strict=True)).values())
    last = np.full(len(bounds) + 1, -1)
    last[buckets] = np.arange(buckets.size)
    return counts, last[last >= 0].tolist()


def _summed(values: NDArray[np.float64]) -> tuple[float, float, float]:
    """Return the sum, the lowest and the highest value."""
    if values.size < FEW:
        plain = values.tolist()
        return sum(plain), min(plain), max(plain)
    with np.errstate(over="ignore"):  # a sum of huge values is infinite, as it is in the SDK
        return float(values.sum()), float(values.min()), float(values.max())


if native is not None:
    _tallied, _spread, _summed = native.use_measurements(_tallied, _spread, _summed)


@lru_cache(64)
def _as_array(bounds: tuple[float, ...]) -> NDArray[np.float64]:
    return np.array(bounds, np.float64)


class _BatchAggregation(_ExplicitBucketHistogramAggregation):
    """The SDK's explicit-bucket histogram, which also takes a ``Batch``."""

    def aggregate(self, measurement: Any, should_sample_exemplar: bool = True) -> None:
        batch = measurement.value
        if not isinstance(batch, Batch):
            super().aggregate(measurement, should_sample_exemplar)
            return
        counts = batch.counts(self._boundaries)
        total, low, high = batch.sums
        with self._lock:
            before = self._value
            self._value = counts if before is None else [a + b for a, b in zip(before, counts, strict=True)]  # type: ignore[assignment]
            self._sum += total  # type: ignore[assignment] # the SDK says int, and adds floats
            if self._record_min_max:
                self._min, self._max = min(self._min, low), max(self._max, high)
        if should_sample_exemplar:
            for value, context in batch.exemplars(self._boundaries):
                self._reservoir.offer(value, measurement.time_unix_nano, measurement.attributes, context)


class BatchHistogram(ExplicitBucketHistogramAggregation):
    """Aggregation for a View on our histograms: explicit buckets, by default the instrument's own; takes batches."""

    def _create_aggregation(
        self, instrument: Any, attributes: Any, reservoir_factory: Any, start_time_unix_nano: int
    ) -> Any:
        bounds = self._boundaries
        if bounds is None:
            bounds = instrument._advisory.explicit_bucket_boundaries
        return _BatchAggregation(
            attributes,
            AggregationTemporality.DELTA,
            start_time_unix_nano,
            reservoir_factory(_ExplicitBucketHistogramAggregation),
            bounds,
            self._record_min_max,
        )


BATCH_VIEW = View(instrument_type=metrics_sdk.Histogram, meter_name="otelml", aggregation=BatchHistogram())
"""Makes every histogram of our meter take batches, in a meter provider of our own."""


_LIMIT = {"aggregation_cardinality_limit": 100_000}
# SDKs before 1.45.2, which some upstream instrumentations still ask for, have no such limit.
_KNOWN: dict[str, Any] = {name: most for name, most in _LIMIT.items() if name in signature(View).parameters}
FEATURES_VIEW = View(instrument_name="ml.feature.*", meter_name="otelml", **_KNOWN)
"""The SDK folds what is more than 2,000 series into one, which would falsify shares; ours are bounded by references."""


class OthersView(View):
    """A View on the instruments of everybody else: ours take their bounds when made, and would get two streams.

    Fall-back, where the SDK asks Views another way: it matches ours as well.
    """

    def _match(self, instrument: Any) -> bool:
        return instrument.instrumentation_scope.name != "otelml" and bool(super()._match(instrument))


def takes_batches(provider: metrics.MeterProvider, histogram: metrics.Histogram) -> bool:
    """Return whether every stream of this instrument is a ``BatchHistogram``, so that ``Batch`` may be recorded."""
    try:
        storages = provider._measurement_consumer._reader_storages.values()  # type: ignore[attr-defined]
        matches = [match for s in storages for match in s._get_or_init_view_instrument_match(histogram)]
    except AttributeError:
        return False
    return all(type(match._aggregation) is _BatchAggregation for match in matches)


def forget_measurements(provider: metrics.MeterProvider) -> bool:
    """Give a forked child fresh locks and empty sums; returns False where the SDK does not allow it.

    The SDK keeps the parent's totals and locks: a child would export the parent's counts again, or hang.
    """
    try:
        consumer = provider._measurement_consumer  # type: ignore[attr-defined]
        consumer._lock = Lock()
        config = consumer._sdk_config
        consumer._reader_storages = {
            reader: MetricReaderStorage(
                config,
                reader._instrument_class_temporality,
                reader._instrument_class_aggregation,
                reader._instrument_class_cardinality_limit,
            )
            for reader in consumer._reader_storages
        }
        for meter in list(provider._meters.values()):  # type: ignore[attr-defined]
            meter._instrument_registration_lock = Lock()
        for reader in consumer._reader_storages:
            for name, lock in (("_export_lock", Lock), ("_lock", RLock)):
                if hasattr(reader, name):
                    setattr(reader, name, lock())
    except (AttributeError, TypeError):
        return False
    return True
