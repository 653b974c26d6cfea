"""What sending costs: ``python benchmarks/export.py`` compares the official OTLP exporters with ours.

Each contender sends the same spans of predictions, in batches of 2,048, to a receiver in a process of its own. The
official exporters are given finished ``ReadableSpan`` objects; ours encode their spans inside the measured time. Rounds
are interleaved (A B C, A B C, ...). Every span must arrive: otherwise the exit status is 1.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import statistics
import sys
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zlib import decompress

import grpc
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcSpanExporter
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpSpanExporter
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from otelml import config, encoding, otlp
from otelml.encoding import Encoded, Home

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

    Facts = tuple[trace.SpanContext, dict[str, Any]]

MICRO = 1e-3
BATCH = 2048
SERVICE = "opentelemetry.proto.collector.trace.v1.TraceService"
RESOURCE = Resource.create({"service.name": "delays"})
SCOPE = InstrumentationScope("otelml", "1")
TIMES = (1_700_000_000_000_000_000, 1_700_000_000_004_200_000)
OFFICIAL, OURS = "official", "otelml"
CONTENDERS = [
    (who, protocol, compression)
    for protocol in ("http/protobuf", "grpc")
    for compression in ("none", "gzip")
    for who in (OFFICIAL, OURS)
]


class Counts:
    """What the receiver was sent since it was last asked."""

    def __init__(self) -> None:
        self.spans = self.size = 0

    def add(self, body: bytes, size: int) -> bytes:
        """Count one request."""
        request = ExportTraceServiceRequest.FromString(body)
        self.spans += sum(len(scope.spans) for resource in request.resource_spans for scope in resource.scope_spans)
        self.size += size
        return b""


def serve(pipe: Connection) -> None:
    """Receive over both protocols; send the two ports, then the counts whenever something is asked."""
    counts = Counts()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            counts.add(decompress(body, 31) if self.headers.get("Content-Encoding") == "gzip" else body, len(body))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    web = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=web.serve_forever, daemon=True).start()
    rpc = grpc.server(ThreadPoolExecutor(1))
    method = grpc.unary_unary_rpc_method_handler(lambda body, _: counts.add(body, 0))
    rpc.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(SERVICE, {"Export": method})])
    pipe.send({"grpc": rpc.add_insecure_port("127.0.0.1:0"), "http/protobuf": web.server_port})
    rpc.start()
    while pipe.recv():
        pipe.send((counts.spans, counts.size))
        counts.spans = counts.size = 0


def facts(n: int) -> list[Facts]:
    """Return what is known of ``n`` predictions."""
    sampled = trace.TraceFlags(trace.TraceFlags.SAMPLED)
    found = []
    for i in range(n):
        context = trace.SpanContext(uuid.uuid4().int, uuid.uuid4().int >> 64 or 1, False, sampled)  # noqa: FBT003 - is_remote
        attributes = {
            "ml.model.name": "delay",
            "ml.model.version": "3",
            "ml.operation": "classification",
            "ml.prediction.id": uuid.uuid4().hex,
            "otelml.request.id": uuid.uuid4().hex,
            "ml.prediction.class": ("late", "on time")[i % 2],
            "ml.prediction.confidence": (i % 997) / 997,
        }
        found.append((context, attributes))
    return found


def official(found: list[Facts]) -> list[Any]:
    """Return finished spans of the SDK."""
    kept: dict[str, Any] = {
        "resource": RESOURCE,
        "instrumentation_scope": SCOPE,
        "start_time": TIMES[0],
        "end_time": TIMES[1],
    }
    return [ReadableSpan("predict delay", context, attributes=known, **kept) for context, known in found]


def ours(found: list[Facts], home: Home) -> list[Any]:
    """Return encoded spans."""
    span = partial(encoding.span, "predict delay", parent=None, times=TIMES)
    return [Encoded(span(context, attributes=known), home) for context, known in found]


def exporter(who: str, protocol: str, compression: str, endpoint: str) -> Any:
    """Return the exporter for spans, the official one as an application makes it."""
    if who == OURS:
        given = {"protocol": protocol, "endpoint": endpoint, "compression": compression, "timeout": 60.0}
        settings = config.load({f"exporter_otlp_{name}": value for name, value in given.items()}, {})
        return otlp.maker(settings, "traces", "otlp", lambda *_: None)()
    if protocol == "grpc":
        wanted = grpc.Compression.Gzip if compression == "gzip" else grpc.Compression.NoCompression
        return GrpcSpanExporter(endpoint, timeout=60.0, compression=wanted)
    return HttpSpanExporter(f"{endpoint}/v1/traces", timeout=60.0, compression=Compression(compression))


def measure(contender: tuple[str, str, str], endpoint: str, batches: int) -> float:
    """Send; return the CPU time of this process for each span, in µs."""
    made, home, total = exporter(*contender, endpoint), Home(RESOURCE, SCOPE), 0
    for turn in range(batches + 1):
        found = facts(BATCH)
        finished = official(found) if contender[0] == OFFICIAL else []
        start = time.process_time_ns()
        result = made.export(finished or ours(found, home))
        if turn:  # the first one connects
            total += time.process_time_ns() - start
        if result.name != "SUCCESS":
            raise SystemExit(f"{contender}: not sent")
    made.shutdown()
    return total * MICRO / (batches * BATCH)


def table(
    costs: dict[tuple[str, str, str], list[float]], sizes: dict[tuple[str, str, str], float]
) -> list[dict[str, Any]]:
    """Print and return one row per protocol and compression: µs for each span, their ratio, bytes for each span."""
    rows = []
    print(f"{'protocol':14} {'compression':12} {OFFICIAL:>10} {OURS:>8} {'ratio':>7}   bytes a span")
    for protocol, compression in dict.fromkeys(key[1:] for key in costs):
        keys = [(who, protocol, compression) for who in (OFFICIAL, OURS)]
        theirs, mine = (statistics.median(costs[key]) for key in keys)
        size = " → ".join(f"{sizes[key]:.0f}" for key in keys) if protocol != "grpc" else "-"
        print(f"{protocol:14} {compression:12} {theirs:10.2f} {mine:8.2f} {theirs / mine:6.1f}x   {size}")
        rows.append({"protocol": protocol, "compression": compression, OFFICIAL: theirs, OURS: mine})
    return rows


def main() -> int:
    """Measure every contender in every round."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--batches", type=int, default=10, help="batches of 2,048 spans in each round")
    parser.add_argument("--quick", action="store_true", help="one round of one batch: proves that it works")
    parser.add_argument("--json", type=Path, help="write the figures here, too")
    options = parser.parse_args()
    rounds, batches = (1, 1) if options.quick else (options.rounds, options.batches)
    here, there = multiprocessing.Pipe()
    receiver = multiprocessing.get_context("spawn").Process(target=serve, args=(there,), daemon=True)
    receiver.start()
    ports = here.recv()
    costs: dict[tuple[str, str, str], list[float]] = {contender: [] for contender in CONTENDERS}
    sizes, expected = {}, (batches + 1) * BATCH
    for _ in range(rounds):
        for contender in CONTENDERS:
            costs[contender].append(measure(contender, f"http://127.0.0.1:{ports[contender[1]]}", batches))
            here.send("counts")
            spans, size = here.recv()
            sizes[contender] = size / expected
            if spans != expected:
                print(f"{contender}: {spans} spans arrived, {expected} were sent", file=sys.stderr)
                return 1
    here.send("")  # the end
    print(f"CPU of the sending process for each span, in µs; median of {rounds} rounds. Every span arrived.\n")
    rows = table(costs, sizes)
    if options.json:
        options.json.write_text(json.dumps({"rows": rows, "rounds": [[*key, found] for key, found in costs.items()]}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
