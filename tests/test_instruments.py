"""Metrics of batches: the same numbers whether a provider takes batches or single values."""

from contextlib import suppress
from dataclasses import replace

import numpy as np
import pytest
from opentelemetry import trace
from opentelemetry.sdk.metrics.view import (
    ExplicitBucketHistogramAggregation,
    ExponentialBucketHistogramAggregation,
    View,
)
from opentelemetry.sdk.trace.sampling import TraceIdRatioBased

import otelml
from otelml import _sdk_metrics, semconv
from otelml.columns import Origins
from otelml.instruments import label_index
from otelml.spans import OwnSpan
from otelml.testing import recording

RANDOM = np.random.default_rng(0)
CONFIDENCE = RANDOM.random(500)
VALUES = RANDOM.lognormal(size=500)
CLASSES = RANDOM.integers(0, 3, 500)


def comparable(point):
    """Return a point without the exemplar of a counter: of several measurements the SDK keeps any one."""
    return point if point.value is None else replace(point, exemplars=())


def scenario():
    """Make one-row and many-row predictions, and values on the bounds themselves."""
    with otelml.prediction("m", "1") as p, p.stage("inference"):
        p.result(classes=CLASSES, confidence=CONFIDENCE, values=VALUES)
    for bound in semconv.CONFIDENCE:
        with otelml.prediction("m", "1") as p:
            p.result(classes="a", confidence=bound, values=float(bound), business_value=3, business_value_unit="EUR")
    with otelml.prediction("m", "1") as p:
        p.result(values=[v for v in semconv.VALUES if v >= 0])


def points(**how):
    """Return the data points of the scenario, sums to twelve digits (numpy adds up in another order)."""
    with recording(deterministic=True, **how) as seen:
        scenario()
        found = [p for p in seen.metrics() if not p.name.startswith("otelml.")]
        return [replace(p, sum=float(f"{p.sum:.12g}")) for p in found]


@pytest.mark.parametrize("ratio", [0.0, 0.5, 1.0])
def test_batches_equal_single_values(ratio):
    """Counts, sums, extremes, buckets and exemplars equal those of the SDK's own histogram, point by point."""
    ours, foreign = points(sampler=TraceIdRatioBased(ratio)), points(sampler=TraceIdRatioBased(ratio), views=())
    assert {p.name for p in ours} >= {"ml.prediction.confidence", "ml.prediction.value", "ml.stage.duration"}
    assert [comparable(p) for p in ours] == [comparable(p) for p in foreign]
    assert any(p.exemplars for p in ours) == (ratio > 0)


def test_negative_values_of_a_foreign_provider():
    """The SDK's own histogram refuses negative values: they are counted as dropped, exemplars stay with their value."""
    with recording(views=()) as seen:
        for value in (-1.0, 5.0):
            with otelml.prediction("m") as p:
                p.result(values=value)
        (point,) = seen.points("ml.prediction.value")
        assert (point.count, point.sum) == (1, 5.0)
        assert seen.total("otelml.dropped", {"otelml.what": "value", "otelml.where": "negative"}) == 1
        right = next(s for s in seen.spans() if s.attributes["ml.prediction.value"] == 5.0)
        assert point.exemplars == ((5.0, right.trace_id, right.span_id),)


def test_negative_values_of_ours(telemetry):
    """Our histogram takes negative values, each in its bucket."""
    with otelml.prediction("m") as p:
        p.result(values=[-50.0, -0.05, 3.0])
    (point,) = telemetry.points("ml.prediction.value")
    assert (point.count, point.min, point.max) == (3, -50.0, 3.0)
    index = [i for i, n in enumerate(point.buckets) if n]
    assert index == [semconv.VALUES.index(-10.5), semconv.VALUES.index(0.1), semconv.VALUES.index(10.5)]


def test_a_view_of_the_application_wins():
    """An application's View on one of our histograms (bounds, exponential) gets every value."""
    explicit = View(instrument_name="ml.prediction.confidence", aggregation=ExplicitBucketHistogramAggregation([0.5]))
    exponential = View(instrument_name="ml.prediction.value", aggregation=ExponentialBucketHistogramAggregation())
    with recording(views=(explicit, exponential)) as seen:
        with otelml.prediction("m") as p:
            p.result(confidence=[0.1, 0.6, 0.7], values=[1.0, 2.0, 4.0])
        (confidence,) = seen.points("ml.prediction.confidence")
        assert (confidence.bounds, confidence.buckets) == ((0.5,), (1, 2))
        assert seen.total("ml.prediction.value") == 3


def test_configured_buckets(tmp_path):
    """OTELML_BUCKETS replaces the bounds of our histograms."""
    with recording(buckets="ml.prediction.confidence=0.25,0.75") as seen:
        with otelml.prediction("m") as p:
            p.result(confidence=[0.1, 0.25, 0.5, 0.9])
        (point,) = seen.points("ml.prediction.confidence")
        assert (point.bounds, point.buckets) == ((0.25, 0.75), (2, 1, 1))


def test_collected_twice_is_cumulative(telemetry):
    """Two collections with predictions between them add up."""
    for _ in range(2):
        with otelml.prediction("m") as p:
            p.result(confidence=[0.1, 0.9])
        telemetry.metrics()
    (point,) = telemetry.points("ml.prediction.confidence")
    assert (point.count, point.min, point.max) == (4, 0.1, 0.9)
    assert point.sum == pytest.approx(2.0)


def test_inline_drain_borrows_no_exemplar(telemetry):
    """A drain inside somebody's sampled span, as a collection may be, does not take that span for an exemplar."""
    with otelml.prediction("m") as p:
        p.result(inputs=[None], values=1.0)
    tracer = telemetry.tracer_provider.get_tracer("app")
    with tracer.start_as_current_span("unrelated") as span:
        telemetry.drain()
    foreign = span.get_span_context().trace_id
    assert foreign not in {e[1] for p in telemetry.metrics() for e in p.exemplars}


def test_every_metric_and_attribute_has_its_row(telemetry):
    """Every data point of a prediction has a row in semconv: name, unit and attributes."""
    scenario()
    with suppress(ValueError), otelml.prediction("m", operation="predict") as p, p.stage("s"):
        p.result(inputs=[None], confidence=2)
        raise ValueError("x")
    rows = {row.name: row for row in semconv.METRICS}
    seen = telemetry.metrics()
    assert len({p.name for p in seen}) >= 11
    for point in seen:
        row = rows[point.name]
        assert point.unit == row.unit
        assert set(point.attributes) <= set(row.attributes), point.name


@pytest.mark.parametrize(
    ("given", "labels"),
    [
        (np.array([2, 0, 2]), ["2", "0", "2"]),
        (np.array([1.5, np.nan, 2.0]), ["1.5", "nan", "2"]),
        (np.array([True, False, True]), ["true", "false", "true"]),
        (np.array(["b", "a", "b"]), ["b", "a", "b"]),
        (np.array(["b", 1, None], object), ["b", "1", "None"]),
        (np.array([], object), []),
        (np.arange(30), [*map(str, range(20)), *["other"] * 10]),
    ],
    ids=str,
)
def test_label_index(given, labels):
    """Each row's index points to its bounded label, and each label is there once."""
    names, index = label_index(given)
    assert [names[i] for i in index] == labels
    assert len(set(names)) == len(names)


def test_batch_is_one_measurement():
    """A batch counts bounds like the SDK: a value on a bound belongs to the bucket below it."""
    batch = _sdk_metrics.Batch(np.array([0.5, 1.0, 1.5, 9.0]))
    assert batch.counts((1.0, 2.0)) == [2, 1, 1]
    assert batch.exemplars((1.0, 2.0)) == []


def test_exemplars_are_the_last_of_each_bucket():
    """Of many measurements the last one in each bucket is the exemplar, and it points to its own span."""
    spans = [OwnSpan() for _ in range(4)]
    values = np.array([0.5, 0.7, 1.5, 0.6])
    marked = _sdk_metrics.Batch(values, Origins(spans))
    assert [(v, trace.get_current_span(c)) for v, c in marked.exemplars((1.0,))] == [(0.6, spans[3]), (1.5, spans[2])]
    shared = Origins(spans[:2], [3, 1]).kept(values > 0.55)
    some = _sdk_metrics.Batch(values[values > 0.55], shared)
    assert [(v, trace.get_current_span(c)) for v, c in some.exemplars((1.0,))] == [(0.6, spans[1]), (1.5, spans[0])]
