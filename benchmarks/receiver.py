"""A real OTLP/HTTP receiver that counts every span, log record and metric point; a process of its own.

Started without arguments it prints its port and serves until its standard input closes. Telemetry posted to
``/RUN/v1/traces`` (and ``metrics``, ``logs``) counts for ``RUN``; ``GET /RUN`` returns the tally as JSON.
"""

from __future__ import annotations

import gzip
import json
import sys
import threading
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


@dataclass
class Tally:
    """What one run has sent so far."""

    names: Counter[str] = field(default_factory=Counter)
    span_ids: set[bytes] = field(default_factory=set)
    duplicates: int = 0
    log_spans: list[bytes] = field(default_factory=list)
    points: dict[tuple[str, bytes], float] = field(default_factory=dict)
    """Latest value of every series: a sum's value, a histogram's count. Cumulative, so the latest holds all."""
    lock: threading.Lock = field(default_factory=threading.Lock)

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
        }


def _value(point: Any) -> float:
    if hasattr(point, "count"):
        return float(point.count)
    return float(point.as_int if point.WhichOneof("value") == "as_int" else point.as_double)


class Handler(BaseHTTPRequestHandler):
    """Takes OTLP/HTTP protobuf, answers with an empty (successful) response."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    tallies: ClassVar[defaultdict[str, Tally]] = defaultdict(Tally)

    def do_POST(self) -> None:
        """Count one export."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        run, _, signal = self.path.strip("/").partition("/v1/")
        tally = self.tallies[run]
        with tally.lock:
            {"traces": tally.traces, "logs": tally.logs, "metrics": tally.metrics}[signal](body)
        self._reply(b"", "application/x-protobuf")

    def do_GET(self) -> None:
        """Answer with the tally of a run."""
        tally = self.tallies[self.path.strip("/")]
        with tally.lock:
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
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.server_address[1], flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
