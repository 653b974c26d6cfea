"""The way in: requests that arrive at once are committed together, and each returns when its own is on the disk.

A commit costs a few milliseconds however many rows it has. Whoever comes while one is under way leaves its rows and
waits; the first of those waiting then commits all of theirs. A sender by itself waits for nobody, and under load the
batches grow by themselves.
"""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from otelml.viewer import database, pruning, schema
from otelml.viewer.database import StoreError

if TYPE_CHECKING:
    from otelml.viewer.database import Database
    from otelml.viewer.decode import Signal
    from otelml.viewer.ledger import Change, Ledger

logger = logging.getLogger(__name__)

SETTLE = 1_000_000
"""Rows after which the ledger is written down, so that opening the file has little to count."""


@dataclass(slots=True)
class _Waiting:
    signal: Signal
    rows: list[Any]
    size: int
    done: bool = False
    refused: int = 0
    error: StoreError | None = None


class Ingest:
    """Commits requests in the order of their arrival, prunes, and keeps the ledger.

    Args:
        db: Where to write.
        ledger: What to keep up.
        max_bytes: Size at which the oldest rows go.
    """

    def __init__(self, db: Database, ledger: Ledger, max_bytes: int) -> None:
        self._db = db
        self._ledger = ledger
        self._max_bytes = max_bytes
        self._queue: list[_Waiting] = []
        self._queueing = threading.Lock()
        self._writing = threading.Lock()
        self._last, self._settled = self._found()
        self._unseen = self._unfolded = 0

    def add(self, signal: Signal, rows: list[Any], size: int) -> int:
        """Store one request's rows (for metrics: points); ``size`` is the bytes that it was sent in.

        Returns:
            How many of them were refused: points that would have made too many series.

        Raises:
            StoreError: DuckDB can't write; nothing of the request was stored.
        """
        mine = _Waiting(signal, rows, size)
        with self._queueing:
            self._queue.append(mine)
        with self._writing:
            if not mine.done:
                self._commit_all()
        if mine.error is not None:
            raise StoreError(str(mine.error)) from mine.error
        return mine.refused

    def clear(self) -> None:
        """Delete everything, counts included."""
        with self._writing:
            with self._db.transaction() as made:
                for table in schema.COLUMNS.keys() - {"about"}:
                    made.execute(f"DELETE FROM {table}")  # noqa: S608 - our own names
            self._ledger.forget()

    def settle(self) -> None:
        """Write the ledger down, if anything came since it was."""
        with self._writing:
            if self._settled < self._last:
                self._settle(0)

    def _commit_all(self) -> None:
        with self._queueing:
            waiting, self._queue = self._queue, []
        try:
            self._commit(waiting)
        except StoreError as error:
            for each in waiting:
                each.error = error
        finally:
            for each in waiting:
                each.done = True
        self._tidy()

    def _commit(self, waiting: list[_Waiting]) -> None:
        change = self._ledger.change((each.signal, each.rows) for each in waiting)
        with self._db.transaction() as made:
            self._ledger.write(change, made, self._last + 1)
        self._last += sum(len(rows) for rows in change.rows.values())
        self._say_refused(change)
        self._ledger.apply(change)
        for each, refused in zip(waiting, change.refused_of, strict=True):
            each.refused = refused
        self._unseen += sum(each.size for each in waiting)
        self._unfolded += sum(each.size for each in waiting)

    def _say_refused(self, change: Change) -> None:
        """Say it once that there are too many series; ``Store.refused`` goes on counting."""
        if change.refused and not self._ledger.refused:
            logger.warning(
                "more than %d metric series: points of further ones are not stored. Which attribute makes so many?",
                self._ledger.max_series,
            )

    def _tidy(self) -> None:
        """Fold the log, prune where the store is full, settle, each where it is time."""
        if self._unfolded >= database.FOLD:
            self._unfolded = 0
            self._db.checkpoint()
        if self._unseen < pruning.EVERY * self._max_bytes:
            return
        self._unseen = 0
        cut = pruning.cut(self._db, self._max_bytes, self._last)
        if cut or self._last - self._settled > SETTLE:
            self._settle(cut)

    def _settle(self, cut: int) -> None:
        with self._db.transaction() as made:
            pruned = pruning.prune(made, cut)
            self._ledger.pruned.update(pruned)
            self._ledger.settle(made, self._last)
        self._ledger.settled()
        self._settled = self._last

    def _found(self) -> tuple[int, int]:
        """Return the last id there is, and the last one that the ledger in the file has."""
        lasts = [self._db.read(f"SELECT max(id) FROM {table}")[0][0] for table in schema.ROWS.values()]  # noqa: S608 - ours
        settled = self._db.read("SELECT settled FROM about")[0][0]
        return max([settled, *(last for last in lasts if last is not None)]), settled
