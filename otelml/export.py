"""Bounded queues between the application and exporters: one daemon thread each, exact counts of what was dropped.

`BatchQueue.put` takes no lock and never waits: it appends to a deque. A full queue drops the newest item. One worker
exports in batches; flush and shutdown keep their deadline even when the endpoint accepts and never answers.
"""

from __future__ import annotations

import logging
import os
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any, Generic, Protocol, TypeVar

from opentelemetry.context import attach, set_value

from otelml._guard import attempt
from otelml.encoding import messages

T = TypeVar("T")
OnDrop = Callable[[str, str, int], None]
"""Called with what (``span``, ``log``, ``metric``), where (``queue``, ``export``, ``shutdown``) and how many."""

logger = logging.getLogger("otelml")
_GRACE = 0.1
_exporting = threading.local()


class Exporter(Protocol):
    """What a queue needs of an exporter; the SDK's span, log and metric exporters all have it."""

    def export(self, batch: Any, /) -> Any:
        """Export a batch; anything whose ``name`` is not ``SUCCESS`` is a failure."""

    def shutdown(self) -> None:
        """Give up, aborting retries."""


class Outage:
    """Says once that an endpoint is down, and once that it is back, for all signals together.

    The exporters' own messages (one for every batch and every retry) are withheld while our workers export; the
    last one is the reason we give.
    """

    QUIET_SECONDS = 300.0
    LOGGERS = (
        "opentelemetry.exporter.otlp.common.http",
        "opentelemetry.exporter.otlp.proto.grpc.exporter",
        *(
            f"opentelemetry.exporter.otlp.proto.http.{name}"
            for name in ("trace_exporter", "metric_exporter", "_log_exporter")
        ),
    )

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._down: set[str] = set()
        self._warned_at: float | None = None
        self._clock = clock
        for name in self.LOGGERS:
            logging.getLogger(name).addFilter(_withhold)

    def failed(self, what: str, reason: str) -> None:
        """Note a failed export of ``what``; warn when everything worked before."""
        news = not self._down
        self._down.add(what)
        now = self._clock()
        if news and (self._warned_at is None or now - self._warned_at >= self.QUIET_SECONDS):
            self._warned_at = now
            logger.warning(
                "otelml: cannot export telemetry (%s: %s). The application goes on; what is lost is counted in "
                "otelml.dropped. Check OTEL_EXPORTER_OTLP_ENDPOINT.",
                what,
                reason,
            )

    def worked(self, what: str) -> None:
        """Note a successful export of ``what``."""
        if what in self._down:
            self._down.discard(what)
            if not self._down:
                logger.info("otelml: telemetry is exported again")


def _withhold(record: logging.LogRecord) -> bool:
    """Keep an exporter's message back when one of our workers caused it, and remember it as the reason."""
    if not getattr(_exporting, "active", False):
        return True
    _exporting.reason = record.getMessage()[:300]
    return False


class Flush:
    """A request to the worker to export what waits now."""

    def __init__(self, failures: int = 0) -> None:
        self.failures = failures
        self._done = threading.Event()
        self._ok = False

    def finish(self, *, ok: bool) -> None:
        """Let those who wait go on."""
        self._ok = ok
        self._done.set()

    def wait(self, timeout: float) -> bool:
        """Return whether everything was exported within ``timeout`` seconds."""
        return self._done.wait(max(0.0, timeout)) and self._ok


class BatchQueue(Generic[T]):
    """A bounded queue of items and the daemon thread that exports them.

    Args:
        what: ``span``, ``log`` or ``metric``, for the drop counts.
        make: Makes the exporter; called here, and again in a forked child, whose connections must be its own.
        on_drop: Told exactly what is dropped.
        outage: Says when the endpoint is down.
        capacity: Items that may wait; some more when several threads put at the same instant.
        batch: Items in one export.
        delay: Seconds between exports.
        payload: Turns a batch into what the exporter takes.
        size: What one item counts for when it is dropped.
    """

    def __init__(
        self,
        what: str,
        make: Callable[[], Exporter],
        on_drop: OnDrop,
        outage: Outage,
        *,
        capacity: int = 65_536,
        batch: int = 2048,
        delay: float = 1.0,
        payload: Callable[[list[T]], Any] = lambda items: items,
        size: Callable[[T], int] | None = None,
    ) -> None:
        self.what, self.capacity, self.batch, self.delay = what, capacity, min(batch, capacity), delay
        self._make, self._on_drop, self._outage, self._payload, self._size = (
            make,
            on_drop,
            outage,
            payload,
            size or messages,
        )
        self.failures = 0
        self._inherited: list[Exporter] = []
        self.exporter: Exporter | None = make()
        self._reset()
        self._start()
        if hasattr(os, "register_at_fork"):
            own = weakref.WeakMethod(self._after_fork)
            os.register_at_fork(after_in_child=lambda: (method := own()) and method())

    def _reset(self) -> None:
        self._items: deque[T] = deque()
        # Messages in the queue beyond one an item. Only one thread at a time puts items of several, and only one takes:
        # two counters need no lock, where one would.
        self._more_put = self._more_taken = 0
        self._requests: SimpleQueue[Flush | None] = SimpleQueue()
        self._woken = False
        self._closed = False
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()
        self._in_flight: deque[int] = deque()

    def _after_fork(self) -> None:
        """Start afresh in the child: the parent exports its own items, and its connections are not ours to use."""
        closed = self._closed
        if self.exporter is not None:
            # Kept, not closed: closing would speak on the parent's connection.
            self._inherited.append(self.exporter)
            self.exporter = None
        self._reset()
        self._closed = closed

    def _start(self) -> None:
        with self._starting:
            if self._thread is None:
                thread = threading.Thread(target=self._work, name=f"otelml-export-{self.what}", daemon=True)
                thread.start()
                self._thread = thread

    # The caller's side ------------------------------------------------------------------------------------------

    def put(self, item: T) -> bool:
        """Queue an item; False when it was dropped, because the queue is full or closed.

        Items of several messages (``Encoded``) are put by one thread at a time.
        """
        count = messages(item)
        waiting = len(self) + count
        if self._closed or waiting > self.capacity:
            self._on_drop(self.what, "shutdown" if self._closed else "queue", self._size(item))
            return False
        if count > 1:
            self._more_put += count - 1
        self._items.append(item)
        if self._thread is None:
            self._start()
        if waiting >= self.batch and not self._woken:
            self._woken = True
            self._requests.put(None)
        if self._closed:
            # It was closed while we appended: no worker will come for the item.
            self._drop_left()
        return True

    def __len__(self) -> int:
        return len(self._items) + self._more_put - self._more_taken

    def request_flush(self) -> Flush:
        """Ask the worker to export what waits now, without waiting for it."""
        flush = Flush(self.failures)
        if self._thread is None:
            flush.finish(ok=True)  # a forked child that has put nothing yet
        else:
            self._requests.put(flush)
        return flush

    def force_flush(self, timeout: float) -> bool:
        """Export what waits now; False when that failed or took longer than ``timeout`` seconds."""
        return self.request_flush().wait(timeout)

    def shutdown(self, timeout: float, flush: Flush | None = None) -> bool:
        """Export what waits, then close; at the deadline give up, and count what is left as dropped.

        Args:
            timeout: Seconds.
            flush: A flush requested before, to share one deadline among several queues.
        """
        if self._closed:
            return True
        deadline = time.monotonic() + timeout
        ok = (flush or self.request_flush()).wait(timeout)
        self._closed = True
        if ok and self._items:
            ok = self.force_flush(deadline - time.monotonic())
        if self.exporter is not None:
            attempt(self.exporter.shutdown)
        self._requests.put(None)
        if self._thread is not None:
            self._thread.join(_GRACE)
        return self._drop_left() == 0 and ok

    def _drop_left(self) -> int:
        left = self._take_in_flight() + sum(map(self._size, self._drain(len(self))))
        if left:
            self._on_drop(self.what, "shutdown", left)
        return left

    # The worker's side ------------------------------------------------------------------------------------------

    def _work(self) -> None:
        _exporting.active = True
        # The instrumentations' own switch, by its public name: exports are not traced.
        attach(set_value("suppress_instrumentation", True))  # noqa: FBT003 - the API's signature
        while not self._closed or self._items:
            request = self._next_request()
            ok = self._export_waiting()
            if request is not None:
                request.finish(ok=ok and self.failures == request.failures)

    def _next_request(self) -> Flush | None:
        try:
            return self._requests.get(timeout=self.delay)
        except Empty:
            return None
        finally:
            self._woken = False

    def _export_waiting(self) -> bool:
        """Export in batches what waits at the start; after a failure the rest waits for the next turn."""
        waiting = len(self)
        while waiting > 0:
            items = self._drain(self.batch)
            if not items:
                break
            if not self._export(items):
                return False
            waiting -= sum(map(messages, items))
        return True

    def _export(self, items: list[T]) -> bool:
        self._in_flight.append(sum(map(self._size, items)))
        result, error = attempt(self._send, items)
        n = self._take_in_flight()
        if getattr(result, "name", None) == "SUCCESS":
            self._outage.worked(self.what)
            return True
        self.failures += 1
        if n:
            self._on_drop(self.what, "export", min(n, getattr(result, "lost", n)))
        reason = type(error).__name__ if error else getattr(_exporting, "reason", "the exporter reported a failure")
        self._outage.failed(self.what, reason)
        return False

    def _send(self, items: list[T]) -> Any:
        _exporting.__dict__.pop("reason", None)
        if self.exporter is None:
            self.exporter = self._make()
        return self.exporter.export(self._payload(items))

    def _drain(self, most: int) -> list[T]:
        """Take items of at most so many messages, but one at least."""
        items: list[T] = []
        taken = 0
        with suppress(IndexError):
            while taken < most:
                item = self._items.popleft()
                count = messages(item)
                if items and taken + count > most:
                    self._items.appendleft(item)
                    break
                items.append(item)
                taken += count
                self._more_taken += count - 1
        return items

    def _take_in_flight(self) -> int:
        """Return how many items the current export holds; whoever takes the number counts them, once."""
        try:
            return self._in_flight.pop()
        except IndexError:
            return 0


def exporting() -> bool:
    """Return whether this is the thread of a queue."""
    return getattr(_exporting, "active", False)
