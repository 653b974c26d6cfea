"""The health of telemetry: what is received, where there are gaps, what is wrong with how it is made, the store."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

from otelml.viewer.api.mistakes import mistakes
from otelml.viewer.api.numbers import many
from otelml.viewer.rows import NANOS

if TYPE_CHECKING:
    from otelml.viewer.api.parameters import Asked, Window
    from otelml.viewer.store import Store

_TABLES = {"traces": ("spans", "start_ns"), "logs": ("logs", "time_ns"), "metrics": ("points", "time_ns")}
_OLDEST = """
SELECT least((SELECT min(start_ns) FROM spans), (SELECT min(time_ns) FROM logs), (SELECT min(time_ns) FROM points))
"""
MISSED = 3
"""So many export intervals without a point are a gap."""
SHORTEST_NS = 30 * NANOS
MOST = 200
_INSTANCE = "coalesce(json_extract_string(resource, '/service.instance.id'), '')"


def health(store: Store, asked: Asked) -> dict[str, Any]:
    """Return what is received over time, gaps in metrics, mistakes with their fixes, and the state of the store."""
    span = asked.window()
    asked.check()
    return {
        "received": {signal: _received(store, signal, span) for signal in _TABLES},
        "gaps": gaps(store, span),
        "mistakes": mistakes(store, span),
        "store": _store(store),
    }


def _received(store: Store, signal: str, span: Window) -> dict[str, Any]:
    table, column = _TABLES[signal]
    sql = f"SELECT {column} // ?, count(*) FROM {table} WHERE {column} >= ? AND {column} < ? GROUP BY ALL"  # noqa: S608 - constants
    first, counts = span.from_ns // span.step_ns, [0.0] * len(span.starts)
    for step, count in store.query(sql, (span.step_ns, span.from_ns, span.to_ns)):
        counts[step - first] = count
    edges = span.edges
    lengths = [float(b - a) / NANOS for a, b in pairwise(edges)]
    return {
        "items": store.received[signal],  # type: ignore[index]  # the three signals
        "requests": store.requests[signal],  # type: ignore[index]  # the same
        "in_range": int(sum(counts)),
        "t": span.starts,
        "per_s": many(count / length for count, length in zip(counts, lengths, strict=True)),
    }


def gaps(store: Store, span: Window) -> list[dict[str, Any]]:
    """Return when an instance sent no metrics for several of its usual intervals, the latest first."""
    sql = f"""
        WITH arrived AS (
            SELECT DISTINCT service, {_INSTANCE} AS instance, time_ns // 1000000000 AS second
            FROM points JOIN series USING (series_id) WHERE time_ns >= ? AND time_ns < ?
        ), steps AS (
            SELECT *, second - lag(second) OVER (PARTITION BY service, instance ORDER BY second) AS step FROM arrived
        ), usual AS (
            SELECT service, instance, median(step) FILTER (step > 0) AS step FROM steps GROUP BY ALL
        )
        SELECT service, instance, (second - steps.step) * 1000000000, second * 1000000000
        FROM steps JOIN usual USING (service, instance)
        WHERE steps.step > ? * greatest(usual.step, 1) AND steps.step * 1000000000 > ?
        ORDER BY second DESC LIMIT ?
    """  # noqa: S608 - constants only
    keys = ("service", "instance", "from_ns", "to_ns")
    rows = store.query(sql, (span.from_ns, span.to_ns, MISSED, SHORTEST_NS, MOST))
    return [dict(zip(keys, row, strict=True)) | {"signal": "metrics"} for row in rows]


def _store(store: Store) -> dict[str, Any]:
    ((oldest,),) = store.query(_OLDEST)
    return {
        "path": store.path,
        "bytes": store.size,
        "limit": store.max_bytes,
        "pruned": dict(store.pruned),
        "oldest_ns": oldest,
    }
