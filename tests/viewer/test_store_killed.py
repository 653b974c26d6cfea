"""The store is killed (SIGKILL) while it takes in requests: what it had acknowledged is there afterwards, counted."""

import signal
import subprocess
import sys
import time

import pytest

from otelml.viewer.database import MIB
from otelml.viewer.store import Store

WRITER = """
import os, sys, threading
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from otelml.viewer import database
from otelml.viewer.store import Store

path, first, max_bytes = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
database.FOLD = 1 << 18  # so that the log is folded into the file all the time
store = Store(path, max_bytes=max_bytes)

def work(thread):
    for number in range(first, first + 10_000_000):
        request = ExportTraceServiceRequest()
        scope = request.resource_spans.add().scope_spans.add()
        for place in range(20):
            name = f"{thread} {number}"
            span = scope.spans.add(name="a", span_id=os.urandom(8), trace_state=name, start_time_unix_nano=number)
            span.attributes.add(key="k").value.bytes_value = os.urandom(2000)
        store.add("traces", request)
        request = ExportMetricsServiceRequest()
        metric = request.resource_metrics.add().scope_metrics.add().metrics.add(name="m")
        metric.sum.aggregation_temporality, metric.sum.is_monotonic = 1, True
        metric.sum.data_points.add(as_int=1, time_unix_nano=number)
        store.add("metrics", request)
        os.write(1, f"{name}\\n".encode())

for thread in range(4):
    threading.Thread(target=work, args=(thread,)).start()
"""


@pytest.mark.timeout(300)
@pytest.mark.parametrize("max_bytes", [1024 * MIB, 8 * MIB], ids=["kept", "pruned"])
def test_what_was_acknowledged_survives_sigkill(tmp_path, max_bytes):
    """After each of three kills every acknowledged request is there whole, and every count agrees with the rows."""
    path, told = str(tmp_path / "store.db"), []
    for turn in range(3):
        output = tmp_path / f"told {turn}"
        command = [sys.executable, "-c", WRITER, path, str(turn * 10_000_000), str(max_bytes)]
        with output.open("wb") as file:
            process = subprocess.Popen(command, stdout=file)
        try:
            while output.stat().st_size < 1000:  # about a hundred requests
                assert process.poll() is None
                time.sleep(0.01)
            time.sleep(0.13 * turn)
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()
        told += [line for line in output.read_text().split("\n")[:-1] if line]
        with Store(path, max_bytes=max_bytes) as store:
            _check(store, told, pruned=max_bytes < 100 * MIB)
            pruned = store.pruned["traces"]
    assert (pruned > 0) == (max_bytes < 100 * MIB)


def _check(store, told, *, pruned):
    rows = dict(store.query("SELECT trace_state, count(*) FROM spans GROUP BY 1"))
    kept = sum(rows.values())
    points = store.query("SELECT count(*) FROM points")[0][0]
    assert store.received["traces"] - store.pruned["traces"] == kept
    assert store.received["metrics"] - store.pruned["metrics"] == points
    assert store.received["traces"] >= 20 * len(told)
    assert store.received["traces"] == store.counts_by_span_name()["a"] == 20 * store.requests["traces"]
    assert store.total("m") == store.received["metrics"] == store.requests["metrics"] >= len(told)
    if not pruned:
        assert {name: rows.get(name) for name in told} == dict.fromkeys(told, 20)
        assert set(rows.values()) == {20}
