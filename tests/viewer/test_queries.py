"""Questions over a store, each answered by hand beside it."""

import math
import random
import statistics
import time
from itertools import pairwise

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from otelml.viewer import queries
from otelml.viewer.distributions import of_histogram
from otelml.viewer.rows import NANOS
from otelml.viewer.store import Store
from otelml.viewer.trees import Node, trace_tree

NOW = 1_700_000_000 * NANOS


@pytest.fixture
def store():
    """Give an empty store."""
    with Store() as opened:
        yield opened


def add_spans(store, *rows):
    """Add spans given as (name, trace, span, parent, start, end), times in ns."""
    request = ExportTraceServiceRequest()
    sent = request.resource_spans.add()
    sent.resource.attributes.add(key="service.name").value.string_value = "flights"
    scope = sent.scope_spans.add()
    for name, trace, span, parent, start, end in rows:
        scope.spans.add(
            name=name,
            trace_id=trace.to_bytes(16, "big"),
            span_id=span.to_bytes(8, "big"),
            parent_span_id=parent.to_bytes(8, "big") if parent else b"",
            start_time_unix_nano=start,
            end_time_unix_nano=end,
        )
    store.add("traces", request)


def add_sum(store, name, value, attributes=(), *, temporality=2, start=1, at=NOW, kind="sum"):
    """Add one point of a counter (cumulative unless told) or gauge."""
    request = ExportMetricsServiceRequest()
    metric = request.resource_metrics.add().scope_metrics.add().metrics.add(name=name)
    if kind == "sum":
        metric.sum.aggregation_temporality, metric.sum.is_monotonic = temporality, True
    point = getattr(metric, kind).data_points.add(as_double=value, start_time_unix_nano=start, time_unix_nano=at)
    for key, text in dict(attributes).items():
        point.attributes.add(key=key).value.string_value = text
    store.add("metrics", request)


def add_histogram(store, name, values, bounds, attributes=(), *, extremes=True):
    """Add one cumulative point of a histogram that recorded these values."""
    request = ExportMetricsServiceRequest()
    metric = request.resource_metrics.add().scope_metrics.add().metrics.add(name=name)
    metric.histogram.aggregation_temporality = 2
    edges = [-math.inf, *bounds, math.inf]
    counts = [sum(low < value <= high for value in values) for low, high in pairwise(edges)]
    point = metric.histogram.data_points.add(count=len(values), sum=sum(values), bucket_counts=counts)
    point.explicit_bounds.extend(bounds)
    if extremes:
        point.min, point.max = min(values), max(values)
    for key, text in dict(attributes).items():
        point.attributes.add(key=key).value.string_value = text
    store.add("metrics", request)


def predictions(store, durations, *, model="delay", last_end=NOW):
    """Add a prediction span per duration (ns), which end one second apart, the last one at ``last_end``."""
    first = store.received["traces"] + 1
    ends = [last_end - NANOS * (len(durations) - 1 - place) for place in range(len(durations))]
    rows = [
        (f"predict {model}", n, n, 0, e - d, e) for n, (d, e) in enumerate(zip(durations, ends, strict=True), first)
    ]
    add_spans(store, *rows)


def test_an_empty_store_answers_everything(store):
    """Nothing received is no error: counts are 0, numbers NaN, collections empty."""
    assert queries.request_rate(store) == 0
    assert queries.latency(store).count == 0
    assert math.isnan(queries.latency(store).p50)
    assert math.isnan(queries.errors(store).share)
    assert queries.slowest(store) is None
    assert queries.missing_values(store) == 0
    assert (queries.stage_times(store), queries.class_mix(store), queries.confidence_by_class(store)) == ({}, {}, {})
    assert (queries.gpus(store), queries.services(store), queries.models(store)) == ({}, [], [])


def test_latency_is_exact_where_every_prediction_has_a_span(store):
    """Quantiles are those of the sorted durations: the smallest that the share does not exceed."""
    durations = random.Random(1).sample(range(1_000, 10**9), 200)  # noqa: S311 - no secret
    predictions(store, durations)
    add_histogram(store, "ml.prediction.duration", [d / NANOS for d in durations], [0.1, 0.5])
    ordered = [d / NANOS for d in sorted(durations)]
    got = queries.latency(store, model="delay")
    assert got.source == "spans"
    assert (got.count, got.p05, got.p50, got.p95, got.p99) == (200, ordered[9], ordered[99], ordered[189], ordered[197])
    assert got.mean == pytest.approx(statistics.fmean(ordered))
    recent = queries.latency(store, seconds=9.5, now_ns=NOW)
    assert (recent.count, recent.p50) == (10, sorted(d / NANOS for d in durations[-10:])[4])
    assert queries.request_rate(store, 5, now_ns=NOW + 1) == 5 / 5
    assert queries.latency(store, model="other").count == 0


def test_models_together_and_apart(store):
    """Without a model all are taken together."""
    predictions(store, [10, 30], model="a")
    predictions(store, [20, 40], model="b")
    assert queries.latency(store).p50 == 20 / NANOS
    assert queries.latency(store, model="a").p95 == 30 / NANOS
    assert queries.slowest(store).name == "predict b"
    assert queries.slowest(store, model="a").end_ns - queries.slowest(store, model="a").start_ns == 30


def test_sampled_traces_fall_back_to_histograms(store):
    """When most predictions have no span, quantiles come from the histogram and the rate from the counter."""
    predictions(store, [10**9])
    add_histogram(
        store, "ml.prediction.duration", [0.1 * n for n in range(1, 11)], [0.25, 0.5, 0.75], {"ml.model.name": "delay"}
    )
    got = queries.latency(store)
    assert (got.source, got.count) == ("histogram", 10)
    assert got.p50 == pytest.approx(0.5)
    model = {"ml.model.name": "delay"}
    for seconds, value in ((30, 100), (20, 200), (10, 400), (0, 700)):
        add_sum(store, "ml.requests", value, model, at=NOW - seconds * NANOS)
    assert queries.request_rate(store, 15, now_ns=NOW) == pytest.approx((700 - 200) / 20)
    assert queries.request_rate(store, 15, model="delay", now_ns=NOW) == pytest.approx(25)
    assert queries.request_rate(store, 15, now_ns=NOW + 60 * NANOS) == 0
    for seconds in (12, 2):
        add_sum(store, "ml.requests", 50, {"ml.model.name": "d"}, temporality=1, at=NOW - seconds * NANOS)
    assert queries.request_rate(store, 5, now_ns=NOW + 60 * NANOS) == 0
    assert queries.request_rate(store, 5, now_ns=NOW) == pytest.approx((700 - 400) / 10 + 50 / 5)


def test_errors_classes_missing_values_and_gpus(store):
    """Shares, mixes and values are read off the latest points."""
    model = {"ml.model.name": "delay"}
    add_sum(store, "ml.requests", 95, model)
    add_sum(store, "ml.requests", 3, {**model, "error.type": "ValueError"})
    add_sum(store, "ml.requests", 2, {**model, "error.type": "TimeoutError"})
    add_sum(store, "ml.predictions", 70, {**model, "ml.prediction.class": "on time"})
    add_sum(store, "ml.predictions", 30, {**model, "ml.prediction.class": "late"})
    add_sum(store, "ml.input.missing_values", 12, model)
    add_sum(store, "hw.gpu.utilization", 0.5, {"hw.id": "GPU-1"}, kind="gauge")
    errors = queries.errors(store)
    assert (errors.requests, errors.failed, errors.share) == (100, 5, 0.05)
    assert errors.by_type == {"ValueError": 3, "TimeoutError": 2}
    assert queries.errors(store, model="other").requests == 0
    assert list(queries.class_mix(store).items()) == [("on time", 70), ("late", 30)]
    assert queries.missing_values(store) == 12
    assert queries.gpus(store) == {"GPU-1": {"hw.gpu.utilization": 0.5}}
    assert queries.models(store) == ["delay"]


def test_confidence_by_class(store):
    """Series of a class add up over versions; the mean is exact, quantiles stay within a bucket of the truth."""
    sure, unsure = [0.9 + n / 1000 for n in range(100)], [0.4 + n / 1000 for n in range(100)]
    bounds = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99]
    late = {"ml.prediction.class": "late"}
    add_histogram(store, "ml.prediction.confidence", sure, bounds, {**late, "ml.model.version": "1"})
    add_histogram(store, "ml.prediction.confidence", unsure, bounds, {**late, "ml.model.version": "2"})
    add_histogram(store, "ml.prediction.confidence", [0.25], bounds, {"ml.prediction.class": "on time"})
    got = queries.confidence_by_class(store)
    assert list(got) == ["late", "on time"]
    assert (got["late"].count, got["late"].source) == (200, "histogram")
    assert got["late"].mean == pytest.approx(statistics.fmean(sure + unsure))
    assert got["late"].p05 == pytest.approx(0.41, abs=0.01)
    assert got["late"].p95 == pytest.approx(0.99, abs=0.01)
    assert (got["on time"].p05, got["on time"].p99) == (0.25, 0.25)


@pytest.mark.parametrize("extremes", [True, False])
def test_histogram_quantiles_are_linear_within_buckets(store, extremes):
    """Checked by hand; the smallest and largest value, when sent, bound the open buckets, else their edge does."""
    add_histogram(store, "h", [0.5, 1.5, 1.6, 1.7, 6.0], [1, 2, 4], extremes=extremes)
    got = of_histogram(store.latest("h"))
    assert got.p50 == pytest.approx(1 + 1.5 / 3)
    assert got.p05 == pytest.approx(0.5 + 0.25 * 0.5 if extremes else 0.25)
    assert got.p99 == pytest.approx(4 + 0.95 * 2 if extremes else 4.0)


def test_quantiles_over_different_buckets(store):
    """Explicit histograms of different bounds and exponential ones are taken together."""
    values = [n / 1000 for n in range(1, 1001)]
    add_histogram(store, "h", values, [n / 10 for n in range(1, 10)], {"k": "1"})
    add_histogram(store, "h", values, [0.05, 0.15, 0.5, 0.85], {"k": "2"})
    request = ExportMetricsServiceRequest()
    metric = request.resource_metrics.add().scope_metrics.add().metrics.add(name="h")
    counts = [0] * 41
    for value in values:
        counts[math.ceil(math.log2(value) * 4) - 1 + 40] += 1
    point = metric.exponential_histogram.data_points.add(count=1000, sum=sum(values), scale=2, min=0.001, max=1.0)
    point.positive.offset = -40
    point.positive.bucket_counts.extend(counts)
    store.add("metrics", request)
    got = of_histogram(store.latest("h"))
    assert got.count == 3000
    assert got.mean == pytest.approx(0.5005)
    assert (got.p05, got.p50, got.p95) == (
        pytest.approx(0.05, abs=0.01),
        pytest.approx(0.5, abs=0.01),
        pytest.approx(0.95, abs=0.01),
    )


def test_stage_times_in_the_order_of_the_pipeline(store):
    """Known stages come first, in order; exact where spans are complete, from the histogram where not."""
    add_histogram(store, "ml.stage.duration", [0.2], [0.1, 1], {"ml.stage": "custom"})
    add_histogram(store, "ml.stage.duration", [2e-8, 3e-8], [0.1, 1], {"ml.stage": "inference"})
    add_histogram(store, "ml.stage.duration", [1e-8], [0.1, 1], {"ml.stage": "preprocessing"})
    add_spans(store, ("inference", 1, 2, 1, 0, 20), ("inference", 2, 4, 3, 0, 30), ("preprocessing", 1, 3, 1, 0, 10))
    got = queries.stage_times(store)
    assert [(name, stage.source) for name, stage in got.items()] == [
        ("preprocessing", "spans"),
        ("inference", "spans"),
        ("custom", "histogram"),
    ]
    assert (got["inference"].p50, got["inference"].p95) == (2e-8, 3e-8)
    assert got["custom"].p50 == 0.2


def test_trace_tree_has_logs_in_place(store):
    """Children in order of time, logs where they were written; orphans, loose logs, doubles and cycles all show."""
    add_spans(
        store,
        ("inference", 7, 3, 1, 30, 40),
        ("predict delay", 7, 1, 0, 10, 50),
        ("preprocessing", 7, 2, 1, 20, 29),
        ("preprocessing", 7, 2, 1, 20, 29),
        ("orphan", 7, 9, 99, 60, 61),
        ("ring", 7, 21, 22, 70, 71),
        ("ring too", 7, 22, 21, 72, 73),
        ("elsewhere", 8, 5, 0, 0, 1),
    )
    request = ExportLogsServiceRequest()
    records = request.resource_logs.add().scope_logs.add().log_records
    for name, span, at in (("late", 1, 45), ("early", 1, 25), ("in", 3, 35), ("loose", 77, 1)):
        record = records.add(event_name=name, observed_time_unix_nano=at, trace_id=(7).to_bytes(16, "big"))
        record.span_id = span.to_bytes(8, "big")
    store.add("logs", request)
    tree = trace_tree(store, f"{7:032x}")
    assert [root.span.name for root in tree.roots] == ["predict delay", "orphan", "ring"]
    shown = [item.span.name if isinstance(item, Node) else item.event_name for item in tree.roots[0].timeline]
    assert shown == ["preprocessing", "early", "inference", "late"]
    assert [log.event_name for log in tree.roots[0].children[1].logs] == ["in"]
    assert [child.span.name for child in tree.roots[2].children] == ["ring too"]
    assert [log.event_name for log in tree.loose_logs] == ["loose"]
    assert queries.slowest(store).trace_id == f"{7:032x}"


def test_a_live_table_is_fast(store):
    """With 100,000 spans every question of the live table together takes well under the half second between two."""
    names = ("predict delay", "feature_retrieval", "preprocessing", "inference", "postprocessing")
    spread = random.Random(2)  # noqa: S311 - no secret
    for batch in range(20):
        rows = [
            (name, batch * 1000 + n, n * 5 + place, 0, NOW, NOW + spread.randrange(10**8))
            for n in range(1, 1001)
            for place, name in enumerate(names)
        ]
        add_spans(store, *rows)
    for stage in names[1:]:
        add_histogram(store, "ml.stage.duration", [0.05] * 20_000, [0.1], {"ml.stage": stage})
    began = time.process_time()
    assert queries.latency(store).count == 20_000
    assert [stage.source for stage in queries.stage_times(store).values()] == ["spans"] * 4
    assert queries.request_rate(store, 10, now_ns=NOW) == 2000
    assert queries.slowest(store) is not None
    assert time.process_time() - began < 0.25
