"""Requests like those of the demo: an HTTP span, a prediction, its four stages, two calls of a feature service.

Bodies are made once; before each is sent its ids and times are made new, in place. ``load.py ADDRESS SPANS
CONNECTIONS`` sends them over OTLP/gRPC and prints what it took, as JSON.
"""

from __future__ import annotations

import json
import os
import struct
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import grpc
import numpy as np
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

SIZE = 512
"""Spans in a request, as the SDK sends them at most."""
TRACES = SIZE // 8
SERVICE, MODEL, VERSION = "flights", "flight-delay", "2013-03"
EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
LATE = 0.2
_NAMES = ("feature_retrieval", "preprocessing", "inference", "postprocessing")
_RESOURCE = {
    "telemetry.sdk.language": "python",
    "telemetry.sdk.name": "opentelemetry",
    "telemetry.sdk.version": "1.45.2",
    "service.instance.id": "3f31273e-cebc-4700-ac9a-0c54a31012d3",
    "telemetry.distro.name": "otelml",
    "telemetry.distro.version": "0.1.0",
    "service.name": SERVICE,
}
_MODEL = {"ml.model.name": MODEL, "ml.model.version": VERSION}
_HTTP = {
    "url.scheme": "http",
    "server.address": "127.0.0.1:49277",
    "server.port": 49277,
    "network.protocol.version": "1.1",
    "url.path": "/predict",
    "http.request.method": "POST",
    "http.route": "/predict",
    "http.response.status_code": 200,
}
_CALL = {
    "http.request.method": "GET",
    "url.full": "http://127.0.0.1:36197/",
    "server.address": "127.0.0.1",
    "network.peer.address": "127.0.0.1",
    "server.port": 36197,
    "network.peer.port": 36197,
    "http.response.status_code": 200,
    "network.protocol.version": "1.1",
}


def _predicted(draw: np.random.Generator) -> dict[str, object]:
    confidence = float(draw.uniform(0.5, 1.0))
    return {
        **_MODEL,
        "ml.model.framework": "scikit-learn",
        "ml.batch.size": 1,
        "ml.input.shape": "[1,21]",
        "ml.input.dtype": "DataFrame",
        "ml.input.missing": 0,
        "ml.output.shape": "[1,2]",
        "ml.output.dtype": "float64",
        "ml.prediction.class": "late" if draw.random() < LATE else "on time",
        "ml.prediction.confidence": confidence,
    }


def _stages() -> Iterator[tuple[str, int, int, dict[str, object]]]:
    for name in _NAMES:
        yield name, 1, 1, {**_MODEL, "ml.stage": name}


def _spans(draw: np.random.Generator) -> list[tuple[str, int, int, dict[str, object]]]:
    """Return a trace's spans: name, parent's place, kind, attributes."""
    return [
        ("POST /predict", -1, 2, _HTTP),
        (f"predict {MODEL}", 0, 1, _predicted(draw)),
        *_stages(),
        ("GET", 2, 3, _CALL),
        ("GET", 2, 3, _CALL),
    ]


class Body:
    """One serialized request whose ids and times can be made new."""

    def __init__(self, seed: int) -> None:
        draw = np.random.default_rng(seed)
        request = ExportTraceServiceRequest()
        sent = request.resource_spans.add()
        _fill(sent.resource.attributes, _RESOURCE)
        spans = sent.scope_spans.add().spans
        traces = draw.bytes(16 * TRACES)
        ids = draw.bytes(8 * SIZE)
        texts = [draw.bytes(16).hex() for _ in range(2 * TRACES)]
        starts = [int(n) for n in draw.integers(1 << 60, (1 << 60) + 10**15, SIZE)]
        took = [int(n) for n in np.maximum(draw.lognormal(16, 0.5, SIZE), 1)]
        for place in range(SIZE):
            trace, within = divmod(place, 8)
            name, parent, kind, attributes = _spans(draw)[within]
            span = spans.add(name=name, kind=kind, trace_id=traces[16 * trace : 16 * trace + 16])
            span.span_id = ids[8 * place : 8 * place + 8]
            if parent >= 0:
                span.parent_span_id = ids[8 * (8 * trace + parent) : 8 * (8 * trace + parent) + 8]
            span.start_time_unix_nano, span.end_time_unix_nano = starts[place], starts[place] + took[place]
            _fill(span.attributes, attributes)
            if within in (0, 1, 6, 7):
                _fill(span.attributes, {"ml.request.id": texts[2 * trace]})
            if within == 1:
                _fill(span.attributes, {"ml.prediction.id": texts[2 * trace + 1]})
        raw = request.SerializeToString()
        self._raw = np.frombuffer(raw, np.uint8).copy()
        self._traces = _places(raw, [traces[16 * n : 16 * n + 16] for n in range(TRACES)])
        self._ids = _places(raw, [ids[8 * n : 8 * n + 8] for n in range(SIZE)])
        self._texts = _places(raw, [text.encode() for text in texts])
        self._starts = _places(raw, [struct.pack("<Q", start) for start in starts])
        self._ends = _places(raw, [struct.pack("<Q", s + t) for s, t in zip(starts, took, strict=True)])
        self._took = np.array(took, np.uint64)

    def new(self, now_ns: int) -> bytes:
        """Return the request with other ids, and times that end about now."""
        raw = self._raw.copy()
        for (at, which), width in ((self._traces, 16), (self._ids, 8)):
            fresh = np.frombuffer(os.urandom(width * SIZE), np.uint8).reshape(-1, width)
            raw[at[:, None] + np.arange(width)] = fresh[which]
        at, which = self._texts
        texts = np.frombuffer(os.urandom(16 * 2 * TRACES).hex().encode(), np.uint8).reshape(-1, 32)
        raw[at[:, None] + np.arange(32)] = texts[which]
        starts = np.uint64(now_ns) - self._took - np.arange(SIZE, dtype=np.uint64) * np.uint64(1000)
        for (at, which), times in ((self._starts, starts), (self._ends, starts + self._took)):
            raw[at[:, None] + np.arange(8)] = times[which].astype("<u8").view(np.uint8).reshape(-1, 8)
        return raw.tobytes()


def _fill(attributes: Any, values: Mapping[str, object]) -> None:
    for key, value in values.items():
        kind = {str: "string_value", int: "int_value", float: "double_value"}[type(value)]
        setattr(attributes.add(key=key).value, kind, value)


def _places(raw: bytes, values: list[bytes]) -> tuple[Any, Any]:
    """Return every place of every value in ``raw``, and which value it is."""
    found = []
    for which, value in enumerate(values):
        at = raw.find(value)
        while at >= 0:
            found.append((at, which))
            at = raw.find(value, at + 1)
    places, whose = np.array(found).T
    return places, whose


def main(address: str, spans: str, connections: str) -> None:
    """Send so many spans over so many connections, each waiting for its answer."""
    left = iter(range(int(spans) // SIZE))
    lock, waits = threading.Lock(), []
    bodies = [[Body(number * 4 + k) for k in range(4)] for number in range(int(connections))]

    def work(number: int) -> None:
        with grpc.insecure_channel(address, [("grpc.use_local_subchannel_pool", 1)]) as channel:
            export = channel.unary_unary(EXPORT)
            while True:
                with lock:
                    turn = next(left, None)
                if turn is None:
                    return
                body = bodies[number][turn % 4].new(time.time_ns())
                begun = time.perf_counter()
                export(body, timeout=300, wait_for_ready=True)
                waits.append(time.perf_counter() - begun)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(int(connections))]
    begun, cpu = time.perf_counter(), time.process_time()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - begun
    p50, p99 = np.quantile(waits, [0.5, 0.99])
    print(
        json.dumps(
            {
                "spans": len(waits) * SIZE,
                "seconds": seconds,
                "cpu": time.process_time() - cpu,
                "p50": p50,
                "p99": p99,
                "longest": max(waits),
                "bytes": len(bodies[0][0].new(1)) / SIZE,
            }
        )
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
