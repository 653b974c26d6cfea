"""DuckDB as the store needs it: one writer, any number of readers at once, errors in plain words.

DuckDB keeps versions of what changes: a reader sees what was committed when its query began, and waits for nobody. A
commit is on the disk (in the file's log, FILE.wal) when it returns; the log is folded into the file when it has grown.
"""

from __future__ import annotations

import atexit
import math
import os
import re
import threading
import weakref
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from otelml.errors import OtelmlError
from otelml.viewer import schema

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import duckdb

MIB = 1024 * 1024
OLDEST = 2
"""Version of DuckDB: of pruned files 1.4 and 1.5.0 gave back other texts than were stored, and 1.5 outgrew the cap."""
MEMORY = 192 * MIB
"""What DuckDB may take for a file; the process has its own besides."""
ROW_GROUP = 30_720
"""Rows that are stored together. DuckDB's own 122,880 would be one fold's on one thread, and most of it again at the
next fold; these are folded side by side, once, in a third of the time."""
FOLD = 24 * MIB
"""Bytes of OTLP after which the log is folded into the file; it is two or three times as large then, and is read again
after a kill."""
_THREADS = 4
_SQLITE = b"SQLite format 3\0"
_HOLDER = re.compile(r"held in (.*) \(PID (\d+)\)")
_TYPES: Mapping[str, Any] = {"INTEGER": np.int32, "BIGINT": np.int64, "BOOLEAN": np.bool_}
_SETTINGS = (
    "SET enable_external_access = false",  # SQL reads this store and nothing else on the machine
    "SET autoinstall_known_extensions = false",
    "SET autoload_known_extensions = false",
    "SET enable_progress_bar = false",  # it writes to the terminal what takes longer than 2 s
    "SET preserve_insertion_order = false",
    "SET pandas_analyze_sample = 0",  # objects in numpy's arrays are text: a third of an insert went into looking
    "SET lock_configuration = true",
)
_NAME = "store"
"""The database within DuckDB's instance: only one that is attached can have row groups of another size."""
_open: set[Path] = set()
"""Files open in this process: DuckDB would let it open one twice, and each store counts for itself."""

_all: weakref.WeakSet[Database] = weakref.WeakSet()


class StoreError(OtelmlError):
    """The store's file can't be opened or used; the message says why."""


class Database:
    """One DuckDB, in memory or in a file.

    Args:
        path: The file, made when absent; None keeps everything in memory.
        memory: Bytes that DuckDB may take.

    Raises:
        StoreError: DuckDB is not installed or too old, or the file can't be opened: it says who has it, or what it is
            instead.
    """

    def __init__(self, path: str | None, memory: int = MEMORY) -> None:
        try:
            import duckdb  # noqa: PLC0415 - an extra, of 40 ms
        except ImportError:
            raise StoreError("the store needs DuckDB: pip install 'otelml[view]'") from None
        if int(duckdb.__version__.partition(".")[0]) < OLDEST:
            found = f"the store needs DuckDB {OLDEST} or later, and this is {duckdb.__version__}"
            raise StoreError(f"{found}: pip install 'otelml[view]'")
        self.path = path
        self.error = duckdb.Error
        self._fatal = (duckdb.FatalException, duckdb.InternalException)
        self._refused = duckdb.IOException
        self._memory = memory
        self._broken = self._closed = False
        self._mending = threading.Lock()
        self._file = None if path is None else Path(path).resolve()
        self._idle: list[duckdb.DuckDBPyConnection] = []
        self._connection: duckdb.DuckDBPyConnection | None = None
        if self._file is not None:
            _check(path, self._file)
            _open.add(self._file)
        try:
            self._connect()
        except duckdb.Error as error:
            self._leave()
            raise StoreError(_opening(path, error)) from error
        try:
            self._prepare()
        except BaseException:
            self.close()
            raise
        _all.add(self)

    def close(self) -> None:
        """Fold the log into the file and close it."""
        self._closed = True
        self._disconnect()
        self._leave()

    def read(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Return the rows of a query; from any thread, and beside a writer."""
        try:
            cursor = self._idle.pop()
        except IndexError:
            cursor = self.cursor()
        try:
            return cursor.execute(sql, parameters or None).fetchall()
        except self.error as error:
            if not self._lost(error):
                raise
            self._broken = True
            raise StoreError(f"cannot read the store: {_first_line(error)}") from error
        finally:
            if self._closed or self._broken:
                cursor.close()
            else:
                self._idle.append(cursor)

    def cursor(self) -> duckdb.DuckDBPyConnection:
        """Return a cursor of its own, for a query that may be interrupted; close it."""
        return _at_home(self._live.cursor())

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """Give one transaction, which ends whole or not at all. For one thread at a time.

        Raises:
            StoreError: DuckDB can't write.
        """
        connection = self._live
        try:
            connection.begin()
            yield Transaction(connection)
            connection.commit()
        except BaseException as error:
            with suppress(self.error):
                connection.rollback()
            self._broken = self._broken or self._lost(error)
            if isinstance(error, self.error):
                raise StoreError(f"cannot write to the store: {_first_line(error)}") from error
            raise

    def checkpoint(self) -> None:
        """Fold the log into the file, or press together what is in memory. What can't be done now is done later."""
        try:
            self._live.execute("CHECKPOINT")
        except self.error as error:  # no room on the disk; or a reader of rows that were deleted is in the way
            self._broken = self._broken or self._lost(error) or isinstance(error, self._refused)

    def size(self) -> int:
        """Return the bytes in use: of the file without what is free in it, and of its log; or of the memory."""
        if self._file is None:
            sql = "SELECT sum(memory_usage_bytes) FROM duckdb_memory() WHERE tag = 'IN_MEMORY_TABLE'"
            return int(self.read(sql)[0][0] or 0)
        sql = "SELECT used_blocks, block_size FROM pragma_database_size() WHERE database_name = ?"
        ((used, size),) = self.read(sql, [_NAME])
        log = Path(f"{self._file}.wal")
        return int(used * size) + (log.stat().st_size if log.exists() else 0)

    @property
    def _live(self) -> duckdb.DuckDBPyConnection:
        if self._broken:
            self._mend()
        if self._closed or self._connection is None:
            raise StoreError("the store is closed")
        return self._connection

    def _mend(self) -> None:
        """Open the file again: all that was committed is in its log."""
        with self._mending:
            if not self._broken or self._closed:
                return
            if self._file is None:
                raise StoreError("the store in memory is lost: restart it")
            self._disconnect()
            try:
                self._connect()
            except self.error as error:
                raise StoreError(_opening(self.path, error)) from error
            self._broken = False

    def _lost(self, error: BaseException) -> bool:
        """Say whether DuckDB does nothing more until the file is opened again."""
        return isinstance(error, self._fatal) or "has been invalidated" in str(error)

    def _connect(self) -> None:
        import duckdb  # noqa: PLC0415 - see above

        connection = duckdb.connect(":memory:", config=_configuration(self.path, self._memory))
        path = (self.path or ":memory:").replace("'", "''")
        # The older versions of the storage lack zstd.
        connection.execute(f"ATTACH '{path}' AS {_NAME} (ROW_GROUP_SIZE {ROW_GROUP}, STORAGE_VERSION 'latest')")
        for setting in _SETTINGS:
            connection.execute(setting)
        self._connection = _at_home(connection)

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        while self._idle:
            self._idle.pop().close()
        if connection is not None:
            connection.close()

    def _leave(self) -> None:
        if self._file is not None:
            _open.discard(self._file)

    def _prepare(self) -> None:
        """Make the tables in an empty database; refuse one that is another's."""
        sql = "SELECT table_name FROM duckdb_tables() WHERE database_name = ?"
        tables = {name for (name,) in self.read(sql, [_NAME])}
        if not tables:
            with self.transaction() as made:
                for table in schema.TABLES:
                    made.execute(table)
                made.execute("INSERT INTO about VALUES (?, 0)", (schema.VERSION,))
            return
        if "about" not in tables:
            raise StoreError(f"{self.path} is a DuckDB file, but no store of otelml. Give another file.")
        ((version,),) = self.read("SELECT version FROM about")
        if version != schema.VERSION:
            raise StoreError(
                f"{self.path} is a store of version {version}; this otelml reads version {schema.VERSION}. Give another"
                " file, or use the otelml that wrote it."
            )


class Transaction:
    """What can be done inside a transaction."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Run a statement and return its rows."""
        return self._connection.execute(sql, parameters or None).fetchall()

    def insert(self, table: str, rows: Sequence[Sequence[Any]], first: int | None = None) -> None:
        """Insert rows in the order of the table's columns, with ids from ``first`` on where it has any."""
        if not rows:
            return
        arrays: dict[str, Any] = {} if first is None else {"id": np.arange(first, first + len(rows), dtype=np.int64)}
        chosen = {name: f'"{name}"' for name in [*arrays, *schema.COLUMNS[table]]}
        same = []
        for (name, kind), values in zip(schema.COLUMNS[table].items(), zip(*rows, strict=True), strict=True):
            if kind != "DOUBLE" and arrays and values.count(values[0]) == len(values):
                # One sender's rows are alike in half of the columns: a value for all costs less than one a row.
                chosen[name] = f"?::{kind.partition(' ')[0]}"
                same.append(values[0])
                continue
            arrays[name] = _array(kind, values)
            if kind == "DOUBLE":  # DuckDB takes numpy's NaN for an absent value
                arrays[f"nan {name}"] = np.array([value != value for value in values], dtype=np.bool_)  # noqa: PLR0124
                chosen[name] = f'CASE WHEN "nan {name}" THEN \'nan\' ELSE "{name}" END'
        names = ", ".join(f'"{name}"' for name in chosen)
        self._connection.register("incoming", arrays)
        try:
            self.execute(f"INSERT INTO {table} ({names}) SELECT {', '.join(chosen.values())} FROM incoming", same)  # noqa: S608 - our own names
        finally:
            self._connection.unregister("incoming")


@atexit.register
def _close_all() -> None:
    """Close what is still open: a connection that outlives the interpreter makes DuckDB complain on the terminal."""
    for database in list(_all):
        database.close()


def _array(kind: str, values: Sequence[Any]) -> Any:
    if kind == "DOUBLE":
        return np.array([math.nan if value is None else value for value in values], dtype=np.float64)
    if kind in ("INTEGER", "BIGINT") and None in values:
        absent = [value is None for value in values]
        return np.ma.array([value or 0 for value in values], mask=absent, dtype=_TYPES[kind])
    return np.array(values, dtype=_TYPES.get(kind, object))


def _configuration(path: str | None, memory: int) -> dict[str, Any]:
    return {
        "threads": min(_THREADS, os.cpu_count() or 1),
        "memory_limit": f"{memory // MIB}MiB",
        # Not at a commit: the commit would stand and yet fail where there is no room to fold the log. See ingest.
        "checkpoint_threshold": "1TB",
        "temp_directory": "" if path is None else f"{path}.tmp",  # or it would be made where we stand
    }


def _at_home(connection: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyConnection:
    """Return a connection for which names are the store's: each begins in the instance's own database."""
    connection.execute(f"USE {_NAME}")
    return connection


def _check(path: str | None, file: Path) -> None:
    """Refuse a file that can't be a store before DuckDB has it."""
    if file in _open:
        raise StoreError(f"{path} is open in this process already: use the store that has it.")
    if not file.is_file():
        return
    with file.open("rb") as opened:
        head = opened.read(len(_SQLITE))
    if head == _SQLITE:
        raise StoreError(
            f"{path} is an SQLite file. Stores of otelml before 0.2 were; this one can't read them. Give another file,"
            " or delete this one."
        )


def _opening(path: str | None, error: Exception) -> str:
    """Say why a file can't be opened, and what to do."""
    holder = _HOLDER.search(str(error))
    if holder is not None:
        program, process = holder.groups()
        return (
            f"{path} is in use by process {process} ({program}), maybe another otelml view: look there, end it, or give"
            " another file (--db)."
        )
    return f"cannot open the store {path}: {_first_line(error)}. Give another file, or move this one away."


def _first_line(error: BaseException) -> str:
    return str(error).partition("\n")[0].rstrip(".!")
