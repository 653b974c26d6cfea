"""Numbers of calls and of those that failed, by minute, beside the predictions: the error rate of a version.

Counts and not rows: a failed call has no truth to wait for, its id may be used again by the attempt that succeeds, and
one that fails says nothing of how many rows it would have predicted.
"""

from __future__ import annotations

import threading
from collections import Counter
from typing import TYPE_CHECKING, Any

from otelml._guard import attempt
from otelml.outcomes.rows import name

if TYPE_CHECKING:
    from collections.abc import Callable

    from otelml.columns import Columns
    from otelml.outcomes.database import Database

MINUTE = 60
MAX_WAITING = 10_000
"""Counts that wait while the database takes nothing: a week of one model that fails in no way."""
NANOSECONDS = 10**9
_ADD = """INSERT INTO otelml_calls (model, version, time, error, n) VALUES (:model, :version, :time, :error, :n)
    ON CONFLICT (model, version, time, error) DO UPDATE SET n = otelml_calls.n + excluded.n"""
_RATE = """SELECT SUM(n), SUM(CASE WHEN error <> '' THEN n ELSE 0 END) FROM otelml_calls
    WHERE model = :model AND version = :version AND time > :since"""


class Calls:
    """Counts that are not in the database yet, by (model, version, start of the minute, error or nothing)."""

    def __init__(self, drop: Callable[[str, str, int], None]) -> None:
        self._drop, self._lock = drop, threading.RLock()
        self._counts: Counter[tuple[str, str, int, str]] = Counter()

    def add(self, columns: Columns) -> None:
        """Count ended calls, from the recorder's thread."""
        series, error = columns.series, name(columns.error or "")
        minutes = (columns.ended + columns.offset) // (MINUTE * NANOSECONDS) * MINUTE
        for minute, n in Counter(minutes.tolist()).items():
            self._count((name(series.model), name(series.version or ""), minute, error), n)

    def _count(self, key: tuple[str, str, int, str], n: int) -> None:
        with self._lock:
            if key in self._counts or len(self._counts) < MAX_WAITING:
                self._counts[key] += n
                return
        self._drop("call", "outcomes_buffer", n)

    def write(self, database: Database) -> None:
        """Add all to what the database holds; where it takes nothing they wait on.

        Raises:
            DatabaseError: It takes nothing.
        """
        taken = self._take()
        if taken:
            _, error = attempt(_write, database, taken)
            if error is not None:
                for key, n in taken.items():
                    self._count(key, n)
                raise error

    def lose(self) -> None:
        """Count what can't be written any more as dropped."""
        self._drop("call", "shutdown", self._take().total())

    def _take(self) -> Counter[tuple[str, str, int, str]]:
        with self._lock:
            taken, self._counts = self._counts, Counter()
        return taken


def _write(database: Database, counts: Counter[tuple[str, str, int, str]]) -> None:
    rows: list[dict[str, Any]] = [
        {"model": model, "version": version, "time": minute, "error": error, "n": n}
        for (model, version, minute, error), n in counts.items()
    ]
    with database.transaction():
        database.execute_many(_ADD, rows)


def counted(database: Database, model: str, version: str, since: float) -> tuple[int, int]:
    """Return how many calls of a version ended, and how many of them failed, since the minute of a time (s)."""
    ((ended, failed),) = database.select(_RATE, {"model": model, "version": version, "since": since - MINUTE})
    return int(ended or 0), int(failed or 0)
