"""Traces: a page of those that match, a scatter of how long they took, completion of keys and values."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from otelml.viewer.api.points import pointer
from otelml.viewer.api.search import Condition, equal, joined, search
from otelml.viewer.rows import NANOS

if TYPE_CHECKING:
    from otelml.viewer.api.parameters import Asked
    from otelml.viewer.store import Store

MOST = 1000
SCATTER, SLOWEST = 2500, 500
"""Points of the scatter: so many, evenly by trace, and so many of the slowest."""
EXACT = 20_000
"""Up to so many matching spans, the number of their traces is counted exactly."""
LOOKED_AT = 250_000
"""Spans of the range that are looked at for the scatter and the total: of more, about so many, taken here and there."""
SEARCHED = 1_000_000
"""Spans whose attributes are searched for one page; the next page goes on before them."""
_AROUND_NS = 600 * NANOS
"""Spans of one trace are looked for so long before and after the one that was found."""
_ENTRY = Condition("parent_id = '' OR kind IN ('server', 'consumer')")
"""Where a trace enters a service: found without looking at every span."""
_EACH = 4
"""Spans looked at for each trace of a page: one trace may have many that match."""
_ROUNDS = 5
_SEARCHED = "Searched back to {:%Y-%m-%d %H:%M:%S} UTC so far: Older goes on before that."


def traces(store: Store, asked: Asked) -> dict[str, Any]:
    """Return traces that have a span which meets every condition, the latest first.

    Without conditions on spans, the spans that count are those where a trace enters a service. Of a range with very
    many spans the scatter and the total are of a ``share`` of them, and attributes are searched page by page, from
    ``searched_from_ns`` on; with ``whole`` all of it.
    """
    span, whole = asked.window(), asked.flag("whole")
    limit, cursor = asked.whole("limit", 100, 1, MOST), asked.whole("cursor", 0, 0, 2**63 - 1)
    wanted = _wanted(asked)
    asked.check()
    window = _between(span.from_ns, span.to_ns)
    every, count = [window, *wanted], _count(store, window)
    paged = not whole and count > SEARCHED and any(each.reads_attributes for each in wanted)
    before = min(cursor or span.to_ns, span.to_ns)
    since = _reach(store, span.from_ns, before) if paged else span.from_ns
    inside = [_between(since, before), *wanted] if paged else every
    latest = _latest(store, inside, _EACH * limit)
    if few := len(latest) < _EACH * limit:
        summed = _Summed(1.0, len(latest), len({each["trace_id"] for each in latest}), latest, latest)
    else:
        summed = _summed(store, every, latest, 1.0 if whole else min(1.0, LOOKED_AT / max(count, 1)))
    total, exact = _total(store, inside if few else every, summed)
    begun = latest if paged or not cursor else _latest(store, [*inside, _before(cursor)], _EACH * limit)
    found, following = _page(store, inside, limit, cursor, begun)
    more = since > span.from_ns and not following
    notes = {"notes": [_SEARCHED.format(datetime.fromtimestamp(since / NANOS, UTC))]} if more else {}
    return notes | {
        "traces": found,
        "scatter": _scatter(summed),
        "share": summed.share,
        "total": total,
        "total_exact": exact and not paged,
        "next": str(since) if more else following,
        "searched_from_ns": since,
    }


def _between(from_ns: int, to_ns: int) -> Condition:
    return Condition("start_ns >= ? AND start_ns < ?", (from_ns, to_ns))


def _reach(store: Store, first: int, before: int) -> int:
    """Return from when on about ``SEARCHED`` spans began before ``before``, at least ``first``."""
    # Two questions, which the bounds of row groups answer; as one, DuckDB reads every row.
    ((last,),) = store.query("SELECT max(id) FROM spans WHERE start_ns >= ? AND start_ns < ?", (first, before))
    sql = "SELECT start_ns FROM spans WHERE id <= ? ORDER BY id DESC LIMIT 1"
    found = store.query(sql, [(last or 0) - SEARCHED])
    return max(first, found[0][0]) if found and found[0][0] < before else first


def _wanted(asked: Asked) -> list[Condition]:
    found = search(asked, "traces")
    for column in ("service", "model", "name"):
        found += equal(column, asked.text(column) or None)
    if asked.flag("errors"):
        found.append(Condition("status = 'error'"))
    whole = not found
    for name, operator in (("min_s", ">="), ("max_s", "<=")):
        seconds = asked.number(name)
        if seconds is not None:
            found.append(Condition(f"duration_ns {operator} ?", (round(seconds * NANOS),)))
    return [_ENTRY, *found] if whole else found


@dataclass(frozen=True, slots=True)
class _Summed:
    """What one look at matching spans gives: how many there are, of about how many traces, and some of them."""

    share: float
    """Of all spans, how much was looked at."""
    spans: int
    about: int
    slowest: list[dict[str, Any]]
    thinned: list[dict[str, Any]]


_POINT = {name: name for name in ("trace_id", "start_ns", "duration_ns")} | {"error": "(status = 'error')::INTEGER"}
"""What is wanted of a span, and what it is in SQL."""
_SUMMED = """
SELECT count(*), approx_count_distinct(trace_id), arg_max(span, duration_ns, {slowest}),
    arg_min(span, hash(trace_id), {thinned})
FROM (
    SELECT trace_id, duration_ns, struct_pack({point}) AS span FROM {spans} WHERE {where}
)
"""


def _latest(store: Store, inside: list[Condition], most: int) -> list[dict[str, Any]]:
    """Return the latest of the matching spans."""
    where, values = joined(inside)
    sql = f"SELECT {', '.join(_POINT.values())} FROM spans WHERE {where} ORDER BY start_ns DESC LIMIT ?"  # noqa: S608 - parameters only
    return [dict(zip(_POINT, row, strict=True)) for row in store.query(sql, [*values, most])]


def _count(store: Store, window: Condition) -> int:
    ((count,),) = store.query(f"SELECT count(*) FROM spans WHERE {window.sql}", window.parameters)  # noqa: S608 - parameters only
    return int(count)


def _summed(store: Store, inside: list[Condition], latest: list[dict[str, Any]], share: float) -> _Summed:
    where, values = joined(inside)
    spans = "spans" if share == 1 else f"(SELECT * FROM spans TABLESAMPLE system({100 * share:.6f}%))"  # noqa: S608 - a number
    point = ", ".join(f"{name} := {column}" for name, column in _POINT.items())
    sql = _SUMMED.format(slowest=SLOWEST, thinned=SCATTER, point=point, spans=spans, where=where)
    ((count, traces, slowest, thinned),) = store.query(sql, values)
    count, about = round(count / share), round(traces / share)
    if share < 1:
        # A trace whose spans lie apart counts several times: the latest traces tell how many spans one has.
        known = len({each["trace_id"] for each in latest})
        about = max(known, min(about, round(count * known / len(latest))))
    return _Summed(share, count, about, slowest or [], thinned or [])


def _total(store: Store, inside: list[Condition], summed: _Summed) -> tuple[int, bool]:
    """Return how many traces there are, and whether that was counted exactly: of very many it is estimated."""
    if summed.share < 1 or summed.spans > EXACT:
        return summed.about, False
    if summed.spans <= SCATTER:
        return len({span["trace_id"] for span in summed.thinned}), True
    where, values = joined(inside)
    ((total,),) = store.query(f"SELECT count(DISTINCT trace_id) FROM spans WHERE {where}", values)  # noqa: S608 - parameters only
    return total, True


def _page(
    store: Store, inside: list[Condition], limit: int, cursor: int, found: list[dict[str, Any]]
) -> tuple[list[dict[str, Any]], str | None]:
    """Return up to ``limit`` traces, whose latest matching spans are ``found``, and the cursor of the next page."""
    order: dict[str, int] = {}
    for _ in range(_ROUNDS):
        for span in found:
            order.setdefault(span["trace_id"], span["start_ns"])
        if len(found) < _EACH * limit or len(order) > limit:
            break
        found = _latest(store, [*inside, _before(found[-1]["start_ns"])], _EACH * limit)
    chosen = list(order)[:limit]
    more = len(order) > limit or len(found) == _EACH * limit
    shown = _rows(store, {trace_id: order[trace_id] for trace_id in chosen}, inside, cursor)
    return shown, str(order[chosen[-1]]) if more and chosen else None


def _before(start_ns: int) -> Condition:
    return Condition("start_ns < ?", (start_ns,))


_LISTED = """
WITH theirs AS MATERIALIZED (
    SELECT id FROM spans WHERE trace_id IN (SELECT unnest(?::VARCHAR[])) AND start_ns >= ? AND start_ns < ?
)
SELECT trace_id,
    coalesce(arg_min(name, start_ns) FILTER (parent_id = ''), arg_min(name, start_ns)),
    coalesce(arg_min(service, start_ns) FILTER (parent_id = ''), arg_min(service, start_ns)),
    list(DISTINCT service), min(start_ns), max(end_ns), count(*), count(*) FILTER (status = 'error'),
    max(model), max(version), {}
FROM spans WHERE id IN (SELECT id FROM theirs) GROUP BY trace_id
"""
"""The ids are looked for by themselves: the other columns of most spans are not read then."""


def _rows(store: Store, chosen: dict[str, int], inside: list[Condition], cursor: int) -> list[dict[str, Any]]:
    """Return a row for each trace; not those that an earlier page has shown, with a later span that matches."""
    if not chosen:
        return []
    # The condition may read attributes, which is most of the work: only a later page has to ask.
    where, values = joined(inside) if cursor else ("", [])
    matched = f"max(start_ns) FILTER ({where})" if cursor else "NULL"
    around = (min(chosen.values()) - _AROUND_NS, min(max(chosen.values()) + _AROUND_NS, 2**63 - 1))
    found = store.query(_LISTED.format(matched), [list(chosen), *around, *values])
    rows = [
        {
            "trace_id": row[0],
            "name": row[1],
            "service": row[2],
            "services": sorted(row[3]),
            "start_ns": row[4],
            "duration_s": (row[5] - row[4]) / NANOS,
            "spans": row[6],
            "errors": row[7],
            "model": row[8] or None,
            "version": row[9] or None,
        }
        for row in found
        if not cursor or row[10] is None or row[10] < cursor
    ]
    return sorted(rows, key=lambda row: (-row["start_ns"], row["trace_id"]))


def _scatter(summed: _Summed) -> list[list[Any]]:
    """Return points (start, seconds, error, trace), one a trace: of its longest span that was looked at."""
    longest: dict[str, list[Any]] = {}
    spans = [*summed.slowest, *summed.thinned]
    for span in sorted(spans, key=lambda span: -int(span["duration_ns"])):
        seconds = span["duration_ns"] / NANOS
        point = longest.setdefault(span["trace_id"], [span["start_ns"], seconds, 0, span["trace_id"]])
        point[2] |= span["error"]
    return sorted(longest.values(), key=lambda point: point[0])


# Completion -----------------------------------------------------------------------------------------------------

SIGNALS = {"traces": "spans", "logs": "logs", "metrics": "series"}
KEYS, VALUES, SAMPLE = 200, 50, 20_000
"""Keys and values offered at most; they are looked for in so many of the latest rows."""


def attributes(store: Store, asked: Asked) -> dict[str, Any]:
    """Return the attribute keys that begin with ``prefix``, the most frequent first, of the latest rows."""
    signal, prefix = asked.choice("signal", "traces", list(SIGNALS)), asked.text("prefix")
    asked.check()
    table = SIGNALS[signal]
    order = "" if table == "series" else f"ORDER BY {_time(table)} DESC"
    sql = f"""
        SELECT key, count(*) AS rows FROM (
            SELECT unnest(list_concat(json_keys(attributes), json_keys(resource))) AS key
            FROM (SELECT attributes, resource FROM {table} {order} LIMIT {SAMPLE})
        ) WHERE starts_with(lower(key), lower(?)) GROUP BY key ORDER BY rows DESC, key LIMIT {KEYS}
    """  # noqa: S608 - constants only
    return {"keys": [{"key": key, "count": count} for key, count in store.query(sql, [prefix])]}


def values(store: Store, asked: Asked) -> dict[str, Any]:
    """Return the values of a key that begin with ``prefix``, the most frequent first, of the latest rows."""
    signal, key = asked.choice("signal", "traces", list(SIGNALS)), asked.required("key", "http.route")
    prefix = asked.text("prefix")
    asked.check()
    table, path = SIGNALS[signal], pointer(key)
    columns = {"model", "version", "service"} | ({"name", "status", "kind", "stage"} if table == "spans" else set())
    inner = key if key in columns else "coalesce(json_extract_string(attributes, ?), json_extract_string(resource, ?))"
    own = [] if key in columns else [path, path]
    order = "" if table == "series" else f"ORDER BY {_time(table)} DESC"
    sql = f"""
        SELECT value, count(*) AS rows
        FROM (SELECT {inner} AS value FROM (SELECT * FROM {table} {order} LIMIT {SAMPLE}))
        WHERE value <> '' AND starts_with(lower(value), lower(?))
        GROUP BY value ORDER BY rows DESC, value LIMIT {VALUES}
    """  # noqa: S608 - constants only
    return {"values": [{"value": value, "count": count} for value, count in store.query(sql, [*own, prefix])]}


def _time(table: str) -> str:
    return "start_ns" if table == "spans" else "time_ns"
