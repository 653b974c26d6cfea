"""The store: exact pruning and totals, files that survive, values that JSON and SQLite can't hold by themselves."""

import math
import sqlite3
import threading
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.metrics.v1.metrics_pb2 import AggregationTemporality

from otelml.viewer.encoding import dumps, loads
from otelml.viewer.store import Store, StoreError

CUMULATIVE = AggregationTemporality.AGGREGATION_TEMPORALITY_CUMULATIVE
DELTA = AggregationTemporality.AGGREGATION_TEMPORALITY_DELTA


def spans(*names, start=1):
    """Return a request with a span per name, which start one nanosecond apart and take ten."""
    request = ExportTraceServiceRequest()
    scope = request.resource_spans.add().scope_spans.add()
    for place, name in enumerate(names, start):
        span = scope.spans.add(name=name, trace_id=place.to_bytes(16, "big"), span_id=place.to_bytes(8, "big"))
        span.start_time_unix_nano, span.end_time_unix_nano = place, place + 10
    return request


def logs(*names):
    """Return a request with an event per name."""
    request = ExportLogsServiceRequest()
    for name in names:
        request.resource_logs.add().scope_logs.add().log_records.add(event_name=name)
    return request


def metrics(kind, temporality, *points, name="m", attributes=(), instance=""):
    """Return a request with one metric; each point is a dict of fields."""
    request = ExportMetricsServiceRequest()
    sent = request.resource_metrics.add()
    if instance:
        sent.resource.attributes.add(key="service.instance.id").value.string_value = instance
    metric = sent.scope_metrics.add().metrics.add(name=name)
    data = getattr(metric, kind)
    if kind != "gauge":
        data.aggregation_temporality = temporality
    if kind == "sum":
        data.is_monotonic = True
    data.SetInParent()
    for fields in points:
        point = data.data_points.add(**fields)
        for key, value in attributes:
            point.attributes.add(key=key).value.string_value = value
    return request


@pytest.fixture
def store():
    """Give an empty store in memory."""
    with Store() as opened:
        yield opened


def test_pruning_is_exact(store):
    """Exactly the newest rows stay, the oldest received go first, counts by name and counters still know them all."""
    store.max_rows = 5
    for number in range(4):
        store.add("traces", spans("a", "b", "c", start=number * 3 + 1))
        store.add("logs", logs("x", "y"))
        store.add("metrics", metrics("sum", CUMULATIVE, {"as_int": number, "time_unix_nano": number + 1}))
    assert [(span.name, span.start_ns) for span in store.spans()] == [
        ("b", 8),
        ("c", 9),
        ("a", 10),
        ("b", 11),
        ("c", 12),
    ]
    assert [log.event_name for log in store.logs()] == ["y", "x", "y", "x", "y"]
    assert store.pruned == {"traces": 7, "metrics": 0, "logs": 3}
    assert store.received == {"traces": 12, "metrics": 4, "logs": 8}
    assert store.requests == {"traces": 4, "metrics": 4, "logs": 4}
    assert store.counts_by_span_name() == {"a": 4, "b": 4, "c": 4}
    assert store.counts_by_event_name() == {"x": 4, "y": 4}


def test_a_request_larger_than_the_limit_keeps_its_newest_rows(store):
    """Even one request can be over the limit."""
    store.max_rows = 2
    store.add("traces", spans(*"abcde"))
    assert [span.name for span in store.spans()] == ["d", "e"]
    assert store.pruned["traces"] == 3


def test_pruned_delta_points_stay_in_the_total(store):
    """A delta counter's total is kept beside the points: pruning them takes nothing from it."""
    store.max_rows = 3
    for _ in range(10):
        store.add("metrics", metrics("sum", DELTA, {"as_int": 2}))
    assert len(store.metric_points("m")) == 3
    assert store.total("m") == 20


def test_spans_are_found_by_name_trace_and_time(store):
    """Each filter alone and all together."""
    store.add("traces", spans("a", "b", "a"))
    store.add("logs", logs("a", ""))
    assert [span.start_ns for span in store.spans("a")] == [1, 3]
    assert [span.name for span in store.spans(trace_id=f"{2:032x}")] == ["b"]
    assert [span.start_ns for span in store.spans(since=12)] == [2, 3]
    assert [span.start_ns for span in store.spans("a", f"{3:032x}", 13)] == [3]
    assert store.spans("nothing") == []
    assert len(store.logs()) == 2
    assert store.counts_by_event_name() == {"a": 1}


def test_cumulative_points_replace_older_ones_whatever_the_order(store):
    """The newest by time counts, also when it arrives first; an integer stays an integer."""
    for value, time_ns in ((5, 20), (3, 10), (9, 30)):
        store.add("metrics", metrics("sum", CUMULATIVE, {"as_int": value, "time_unix_nano": time_ns}))
    (point,) = store.latest("m")
    assert (point.value, type(point.value)) == (9, int)
    assert [point.value for point in store.metric_points()] == [5, 3, 9]


def test_restarts_instances_and_attributes_are_series_of_their_own(store):
    """Workers with instance ids add up; so does a restarted counter, which starts from 0 at a new time."""
    big = 2**62 + 1
    store.add("metrics", metrics("sum", CUMULATIVE, {"as_int": big, "start_time_unix_nano": 1}, instance="a"))
    store.add("metrics", metrics("sum", CUMULATIVE, {"as_int": 2, "start_time_unix_nano": 1}, instance="b"))
    store.add("metrics", metrics("sum", CUMULATIVE, {"as_int": 3, "start_time_unix_nano": 9}, instance="b"))
    store.add("metrics", metrics("sum", CUMULATIVE, {"as_int": 4}, attributes=[("error.type", "E")], instance="b"))
    assert store.total("m") == big + 9
    assert store.total("m", **{"error.type": "E"}) == 4
    assert store.total("m", **{"error.type": None}) == big + 5
    assert store.total("unknown") == 0


def test_gauges_are_one_series_whatever_their_start(store):
    """A gauge has no total over restarts: the latest value is the value."""
    for value in (1.5, 2.5):
        point = {"as_double": value, "start_time_unix_nano": int(value), "time_unix_nano": 5}
        store.add("metrics", metrics("gauge", 0, point))
    assert [point.value for point in store.latest("m")] == [2.5]


def test_delta_histograms_add_up(store):
    """Counts, sums, buckets and extremes of delta histograms are folded; an empty point changes none of them."""
    filled = {"explicit_bounds": [1, 2], "sum": 3.0, "count": 2, "bucket_counts": [1, 1, 0], "min": 0.5, "max": 2.0}
    other = {"explicit_bounds": [1, 2], "sum": 9.0, "count": 1, "bucket_counts": [0, 0, 1], "min": 9.0, "max": 9.0}
    empty = {"explicit_bounds": [1, 2], "sum": 0.0, "count": 0, "bucket_counts": [0, 0, 0]}
    for point in (filled, empty, other):
        store.add("metrics", metrics("histogram", DELTA, point))
    (point,) = store.latest("m")
    assert (point.count, point.sum, point.min, point.max, point.bucket_counts) == (3, 12.0, 0.5, 9.0, (1, 1, 1))
    assert store.total("m") == 3


def test_delta_exponential_histograms_of_different_scales_add_up(store):
    """The finer one is brought to the coarser scale; offsets far apart are folded without making a long list."""
    fine = {"scale": 1, "count": 4, "zero_count": 1, "positive": {"offset": 2, "bucket_counts": [1, 1, 1]}}
    coarse = {"scale": 0, "count": 2, "positive": {"offset": 0, "bucket_counts": [1, 1]}}
    far = {"scale": 0, "count": 1, "positive": {"offset": 2**31 - 1, "bucket_counts": [1]}}
    for point in (fine, coarse):
        store.add("metrics", metrics("exponential_histogram", DELTA, point))
    (point,) = store.latest("m")
    assert (point.count, point.exponential.zero_count, point.exponential.scale) == (6, 1, 0)
    assert (point.exponential.positive_offset, point.exponential.positive) == (0, (1, 3, 1))
    store.add("metrics", metrics("exponential_histogram", DELTA, far))
    (point,) = store.latest("m")
    assert sum(point.exponential.positive) == 6
    assert len(point.exponential.positive) <= 320


def test_numbers_that_sqlite_lacks(store):
    """NaN and infinite values, unsigned 64-bit times and counts, and sums beyond 64 bits neither fail nor change."""
    for value in (math.nan, math.inf, -math.inf, -0.0):
        store.add("metrics", metrics("gauge", 0, {"as_double": value, "time_unix_nano": 2**64 - 1}))
    first, *rest = [point.value for point in store.metric_points("m")]
    assert math.isnan(first)
    assert rest == [math.inf, -math.inf, 0.0]
    assert math.copysign(1, rest[-1]) == -1
    assert store.latest("m")[0].time_ns == 2**63 - 1
    for _ in range(3):
        store.add("metrics", metrics("sum", DELTA, {"as_int": 2**63 - 1}, name="huge"))
    assert store.total("huge") == 3 * (2**63 - 1)


leaves = (
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text() | st.binary() | st.floats(allow_nan=False)
)
values = st.recursive(
    leaves, lambda v: st.lists(v) | st.dictionaries(st.text() | st.sampled_from(["$bytes", "$map"]), v)
)


@settings(max_examples=200, deadline=None)
@given(values)
def test_every_attribute_value_survives_as_json(value):
    """Whatever OTLP can carry comes back equal and of the same type, and SQLite accepts the text as JSON."""
    text = dumps(value)
    assert repr(loads(text)) == repr(value)
    with sqlite3.connect(":memory:") as db:
        assert db.execute("SELECT json_valid(?)", (text,)).fetchone() == (1,)
    db.close()


def test_a_file_survives(tmp_path):
    """Rows, counters, totals and the limit go on where the last process stopped."""
    path = str(tmp_path / "store.db")
    with Store(path) as store:
        store.add("traces", spans("a", "b"))
        store.add("metrics", metrics("sum", DELTA, {"as_int": 2}, attributes=[("k", "v")]))
        store.add(
            "metrics", metrics("histogram", CUMULATIVE, {"count": 2, "explicit_bounds": [1], "bucket_counts": [2, 0]})
        )
        kept = store.spans(), store.latest("m"), store.metric_points()
    with Store(path, max_rows=2) as store:
        assert (store.spans(), store.latest("m"), store.metric_points()) == kept
        store.add("traces", spans("c", start=3))
        store.add("metrics", metrics("sum", DELTA, {"as_int": 5}, attributes=[("k", "v")]))
        assert [span.name for span in store.spans()] == ["b", "c"]
        assert store.total("m", k="v") == 7
        assert store.requests == {"traces": 2, "metrics": 3, "logs": 0}
        assert store.pruned == {"traces": 1, "metrics": 1, "logs": 0}
        assert store.query("PRAGMA journal_mode") == [("wal",)]


def test_files_that_are_no_store_are_refused(tmp_path):
    """Somebody else's database, a file that is none, and a directory are refused with a message and left alone."""
    other = tmp_path / "other.db"
    with sqlite3.connect(other) as db:
        db.execute("CREATE TABLE mine (x)")
    db.close()
    text = tmp_path / "text.db"
    text.write_text("not a database, but long enough to be taken for one" * 50)
    for path in (other, text, tmp_path):
        with pytest.raises(StoreError, match=path.name):
            Store(str(path))
    assert text.read_text().startswith("not a database")


def test_clear_forgets_everything(store):
    """After clear the store is as new, and takes up what comes next."""
    store.add("traces", spans("a"))
    store.add("metrics", metrics("sum", DELTA, {"as_int": 2}))
    store.clear()
    assert (store.spans(), store.latest("m"), store.counts_by_span_name(), store.metric_names) == ([], [], {}, [])
    assert store.requests == store.received == {"traces": 0, "metrics": 0, "logs": 0}
    store.add("metrics", metrics("sum", DELTA, {"as_int": 3}))
    assert store.total("m") == 3


def test_wait_for_wakes_up_on_arrival(store):
    """It returns as soon as the predicate holds, and False when time is up."""
    assert store.wait_for(lambda _: True, 0)
    began = time.monotonic()
    assert not store.wait_for(lambda s: s.spans(), 0.05)
    assert 0.05 <= time.monotonic() - began < 2
    later = threading.Timer(0.05, store.add, ("traces", spans("a")))
    later.start()
    assert store.wait_for(lambda s: s.counts_by_span_name() == {"a": 1}, 10)
    assert time.monotonic() - began < 5
    later.join()
