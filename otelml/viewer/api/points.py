"""Metric points out of the store: those of the wanted series, thinned to the last one of each bin of time."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from otelml.viewer.schema import exponential_from

if TYPE_CHECKING:
    from collections.abc import Mapping

    from otelml.viewer.api.parameters import Window
    from otelml.viewer.rows import Exponential
    from otelml.viewer.store import Store

LOOKBACK_NS = 3600 * 10**9
"""How far before the range the last point of a series is looked for, at least."""
COLUMNS = ("service", "model", "version")
_INSTANCE = "service.instance.id"


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which series: of a metric, by model, version and service, by attributes (None: absent), labelled ``by`` keys."""

    name: str
    model: str | None = None
    version: str | None = None
    service: str | None = None
    where: Mapping[str, str | None] = field(default_factory=dict)
    by: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Series:
    """One series: what it measures and the values of the ``by`` keys ('' where absent)."""

    series_id: int
    kind: str
    temporality: str
    monotonic: bool
    labels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Point:
    """One point. ``bounds`` and the counts between them are empty for counters and gauges."""

    start_ns: int
    time_ns: int
    value: float | None
    count: int | None
    sum: float | None
    min: float | None
    max: float | None
    bounds: tuple[float, ...]
    buckets: tuple[int, ...]
    exponential: Exponential | None


def pointer(key: str) -> str:
    """Return the JSON pointer to a key of an object, whatever characters it has."""
    return "/" + key.replace("~", "~0").replace("/", "~1")


def label_sql(key: str) -> tuple[str, list[str]]:
    """Return the expression for an attribute of a series or its resource as text, and its parameters."""
    if key in COLUMNS:
        return key, []
    if key == "instance":
        key = _INSTANCE
    path = pointer(key)
    return "coalesce(json_extract_string(attributes, ?), json_extract_string(resource, ?), '')", [path, path]


def conditions(wanted: Wanted) -> tuple[str, list[Any]]:
    """Return the WHERE clause of the wanted series, and its parameters."""
    parts, values = ["name = ?"], [wanted.name]
    for column, value in (("model", wanted.model), ("version", wanted.version), ("service", wanted.service)):
        if value is not None:
            parts.append(f"{column} = ?")
            values.append(value)
    for key, value in wanted.where.items():
        expression, arguments = label_sql(key)
        parts.append(f"{expression} = ?")
        values += [*arguments, value or ""]
    return " AND ".join(parts), values


def series(store: Store, wanted: Wanted) -> dict[int, Series]:
    """Return the wanted series by id."""
    labels = [label_sql(key) for key in wanted.by]
    listed = f"[{', '.join(expression for expression, _ in labels)}]" if labels else "NULL"
    where, values = conditions(wanted)
    sql = f"SELECT series_id, kind, temporality, monotonic, {listed} FROM series WHERE {where}"  # noqa: S608 - parameters only
    arguments = [value for _, parameters in labels for value in parameters]
    rows = store.query(sql, [*arguments, *values])
    return {row[0]: Series(row[0], row[1], row[2], row[3], tuple(row[4] or ())) for row in rows}


_POINTS = """
SELECT series_id, start_ns, time_ns, value, count, sum, min, max, bounds, bucket_counts, exponential
FROM points WHERE series_id IN (SELECT unnest(?::BIGINT[])) AND time_ns <= ? AND time_ns > ?
QUALIFY row_number() OVER (
    PARTITION BY series_id, start_ns, CASE WHEN time_ns <= ? THEN -1 ELSE (time_ns - 1) // ? END, {marks}
    ORDER BY time_ns DESC
) = 1
ORDER BY series_id, start_ns, time_ns
"""
_EVERY = """
SELECT DISTINCT ON (series_id, time_ns)
    series_id, start_ns, time_ns, value, count, sum, min, max, bounds, bucket_counts, exponential
FROM points WHERE series_id IN (SELECT unnest(?::BIGINT[])) AND time_ns <= ? AND time_ns > ?
ORDER BY series_id, time_ns
"""


def points(store: Store, found: Mapping[int, Series], window: Window) -> list[tuple[Series, list[Point]]]:
    """Return the points of series up to the end of the window, in order of time; for each start of a series apart.

    Of cumulative series and gauges: the last point of each bin, and the last one before the window. Of delta series:
    every point of the window, in one list.
    """
    kept = [key for key, each in found.items() if each.temporality != "delta"]
    deltas = [key for key, each in found.items() if each.temporality == "delta"]
    since = lookback(window)
    rows: list[tuple[Any, ...]] = []
    if kept:
        marks = " + ".join(["(time_ns <= ?)::INTEGER"] * len(window.marks)) or "0"
        sql = _POINTS.format(marks=marks)
        rows += store.query(sql, (kept, window.to_ns, since, window.from_ns, window.step_ns, *window.marks))
    if deltas:
        rows += store.query(_EVERY, (deltas, window.to_ns, window.from_ns))
    groups: dict[tuple[int, int], list[Point]] = {}
    for row in rows:
        delta = found[row[0]].temporality == "delta"
        gauge = found[row[0]].kind == "gauge"
        groups.setdefault((row[0], 0 if delta or gauge else row[1]), []).append(_point(row))
    return [(found[key[0]], group) for key, group in groups.items()]


def lookback(window: Window) -> int:
    """Return how far back points count for a window, in nanoseconds since the epoch."""
    return max(0, window.from_ns - max(LOOKBACK_NS, window.to_ns - window.from_ns))


@lru_cache(maxsize=1024)
def _bounds(text: str) -> tuple[float, ...]:
    """Return the bounds of a histogram, which are the same in point after point."""
    return tuple(json.loads(text))


def _point(row: tuple[Any, ...]) -> Point:
    value = None if row[3] is None or math.isnan(row[3]) else row[3]  # what was NaN says nothing
    exponential = exponential_from(json.loads(row[10])) if row[10] else None
    return Point(
        *(row[1] or 0, row[2], value, row[4], row[5], row[6], row[7]),
        *(_bounds(row[8] or "[]"), tuple(json.loads(row[9] or "[]")), exponential),
    )
