"""Log records and events: search, counts by severity over time, and the live tail."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from otelml.viewer.api.search import SEVERITIES, Condition, equal, joined, search, severity

if TYPE_CHECKING:
    from otelml.viewer.api.parameters import Asked, Window
    from otelml.viewer.store import Store

MOST = 2000
_COLUMNS = (
    *("time_ns", "observed_ns", "severity", "severity_text", "event_name", "body", "service", "trace_id", "span_id"),
    *("attributes", "resource", "scope", "model", "version"),
)
_JSON = ("attributes", "resource", "body")


def logs(store: Store, asked: Asked) -> dict[str, Any]:
    """Return log records that meet every condition, the latest first; with ``tail_after``, those that came after it.

    ``severity`` is the least one: ``warn`` shows warnings and errors.
    """
    span = asked.window()
    limit, cursor = asked.whole("limit", 200, 1, MOST), asked.text("cursor")
    tail = asked.given("tail_after")
    conditions = _wanted(asked)
    before = _place(asked, "cursor", cursor) if cursor else None
    after = _place(asked, "tail_after", tail) if tail else None
    asked.check()
    inside = [Condition("time_ns >= ? AND time_ns < ?", (span.from_ns, span.to_ns)), *conditions]
    sql, values = joined(inside)
    ((total,),) = store.query(f"SELECT count(*) FROM logs WHERE {sql}", values)  # noqa: S608 - parameters only
    counts = _counts(store, sql, values, span)
    for place, operator in ((before, "<"), (after, ">")):
        if place is not None:
            sql, values = f"{sql} AND (time_ns, id) {operator} (?, ?)", [*values, *place]
    found = rows(store, sql, values, limit=limit, latest=True)
    following = found[-1]["id"] if len(found) == limit and after is None else None
    return {"logs": found, "total": total, "next": following, "counts": counts}


def _wanted(asked: Asked) -> list[Condition]:
    found = search(asked, "logs")
    for column, name in (("service", "service"), ("event_name", "event"), ("trace_id", "trace_id")):
        found += equal(column, asked.text(name) or None)
    least = asked.choice("severity", "", ("", *SEVERITIES))
    more = severity(">=", least) if least else None
    return [*found, *([more] if more is not None else [])]


def _place(asked: Asked, name: str, text: str) -> tuple[int, int] | None:
    """Return the place of a log record in the order of time, by its id."""
    time, _, row = text.partition("-")
    if time.isascii() and row.isascii() and time.isdigit() and row.isdigit() and len(text) < 40:  # noqa: PLR2004 - two numbers
        return int(time), int(row)
    asked.fault(name, text, "the id of a log record of an earlier answer")
    return None


def rows(store: Store, where: str, values: list[Any], *, limit: int, latest: bool = False) -> list[dict[str, Any]]:
    """Return log records in the order of time (``latest``: backwards), with an id that keeps their place."""
    order = "time_ns DESC, id DESC" if latest else "time_ns, id"
    sql = f"SELECT id, {', '.join(_COLUMNS)} FROM logs WHERE {where} ORDER BY {order} LIMIT ?"  # noqa: S608 - parameters only
    return [_row(row) for row in store.query(sql, [*values, limit])]


def _row(values: tuple[Any, ...]) -> dict[str, Any]:
    row = dict(zip(_COLUMNS, values[1:], strict=True))
    row |= {name: _parsed(row[name]) for name in _JSON}
    return {"id": f"{row['time_ns']}-{values[0]}", **row}


def _parsed(value: Any) -> Any:
    if not isinstance(value, str) or not value:
        return value
    try:
        return json.loads(value)
    except ValueError:  # a body that is held as plain text
        return value


_NAMES = "CASE WHEN severity = 0 THEN 'unset' " + " ".join(
    f"WHEN severity < {low + 4} THEN '{name}'" for name, low in SEVERITIES.items()
)
_SEVERITY = f"{_NAMES} ELSE 'fatal' END"


def _counts(store: Store, sql: str, values: list[Any], span: Window) -> dict[str, Any]:
    """Return how many records of each severity there are in each bin."""
    starts = span.starts
    first = span.from_ns // span.step_ns
    found: dict[str, list[int]] = {}
    query = f"SELECT time_ns // ? AS step, {_SEVERITY} AS name, count(*) FROM logs WHERE {sql} GROUP BY ALL"  # noqa: S608 - parameters only
    for step, name, count in store.query(query, [span.step_ns, *values]):
        found.setdefault(name, [0] * len(starts))[step - first] = count
    return {"t": starts, "by_severity": {name: found[name] for name in ("unset", *SEVERITIES) if name in found}}
