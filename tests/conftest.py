"""All tests: otelml's own faults are raised, and nothing of one test is left for the next."""

import signal
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import hypothesis
import pytest
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2

from otelml import _guard, _labels

pytest_plugins = ["otelml.testing", "result_tables", "unstable"]


def pytest_configure(config):
    """Make a fault in a thread of ours fail the test; a busy machine fails none, nor a shell's background."""
    # What such a shell starts ignores SIGINT, and so would every server that a test starts and interrupts.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    hypothesis.settings.register_profile("otelml", deadline=None)
    hypothesis.settings.load_profile("otelml")
    config.addinivalue_line("filterwarnings", "error::pytest.PytestUnhandledThreadExceptionWarning")


@pytest.fixture(autouse=True)
def _strict(monkeypatch):
    """Raise faults of otelml instead of counting them; tests of the guard switch it off."""
    monkeypatch.setattr(_guard, "strict", True)
    yield
    _guard.reset()
    _labels.reset()


REQUESTS = {
    "/v1/traces": trace_service_pb2.ExportTraceServiceRequest,
    "/v1/metrics": metrics_service_pb2.ExportMetricsServiceRequest,
    "/v1/logs": logs_service_pb2.ExportLogsServiceRequest,
}


class Received:
    """What an OTLP endpoint was sent by any number of processes."""

    def __init__(self):
        self.endpoint = ""
        self._requests = []

    def add(self, path, body):
        """Take one request."""
        self._requests.append(REQUESTS[path].FromString(body))

    def _each(self, kind):
        for request in self._requests:
            for resource in getattr(request, f"resource_{kind}", ()):
                known = {a.key: a.value.string_value for a in resource.resource.attributes}
                for scope in getattr(resource, f"scope_{kind}"):
                    yield known, scope

    def spans(self):
        """Return all spans."""
        return [span for _, scope in self._each("spans") for span in scope.spans]

    def events(self):
        """Return the names of all events."""
        return [log.event_name for _, scope in self._each("logs") for log in scope.log_records]

    def totals(self, name):
        """Return the last value of a sum, or count of a histogram, over all attributes: one a process."""
        last = {}
        for known, scope in self._each("metrics"):
            for metric in scope.metrics:
                if metric.name == name:
                    points = [*metric.sum.data_points, *metric.histogram.data_points]
                    values = (p.count if hasattr(p, "count") else p.as_int for p in points)
                    last[known["service.instance.id"]] = sum(values)
        return sorted(last.values())


@pytest.fixture
def otlp():
    """Run an OTLP/HTTP endpoint; give what it received."""
    received = Received()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            received.add(self.path, self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    received.endpoint = f"http://127.0.0.1:{server.server_port}"
    yield received
    server.shutdown()
    server.server_close()
