"""The store: exact pruning and totals, files that survive, values that JSON and numpy can't hold by themselves."""

import math
import os
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.metrics.v1.metrics_pb2 import AggregationTemporality

from otelml.viewer import database, ingest, ledger, pruning
from otelml.viewer.database import MIB
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


def test_numbers_of_every_kind(store):
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


@settings(max_examples=200)
@given(values)
def test_every_attribute_value_survives_as_json(value):
    """Whatever OTLP can carry comes back equal and of the same type, and SQLite accepts the text as JSON."""
    text = dumps(value)
    assert repr(loads(text)) == repr(value)
    with sqlite3.connect(":memory:") as db:
        assert db.execute("SELECT json_valid(?)", (text,)).fetchone() == (1,)
    db.close()


def test_a_file_survives(tmp_path):
    """Rows, counters and totals go on where the last process stopped."""
    path = str(tmp_path / "store.db")
    with Store(path) as store:
        store.add("traces", spans("a", "b"))
        store.add("logs", logs("x", ""))
        store.add("metrics", metrics("sum", DELTA, {"as_int": 2}, attributes=[("k", "v")]))
        store.add(
            "metrics", metrics("histogram", CUMULATIVE, {"count": 2, "explicit_bounds": [1], "bucket_counts": [2, 0]})
        )
        kept = store.spans(), store.logs(), store.latest("m"), store.metric_points()
    with Store(path) as store:
        assert (store.spans(), store.logs(), store.latest("m"), store.metric_points()) == kept
        store.add("traces", spans("c", start=3))
        store.add("metrics", metrics("sum", DELTA, {"as_int": 5}, attributes=[("k", "v")]))
    with Store(path) as store:
        assert [span.name for span in store.spans()] == ["a", "b", "c"]
        assert store.counts_by_span_name() == {"a": 1, "b": 1, "c": 1}
        assert store.counts_by_event_name() == {"x": 1}
        assert store.total("m", k="v") == 7
        assert store.requests == {"traces": 2, "metrics": 3, "logs": 1}
        assert store.received == {"traces": 3, "metrics": 3, "logs": 2}


def test_rows_are_stored_in_groups_of_our_size(tmp_path, monkeypatch):
    """What is folded is in several row groups, which DuckDB's threads fold side by side."""
    monkeypatch.setattr(database, "ROW_GROUP", 2048)
    with Store(str(tmp_path / "it's one.db")) as store:
        store.add("traces", spans(*["a"] * 5000))
        store._db.checkpoint()
        assert store.query("SELECT count(DISTINCT row_group_id) FROM pragma_storage_info('spans')") == [(3,)]


def test_a_file_of_larger_groups_goes_on(tmp_path, monkeypatch):
    """A file whose row groups have DuckDB's own size, as the first ones had, is read and added to."""
    path = str(tmp_path / "store.db")
    for rows in (122_880, 2048):
        monkeypatch.setattr(database, "ROW_GROUP", rows)
        with Store(path) as store:
            store.add("traces", spans(*["a"] * 5000))
    with Store(path) as store:
        assert store.received["traces"] == len(store.spans()) == 10_000


def test_files_that_are_no_store_are_refused(tmp_path):
    """Each is refused with what it is and what to do, and left alone: another's database, a text, a directory."""
    old = tmp_path / "old.db"
    with sqlite3.connect(old) as db:
        db.execute("CREATE TABLE spans (x)")
    db.close()
    text = tmp_path / "text.db"
    text.write_text("not a database, but long enough to be taken for one" * 50)
    other, newer = tmp_path / "other.db", tmp_path / "newer.db"
    with duckdb.connect(str(other)) as db:
        db.execute("CREATE TABLE mine (x INTEGER)")
    with Store(str(newer)) as store:
        store.query("UPDATE about SET version = 3")
    cases = {
        old: "is an SQLite file. Stores of otelml before 0.2",
        text: "not a valid DuckDB database file. Give another file",
        tmp_path: "Is a directory. Give another file",
        other: "is a DuckDB file, but no store of otelml",
        newer: "is a store of version 3; this otelml reads version 2",
    }
    before = {path: path.read_bytes() for path in cases if path.is_file()}
    for path, reason in cases.items():
        with pytest.raises(StoreError, match=reason) as caught:
            Store(str(path))
        assert str(path) in str(caught.value)
    assert {path: path.read_bytes() for path in before} == before


def test_a_duckdb_that_is_too_old_is_refused(monkeypatch):
    """Before it has written anything: it would give back other texts than it was given."""
    monkeypatch.setattr(duckdb, "__version__", "1.5.2")
    with pytest.raises(StoreError, match=r"needs DuckDB 2 or later, and this is 1\.5\.2: pip install"):
        Store()


def test_a_file_cut_short_is_refused(tmp_path):
    """What is left of a file after half of it is gone is refused with a message, not with a traceback of DuckDB."""
    path = tmp_path / "store.db"
    with Store(str(path)) as store:
        store.add("traces", spans(*(f"name {number}" for number in range(2000))))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(StoreError, match=r"store\.db: .*Give another file"):
        Store(str(path))


def test_one_store_per_file(tmp_path):
    """A second process, and a second store in this one, are told who has the file; the first goes on."""
    path = str(tmp_path / "store.db")
    program = "import sys\nfrom otelml.viewer.store import Store\nStore(sys.argv[1])"
    with Store(path) as store:
        done = subprocess.run([sys.executable, "-c", program, path], capture_output=True, text=True, check=False)
        assert f"store.db is in use by process {os.getpid()} (" in done.stderr
        assert "give another file (--db)" in done.stderr
        with pytest.raises(StoreError, match="is open in this process already"):
            Store(path)
        store.add("traces", spans("a"))
    with Store(path) as store:
        assert store.counts_by_span_name() == {"a": 1}


def test_the_oldest_rows_go_when_the_store_is_full(tmp_path):
    """Over all signals: what stays is the newest part, what went is counted, counts and totals still have all of it."""
    for path in (str(tmp_path / "store.db"), None):
        with Store(path, max_bytes=8 * MIB) as store:
            for number in range(60):
                sent, events = spans(*["a"] * 500, start=number * 500 + 1), logs(*["x"] * 500)
                for span in sent.resource_spans[0].scope_spans[0].spans:
                    span.attributes.add(key="k").value.bytes_value = os.urandom(400)
                store.add("traces", sent)
                store.add("logs", events)
                store.add("metrics", metrics("sum", DELTA, {"as_int": 2, "time_unix_nano": number}))
                assert store.size < 10 * MIB
            _check_pruned(store)
        if path is not None:
            assert Path(path).stat().st_size < 14 * MIB
            with Store(path) as store:
                _check_pruned(store)


def test_names_are_counted_each_up_to_a_limit(store, monkeypatch):
    """Names without end, or without end to one of them, count together: memory stays bounded and no count is lost."""
    monkeypatch.setattr(ledger, "MAX_NAMES", 3)
    store.add("traces", spans("a", "b", "x" * 1001, "c", "d", "a"))
    assert store.counts_by_span_name() == {"(others)": 3, "a": 2, "b": 1}


def _check_pruned(store):
    assert store.received == {"traces": 30_000, "metrics": 60, "logs": 30_000}
    starts = [span.start_ns for span in store.spans()]
    assert 1000 < len(starts) < 29_000
    assert starts == list(range(30_000 - len(starts) + 1, 30_001))
    points = [point.time_ns for point in store.metric_points()]
    assert points == list(range(60 - len(points), 60))
    assert abs(len(store.logs()) - len(starts)) <= 500
    kept = {"traces": len(starts), "metrics": len(points), "logs": len(store.logs())}
    assert store.pruned == {signal: store.received[signal] - kept[signal] for signal in kept}
    assert store.total("m") == 120
    assert (store.counts_by_span_name(), store.counts_by_event_name()) == ({"a": 30_000}, {"x": 30_000})


def test_readers_wait_for_nobody(store):
    """While a transaction is open, and its rows are not committed, queries answer at once, without them."""
    store.add("traces", spans("a"))
    with store._db.transaction() as made:
        made.execute("INSERT INTO spans (id, name) VALUES (99, 'b')")
        began = time.monotonic()
        answers = []
        reader = threading.Thread(target=lambda: answers.append(store.query("SELECT name FROM spans")))
        reader.start()
        reader.join(30)
        assert answers == [[("a",)]]
        assert time.monotonic() - began < 20
    assert len(store.query("SELECT name FROM spans")) == 2


def test_what_is_settled_is_not_counted_again(tmp_path, monkeypatch):
    """Counts and totals stay exact when the ledger was written down in the middle, by a store that was not closed."""
    monkeypatch.setattr(ingest, "SETTLE", 13)
    monkeypatch.setattr(pruning, "EVERY", 0)
    path, copy = tmp_path / "store.db", tmp_path / "copy.db"
    with Store(str(path)) as store:
        for number in range(9):
            store.add("traces", spans("a", "b"))
            store.add("logs", logs("x"))
            store.add("metrics", metrics("sum", DELTA, {"as_int": 2, "time_unix_nano": number}))
            store.add("metrics", metrics("sum", CUMULATIVE, {"as_int": number, "time_unix_nano": number}, name="c"))
        assert 0 < store.query("SELECT settled FROM about")[0][0] < 45
        for name in ("store.db", "store.db.wal"):  # as a kill would leave them
            if (tmp_path / name).exists():
                shutil.copy(tmp_path / name, tmp_path / name.replace("store", "copy"))
    with Store(str(copy)) as store:
        assert store.counts_by_span_name() == {"a": 9, "b": 9}
        assert store.counts_by_event_name() == {"x": 9}
        assert (store.total("m"), store.total("c")) == (18, 8)
        assert store.requests == {"traces": 9, "metrics": 18, "logs": 9}
        assert store.received == {"traces": 18, "metrics": 18, "logs": 9}


def test_series_are_capped(caplog):
    """Points of series beyond the cap are not stored; they are counted, and it is said once; known series go on."""
    with Store(max_series=2) as store:
        for instance in ("a", "b", "c", "d", "a"):
            store.add("metrics", metrics("sum", DELTA, {"as_int": 1}, instance=instance))
        assert store.refused == {"traces": 0, "metrics": 2, "logs": 0}
        assert store.received["metrics"] == len(store.metric_points()) == 3
        assert [point.value for point in store.latest("m")] == [2, 1]
        assert [record.getMessage()[:26] for record in caplog.records] == ["more than 2 metric series:"]


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
