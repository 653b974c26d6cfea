"""Endpoints that know who speaks on each connection, servers as processes of their own, and load on them."""

import http.client
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter, defaultdict
from concurrent import futures
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import grpc
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

HERE = Path(__file__).parent
BIN = Path(sys.executable).parent
KINDS = {"traces": ExportTraceServiceRequest, "metrics": ExportMetricsServiceRequest, "logs": ExportLogsServiceRequest}
ID = "service.instance.id"


class Endpoint:
    """What an OTLP endpoint was sent, and by whom on which connection; over HTTP with keep-alive, or gRPC."""

    def __init__(self):
        self.address = ""
        self.requests = []
        self.speakers = defaultdict(set)
        """Instance ids by connection: over HTTP its socket, as ports are soon those of another process."""

    def take(self, connection, kind, body):
        """Note a request."""
        request = KINDS[kind].FromString(body)
        self.requests.append(request)
        for resource in getattr(request, "resource_" + {"traces": "spans", "logs": "logs"}.get(kind, kind)):
            self.speakers[connection].add(attributes(resource.resource)[ID])

    def scopes(self, kind):
        """Yield (resource attributes, scope)."""
        for request in list(self.requests):
            for resource in getattr(request, f"resource_{kind}", ()):
                for scope in getattr(resource, f"scope_{kind}"):
                    yield attributes(resource.resource), scope

    def last(self, name):
        """Return the last value of a sum by process."""
        found, starts = {}, defaultdict(set)
        for resource, scope in self.scopes("metrics"):
            for metric in scope.metrics:
                if metric.name == name:
                    points = {tuple(sorted(attributes(p).items())): p for p in metric.sum.data_points}
                    assert len(points) == len(metric.sum.data_points), "a series twice in one export"
                    for series, point in points.items():
                        starts[resource[ID], series].add(point.start_time_unix_nano)
                        before = found.get((resource[ID], series), 0)
                        assert point.as_int >= before, f"{name} falls from {before} to {point.as_int}"
                        found[resource[ID], series] = point.as_int
        assert all(len(each) == 1 for each in starts.values()), f"two processes share a series: {starts}"
        totals = Counter()
        for (instance, _), value in found.items():
            totals[instance] += value
        return totals

    def spans(self):
        """Return the ids of all root spans."""
        return [s.span_id for _, scope in self.scopes("spans") for s in scope.spans if s.name == "predict m"]

    def events(self):
        """Return the prediction ids of all events."""
        logs = [log for _, scope in self.scopes("logs") for log in scope.log_records if log.event_name]
        return [attributes(log)["ml.prediction.id"] for log in logs if log.event_name == "ml.prediction"]

    def check(self, expected):
        """Assert that so many predictions arrived, each once, and that no connection had two speakers."""
        counted = self.last("ml.requests")
        assert sum(counted.values()) == expected, f"{dict(counted)}, {len(self.spans())} spans"
        assert len(set(self.spans())) == len(self.spans()) == expected
        assert len(set(self.events())) == len(self.events()) == expected
        assert {connection: ids for connection, ids in self.speakers.items() if len(ids) > 1} == {}


def attributes(of):
    """Return string attributes as a dict."""
    return {a.key: a.value.string_value for a in of.attributes}


class HttpEndpoint(Endpoint):
    """OTLP over HTTP/1.1, keeping connections open. ``silent``: takes requests, never answers."""

    def __init__(self, *, silent=False):
        super().__init__()
        endpoint, self._released = self, threading.Event()

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if silent:
                    endpoint._released.wait(60)
                    return
                endpoint.take(self.connection, self.path.removeprefix("/v1/"), body)
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                """Say nothing."""

        class Server(ThreadingHTTPServer):
            request_queue_size = 128
            daemon_threads = True

        self._server = Server(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.address = f"http://127.0.0.1:{self._server.server_port}"
        self.settings = {"OTEL_EXPORTER_OTLP_ENDPOINT": self.address}

    def close(self):
        """Stop."""
        self._released.set()
        self._server.shutdown()
        self._server.server_close()


class GrpcEndpoint(Endpoint):
    """OTLP over gRPC."""

    def __init__(self):
        super().__init__()
        self._server = grpc.server(futures.ThreadPoolExecutor(8))
        for kind, service in (
            ("traces", "trace.v1.TraceService"),
            ("metrics", "metrics.v1.MetricsService"),
            ("logs", "logs.v1.LogsService"),
        ):
            self._server.add_generic_rpc_handlers([self._handler(kind, f"opentelemetry.proto.collector.{service}")])
        port = self._server.add_insecure_port("127.0.0.1:0")
        self._server.start()
        self.address = f"http://127.0.0.1:{port}"
        self.settings = {"OTEL_EXPORTER_OTLP_ENDPOINT": self.address, "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}

    def _handler(self, kind, service):
        def export(body, context):
            self.take(context.peer(), kind, body)
            return b""

        return grpc.method_handlers_generic_handler(service, {"Export": grpc.unary_unary_rpc_method_handler(export)})

    def close(self):
        """Stop."""
        self._server.stop(1)


def free_port():
    """Return a port that nobody listens on."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def environment(folder, endpoint, **more):
    """Return variables that send everything to the endpoint, and nothing by itself within a test's time."""
    known = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "OTELML_"))}
    slow = {f"OTEL_{name}": "60000" for name in ("METRIC_EXPORT_INTERVAL", "BLRP_SCHEDULE_DELAY", "BSP_SCHEDULE_DELAY")}
    path = os.pathsep.join([str(HERE), str(HERE.parent.parent), *filter(None, [known.get("PYTHONPATH")])])
    quiet = {"OTELML_GPU": "false", "OTELML_HOST": "false", "NOTES": str(folder), "PYTHONPATH": path}
    return {**known, "PATH": f"{BIN}{os.pathsep}{known['PATH']}", **slow, **quiet, **endpoint.settings, **more}


class Served:
    """A server process under load."""

    def __init__(self, command, environ, folder, port=None):
        self.port, self.folder = port, folder
        self.log = folder / "server.log"
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                command, env=environ, cwd=folder, stdout=log, stderr=log, start_new_session=True
            )
        self.pids = Counter()

    def get(self, path="/"):
        """Ask once, on a connection of its own; return the answer, None where there is none."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request("GET", path, headers={"Connection": "close"})
            answer = connection.getresponse()
            body = answer.read().decode()
        except (OSError, http.client.HTTPException):
            return None
        finally:
            connection.close()
        return body if answer.status == 200 else None

    def wait_for(self, condition, seconds=40):
        """Wait until something holds."""
        end = time.monotonic() + seconds
        while not condition():
            assert self.process.poll() is None, self.said()
            assert time.monotonic() < end, self.said()
            time.sleep(0.05)

    def wait_until_listening(self):
        """Wait until connections are taken."""

        def listening():
            with socket.socket() as one:
                return one.connect_ex(("127.0.0.1", self.port)) == 0

        self.wait_for(listening)

    def wait_until_booted(self):
        """Wait until no worker of gunicorn is being started: before that it has its master's handlers of signals."""
        self.wait_for(lambda: self.log.read_text().count("Booting worker") == len(self.notes("booted")))

    def load(self, requests, at_once=8):
        """Send requests; return how many were answered."""
        with futures.ThreadPoolExecutor(at_once) as pool:
            answers = list(pool.map(lambda _: self.get(), range(requests)))
        answered = [answer for answer in answers if answer is not None]
        self.pids.update(answered)
        return len(answered)

    def notes(self, name):
        """Return what processes left under a name."""
        return {int(path.name.split("-")[1]): path.read_text() for path in self.folder.glob(f"{name}-*")}

    def warmed(self):
        """Return the predictions that parents made."""
        return sum(map(int, self.notes("warm").values()))

    def end(self, number=signal.SIGTERM, limit=30):
        """Signal the server; return (exit code, seconds it took)."""
        begin = time.monotonic()
        self.process.send_signal(number)
        code = self.process.wait(limit)
        return code, time.monotonic() - begin

    def said(self):
        """Return what the server wrote."""
        return self.log.read_text()[-6000:]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(10)
