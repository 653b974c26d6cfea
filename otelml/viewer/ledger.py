"""What a store knows beyond its rows, so that pruning takes nothing from it: counts, series and their latest points.

It is held in memory. The file has what it was when it was settled last (at every pruning, and now and then); the rows
and ``commits`` that came later are counted in when the file is opened.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from otelml.viewer import schema
from otelml.viewer.attributes import lifts_of
from otelml.viewer.decode import SIGNALS, Row, Signal
from otelml.viewer.encoding import dumps, loads
from otelml.viewer.folding import fold

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from otelml.viewer.database import Database, Transaction
    from otelml.viewer.rows import Attributes, MetricPoint, Value

MAX_NAMES = 10_000
"""Span and event names that are counted each; more of them count together, and so do names that are very long."""
MAX_LENGTH = 1000
OTHERS = "(others)"
_NAME = {"traces": 3, "logs": 0}
"""Where a row of spans or logs has its name."""
_COUNTS = ("requests", "received", "refused", "pruned")


@dataclass(slots=True)
class Change:
    """What a commit adds: rows by signal, new series, and what the ledger says afterwards."""

    rows: dict[Signal, list[Row]] = field(default_factory=lambda: {signal: [] for signal in SIGNALS})
    series: list[Row] = field(default_factory=list)
    requests: Counter[Signal] = field(default_factory=Counter)
    refused: Counter[Signal] = field(default_factory=Counter)
    refused_of: list[int] = field(default_factory=list)
    """By request, in their order."""
    keys: dict[str, int] = field(default_factory=dict)
    names: dict[str, list[int]] = field(default_factory=dict)
    latest: dict[int, MetricPoint] = field(default_factory=dict)


class Ledger:
    """Counts, series and latest points. Changed by the writer alone, after its commit.

    Args:
        max_series: Series kept; points of further ones are refused and counted.
    """

    def __init__(self, max_series: int) -> None:
        self.max_series = max_series
        self.forget()

    def forget(self) -> None:
        """Start from nothing."""
        self.requests: Counter[Signal] = Counter()
        self.received: Counter[Signal] = Counter()
        self.refused: Counter[Signal] = Counter()
        self.pruned: Counter[Signal] = Counter()
        self.names: dict[Signal, Counter[str]] = {signal: Counter() for signal in SIGNALS}
        self.series_by_name: dict[str, list[int]] = {}
        self.latest: dict[int, MetricPoint] = {}
        self._keys: dict[str, int] = {}
        self._unsettled: set[int] = set()

    # A commit -------------------------------------------------------------------------------------------------

    def change(self, requests: Iterable[tuple[Signal, list[Any]]]) -> Change:
        """Return what storing these requests changes."""
        made = Change()
        for signal, sent in requests:
            made.requests[signal] += 1
            before = made.refused[signal]
            if signal == "metrics":
                self._add_points(made, sent)
            else:
                made.rows[signal] += sent
            made.refused_of.append(made.refused[signal] - before)
        return made

    def write(self, change: Change, to: Transaction, first: int) -> None:
        """Write a change, with ids from ``first`` on."""
        to.insert("series", change.series)
        for signal, table in schema.ROWS.items():
            to.insert(table, change.rows[signal], first)
            first += len(change.rows[signal])
        counts = [
            (signal, requests, len(change.rows[signal]), change.refused[signal])
            for signal, requests in change.requests.items()
        ]
        marks = ", ".join(["(?, ?, ?, ?)"] * len(counts))
        to.execute(f"INSERT INTO commits VALUES {marks}", [value for row in counts for value in row])  # noqa: S608 - marks

    def apply(self, change: Change) -> None:
        """Take up a change that was committed."""
        self.requests.update(change.requests)
        self.refused.update(change.refused)
        for signal, rows in change.rows.items():
            self.received[signal] += len(rows)
            if signal in _NAME:
                self._count(signal, Counter(row[_NAME[signal]] for row in rows))
        self._keys.update(change.keys)
        for name, added in change.names.items():
            self.series_by_name[name] = [*self.series_by_name.get(name, ()), *added]
        self.latest.update(change.latest)
        self._unsettled.update(change.latest)

    def _count(self, signal: Signal, names: Counter[str]) -> None:
        known = self.names[signal]
        for name, count in names.items():
            known[name if name in known or (len(known) < MAX_NAMES and len(name) <= MAX_LENGTH) else OTHERS] += count

    def _add_points(self, change: Change, points: list[MetricPoint]) -> None:
        for point in points:
            series_id = self._series(change, point)
            if series_id is None:
                change.refused["metrics"] += 1
                continue
            before = change.latest.get(series_id) or self.latest.get(series_id)
            change.latest[series_id] = fold(before, point)
            change.rows["metrics"].append(schema.point_row(series_id, point))

    def _series(self, change: Change, point: MetricPoint) -> int | None:
        """Return the id of a point's series, a new one where needed; None where there are too many."""
        resource = dumps(point.resource)
        restarts = point.temporality == "cumulative" and (point.monotonic or point.kind != "sum")
        what: list[Value] = [point.name, point.unit, point.kind, point.temporality, point.monotonic, resource]
        where: list[Value] = [
            point.scope,
            point.scope_version,
            point.scope_schema_url,
            point.start_ns if restarts else 0,
        ]
        text = dumps([*what, *where, sorted(point.attributes.items())])
        key = blake2b(text.encode(), digest_size=16).hexdigest()
        found = self._keys.get(key) or change.keys.get(key)
        if found is not None:
            return found
        made = len(self._keys) + len(change.keys) + 1
        if made > self.max_series:
            return None
        change.keys[key] = made
        change.names.setdefault(point.name, []).append(made)
        change.series.append(schema.series_row(made, key, point, resource, lifts_of(point.attributes)[:2]))
        return made

    # The file -------------------------------------------------------------------------------------------------

    def settle(self, to: Transaction, last: int) -> None:
        """Write what is known up to the row ``last``."""
        for table in ("totals", "names", "commits"):
            to.execute(f"DELETE FROM {table}")  # noqa: S608 - the names above
        counts = [getattr(self, name) for name in _COUNTS]
        to.insert("totals", [(signal, *(count[signal] for count in counts)) for signal in SIGNALS])
        to.insert("names", [(signal, *item) for signal in SIGNALS for item in self.names[signal].items()])
        changed = sorted(self._unsettled)
        to.execute("DELETE FROM latest WHERE series_id IN (SELECT unnest(?::BIGINT[]))", (changed,))
        to.insert("latest", [(key, dumps(schema.point_row(key, self.latest[key]))) for key in changed])
        to.execute("UPDATE about SET settled = ?", (last,))

    def settled(self) -> None:
        """Take note that ``settle`` was committed."""
        self._unsettled.clear()

    def load(self, db: Database, resource: Callable[[str], Attributes]) -> None:
        """Take up what a file holds."""
        self.forget()
        for signal, *counts in db.read("SELECT * FROM totals"):
            for name, count in zip(_COUNTS, counts, strict=True):
                getattr(self, name)[signal] += count
        for signal, requests, received, refused in db.read("SELECT * FROM commits"):
            self.requests[signal] += requests
            self.received[signal] += received
            self.refused[signal] += refused
        self._load_names(db)
        for series_id, key, name in db.read("SELECT series_id, key, name FROM series ORDER BY series_id"):
            self._keys[key] = series_id
            self.series_by_name.setdefault(name, []).append(series_id)
        self._load_latest(db, resource)

    def _load_names(self, db: Database) -> None:
        for signal, name, received in db.read("SELECT * FROM names"):
            self.names[signal][name] = received
        for signal, table, name in (("traces", "spans", "name"), ("logs", "logs", "event_name")):
            sql = f"SELECT {name}, count(*) FROM {table} WHERE id > (SELECT settled FROM about) GROUP BY ALL"  # noqa: S608 - ours
            self._count(signal, Counter(dict(db.read(sql))))  # type: ignore[arg-type]  # the two above

    def _load_latest(self, db: Database, resource: Callable[[str], Attributes]) -> None:
        sql = f"SELECT l.point, {schema.columns('series', 's.')} FROM latest l JOIN series s USING (series_id)"  # noqa: S608 - ours
        for row in db.read(sql):
            values = loads(row[0])
            self.latest[values[0]] = schema.point((*values, *row[1:]), resource)
        later = f"{schema.SELECT_POINTS} WHERE p.id > (SELECT settled FROM about)"  # noqa: S608 - constants only
        newest = "row_number() OVER (PARTITION BY p.series_id ORDER BY p.time_ns DESC, p.id DESC) = 1"
        # Of cumulative data the newest point is enough; delta points add up, one by one.
        for row in db.read(f"{later} QUALIFY s.temporality = 'delta' OR {newest} ORDER BY p.id"):
            self.latest[row[0]] = fold(self.latest.get(row[0]), schema.point(row, resource))
            self._unsettled.add(row[0])
