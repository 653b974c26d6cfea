"""One trace: its spans in the order of the waterfall, what was on the critical path, its logs; two traces compared."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from otelml.viewer.api.logs import rows as log_rows
from otelml.viewer.api.numbers import plain
from otelml.viewer.api.parameters import NotFoundError
from otelml.viewer.rows import NANOS

if TYPE_CHECKING:
    from otelml.viewer.api.parameters import Asked
    from otelml.viewer.store import Store

    Row = dict[str, Any]

_BEFORE_NS = 60 * NANOS
"""A span links to what has begun; so far may clocks be apart."""
MOST = 10_000
"""Spans of one trace shown at most."""
_COLUMNS = (
    *("span_id", "parent_id", "name", "kind", "service", "start_ns", "duration_ns", "status", "status_message"),
    *("stage", "attributes", "events", "links", "resource", "scope", "model", "version"),
)
_JSON = ("attributes", "events", "links", "resource")


def trace(store: Store, asked: Asked) -> dict[str, Any]:
    """Return a trace as far as it was received; parents before their children, siblings by time."""
    trace_id = asked.trace_id()
    asked.check()
    spans = _ordered(_spans(store, trace_id))
    critical_path(spans)
    known = _known(store, {link["trace_id"] for row in spans for link in row["links"]})
    for row in spans:
        for link in row["links"]:
            link["known"] = link["trace_id"] in known
    start = min(row["start_ns"] for row in spans)
    end = max(row["start_ns"] + row["duration_ns"] for row in spans)
    return {
        "trace_id": trace_id,
        "start_ns": start,
        "duration_s": (end - start) / NANOS,
        "services": sorted({row["service"] for row in spans}),
        "spans": spans,
        "logs": log_rows(store, "trace_id = ?", [trace_id], limit=MOST),
        "linked_from": _linked_from(store, trace_id, start),
    }


def _spans(store: Store, trace_id: str) -> list[Row]:
    sql = f"SELECT {', '.join(_COLUMNS)} FROM spans WHERE trace_id = ? ORDER BY start_ns LIMIT {MOST}"  # noqa: S608 - constants
    found: dict[str, Row] = {}
    for values in store.query(sql, [trace_id]):
        row = dict(zip(_COLUMNS, values, strict=True))
        row |= {name: _parsed(row[name]) for name in _JSON}
        row["events"] = [_event(event) for event in row["events"] or ()]
        row["links"] = [_link(link) for link in row["links"] or ()]
        found.setdefault(row["span_id"], row)  # a span that was sent twice is shown once
    if not found:
        raise NotFoundError(f"there is no trace {trace_id} in the store", "it may have been pruned, or not yet arrived")
    return list(found.values())


def _parsed(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str) and value else value


def _event(event: Any) -> Row:
    if isinstance(event, dict):
        return event
    return {"name": event[0], "time_ns": event[1], "attributes": event[2]}


def _link(link: Any) -> Row:
    if isinstance(link, dict):
        return dict(link)
    return {"trace_id": link[0], "span_id": link[1], "attributes": link[3]}


def _known(store: Store, traces: set[str]) -> set[str]:
    if not traces:
        return set()
    sql = "SELECT DISTINCT trace_id FROM spans WHERE trace_id IN (SELECT unnest(?::VARCHAR[]))"
    return {trace_id for (trace_id,) in store.query(sql, [sorted(traces)])}


def _linked_from(store: Store, trace_id: str, start: int) -> list[Row]:
    """Return spans of other traces that link to this one: the outcome of a prediction, the batch of a request."""
    sql = """
        SELECT trace_id, span_id, name FROM spans
        WHERE links <> '[]' AND start_ns >= ? AND contains(links, ?) AND trace_id <> ? ORDER BY start_ns LIMIT 100
    """
    found = store.query(sql, [start - _BEFORE_NS, trace_id, trace_id])
    return [dict(zip(("trace_id", "span_id", "name"), row, strict=True)) for row in found]


# The waterfall --------------------------------------------------------------------------------------------------


def _ordered(spans: list[Row]) -> list[Row]:
    """Return spans as the waterfall shows them, with ``depth`` and ``orphan``; every span once, whatever was sent."""
    by_id = {row["span_id"]: row for row in spans}
    below: dict[str, list[Row]] = {}
    tops = []
    for row in spans:
        row["orphan"] = bool(row["parent_id"]) and row["parent_id"] not in by_id
        if row["parent_id"] in by_id and row["parent_id"] != row["span_id"]:
            below.setdefault(row["parent_id"], []).append(row)
        else:
            tops.append(row)
    seen: dict[str, Row] = {}
    for top in (*tops, *spans):  # spans in a cycle have no top: the first of them is one
        waiting = [(top, 0)]
        while waiting:
            row, depth = waiting.pop()
            if row["span_id"] in seen:
                continue
            seen[row["span_id"]] = row
            row["depth"] = depth
            waiting += [(child, depth + 1) for child in reversed(below.get(row["span_id"], ()))]
    return list(seen.values())


def critical_path(spans: list[Row]) -> None:
    """Set ``critical`` of each span: its parts [from_ns, to_ns] without which the trace would have ended earlier.

    From the end of a span backwards: what its last child to end left over is the span's own; within the child the
    same again. Children that run on after their parent ended, or beside a later one, don't count.
    """
    below: dict[str, list[Row]] = {}
    for row in spans:
        row["critical"] = []
        if row["depth"]:
            below.setdefault(row["parent_id"], []).append(row)
    tops = [row for row in spans if not row["depth"]]
    if not tops:
        return
    top = max(tops, key=lambda row: (not row["parent_id"], row["duration_ns"]))
    waiting = [(top, top["start_ns"] + top["duration_ns"])]
    while waiting:
        row, until = waiting.pop()
        for child in sorted(below.get(row["span_id"], ()), key=_end, reverse=True):
            end = _end(child)
            if end > until or child["start_ns"] >= until or end <= row["start_ns"]:
                continue
            if end < until:
                row["critical"].append([end, until])
            waiting.append((child, end))
            until = max(child["start_ns"], row["start_ns"])
        if until > row["start_ns"]:
            row["critical"].append([row["start_ns"], until])
        row["critical"].sort()


def _end(row: Row) -> int:
    return int(row["start_ns"] + row["duration_ns"])


# Two traces -----------------------------------------------------------------------------------------------------


def compare_traces(store: Store, asked: Asked) -> dict[str, Any]:
    """Return the time spent on each path of span names in two traces, those that differ most first."""
    a, b = asked.trace_id("a"), asked.trace_id("b")
    asked.check()
    first, second = _by_path(_ordered(_spans(store, a))), _by_path(_ordered(_spans(store, b)))
    rows = [
        {
            "path": path,
            "a_s": plain(first.get(path)),
            "b_s": plain(second.get(path)),
            "ratio": plain(second[path] / first[path]) if first.get(path) and path in second else None,
        }
        for path in first | second
    ]
    return {"rows": sorted(rows, key=lambda row: -abs((row["b_s"] or 0) - (row["a_s"] or 0)))}


def _by_path(spans: list[Row]) -> dict[str, float]:
    """Return seconds by path: ``POST /predict > predict delay > inference``; same names on one path are added up."""
    trail: list[str] = []
    found: dict[str, float] = {}
    for row in spans:
        trail[row["depth"] :] = [row["name"]]
        path = " > ".join(trail)
        found[path] = found.get(path, 0.0) + row["duration_ns"] / NANOS
    return found
