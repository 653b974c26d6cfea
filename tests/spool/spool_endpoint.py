"""An OTLP endpoint, over HTTP and gRPC, that answers as it is told, can be closed and opened again, and counts."""

import gzip
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import grpc
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2 as logs
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2 as metrics
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as traces

KINDS = {
    "traces": (traces.ExportTraceServiceRequest, "trace.v1.TraceService"),
    "metrics": (metrics.ExportMetricsServiceRequest, "metrics.v1.MetricsService"),
    "logs": (logs.ExportLogsServiceRequest, "logs.v1.LogsService"),
}


class Endpoint:
    """What arrived, and how to answer: ``answer`` is an HTTP status or a gRPC one's name, ``body`` comes with it."""

    def __init__(self, protocol="http/protobuf"):
        self.protocol, self.answer, self.body = protocol, "OK" if protocol == "grpc" else 200, b""
        self.requests, self.asked = [], []
        self._lock, self._port, self._server = threading.Lock(), 0, None
        self.open()

    @property
    def url(self):
        """Where it is."""
        return f"http://127.0.0.1:{self._port}"

    def open(self):
        """Listen, on the same port as before."""
        self._server = self._grpc() if self.protocol == "grpc" else self._http()

    def close(self):
        """Refuse connections, and end those there are."""
        if self._server is not None and self.protocol == "grpc":
            self._server.stop(0).wait()
        elif self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server.end()
        self._server = None

    def take(self, signal, body):
        """Count a request; return whether it is accepted."""
        with self._lock:
            self.asked.append(signal)
            accepted = self.answer in (200, "OK")
            if accepted:
                self.requests.append((signal, KINDS[signal][0].FromString(body)))
            return accepted

    def _http(self):
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                endpoint.take(self.path.rpartition("/")[2], body)
                self.send_response(endpoint.answer)
                self.send_header("Content-Type", "application/x-protobuf")
                self.send_header("Content-Length", str(len(endpoint.body)))
                self.end_headers()
                self.wfile.write(endpoint.body)

            def log_message(self, *_):
                """Say nothing."""

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            connections = ()

            def process_request(self, request, client_address):
                self.connections = (*self.connections, request)
                super().process_request(request, client_address)

            def end(self):
                for connection in self.connections:
                    with suppress(OSError):
                        connection.shutdown(2)

            def handle_error(self, *_):
                """A client that was killed is no fault."""

        server = Server(("127.0.0.1", self._port), Handler)
        self._port = server.server_port
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        return server

    def _grpc(self):
        server = grpc.server(ThreadPoolExecutor(4), options=[("grpc.so_reuseport", 0)])
        for signal, (_, service) in KINDS.items():

            def export(body, context, signal=signal):
                if not self.take(signal, body):
                    context.abort(grpc.StatusCode[self.answer], "as told")
                return self.body

            method = {"Export": grpc.unary_unary_rpc_method_handler(export)}
            name = f"opentelemetry.proto.collector.{service}"
            server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(name, method)])
        self._port = server.add_insecure_port(f"127.0.0.1:{self._port}")
        server.start()
        return server

    # What arrived -----------------------------------------------------------------------------------------------

    def ids(self, signal="traces"):
        """Return how often each prediction arrived, by the id on its root span or event."""
        found = Counter()
        for known, message in list(self.requests):
            if known != signal:
                continue
            field, inner = ("resource_spans", "spans") if signal == "traces" else ("resource_logs", "log_records")
            for resource in getattr(message, field):
                for scope in getattr(resource, f"scope_{field.partition('_')[2]}"):
                    for item in getattr(scope, inner):
                        found.update(a.value.string_value for a in item.attributes if a.key == "ml.prediction.id")
        return found

    def points(self, name):
        """Return (instance, time, value) of every point of a sum or histogram that arrived, in order of arrival."""
        found = []
        for signal, message in list(self.requests):
            for resource in message.resource_metrics if signal == "metrics" else ():
                instance = next(
                    a.value.string_value for a in resource.resource.attributes if a.key == "service.instance.id"
                )
                for metric in (m for scope in resource.scope_metrics for m in scope.metrics if m.name == name):
                    found += [(instance, p.time_unix_nano, p.as_int) for p in metric.sum.data_points]
        return found

    def dropped(self):
        """Return the latest counts of ``otelml.dropped`` by what was dropped, over all places and processes."""
        last = {}
        for signal, message in list(self.requests):
            for resource in message.resource_metrics if signal == "metrics" else ():
                for metric in (m for s in resource.scope_metrics for m in s.metrics if m.name == "otelml.dropped"):
                    for point in metric.sum.data_points:
                        known = {a.key: a.value.string_value for a in point.attributes}
                        key = known["otelml.what"], known["otelml.where"]
                        last[key] = max(last.get(key, (0, 0)), (point.time_unix_nano, point.as_int))
        found = Counter()
        for (what, _), (_, count) in last.items():
            found[what] += count
        return found

    def totals(self, name):
        """Return the latest value of a sum, one for each process."""
        last = {}
        for instance, at, value in sorted(self.points(name), key=lambda point: point[1]):
            last[instance] = (at, value)
        return sorted(value for _, value in last.values())
