"""A real OTLP/HTTP receiver that counts every span, log record and metric point; a process of its own.

Started without arguments it prints its port and serves until its standard input closes. Telemetry posted to
``/RUN/v1/traces`` (and ``metrics``, ``logs``) counts for ``RUN``; ``GET /RUN`` returns the tally as JSON. The lines
``down`` and ``up`` on its standard input close the port and open it again. With ``--later`` it keeps what comes and
reads it when it is asked for the tally: its work is not to slow down what is measured beside it.
"""

from __future__ import annotations

import atexit
import gzip
import json
import os
import socket
import subprocess
import sys
import threading
from collections import Counter, defaultdict
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.request import urlopen

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


# In the program that measures -----------------------------------------------------------------------------------


class Endpoint:
    """The receiver, seen from the program that started it."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        if process.stdin is None or process.stdout is None:
            raise RuntimeError("the receiver has no pipes")
        self._said, self._heard = process.stdin, process.stdout
        self.url = f"http://127.0.0.1:{int(self._heard.readline())}"

    def environment(self, run: str) -> dict[str, str]:
        """Return the environment of a program whose telemetry counts for ``run``: no other setting of telemetry."""
        own = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL", "LOGFIRE"))}
        return own | {
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"{self.url}/{run}",
            "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
            "OTEL_SERVICE_NAME": run,
        }

    def tally(self, run: str) -> dict[str, Any]:
        """Return what arrived for a run."""
        with urlopen(f"{self.url}/{run}") as answer:  # noqa: S310 - our own receiver on loopback
            counts: dict[str, Any] = json.load(answer)
        return counts

    def down(self) -> None:
        """Close the port and all connections, between two requests: connections are refused from here on."""
        self._ask("down")

    def up(self) -> None:
        """Open the same port again."""
        self._ask("up")

    def _ask(self, what: str) -> None:
        self._said.write(f"{what}\n")
        self._said.flush()
        if self._heard.readline().strip() != what:
            raise RuntimeError(f"the receiver did not go {what}")


@contextmanager
def started() -> Iterator[Endpoint]:
    """Start the receiver in a process of its own."""
    command = [sys.executable, str(Path(__file__))]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield Endpoint(process)
        finally:
            if process.stdin is not None:
                process.stdin.close()


def until_exit() -> Endpoint:
    """Start the receiver and keep it until this process has exported its last, when the interpreter exits."""
    stack = ExitStack()
    atexit.register(stack.close)  # before otelml registers its own, so that it runs after it
    return stack.enter_context(started())


def dropped(received: Mapping[str, Any], what: str) -> int:
    """Return what ``otelml.dropped`` counts, wherever it was."""
    return int(sum(n for kind, _, n in received["dropped"] if kind == what))


def unbalanced(received: Mapping[str, Any], made: int, expected: Mapping[str, float]) -> list[str]:
    """Return where made is not arrived plus dropped; metrics are never dropped."""
    found = []
    for what, of in (("span", "spans"), ("log", "logs")):
        lost, due = dropped(received, what), made * expected[of]
        if received[of] + lost != due:
            found.append(f"{of}: {received[of]:,} arrived + {lost:,} dropped, {due:,.0f} made")
    counted = {name: (received["points"].get(name, 0), made * expected[name]) for name in expected}
    found += [
        f"{name}: {counts:,.0f} counted, {due:,.0f} made"
        for name, (counts, due) in counted.items()
        if name not in {"spans", "logs"} and counts != due
    ]
    if received["duplicates"]:
        found.append(f"span ids twice: {received['duplicates']}")
    return found


# In the receiver's process --------------------------------------------------------------------------------------

LATER = "--later" in sys.argv[1:]


@dataclass
class Tally:
    """What one run has sent so far."""

    names: Counter[str] = field(default_factory=Counter)
    span_ids: set[bytes] = field(default_factory=set)
    duplicates: int = 0
    log_spans: list[bytes] = field(default_factory=list)
    points: dict[tuple[str, bytes], float] = field(default_factory=dict)
    """Latest value of every series: a sum's value, a histogram's count. Cumulative, so the latest holds all."""
    dropped: dict[tuple[str, ...], float] = field(default_factory=dict)
    """Latest value of every series of ``otelml.dropped``, by (what, where)."""
    sizes: Counter[str] = field(default_factory=Counter)
    """Bytes of all bodies, decompressed, by signal."""
    kept: list[tuple[str, bytes, bool]] = field(default_factory=list)
    """What has not been counted yet: signal, body, and whether that is compressed."""

    def count(self) -> None:
        """Count what was kept."""
        kept, self.kept = self.kept, []
        for signal, body, compressed in kept:
            plain = gzip.decompress(body) if compressed else body
            self.sizes[signal] += len(plain)
            {"traces": self.traces, "logs": self.logs, "metrics": self.metrics}[signal](plain)

    def traces(self, body: bytes) -> None:
        """Count spans by name and remember their ids."""
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            for scope in resource.scope_spans:
                for span in scope.spans:
                    self.names[span.name] += 1
                    self.duplicates += span.span_id in self.span_ids
                    self.span_ids.add(span.span_id)

    def logs(self, body: bytes) -> None:
        """Remember which span each log record belongs to."""
        for resource in ExportLogsServiceRequest.FromString(body).resource_logs:
            for scope in resource.scope_logs:
                self.log_spans.extend(record.span_id for record in scope.log_records)

    def metrics(self, body: bytes) -> None:
        """Keep the latest value of every series."""
        for resource in ExportMetricsServiceRequest.FromString(body).resource_metrics:
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    data: Any = getattr(metric, metric.WhichOneof("data") or "gauge")
                    for point in data.data_points:
                        key = b"".join(sorted(a.SerializeToString() for a in point.attributes))
                        self.points[metric.name, key] = _value(point)
                        if metric.name == "otelml.dropped":
                            by_name = sorted((a.key, a.value.string_value) for a in point.attributes)
                            self.dropped[tuple(value for _, value in by_name)] = _value(point)

    def answer(self) -> dict[str, Any]:
        """Return the counts."""
        totals: dict[str, float] = defaultdict(float)
        for (name, _), value in self.points.items():
            totals[name] += value
        return {
            "spans": sum(self.names.values()),
            "names": dict(self.names),
            "duplicates": self.duplicates,
            "logs": len(self.log_spans),
            "correlated": sum(span_id in self.span_ids for span_id in self.log_spans),
            "points": dict(totals),
            "dropped": [[*values, n] for values, n in self.dropped.items()],
            "bytes": dict(self.sizes),
        }


def _value(point: Any) -> float:
    if hasattr(point, "count"):
        return float(point.count)
    return float(point.as_int if point.WhichOneof("value") == "as_int" else point.as_double)


class Server(ThreadingHTTPServer):
    """Goes down between two requests: what counts has been answered, what has not been answered does not count."""

    daemon_threads = True

    def __init__(self, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.turn = threading.Lock()
        """Held from the answer to a request to the end of counting it."""
        self.closed = False
        self.connections: set[Any] = set()
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    def process_request(self, request: Any, client_address: Any) -> None:
        """Remember the connection."""
        self.connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Forget the connection."""
        self.connections.discard(request)
        super().shutdown_request(request)

    def down(self) -> None:
        """Refuse connections, and end those there are."""
        self.shutdown()
        with self.turn:
            self.closed = True
            self.server_close()
            for connection in list(self.connections):
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)


class Handler(BaseHTTPRequestHandler):
    """Takes OTLP/HTTP protobuf, answers with an empty (successful) response."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Server
    tallies: ClassVar[defaultdict[str, Tally]] = defaultdict(Tally)

    def do_POST(self) -> None:
        """Count one export."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        run, _, signal = self.path.strip("/").partition("/v1/")
        with self.server.turn:
            if self.server.closed or self._is_alone():
                self.close_connection = True
                return
            self._reply(b"", "application/x-protobuf")
            tally = self.tallies[run]
            tally.kept.append((signal, body, self.headers.get("Content-Encoding") == "gzip"))
            if not LATER:
                tally.count()

    def _is_alone(self) -> bool:
        """Return whether the sender has given up on a slow machine: it counts as dropped what it sent."""
        try:
            return not self.connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except BlockingIOError:
            return False
        except OSError:
            return True

    def do_GET(self) -> None:
        """Answer with the tally of a run."""
        with self.server.turn:
            tally = self.tallies[self.path.strip("/")]
            tally.count()
            self._reply(json.dumps(tally.answer()).encode(), "application/json")

    def _reply(self, body: bytes, kind: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing per request."""


def main() -> None:
    """Serve until standard input closes."""
    server = Server()
    port = server.server_address[1]
    print(port, flush=True)
    for line in sys.stdin:
        if line.strip() == "down":
            server.down()
        else:
            server = Server(port)
        print(line.strip(), flush=True)


if __name__ == "__main__":
    main()
