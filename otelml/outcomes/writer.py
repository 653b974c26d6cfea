"""Takes predictions and truths from any thread and writes them to the database on a thread of its own.

While the database is locked, full, corrupt or down, what comes goes to the spool on the disk; it is written when the
database is back. The application is never blocked: putting something here costs an append to a bounded buffer.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Any

from otelml._guard import attempt, guard, logger
from otelml._parse import without_password
from otelml.errors import MissingExtraError
from otelml.outcomes import joining, rows, window
from otelml.outcomes.calls import Calls
from otelml.outcomes.database import DatabaseError, RefusedError, connect
from otelml.outcomes.gathering import predicted
from otelml.outcomes.rows import Actual, Predicted
from otelml.outcomes.spool import Spool, directory
from otelml.servers import REST

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from otelml.columns import Columns
    from otelml.config import Config
    from otelml.outcomes.database import Database
    from otelml.outcomes.joining import Found
    from otelml.outcomes.reports import Reports

BATCH = 2000
"""Items in one transaction."""
TURN = 0.2
"""Seconds between turns of the thread."""
TOLD = 2.0
"""Seconds between looks for what other processes joined and do not tell."""
CALLS = 2.0
"""Seconds between additions to the numbers of calls."""
KEPT = 30.0
"""Seconds between deletions of what is too old or too much."""
RETRY = (0.5, 30.0)
"""Seconds before the first and the longest wait between two attempts to reach the database."""
TIMEOUT = 2.0
"""Seconds to wait for the database or another writer."""
_abandoned: list[Any] = []
"""Connections of the parent, in a forked child: closing them would break the parent's."""


class Outcomes:
    """The buffer, the thread and the connection. ``drop`` counts (what, where, number)."""

    def __init__(self, config: Config, reports: Reports, drop: Callable[[str, str, int], None]) -> None:
        self._config, self._reports, self._drop = config, reports, drop
        self._address = config.outcomes_database or ""
        self._bounds = joining.Bounds(config.outcomes_rows, config.outcomes_age, config.outcomes_wait)
        self.spool = Spool(directory(config.outcomes_spool, self._address))
        self._database: Database | None = None
        self._fresh()

    def _fresh(self) -> None:
        self._buffer: deque[Predicted | Actual] = deque()
        self._writing: list[Predicted | Actual] = []
        self._calls = Calls(self._drop)
        self._flushes = deque[tuple[threading.Event, list[bool]]]()
        self._stopped = self._down = False
        self.failures = self._spooled = 0
        self._wait, self._again = RETRY[0], 0.0
        self._due = dict.fromkeys(("calls", "told", "kept", "quality"), 0.0)
        self._idle()

    def _idle(self) -> None:
        self._turning, self._wake = threading.RLock(), threading.Event()
        self._thread: threading.Thread | None = None

    # On any thread --------------------------------------------------------------------------------------------

    def put(self, columns: Columns) -> None:
        """Take ended predictions, from the recorder's thread."""
        self._calls.add(columns)
        self._put(predicted(columns), "prediction")

    def record(self, prediction_id: object, actual: Any, at: float | datetime | None = None) -> int:
        """Take the truth of a prediction; return how many rows it says something about, 0 where it can't be read."""
        known = time.time() if at is None else rows.moment(at)
        truths = [] if known is None else rows.actuals(prediction_id, actual, known)
        if not truths:
            self.unreadable()
            return 0
        return self._put(truths, "outcome")

    def unreadable(self) -> None:
        """Count a truth that can't be read."""
        self._drop("outcome", "unreadable", 1)

    def _put(self, items: Sequence[Predicted | Actual], what: str) -> int:
        waiting = len(self._buffer)
        room = max(0, self._config.outcomes_buffer - waiting)
        self._buffer.extend(items[:room])
        self._drop(what, "outcomes_buffer", len(items) - room)
        if waiting >= BATCH and not self._wake.is_set():
            self._wake.set()
        return min(room, len(items))

    @property
    def unwritten(self) -> int:
        """Predictions and truths that are not in the database: in memory, and in the spool at the last look."""
        return len(self._buffer) + len(self._writing) + self._spooled

    def flush(self, timeout: float) -> bool:
        """Write everything taken so far; False where that failed or took longer than ``timeout`` seconds."""
        if self._thread is None or not self._thread.is_alive():
            return self.turn(now=True)
        done, result = threading.Event(), list[bool]()
        self._flushes.append((done, result))
        self._wake.set()
        return done.wait(timeout) and result == [True]

    def start(self) -> None:
        """Start the thread."""
        self._thread = threading.Thread(target=self._run, name="otelml-outcomes", daemon=True)
        self._thread.start()

    def stop(self, timeout: float) -> bool:
        """Write what is left, to the spool where the database takes nothing; False where something may be lost."""
        self._stopped = True
        self._wake.set()
        if self._thread is None:
            self._end()
        elif self._thread is not threading.current_thread():
            attempt(self._thread.join, timeout)
            if self._thread.is_alive():  # it waits for the database; what it is about to write is spooled as well
                self._keep_on_disk()
        return not self._buffer and not self._writing

    def rest(self) -> None:
        """End the thread, and keep what waits, until ``renew()``: threads are about to change (``servers``)."""
        before, thread = self._wake, self._thread
        self._idle()
        before.set()
        if thread is not None:
            thread.join(REST)

    def renew(self) -> None:
        """Go on after ``rest()``."""
        self._idle()
        if not self._stopped:
            self.start()

    def after_fork(self) -> None:
        """Forget what belongs to the parent and start a thread of our own."""
        _abandoned.append(self._database)
        self._database = None
        started = self._thread is not None
        self._fresh()
        self._reports.qualities, self._reports.estimates = {}, {}
        if started:
            self.start()

    # On the thread --------------------------------------------------------------------------------------------

    def _run(self) -> None:
        wake = self._wake
        while not self._stopped and wake is self._wake:
            wake.wait(TURN)
            wake.clear()
            flushes = [self._flushes.popleft() for _ in range(len(self._flushes))]
            ok = False
            with guard("outcomes.turn"):
                ok = self.turn(now=bool(flushes))
            for done, result in flushes:
                result.append(ok)
                done.set()
        with guard("outcomes.end"):
            if wake is self._wake:
                self._end()
            else:
                self._disconnect()  # the connection may be of this thread alone

    def _end(self) -> None:
        self.turn(now=True)
        with self._turning:
            self._keep_on_disk()
            self._calls.lose()
            self._disconnect()

    def turn(self, *, now: bool = False) -> bool:
        """Write what waits, tell what was found, tidy up; False where the database fails. ``now``: all is due."""
        with self._turning:
            clock = time.monotonic()
            if clock < self._again and not now:
                self._keep_on_disk()
                return False
            error = self._attempt(lambda: self._work(clock, now=now))
            if error is None:
                self._recovered()
                return True
            self._failed(error)
            return False

    def _attempt(self, work: Callable[[], None]) -> Exception | None:
        """Return what is wrong with the database; what is wrong with us is raised."""
        _, error = attempt(work)
        if error is not None and not isinstance(error, (DatabaseError, MissingExtraError)):
            self._disconnect()
            raise error
        return error

    def _work(self, clock: float, *, now: bool) -> None:
        if self._database is None:
            self._database = connect(self._address, timeout=TIMEOUT)
        database = self._database
        self._replay(database)
        while self._writing or self._buffer:
            if not self._writing:
                self._writing = [self._buffer.popleft() for _ in range(min(BATCH, len(self._buffer)))]
            found = self._write(database, self._writing)
            self._writing = []
            for each in found:
                self._tell(each)
        if self._is_due("calls", clock, CALLS, now=now):
            self._calls.write(database)
        if self._is_due("told", clock, TOLD, now=now) and self._config.outcomes_report:
            self._tell(joining.unreported(database))
        if self._is_due("kept", clock, KEPT, now=now):
            self._tell(joining.forget(database, self._bounds, time.time(), report=self._config.outcomes_report))
        if self._is_due("quality", clock, self._config.outcomes_interval, now=now) and self._config.outcomes_report:
            since = time.time() - self._config.outcomes_window
            self._reports.qualities = window.qualities(database, since)
            self._reports.estimates = window.estimates(database, since)
            took = time.monotonic() - clock
            self._due["quality"] += 10 * took  # a large window is counted less often

    def _write(self, database: Database, items: Sequence[Predicted | Actual]) -> list[Found]:
        """Write items in one transaction, or in several where the database refuses a row: that one is dropped."""
        predictions = [item for item in items if isinstance(item, Predicted)]
        truths = [item for item in items if isinstance(item, Actual)]
        try:
            return [joining.write(database, predictions, truths, time.time(), report=self._config.outcomes_report)]
        except RefusedError:
            if len(items) == 1:
                self._drop("outcome", "refused", 1)
                return []
        half = len(items) // 2
        return [*self._write(database, items[:half]), *self._write(database, items[half:])]

    def _tell(self, found: Found) -> None:
        if self._config.outcomes_report:
            with guard("outcomes.tell"):
                self._reports.tell(found, pause=self._thread is not None and not self._stopped)

    def _is_due(self, what: str, clock: float, every: float, *, now: bool) -> bool:
        due = now or clock >= self._due[what]
        if due:
            self._due[what] = clock + every
        return due

    # When the database fails ----------------------------------------------------------------------------------

    def _replay(self, database: Database) -> None:
        for items, taken in self.spool.take():
            found, error = attempt(self._write, database, items)
            if found is None or error is not None:
                taken.back()
                raise error or DatabaseError("nothing written")
            taken.done()
            for each in found:
                self._tell(each)
        self._spooled = self.spool.items()

    def _failed(self, error: Exception) -> None:
        self.failures += 1
        self._disconnect()
        self._again = time.monotonic() + self._wait
        self._wait = min(2 * self._wait, RETRY[1])
        if not self._down:
            self._down = True
            logger.warning(
                "otelml: the database of outcomes (%s) takes nothing: %s. The application goes on; predictions and "
                "truths wait in %s and are written when it is back.",
                *(without_password(self._address), error, self.spool.path),
            )
        self._keep_on_disk()

    def _recovered(self) -> None:
        self._wait, self._again = RETRY[0], 0.0
        if self._down:
            self._down = False
            logger.info("otelml: the database of outcomes takes everything again")

    def _keep_on_disk(self) -> None:
        """Move what waits in memory to the spool; where the disk takes nothing it stays, within the buffer's bound."""
        while self._writing or self._buffer:
            if not self._writing:
                self._writing = [self._buffer.popleft() for _ in range(min(BATCH, len(self._buffer)))]
            kept, error = attempt(self.spool.add, self._writing)
            if error is not None:
                break
            if not kept:
                self._drop("outcome", "spool", len(self._writing))
            self._writing = []
        self._spooled = attempt(self.spool.items)[0] or 0

    def _disconnect(self) -> None:
        database, self._database = self._database, None
        if database is not None:
            attempt(database.close)
