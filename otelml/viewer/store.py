"""What was received, in DuckDB: in memory, or in a file that survives the process, also when it is killed.

A request is stored whole or not at all, and is on the disk when ``add`` returns. Readers wait for nobody: a query sees
what was stored when it began.
"""

from __future__ import annotations

import logging
import threading
import time
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Self

from otelml.viewer import decode, schema
from otelml.viewer.database import MIB, Database, StoreError
from otelml.viewer.decode import SIGNALS, Signal
from otelml.viewer.encoding import loads
from otelml.viewer.ingest import Ingest
from otelml.viewer.ledger import Ledger

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable, Sequence
    from types import TracebackType

    from otelml.viewer.rows import Attributes, LogRecord, MetricPoint, Span, Value

__all__ = ["MAX_BYTES", "MAX_BYTES_IN_MEMORY", "MAX_SERIES", "Store", "StoreError"]

MAX_BYTES = 2048 * MIB
MAX_BYTES_IN_MEMORY = 512 * MIB
MAX_SERIES = 50_000
_ROOM = 256 * MIB
"""What DuckDB may take to work in, beside what is stored in memory."""
_DECODE: dict[Signal, Callable[[Any], list[Any]]] = {
    "traces": decode.spans,
    "metrics": decode.metric_points,
    "logs": decode.logs,
}


logger = logging.getLogger(__name__)


class Store:
    """Spans, log records and metric points as they were received. Safe to use from any thread.

    Args:
        path: DuckDB file, made when absent; None keeps everything in memory.
        max_bytes: Size at which the oldest rows go, over all signals alike, and ``pruned`` counts them; 2 GiB for a
            file and 512 MiB in memory unless given. Counts by name, totals and latest points still include them.
        max_series: Metric series kept; points of further ones are not stored, and ``refused`` counts them.

    Raises:
        StoreError: The file is no store, is of another version, is in use, or can't be written; or DuckDB is not
            installed.
    """

    def __init__(self, path: str | None = None, *, max_bytes: int | None = None, max_series: int = MAX_SERIES) -> None:
        self.path = path
        self.max_bytes = max_bytes or (MAX_BYTES_IN_MEMORY if path is None else MAX_BYTES)
        self._arrived = threading.Condition()
        self.arrivals = 0
        """Requests that arrived since this store was opened: when it has not moved, nothing has."""
        self._resource: Callable[[str], Attributes] = lru_cache(1000)(loads)
        self._db = Database(path) if path is not None else Database(None, self.max_bytes + _ROOM)
        self.max_series = max_series
        self._ledger = Ledger(max_series)
        try:
            self._ledger.load(self._db, self._resource)
            self._ingest = Ingest(self._db, self._ledger, self.max_bytes)
        except self._db.error as error:
            self._db.close()
            raise StoreError(f"cannot read the store {path}: {error}. Give another file.") from error

    def close(self) -> None:
        """Close the file. The store can't be used after that."""
        try:
            if self.path is not None:
                self._ingest.settle()
        except StoreError:  # no room on the disk: what is not written down is counted when the file is opened
            logger.warning("the store's counts could not be written down", exc_info=True)
        finally:
            self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    # In -------------------------------------------------------------------------------------------------------

    def add(self, signal: Signal, request: Any) -> int:
        """Store an OTLP request message (``Export...ServiceRequest``); it is on the disk when this returns.

        Returns:
            How many of its metric points were refused, because they would have made more than ``max_series`` series.

        Raises:
            MalformedError: An attribute of it is none; nothing of the request was stored.
            StoreError: DuckDB can't write; nothing of the request was stored.
        """
        rows = _DECODE[signal](request)
        refused = self._ingest.add(signal, rows, request.ByteSize())
        self._tell()
        return refused

    def clear(self) -> None:
        """Forget everything, counters included."""
        self._ingest.clear()
        self._tell()

    # Out, row by row ------------------------------------------------------------------------------------------

    def spans(self, name: str | None = None, trace_id: str | None = None, since: int | None = None) -> list[Span]:
        """Return spans in the order of arrival; ``since`` is the earliest end, in nanoseconds since the epoch."""
        where = {"name = ?": name, "trace_id = ?": trace_id, "end_ns >= ?": since}
        return [schema.span(row, self._resource) for row in self._rows("spans", where)]

    def logs(self, event_name: str | None = None, trace_id: str | None = None) -> list[LogRecord]:
        """Return log records in the order of arrival."""
        where: dict[str, str | int | None] = {"event_name = ?": event_name, "trace_id = ?": trace_id}
        return [schema.log(row, self._resource) for row in self._rows("logs", where)]

    def metric_points(self, name: str | None = None) -> list[MetricPoint]:
        """Return metric points as they were received, in the order of arrival."""
        where = "" if name is None else " WHERE s.name = ?"
        rows = self.query(f"{schema.SELECT_POINTS}{where} ORDER BY p.id", [] if name is None else [name])
        return [schema.point(row, self._resource) for row in rows]

    # Out, summed up -------------------------------------------------------------------------------------------

    def latest(self, name: str) -> list[MetricPoint]:
        """Return the latest point of each series of a metric: cumulative data as it stands, delta data added up.

        A series is a set of attributes of a resource and scope. A restarted counter or histogram (same attributes,
        new start time) is a series of its own, so that totals survive restarts.
        """
        latest = self._ledger.latest
        return [latest[series_id] for series_id in self._ledger.series_by_name.get(name, ()) if series_id in latest]

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
        return dict(sorted(self._ledger.names["traces"].copy().items()))

    def counts_by_event_name(self) -> dict[str, int]:
        """Return how many log records of each event name were received, pruned ones included."""
        counts = self._ledger.names["logs"].copy()
        return {name: count for name, count in sorted(counts.items()) if name}

    @property
    def requests(self) -> dict[Signal, int]:
        """Requests stored so far, by signal."""
        return _by_signal(self._ledger.requests)

    @property
    def received(self) -> dict[Signal, int]:
        """Spans, metric points and log records stored so far, pruned ones included."""
        return _by_signal(self._ledger.received)

    @property
    def pruned(self) -> dict[Signal, int]:
        """Spans, metric points and log records removed to stay within ``max_bytes``."""
        return _by_signal(self._ledger.pruned)

    @property
    def refused(self) -> dict[Signal, int]:
        """Metric points that were not stored, because they would have made more than ``max_series`` series."""
        return _by_signal(self._ledger.refused)

    @property
    def size(self) -> int:
        """Bytes in use, to compare with ``max_bytes``."""
        return self._db.size()

    @property
    def metric_names(self) -> list[str]:
        """Names of the metrics received, sorted."""
        return sorted(self._ledger.series_by_name.copy())

    def query(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Return the rows of a SQL query over the tables in ``schema``; runs beside writers and other queries."""
        return self._db.read(sql, parameters)

    def cursor(self) -> Any:
        """Return a DuckDB cursor of its own, for a query that may be interrupted; close it."""
        return self._db.cursor()

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
            arrivals = self.arrivals
            if predicate(self):
                return True
            with self._arrived:
                left = deadline - time.monotonic()
                if left <= 0 or not self._arrived.wait_for(lambda: self.arrivals != arrivals, left):  # noqa: B023 - runs within this turn of the loop
                    return bool(predicate(self))

    # Inside ---------------------------------------------------------------------------------------------------

    def _tell(self) -> None:
        with self._arrived:
            self.arrivals += 1
            self._arrived.notify_all()

    def _rows(self, table: str, where: dict[str, str | int | None]) -> list[tuple[Any, ...]]:
        wanted = {condition: value for condition, value in where.items() if value is not None}
        clause = f" WHERE {' AND '.join(wanted)}" if wanted else ""
        sql = f"SELECT {schema.columns(table)} FROM {table}{clause} ORDER BY id"  # noqa: S608 - constants only
        return self.query(sql, list(wanted.values()))


def _by_signal(counts: Counter[Signal]) -> dict[Signal, int]:
    return {signal: counts[signal] for signal in SIGNALS}
