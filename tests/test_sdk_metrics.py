"""Canaries: every private name of the SDK's metrics in _sdk_metrics.py, so that a new release fails here first."""

from bisect import bisect_left

import numpy as np
import pytest
from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader, PeriodicExportingMetricReader
from opentelemetry.sdk.metrics.view import ExplicitBucketHistogramAggregation, View

from otelml import _sdk, _sdk_metrics


def meter(*readers, views=(_sdk_metrics.BATCH_VIEW,)):
    """Return a provider and a histogram of our meter."""
    provider = MeterProvider(readers, shutdown_on_exit=False, views=views)
    histogram = provider.get_meter("otelml").create_histogram("h", explicit_bucket_boundaries_advisory=[1.0, 2.0])
    return provider, histogram


def points(reader):
    """Return a reader's data points of the first metric."""
    data = reader.get_metrics_data()
    return data.resource_metrics[0].scope_metrics[0].metrics[0].data.data_points if data else []


def test_batches_are_taken():
    """Our aggregation takes a batch as its values, beside single ones, and keeps sum, extremes and buckets."""
    reader = InMemoryMetricReader()
    provider, histogram = meter(reader)
    assert _sdk_metrics.takes_batches(provider, histogram)
    histogram.record(_sdk_metrics.Batch(np.array([0.5, 1.0, 1.5, 9.0])))
    histogram.record(1.5)
    (point,) = points(reader)
    assert (point.count, point.sum, point.min, point.max) == (5, 13.5, 0.5, 9.0)
    assert list(point.bucket_counts) == [2, 2, 1]
    assert list(point.explicit_bounds) == [1.0, 2.0]


def test_plain_batches_are_taken_and_keep_exemplars():
    """Values without numpy are counted as others; the last sampled one of each bucket is its exemplar."""
    reader = InMemoryMetricReader()
    _, histogram = meter(reader)
    ids = [1 << 64 | 2, 3 << 64 | 4, 0, 0, 5 << 64 | 6]
    batch = _sdk_metrics.PlainBatch([0.5, 0.25, 0.75, 1.5, 9.0], ids)
    histogram.record(batch, context=trace.set_span_in_context(_sdk.sampled_span(ids[-1])))
    (point,) = points(reader)
    assert (point.count, point.sum, point.min, point.max) == (5, 12.0, 0.25, 9.0)
    assert list(point.bucket_counts) == [3, 1, 1]
    assert {(each.value, each.trace_id, each.span_id) for each in point.exemplars} == {(0.25, 3, 4), (9.0, 5, 6)}


@pytest.mark.parametrize(
    ("values", "bounds"),
    [
        ([0.1, 1.0, 1.5, 2.0, 9.0, -1.0, 0.0, 1e300], (1.0, 2.0)),
        ([0, 5, 6, 10**15, 10**18, 2**53, 2**53 + 1], (0, 5, 10, 2**53)),
        ([True, 3, 2.5], (1.0, 2.5)),
        ([1.0, 2.0], ()),
        ([float(i) for i in range(200)], tuple(float(i) for i in range(0, 190, 2))),
    ],
    ids=["seconds", "bytes", "mixed", "one bucket", "many buckets"],
)
def test_values_fall_into_the_buckets_of_the_sdk(values, bounds):
    """Whatever the numbers and bounds, bucket i holds what is over bound i - 1 and not over bound i."""
    ids = [i % 3 for i in range(len(values))]
    expected = [bisect_left(bounds, value) for value in values]
    batch = _sdk_metrics.PlainBatch(tuple(values), tuple(ids))
    assert batch.counts(bounds) == [expected.count(bucket) for bucket in range(len(bounds) + 1)]
    last = {bucket: value for bucket, value, own in zip(expected, values, ids, strict=True) if own}
    assert sorted(value for value, _ in batch.exemplars(bounds)) == sorted(last.values())


@pytest.mark.parametrize(
    "views",
    [
        (),
        (View(instrument_name="h", aggregation=ExplicitBucketHistogramAggregation([5.0])),),
        (_sdk_metrics.BATCH_VIEW, View(instrument_name="h", name="second")),
    ],
    ids=["none", "theirs", "both"],
)
def test_batches_are_not_given_to_others(views):
    """Where any stream of the histogram is not ours, batches are not taken."""
    provider, histogram = meter(InMemoryMetricReader(), views=views)
    assert not _sdk_metrics.takes_batches(provider, histogram)


def test_foreign_providers_take_no_batches():
    """A provider that is not the SDK's takes single values."""
    provider = metrics.NoOpMeterProvider()
    assert not _sdk_metrics.takes_batches(provider, provider.get_meter("x").create_histogram("h"))
    assert not _sdk_metrics.forget_measurements(provider)


def test_forgetting_measurements():
    """After a fork sums start from zero, locks are new, and instruments that exist go on counting."""
    reader = InMemoryMetricReader()
    provider, histogram = meter(reader)
    calls = []
    provider.get_meter("otelml").create_observable_counter("c", [lambda _: calls.append(1) or []])
    histogram.record(_sdk_metrics.Batch(np.array([0.5, 1.5])))
    assert points(reader)[0].count == 2
    own = provider.get_meter("otelml")
    assert own._instrument_registration_lock.acquire(timeout=1)  # a parent's threads held both
    assert provider._measurement_consumer._lock.acquire(timeout=1)
    assert _sdk_metrics.forget_measurements(provider)
    assert own._instrument_registration_lock.acquire(timeout=1)
    own._instrument_registration_lock.release()
    assert points(reader) == []
    histogram.record(_sdk_metrics.Batch(np.array([0.5])))
    assert points(reader)[0].count == 1
    assert len(calls) == 3


def test_periodic_readers_have_the_locks_that_are_renewed():
    """The reader's locks that forget_measurements() renews exist under their names."""
    assert {"_export_lock"} <= set(vars(PeriodicExportingMetricReader(_Exporter(), 60_000)))


class _Exporter:
    """An exporter that exports nothing."""

    _preferred_temporality = _preferred_aggregation = None

    def shutdown(self, *_, **__):
        """Do nothing."""


def test_views_on_the_instruments_of_others():
    """A View for others changes the bounds of their histogram and leaves ours of the same name alone, in one stream."""
    reader = InMemoryMetricReader()
    others = _sdk_metrics.OthersView(instrument_name="h", aggregation=ExplicitBucketHistogramAggregation([5.0]))
    provider, histogram = meter(reader, views=(_sdk_metrics.BATCH_VIEW, others))
    histogram.record(1.5)
    provider.get_meter("theirs").create_histogram("h").record(1.5)
    found = [
        (
            scope.scope.name,
            metric.name,
            [(point.count, tuple(point.explicit_bounds)) for point in metric.data.data_points],
        )
        for resource in reader.get_metrics_data().resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
    ]
    assert found == [("otelml", "h", [(1, (1.0, 2.0))]), ("theirs", "h", [(1, (5.0,))])]
