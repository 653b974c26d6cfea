"""What an OTLP endpoint was sent, by which process and on which connection; and programs that send to it."""

import json
import os
import subprocess
import sys
import threading
import time
from collections import Counter, defaultdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

HERE = Path(__file__).parent
REQUESTS = {
    "/v1/traces": ExportTraceServiceRequest,
    "/v1/metrics": ExportMetricsServiceRequest,
    "/v1/logs": ExportLogsServiceRequest,
}
INSTANCE = "service.instance.id"


def known(message):
    """Return the attributes of a message as text."""
    return {a.key: a.value.string_value or str(a.value.int_value) for a in message.attributes}


class Endpoint:
    """An OTLP/HTTP endpoint with keep-alive. Tests give each prediction its process id as the model's version."""

    def __init__(self):
        self.requests, self.speakers = [], defaultdict(set)
        """Who spoke by the connection's socket: ports are soon those of another process."""
        self.broken = 0
        self.asked, self.delay = threading.Event(), 0.0
        """Set by the first request; seconds before each answer."""
        seen = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                seen.asked.set()
                time.sleep(seen.delay)
                seen.take(self.connection, REQUESTS[self.path].FromString(body))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def send_error(self, *_args, **_options):
                seen.broken += 1  # two processes wrote into one connection
                super().send_error(*_args, **_options)

            def log_message(self, *_):
                """Say nothing."""

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 256

            def handle_error(self, *_):
                """Say nothing of clients that were killed."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self):
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()

    def take(self, connection, request):
        """Note a request."""
        self.requests.append(request)
        (resources,) = (value for _, value in request.ListFields())
        for resource in resources:
            self.speakers[connection].add(known(resource.resource)[INSTANCE])

    def each(self, kind):
        """Yield (instance id, scope) of ``spans``, ``metrics`` or ``logs``."""
        for request in list(self.requests):
            for resource in getattr(request, f"resource_{kind}", ()):
                for scope in getattr(resource, f"scope_{kind}"):
                    yield known(resource.resource)[INSTANCE], scope

    def counts(self, name="ml.requests"):
        """Return the last value of every series: {(instance id, process id): count}; each once in an export."""
        last = {}
        for instance, scope in self.each("metrics"):
            for metric in scope.metrics:
                if metric.name == name:
                    points = [*metric.sum.data_points, *metric.histogram.data_points]
                    found = {(instance, *sorted(known(p).items())): getattr(p, "count", 0) or p.as_int for p in points}
                    assert len(found) == len(points), "a series twice in one export"
                    assert all(value >= last.get(series, 0) for series, value in found.items()), "a count that falls"
                    last |= found
        totals = Counter()
        for (instance, *labels), value in last.items():
            totals[instance, dict(labels)["ml.model.version"]] += value
        return totals

    def spans(self, name="predict m"):
        """Return the spans of a name."""
        return [span for _, scope in self.each("spans") for span in scope.spans if span.name == name]

    def events(self, name="ml.prediction"):
        """Return the attributes of events of a name."""
        return [known(log) for _, scope in self.each("logs") for log in scope.log_records if log.event_name == name]

    def check(self, made):
        """Assert that predictions arrived as they were made, {process id: number}, each once, from whom made them."""
        counts = self.counts()
        assert Counter({pid: n for (_, pid), n in counts.items()}) == made
        assert len({instance for instance, _ in counts}) == len(counts), "two processes have one instance id"
        assert len({pid for _, pid in counts}) == len(counts), "a process counts what another has made"
        assert self.counts("ml.prediction.duration") == counts
        spans = self.spans()
        assert Counter(known(span)["ml.model.version"] for span in spans) == made
        assert len({span.span_id for span in spans}) == len(spans)
        events = self.events()
        assert Counter(event["ml.model.version"] for event in events) == made
        assert len({event["ml.prediction.id"] for event in events}) == len(events)
        assert self.broken == 0
        assert {connection: who for connection, who in self.speakers.items() if len(who) > 1} == {}

    def environment(self, **more):
        """Return variables that send everything here, and nothing by itself within a test's time."""
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "OTELML_"))}
        return {
            **clean,
            "OTEL_EXPORTER_OTLP_ENDPOINT": self.address,
            "OTEL_METRIC_EXPORT_INTERVAL": "60000",
            "OTEL_BLRP_SCHEDULE_DELAY": "60000",
            "OTEL_BSP_SCHEDULE_DELAY": "60000",
            "OTELML_GPU": "false",
            "OTELML_HOST": "false",
            "OTELML_SHUTDOWN_TIMEOUT": "30",  # a busy machine fails no test
            **more,
        }

    def run(self, *command, timeout=110, launcher=(), **more):
        """Run a Python program to its end; return what it printed as JSON."""
        done = subprocess.run(
            [*launcher, sys.executable, *map(str, command)],
            env=self.environment(**more),
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert "Traceback" not in done.stderr, done.stderr
        assert "otelml: " not in done.stderr, done.stderr
        return json.loads(done.stdout)


RUN = (sys.executable, "-m", "otelml", "run", "--")
