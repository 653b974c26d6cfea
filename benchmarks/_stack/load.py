"""A load that costs the sender little: requests serialized once, whose ids and times are replaced in each copy."""

from __future__ import annotations

import http.client
import itertools
import os
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

SIGNALS = ("traces", "metrics", "logs")
RETRIED = (429, 502, 503, 504)
ATTRIBUTES = {
    "ml.model.name": "delay",
    "ml.model.version": "3",
    "ml.operation": "classification",
    "ml.prediction.class": "on time",
    "ml.prediction.confidence": 0.93,
    "ml.prediction.id": "0123456789abcdef0123456789abcdef",
}
"""What otelml puts on the span of a prediction."""
_numbers = itertools.count(1)
_clock_lock = threading.Lock()
_last_ms = 0


def _mark(size: int) -> bytes:
    """Return bytes that stand nowhere else in a request."""
    return b"\xf5" * (size - 4) + (0xF5000000 + next(_numbers)).to_bytes(4, "big")


def _put(attributes: Any, values: Mapping[str, Any]) -> None:
    for key, value in values.items():
        made = attributes.add(key=key).value
        if isinstance(value, str):
            made.string_value = value
        else:
            made.double_value = value


def _next_ms() -> int:
    """Return the time in ms; another one for each who asks, so that each point of a series has its own."""
    global _last_ms  # noqa: PLW0603 - one clock for all senders
    with _clock_lock:
        _last_ms = max(_last_ms + 1, time.time_ns() // 1_000_000)
        return _last_ms


class Template:
    """One request of ``items`` spans of one trace, points of as many series, or log records; as bytes."""

    def __init__(self, signal: str, service: str, instance: str, items: int) -> None:
        self.signal, self.items = signal, items
        self._marks: dict[str, list[bytes]] = {"trace": [], "span": [], "parent": [], "start": [], "end": []}
        made = getattr(self, f"_{signal}")(service, instance)
        self._body = np.frombuffer(made.SerializeToString(), np.uint8)
        self._at = {what: self._find(marks) for what, marks in self._marks.items() if marks}

    def _find(self, marks: Sequence[bytes]) -> NDArray[np.int64]:
        """Return the places of every byte of marks that follow each other; shape (marks, bytes of each)."""
        body, at, found = self._body.tobytes(), 0, []
        for mark in marks:
            at = body.index(mark, at)
            found.append(np.arange(at, at + len(mark)))
        return np.array(found)

    def _marked(self, what: str, size: int = 8) -> bytes:
        self._marks[what].append(_mark(size))
        return self._marks[what][-1]

    def _time(self, what: str) -> int:
        return int.from_bytes(self._marked(what), "little")

    def _resource(self, request: Any, signal: str, service: str, instance: str) -> Any:
        part = getattr(request, f"resource_{signal}").add()
        _put(part.resource.attributes, {"service.name": service, "service.instance.id": instance})
        return getattr(part, f"scope_{signal}").add()

    def _traces(self, service: str, instance: str) -> ExportTraceServiceRequest:
        request = ExportTraceServiceRequest()
        scope = self._resource(request, "spans", service, instance)
        for number in range(self.items):
            span = scope.spans.add(name=f"stage {number % 5}", kind=2)
            span.trace_id, span.span_id = self._marked("trace", 16), self._marked("span")
            span.start_time_unix_nano, span.end_time_unix_nano = self._time("start"), self._time("end")
            if number:
                span.parent_span_id = self._marked("parent")
            _put(span.attributes, ATTRIBUTES)
        return request

    def _metrics(self, service: str, instance: str) -> ExportMetricsServiceRequest:
        request = ExportMetricsServiceRequest()
        made = self._resource(request, "metrics", service, instance).metrics.add(name="sent.points")
        made.sum.aggregation_temporality, made.sum.is_monotonic = 2, True
        begun = time.time_ns()
        for number in range(self.items):  # each a 1: their sum is their count
            point = made.sum.data_points.add(start_time_unix_nano=begun, as_int=1)
            point.time_unix_nano = self._time("end")
            _put(point.attributes, {"series": str(number)})
        return request

    def _logs(self, service: str, instance: str) -> ExportLogsServiceRequest:
        request = ExportLogsServiceRequest()
        scope = self._resource(request, "logs", service, instance)
        for number in range(self.items):
            record = scope.log_records.add(severity_number=9, severity_text="INFO")
            record.time_unix_nano = self._time("end")
            record.body.string_value = f"prediction {number} served"
            _put(record.attributes, ATTRIBUTES)
        return request

    def fresh(self) -> bytes:
        """Return a copy with ids and times of its own."""
        body, at = self._body.copy(), self._at
        now = np.full(self.items, _next_ms() * 1_000_000, np.uint64)
        if self.signal != "metrics":
            now += np.arange(self.items, dtype=np.uint64)
        body[at["end"]] = now.view(np.uint8).reshape(-1, 8)
        if self.signal == "traces":
            ids = np.frombuffer(os.urandom(8 * self.items), np.uint8).reshape(-1, 8)
            body[at["trace"]] = np.frombuffer(os.urandom(16), np.uint8)
            body[at["span"]] = ids
            if self.items > 1:
                body[at["parent"]] = ids[0]
            body[at["start"]] = (now - np.uint64(2_000_000)).view(np.uint8).reshape(-1, 8)
        return body.tobytes()


@dataclass
class Sent:
    """What one sender got through."""

    items: dict[str, int] = field(default_factory=lambda: dict.fromkeys(SIGNALS, 0))
    seconds: list[float] = field(default_factory=list)
    """From each first try to its acknowledgement."""
    refused: int = 0
    broken: int = 0
    unknown: list[str] = field(default_factory=list)
    """Answers that a client does not try again after: what was in them is lost."""


class Sender(threading.Thread):
    """Sends requests in turn, one every ``every`` seconds, each again until it is acknowledged.

    A request that comes late is not left out: those after it follow as fast as they are acknowledged.
    """

    def __init__(
        self, port: int, token: str, templates: Sequence[Template], every: float, stop: Callable[[], bool]
    ) -> None:
        super().__init__(daemon=True)
        self.sent, self._port, self._every, self._stopped = Sent(), port, every, stop
        self._templates = itertools.cycle(templates)
        self._headers = {"Content-Type": "application/x-protobuf", "Authorization": f"Bearer {token}"}
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)

    def run(self) -> None:
        """Send until told to stop."""
        due = time.monotonic()
        while not self._stopped():
            time.sleep(max(0.0, due - time.monotonic()))
            due += self._every
            template = next(self._templates)
            body, begun = template.fresh(), time.monotonic()
            while (status := self._post(template.signal, body)) != 200:  # noqa: PLR2004 - acknowledged
                if status not in RETRIED and status is not None:
                    self.sent.unknown.append(f"{template.signal}: {status}")
                    break
                time.sleep(0.1)
            else:
                self.sent.seconds.append(time.monotonic() - begun)
                self.sent.items[template.signal] += template.items

    def _post(self, signal: str, body: bytes) -> int | None:
        """Send once; return the status, or None when nobody answered."""
        try:
            self._connection.request("POST", f"/v1/{signal}", body, self._headers)
            answer = self._connection.getresponse()
            answer.read()
        except (OSError, http.client.HTTPException):
            self._connection.close()
            self.sent.broken += 1
            return None
        self.sent.refused += answer.status in RETRIED
        return answer.status


class Load:
    """Senders that make ``rate`` items a second together; a context that ends when all have got theirs through."""

    def __init__(
        self, port: int, token: str, service: str, *, rate: float, signals: Sequence[str], size: int = 100
    ) -> None:
        threads = 16
        self._stop = threading.Event()
        every = threads * size / rate
        self.senders = [
            Sender(
                port, token, [Template(s, service, f"{service}-{n}", size) for s in signals], every, self._stop.is_set
            )
            for n in range(threads)
        ]

    def __enter__(self) -> Self:
        self.begun, self._cpu = time.monotonic(), time.process_time()
        for sender in self.senders:
            sender.start()
            time.sleep(sender._every / len(self.senders))
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for sender in self.senders:
            sender.join(300)
        self.wall, self.cpu = time.monotonic() - self.begun, time.process_time() - self._cpu
        if stuck := sum(sender.is_alive() for sender in self.senders):
            raise RuntimeError(f"{stuck} senders were not acknowledged in 5 minutes")

    def items(self) -> dict[str, int]:
        """Return how many items of each signal were acknowledged."""
        return {signal: sum(sender.sent.items[signal] for sender in self.senders) for signal in SIGNALS}

    def total(self, what: str) -> int:
        """Return how many answers were ``refused`` (to be tried again) or ``broken`` (nobody answered)."""
        return sum(getattr(sender.sent, what) for sender in self.senders)

    def unknown(self) -> list[str]:
        """Return the answers that lose what they answer."""
        return [each for sender in self.senders for each in sender.sent.unknown]

    def latency(self, share: float) -> float:
        """Return a quantile of the seconds until the acknowledgement."""
        waited = [seconds for sender in self.senders for seconds in sender.sent.seconds]
        return float(np.quantile(waited, share)) if waited else 0.0
