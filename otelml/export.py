"""Bounded queues between the application and exporters: one daemon thread each, exact counts of what was dropped.

`BatchQueue.put` takes no lock and never waits: it appends to a deque. A full queue drops the newest item. One worker
exports in batches; flush and shutdown keep their deadline even when the endpoint accepts and never answers.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from otelml import _sdk, processes
from otelml._guard import attempt
from otelml.deliveries import Deliveries
from otelml.encoding import MAX_TOGETHER, Encoded, messages
from otelml.outage import Outage, begin_exporting, take_reason
from otelml.servers import REST

if TYPE_CHECKING:
    from otelml.encoding import Home

T = TypeVar("T")
OnDrop = Callable[[str, str, int], None]
"""Called with what (``span``, ``log``, ``metric``), where (``queue``, ``export``, ``shutdown``) and how many."""

logger = logging.getLogger("otelml")
_GRACE = 0.1
PAUSE = 0.0002
"""Seconds between messages that are written together: other threads get the interpreter."""


class Exporter(Protocol):
    """What a queue needs of an exporter; the SDK's span, log and metric exporters all have it."""

    def export(self, batch: Any, /) -> Any:
        """Export a batch; anything whose ``name`` is not ``SUCCESS`` is a failure."""

    def shutdown(self) -> None:
        """Give up, aborting retries."""


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

    __slots__ = ("__dict__", "__weakref__", "_closed", "_items", "_more_put", "_more_taken",
        "_parts", "_thread", "_woken", "batch", "capacity")  # fmt: skip

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
        self._make, self._on_drop, self._outage, self._payload = make, on_drop, outage, payload
        self._size, self._closed = size or messages, False
        self.failures = 0
        self._inherited: list[Exporter] = []
        self.exporter: Exporter | None = make()
        self._reset()
        self._start()
        processes.in_each_child(self._after_fork)

    def _reset(self) -> None:
        self._items: deque[T] = deque()
        self._parts: dict[Home, deque[tuple[Any, ...]]] = {}
        # Messages in the queue beyond one an item. Only one thread at a time puts items of several, and only one takes:
        # two counters need no lock, where one would.
        self._more_put = self._more_taken = 0
        self._in_flight: deque[int] = deque()
        self.deliveries = Deliveries()
        self._idle()

    def _idle(self) -> None:
        # By its module: gevent puts a class of its own there, whose waiting lets other greenlets run.
        self._requests: queue.SimpleQueue[Flush | None] = queue.SimpleQueue()
        self._woken = False
        self._due = time.monotonic() + self.delay
        """When what waits is exported, however little it is."""
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()

    def rest(self) -> None:
        """End the thread, and keep what waits, until ``renew()``: threads are about to change (``servers``)."""
        before, thread, exporter = self._requests, self._thread, self.exporter
        self._leave_exporter()
        self._idle()
        before.put(None)
        if thread is not None:
            thread.join(REST)
        if exporter is not None and hasattr(exporter, "settle"):  # the next takes over what it has on the disk
            attempt(exporter.shutdown)

    def renew(self) -> None:
        """Go on after ``rest()``."""
        self._idle()
        if len(self):
            self._start()

    def _after_fork(self) -> None:
        """Start afresh in the child: the parent exports its own items, and its connections are not ours to use."""
        self._leave_exporter()
        self._reset()

    def _leave_exporter(self) -> None:
        """Let the worker make one of its own; the other is kept, not closed: that would speak on its connection."""
        if self.exporter is not None:
            self._inherited.append(self.exporter)
            self.exporter = None

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
            self._refuse(self._size(item))
            return False
        if count > 1:
            self._more_put += count - 1
        self._items.append(item)
        self._tell(waiting)
        return True

    def put_parts(self, parts: tuple[Any, ...], home: Home) -> bool:
        """Queue what ``home.write`` makes a message of when it is exported; False when it was dropped.

        Any thread may, at any time. Parts are numbers, texts and bytes: the garbage collector leaves such tuples alone.
        """
        try:
            here = self._parts[home]
        except KeyError:
            here = self._parts.setdefault(home, deque())
        waiting = 1 + (len(self) if len(self._parts) > 1 or self._items else len(here))
        if self._closed or waiting > self.capacity:
            self._refuse(1)
            return False
        here.append(parts)
        if waiting >= self.batch or self._thread is None or self._closed:
            self._tell(waiting)
        return True

    def _refuse(self, count: int) -> None:
        self._on_drop(self.what, "shutdown" if self._closed else "queue", count)

    def _tell(self, waiting: int) -> None:
        """Let the worker know, where enough waits."""
        if self._thread is None:
            self._start()
        if waiting >= self.batch and not self._woken:
            self._woken = True
            self._requests.put(None)
        if self._closed:
            # It was closed while we appended: no worker will come for the item.
            self._drop_left()

    def __len__(self) -> int:
        waiting = len(self._items) + self._more_put - self._more_taken
        for each in list(self._parts.values()):
            waiting += len(each)
        return waiting

    @property
    def exports(self) -> bool:
        """Whether an export is under way."""
        return bool(self._in_flight)

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
        if ok and len(self):
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
        begin_exporting()
        requests = self._requests
        while requests is self._requests and (not self._closed or len(self)):
            request, due = self._next_request(requests)
            ok = requests is self._requests and self._export_waiting(due=due or self._closed)
            if request is not None:
                self._answer(request, ok=ok and self.failures == request.failures)

    def _answer(self, request: Flush, *, ok: bool) -> None:
        """Finish a flush, now or when an exporter that sends on a thread of its own has sent all it was given."""
        settle = getattr(self.exporter, "settle", None)
        if settle is None:
            request.finish(ok=ok)
        else:
            settle(lambda arrived: request.finish(ok=ok and arrived))

    def _next_request(self, requests: queue.SimpleQueue[Flush | None]) -> tuple[Flush | None, bool]:
        """Return a flush that somebody waits for, and whether all is to be exported now: not where a batch is full."""
        try:
            request = requests.get(timeout=max(0.0, self._due - time.monotonic()))
        except queue.Empty:
            return None, True
        else:
            return request, request is not None or time.monotonic() >= self._due
        finally:
            self._woken = False

    def _export_waiting(self, *, due: bool) -> bool:
        """Export in batches what waits at the start; after a failure the rest waits for the next turn.

        Where all is ``due`` the last batch is what is left, else that waits for others.
        """
        waiting = len(self)
        if due:
            self._due = time.monotonic() + self.delay
        while waiting > 0 and (due or waiting >= self.batch):
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
            self.deliveries.worked()
            return True
        self.failures += 1
        if n:
            self._on_drop(self.what, "export", min(n, getattr(result, "lost", n)))
        self._outage.failed(self.what, type(error).__name__ if error else take_reason())
        self.deliveries.failed(error)
        return False

    def _send(self, items: list[T]) -> Any:
        take_reason()
        if self.exporter is None:
            self.exporter = self._make()
        return self.exporter.export(self._payload(items))

    def _drain(self, most: int) -> list[T]:
        """Take items of at most so many messages, but one at least."""
        items = self._joined(most)
        taken = sum(map(messages, items))
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

    def _joined(self, most: int) -> list[Any]:
        """Take messages that were put as parts, and write them."""
        items: list[Any] = []
        for home, waiting in list(self._parts.items()):
            while most > 0 and (some := _taken(waiting, min(most, MAX_TOGETHER))):
                if items:
                    time.sleep(PAUSE)
                most -= len(some)
                data, _ = attempt(_written, home, some)
                if data is None:
                    self._on_drop(self.what, "export", len(some))
                else:
                    items.append(Encoded(data, home, len(some)))
        return items

    def _take_in_flight(self) -> int:
        """Return how many items the current export holds; whoever takes the number counts them, once."""
        try:
            return self._in_flight.pop()
        except IndexError:
            return 0


if _sdk.native is not None:
    _sdk.native.use_queue(BatchQueue)


def drained(queues: list[BatchQueue[Any]], seconds: float) -> bool:
    """Wait until queues hold nothing, so that what they drop is in the last counts; False where that takes longer."""
    end = time.monotonic() + seconds
    while busy := any(len(queue) or queue.exports for queue in queues):
        if time.monotonic() > end:
            break
        time.sleep(0.005)
    return not busy


def _written(home: Home, some: list[tuple[Any, ...]]) -> bytes:
    return b"".join([home.write(*parts) for parts in some])


def _taken(waiting: deque[tuple[Any, ...]], most: int) -> list[tuple[Any, ...]]:
    some: list[tuple[Any, ...]] = []
    with suppress(IndexError):  # another thread drains it too, at the end
        while len(some) < most:
            some.append(waiting.popleft())
    return some
