"""Outcomes in an SQLite file: write-ahead log, every commit on the disk before it counts."""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager, suppress
from pathlib import Path
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any

from otelml.outcomes.database import DatabaseError, RefusedError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

LOG_BYTES = 4 << 20
"""Size from which the write-ahead log is moved into the file."""


class SQLite:
    """One connection. ``synchronous=FULL``: a committed truth survives kill -9 and a power cut.

    The log is moved into the file by us, with the writers' lock held, and not by SQLite after any commit: before
    3.51.3 a writer that starts the log anew in that moment can make committed rows vanish
    (https://sqlite.org/wal.html#walresetbug).
    """

    def __init__(self, path: str, timeout: float) -> None:
        self._log = Path(f"{path}-wal")
        with _failing():
            # A connection is made and used by one thread; closing it may fall to another.
            self._connection = sqlite3.connect(path, timeout, isolation_level=None, check_same_thread=False)
        try:
            self._use_log(monotonic() + timeout)
            for pragma in (
                "synchronous = FULL",
                "wal_autocheckpoint = 0",
                "temp_store = MEMORY",
                "cache_size = -16000",
            ):
                self.select(f"PRAGMA {pragma}")
        except DatabaseError:
            self.close()
            raise

    def _use_log(self, end: float) -> None:
        """Switch to the write-ahead log; SQLite does not wait by itself for others that open the same new file."""
        while True:
            try:
                self.select("PRAGMA journal_mode = WAL")
            except DatabaseError as error:
                if "locked" not in str(error) or monotonic() >= end:
                    raise
                sleep(0.01)
            else:
                return

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Write all inside or nothing; IMMEDIATE, so that nobody else writes between our reads and our writes."""
        self.execute("BEGIN IMMEDIATE")
        try:
            yield
            self.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                self._connection.rollback()
            raise
        self._shorten_log()

    def _shorten_log(self) -> None:
        """Move a long log into the file and empty it; what was committed stays committed where that fails."""
        with suppress(OSError, DatabaseError):
            if self._log.stat().st_size >= LOG_BYTES:
                self.select("PRAGMA wal_checkpoint(TRUNCATE)")

    def select(self, statement: str, parameters: Mapping[str, Any] | None = None) -> list[tuple[Any, ...]]:
        """Return the rows of a query."""
        with _failing():
            return self._connection.execute(statement, parameters or {}).fetchall()

    def execute(self, statement: str, parameters: Mapping[str, Any] | None = None) -> int:
        """Run a statement; return how many rows it changed."""
        with _failing():
            return self._connection.execute(statement, parameters or {}).rowcount

    def execute_many(self, statement: str, parameters: Sequence[Mapping[str, Any]]) -> int:
        """Run a statement for each of many parameters; return how many rows were changed."""
        with _failing():
            return self._connection.executemany(statement, parameters).rowcount if parameters else 0

    @staticmethod
    def floor(expression: str) -> str:
        """Return the SQL of the largest whole number not above an expression that is at least 0."""
        return f"CAST({expression} AS INTEGER)"

    def close(self) -> None:
        """Close the file."""
        self._connection.close()


@contextmanager
def _failing() -> Iterator[None]:
    try:
        yield
    except (sqlite3.IntegrityError, sqlite3.DataError, sqlite3.InterfaceError) as error:
        raise RefusedError(str(error)) from error
    except sqlite3.Error as error:
        raise DatabaseError(str(error)) from error
