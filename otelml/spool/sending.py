"""The thread that sends one signal's batches: what is new first, then what had to wait, slowly.

Metrics go strictly in the order they were made, so that no series of this process goes back in time. Spans and log
records carry their own times: new ones go first, so that a long outage is not made up for at the cost of the present.
"""

from __future__ import annotations

import random
import threading
import time
from collections import deque
from typing import TYPE_CHECKING

from otelml._guard import attempt, guard, logger
from otelml.outage import begin_exporting
from otelml.spool.batches import WHAT, Batch
from otelml.spool.delivery import Fate
from otelml.spool.storing import LOOK

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from otelml.export import OnDrop
    from otelml.outage import Outage
    from otelml.spool.delivery import Delivery
    from otelml.spool.storing import Spool

MEMORY = 16 << 20
"""Bytes of requests that wait to be sent in memory; those beyond are read back from the disk."""
BACKOFF = (1.0, 30.0)
"""Seconds to wait after a first failure, and at most."""
PAUSE = 0.05
"""Seconds at least between two batches that had to wait; as long as the last one took, where that is more."""
LONGEST_ASIDE = 300.0
_GRACE = 0.1


class Sending:
    """Takes requests of one signal from the thread of its queue, writes them to the spool, and sends them."""

    def __init__(self, signal: str, spool: Spool, delivery: Delivery, on_drop: OnDrop, outage: Outage) -> None:
        self.signal, self._what = signal, WHAT[signal]
        self._spool, self._delivery, self._on_drop, self._outage = spool, delivery, on_drop, outage
        self._changed = threading.Condition()
        self._new: deque[Batch] = deque()
        self._late: deque[Batch] = deque()
        self._adopted: deque[Batch] = deque()
        self._flushes: list[Callable[[bool], None]] = []
        self._memory = 0
        self._flying: Batch | None = None
        self._failures, self._again, self._next_late = 0, 0.0, 0.0
        self._stopped = self._told = False
        spool.signals.add(signal)
        self._thread = threading.Thread(target=self._run, name=f"otelml-spool-{self._what}", daemon=True)
        self._thread.start()

    # On the queue's thread --------------------------------------------------------------------------------------

    def put(self, request: bytes, items: int) -> bool:
        """Keep a request until it is sent; False where neither the disk nor the memory takes it."""
        batch = self._spool.keep(self.signal, items, request, packed=self._failures > 0)
        with self._changed:
            down, fits = self._failures > 0, self._memory + len(request) <= MEMORY
            alone = batch is None
            if batch is None:
                # The last counts say what else was lost: they get a try even so.
                if (down and self.signal != "metrics") or not fits or self._stopped:
                    return False
                batch = Batch(self.signal, items, time.time_ns())
            if fits and (alone or not down):
                batch.data, batch.held = request, len(request)
                self._memory += batch.held
            (self._late if down else self._new).append(batch)
            self._changed.notify()
        return True

    def settle(self, finish: Callable[[bool], None]) -> None:
        """Call ``finish`` with True when all that was put so far has arrived, with False when something has not."""
        with self._changed:
            if not self._stopped:
                self._flushes.append(finish)
                self._changed.notify()
                return
        finish(False)  # noqa: FBT003 - what it takes

    def shutdown(self) -> None:
        """Stop, aborting retries; what is on the disk stays there."""
        with self._changed:
            if self._stopped:
                return
            self._stopped = True
            self._changed.notify()
        attempt(self._delivery.shutdown)
        self._thread.join(_GRACE)
        self._finish(ok=False)
        for batch in (self._flying, *self._new):
            if batch is not None and batch.folder is None:
                self._on_drop(self._what, "shutdown", batch.items)
        self._spool.leave(self.signal)

    # On its own thread ------------------------------------------------------------------------------------------

    def _run(self) -> None:
        begin_exporting()
        while not self._stopped:
            batch = None
            with guard("spool.tend"):
                self._spool.tend()
                self._adopted.extend(self._spool.arrived(self.signal))
            with guard("spool.send"):
                batch = self._next()
                if batch is not None:
                    self._send(batch)

    def _next(self) -> Batch | None:
        """Wait for a batch whose turn it is, and take it; None where there was none for a while."""
        with self._changed:
            if not self._new and not self._late:
                self._finish(ok=True)
            now = time.monotonic()
            wait = LOOK
            for line, due in self._lines(now):
                if due <= now:
                    return line.popleft()
                wait = min(wait, due - now)
            if not self._stopped:
                self._changed.wait(wait)
            return None

    def _lines(self, now: float) -> Iterator[tuple[deque[Batch], float]]:
        """Return the lines that batches wait in, in the order of their turn, each with when its next one may go."""
        hurry, ordered = bool(self._flushes), self.signal == "metrics"
        for line in (self._late, self._new, self._adopted) if ordered else (self._new, self._late, self._adopted):
            if not line:
                continue
            if hurry and line is not self._adopted:
                yield line, 0.0
                continue
            self._rotate(line, now)
            slowly = line is self._adopted or (line is self._late and not ordered)
            yield line, max(self._again, line[0].due, self._next_late if slowly else 0.0)

    @staticmethod
    def _rotate(line: deque[Batch], now: float) -> None:
        """Bring a batch to the front that need not wait on its own account."""
        for _ in range(len(line)):
            if line[0].due <= now:
                return
            line.rotate(-1)

    def _send(self, batch: Batch) -> None:
        request = self._spool.read(batch) if self._spool.take(batch) else None
        if request is not None:
            self._flying = batch
            started = time.monotonic()
            answer, error = attempt(self._delivery.send, request)
            fate, reason = answer or (Fate.ASIDE, type(error).__name__)
            ended = time.monotonic()
            self._next_late = ended + max(PAUSE, ended - started)
            self._flying = None
        with self._changed:
            self._memory -= batch.held
            batch.held = 0
        if request is None:
            return  # it was dropped to make room, or is not whole
        if fate is Fate.SENT:
            self._answered(batch)
        else:
            self._not_sent(batch, fate, reason)

    def _answered(self, batch: Batch) -> None:
        """Forget a batch that the receiver has dealt with."""
        self._spool.remove(batch)
        self._failures, self._again = 0, 0.0
        self._outage.worked(self._what)

    def _not_sent(self, batch: Batch, fate: Fate, reason: str) -> None:
        if self._stopped:
            return
        if fate is Fate.REFUSED:
            self._answered(batch)
            self._on_drop(self._what, "rejected", batch.items)
            self._say_refused(reason)
        else:
            with self._changed:
                self._fail()
                self._wait(batch, fate)
            self._outage.failed(self._what, reason)
        self._finish(ok=False)

    def _fail(self) -> None:
        pause = min(BACKOFF[0] * 2**self._failures, BACKOFF[1])
        self._failures = min(self._failures + 1, 16)
        self._again = time.monotonic() + pause * random.uniform(0.8, 1.2)  # noqa: S311 - so that processes do not come together

    def _wait(self, batch: Batch, fate: Fate) -> None:
        """Put a batch that did not arrive, and the new ones after it, where they wait: on the disk alone."""
        line = self._adopted if batch.adopted else self._late
        if fate is Fate.ASIDE:
            batch.tries += 1
            batch.due = time.monotonic() + min(2.0**batch.tries, LONGEST_ASIDE)
        waiting = [one for one in (batch, *self._new) if self._on_disk(one)]
        self._new.clear()
        if waiting[:1] == [batch]:
            (line.append if fate is Fate.ASIDE else line.appendleft)(waiting.pop(0))
        self._late.extend(waiting)

    def _on_disk(self, batch: Batch) -> bool:
        """Take a batch out of memory; one that is nowhere else is lost."""
        self._memory -= batch.held
        batch.held = 0
        self._spool.back(batch)
        if batch.folder is None:
            self._on_drop(self._what, "export", batch.items)
        return batch.folder is not None

    def _say_refused(self, reason: str) -> None:
        if not self._told:
            self._told = True
            logger.warning("otelml: the receiver refuses a batch of %s, which is dropped: %s", self.signal, reason)

    def _finish(self, *, ok: bool) -> None:
        with self._changed:
            flushes, self._flushes = self._flushes, []
        for finish in flushes:
            finish(ok)
