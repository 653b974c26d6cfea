"""What was received, in SQLite: in memory, or in a file that survives the process.

One connection behind one lock: a request is inserted in one transaction, and a reader sees all of it or nothing.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self

from otelml.errors import OtelmlError
from otelml.viewer import decode, schema
from otelml.viewer.decode import SIGNALS, Group, Signal
from otelml.viewer.encoding import dumps, loads
from otelml.viewer.folding import fold
from otelml.viewer.rows import Attributes, LogRecord, MetricPoint, Scope, Span, Value

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from types import TracebackType

MAX_ROWS = 1_000_000


class StoreError(OtelmlError):
    """The store's file can't be opened or used; the message says why."""


class Store:
    """Spans, log records and metric points as they were received. Safe to use from any thread.

    Args:
        path: SQLite file, made when absent; None keeps everything in memory.
        max_rows: Rows kept per signal (spans, log records, metric points); the oldest received go first, and
            ``pruned`` counts them. Counts by name, totals and latest points still include what was pruned.

    Raises:
        StoreError: The file is no store, is of another version, or can't be written.
    """

    def __init__(self, path: str | None = None, *, max_rows: int = MAX_ROWS) -> None:
        self.path = path
        self.max_rows = max_rows
        self._lock = threading.RLock()
        self._arrived = threading.Condition()
        self._arrivals = 0
        try:
            self._db = _opened(path)
        except sqlite3.Error as error:
            raise StoreError(f"cannot open the store {path}: {error}") from error
        self._forget()
        self._load()

    def close(self) -> None:
        """Close the file. The store can't be used after that."""
        with self._lock:
            self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    # In -------------------------------------------------------------------------------------------------------

    def add(self, signal: Signal, request: Any) -> int:
        """Store an OTLP request message (``Export...ServiceRequest``) in one transaction.

        Returns:
            The number of spans, log records or metric points in it.

        Raises:
            StoreError: SQLite can't write; nothing of the request was stored.
        """
        if signal == "metrics":
            points = decode.metric_points(request)
            with self._writing():
                added = self._add_points(points)
                self._count(signal, added)
        else:
            groups = decode.spans(request) if signal == "traces" else decode.logs(request)
            with self._writing():
                added = self._add_rows(signal, groups)
                self._count(signal, added)
        self._tell()
        return added

    def clear(self) -> None:
        """Forget everything, counters included."""
        with self._writing():
            for table in ("spans", "logs", "points", "latest", "series", "names", "counters", "scopes", "resources"):
                self._db.execute(f"DELETE FROM {table}")  # noqa: S608 - the names above
            self._forget()
        self._tell()

    # Out, row by row ------------------------------------------------------------------------------------------

    def spans(self, name: str | None = None, trace_id: str | None = None, since: int | None = None) -> list[Span]:
        """Return spans in the order of arrival; ``since`` is the earliest end, in nanoseconds since the epoch."""
        where = {"n.signal": "traces", "n.name": name, "s.trace_id": trace_id}
        rows = self._select(schema.SELECT_SPANS, where, "s.end_ns >= ?" if since is not None else "", since, "s.id")
        return [schema.span(row[:-1], self._resource(row[-1])) for row in rows]

    def logs(self, event_name: str | None = None, trace_id: str | None = None) -> list[LogRecord]:
        """Return log records in the order of arrival."""
        where = {"n.signal": "logs", "n.name": event_name, "l.trace_id": trace_id}
        rows = self._select(schema.SELECT_LOGS, where, "", None, "l.id")
        return [schema.log(row[:-1], self._resource(row[-1])) for row in rows]

    def metric_points(self, name: str | None = None) -> list[MetricPoint]:
        """Return metric points as they were received, in the order of arrival."""
        rows = self._select(schema.select_points("points"), {"e.name": name}, "", None, "p.id")
        return [schema.point(row[:-1], self._resource(row[-1])) for row in rows]

    # Out, summed up -------------------------------------------------------------------------------------------

    def latest(self, name: str) -> list[MetricPoint]:
        """Return the latest point of each series of a metric: cumulative data as it stands, delta data added up.

        A series is a set of attributes of a resource and scope. A restarted counter or histogram (same attributes,
        new start time) is a series of its own, so that totals survive restarts.
        """
        with self._lock:
            return [self._latest[series_id] for series_id in self._series_by_name.get(name, ())]

    def total(self, name: str, **attributes: Value) -> float:
        """Return the sum over the latest points of a metric: counter and gauge values, counts of histograms.

        Args:
            name: Metric name.
            attributes: Only points that have these values; a name with dots goes in as ``**{"error.type": "..."}``,
                and None asks for points without the attribute.
        """
        wanted = attributes.items()
        points = [point for point in self.latest(name) if all(point.attributes.get(key) == is_ for key, is_ in wanted)]
        return sum(point.count if point.value is None else point.value for point in points)  # type: ignore[misc]

    def counts_by_span_name(self) -> dict[str, int]:
        """Return how many spans of each name were received, pruned ones included."""
        return self._received("traces")

    def counts_by_event_name(self) -> dict[str, int]:
        """Return how many log records of each event name were received, pruned ones included."""
        counts = self._received("logs")
        counts.pop("", None)
        return counts

    @property
    def requests(self) -> dict[Signal, int]:
        """Requests stored so far, by signal."""
        return self._counted("requests")

    @property
    def received(self) -> dict[Signal, int]:
        """Spans, metric points and log records stored so far, pruned ones included."""
        return self._counted("received")

    @property
    def pruned(self) -> dict[Signal, int]:
        """Spans, metric points and log records removed to stay within ``max_rows``."""
        return self._counted("pruned")

    @property
    def metric_names(self) -> list[str]:
        """Names of the metrics received, sorted."""
        with self._lock:
            return sorted(self._series_by_name)

    def query(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Return the rows of a SQL query over the tables in ``schema``."""
        with self._lock:
            return self._db.execute(sql, parameters).fetchall()

    def wait_for(self, predicate: Callable[[Store], object], timeout: float = 10.0) -> bool:
        """Wait until ``predicate(store)`` is true, looking again whenever something arrives.

        Args:
            predicate: Called with this store, in the caller's thread, with no lock held.
            timeout: Seconds to wait at most.

        Returns:
            Whether it came true in time.
        """
        deadline = time.monotonic() + timeout
        while True:
            arrivals = self._arrivals
            if predicate(self):
                return True
            with self._arrived:
                left = deadline - time.monotonic()
                if left <= 0 or not self._arrived.wait_for(lambda: self._arrivals != arrivals, left):  # noqa: B023 - runs within this turn of the loop
                    return bool(predicate(self))

    # Inside ---------------------------------------------------------------------------------------------------

    def _forget(self) -> None:
        self._resource_ids: dict[str, int] = {}
        self._resources: dict[str, Attributes] = {}
        self._scope_ids: dict[Scope, int] = {}
        self._name_ids: dict[tuple[Signal, str], int] = {}
        self._series_ids: dict[str, int] = {}
        self._series_by_name: dict[str, list[int]] = {}
        self._latest: dict[int, MetricPoint] = {}
        self._kept: dict[Signal, int] = dict.fromkeys(SIGNALS, 0)

    def _load(self) -> None:
        """Take up what a file already holds."""
        self._resource_ids = {text: key for key, text in self._db.execute("SELECT id, attributes FROM resources")}
        self._scope_ids = {Scope(*row[1:]): row[0] for row in self._db.execute("SELECT * FROM scopes")}
        names = self._db.execute("SELECT id, signal, name FROM names")
        self._name_ids = {(signal, name): key for key, signal, name in names}
        for series_id, key, name in self._db.execute("SELECT id, key, name FROM series ORDER BY id"):
            self._series_ids[key] = series_id
            self._series_by_name.setdefault(name, []).append(series_id)
        for row in self._db.execute(schema.select_points("latest")):
            self._latest[row[6]] = schema.point(row[:-1], self._resource(row[-1]))
        for signal, table in schema.ROWS.items():
            (self._kept[signal],) = self._db.execute(f"SELECT COUNT(*) FROM {table}").fetchone()  # noqa: S608 - ours

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Hold the lock for one transaction, which ends whole or not at all."""
        with self._lock:
            try:
                self._db.execute("BEGIN IMMEDIATE")
                yield
                self._db.execute("COMMIT")
            except BaseException as error:
                self._undo()
                if isinstance(error, sqlite3.Error):
                    raise StoreError(f"cannot write to the store: {error}") from error
                raise

    def _undo(self) -> None:
        """Roll back, and drop from memory whatever the transaction had put there."""
        if self._db.in_transaction:
            self._db.execute("ROLLBACK")
        self._forget()
        self._load()

    def _tell(self) -> None:
        with self._arrived:
            self._arrivals += 1
            self._arrived.notify_all()

    def _add_rows(self, signal: Signal, groups: list[Group]) -> int:
        counts: dict[int, int] = {}
        rows: list[tuple[Any, ...]] = []
        for group in groups:
            origin = (self._scope_id(group.scope), self._resource_id(dumps(group.resource)))
            for row in group.rows:
                name_id = self._name_id(signal, row[0])
                counts[name_id] = counts.get(name_id, 0) + 1
                rows.append((name_id, *row[1:], *origin))
        self._db.executemany(schema.INSERT_SPAN if signal == "traces" else schema.INSERT_LOG, rows)
        received = [(count, name_id) for name_id, count in counts.items()]
        self._db.executemany("UPDATE names SET received = received + ? WHERE id = ?", received)
        return len(rows)

    def _add_points(self, points: list[MetricPoint]) -> int:
        rows: list[tuple[Any, ...]] = []
        changed: set[int] = set()
        for point in points:
            series_id = self._series_id(point)
            rows.append(schema.point_row(series_id, point))
            self._latest[series_id] = fold(self._latest.get(series_id), point)
            changed.add(series_id)
        self._db.executemany(schema.INSERT_POINT, rows)
        latest = [schema.point_row(series_id, self._latest[series_id]) for series_id in changed]
        self._db.executemany(schema.REPLACE_LATEST, latest)
        return len(rows)

    def _count(self, signal: Signal, added: int) -> None:
        kept = self._kept[signal] + added
        excess = max(0, kept - self.max_rows)
        if excess:
            table = schema.ROWS[signal]
            oldest = f"SELECT id FROM {table} ORDER BY id LIMIT 1 OFFSET ?"  # noqa: S608 - a name of ours
            last = self.query(oldest, (excess - 1,))[0][0]
            self._db.execute(f"DELETE FROM {table} WHERE id <= ?", (last,))  # noqa: S608 - a name of ours
        self._kept[signal] = kept - excess
        self._db.execute(
            "INSERT INTO counters VALUES (?1, 1, ?2, ?3) ON CONFLICT (signal) DO UPDATE SET"
            " requests = requests + 1, received = received + ?2, pruned = pruned + ?3",
            (signal, added, excess),
        )

    def _resource_id(self, text: str) -> int:
        found = self._resource_ids.get(text)
        if found is None:
            found = self._insert("INSERT INTO resources VALUES (NULL, ?)", (text,))
            self._resource_ids[text] = found
        return found

    def _scope_id(self, scope: Scope) -> int:
        found = self._scope_ids.get(scope)
        if found is None:
            row = (scope.name, scope.version, scope.schema_url)
            found = self._insert("INSERT INTO scopes VALUES (NULL, ?, ?, ?)", row)
            self._scope_ids[scope] = found
        return found

    def _name_id(self, signal: Signal, name: str) -> int:
        found = self._name_ids.get((signal, name))
        if found is None:
            found = self._insert("INSERT INTO names (signal, name) VALUES (?, ?)", (signal, name))
            self._name_ids[signal, name] = found
        return found

    def _series_id(self, point: MetricPoint) -> int:
        resource_id = self._resource_id(dumps(point.resource))
        scope_id = self._scope_id(schema.scope_of(point))
        restarts = point.temporality == "cumulative" and (point.monotonic or point.kind != "sum")
        what: list[Value] = [point.name, point.unit, point.kind, point.temporality, point.monotonic]
        where: list[Value] = [resource_id, scope_id, point.start_ns if restarts else 0]
        key = dumps([*what, *where, sorted(point.attributes.items())])
        found = self._series_ids.get(key)
        if found is None:
            found = len(self._series_ids) + 1
            self._db.execute(schema.INSERT_SERIES, schema.series_row(found, key, point, scope_id, resource_id))
            self._series_ids[key] = found
            self._series_by_name.setdefault(point.name, []).append(found)
        return found

    def _insert(self, sql: str, row: Iterable[Any]) -> int:
        key = self._db.execute(sql, tuple(row)).lastrowid
        assert key is not None  # noqa: S101 - an INSERT that did not raise has one
        return key

    def _select(
        self, sql: str, where: dict[str, str | None], extra: str, argument: int | None, order: str
    ) -> list[tuple[Any, ...]]:
        wanted = {column: value for column, value in where.items() if value is not None}
        conditions = [f"{column} = ?" for column in wanted] + ([extra] if extra else [])
        clause = f" WHERE {' AND '.join(conditions)}" if conditions else ""
        arguments: list[str | int] = [*wanted.values(), *([argument] if argument is not None else [])]
        return self.query(f"{sql}{clause} ORDER BY {order}", arguments)

    def _resource(self, text: str) -> Attributes:
        """Return a resource's attributes; rows of one resource share one dict."""
        found = self._resources.get(text)
        if found is None:
            found = self._resources[text] = loads(text)
        return found

    def _received(self, signal: Signal) -> dict[str, int]:
        rows = self.query("SELECT name, received FROM names WHERE signal = ? ORDER BY name", (signal,))
        return dict(rows)

    def _counted(self, column: str) -> dict[Signal, int]:
        rows = dict(self.query(f"SELECT signal, {column} FROM counters"))  # noqa: S608 - a column of ours
        return {signal: rows.get(signal, 0) for signal in SIGNALS}


def _opened(path: str | None) -> sqlite3.Connection:
    db = sqlite3.connect(path or ":memory:", check_same_thread=False, isolation_level=None)
    (version,) = db.execute("PRAGMA user_version").fetchone()
    (tables,) = db.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()
    if version != schema.VERSION and (version or tables):
        db.close()
        raise StoreError(f"{path} is not a store of this version of otelml")
    if path is not None:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = NORMAL")
    db.executescript(schema.TABLES)
    db.execute(f"PRAGMA user_version = {schema.VERSION}")
    return db
