"""Every metric, and one metric over time: rates, levels, quantiles, a heatmap, and exemplars that lead to traces."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from otelml.viewer.api import buckets, curves
from otelml.viewer.api import points as stored
from otelml.viewer.api.numbers import many, plain
from otelml.viewer.api.parameters import NotFoundError
from otelml.viewer.api.points import Wanted
from otelml.viewer.api.search import terms

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from otelml.viewer.api.curves import Curve
    from otelml.viewer.api.parameters import Asked, Window
    from otelml.viewer.store import Store

    Numbers = NDArray[np.float64]

STATS = ("rate", "value", "p50", "p95", "p99", "mean", "heatmap")
SERIES = 20
"""Lines of a chart; those of the smallest values are left out, and ``folded`` counts them."""
EXEMPLARS = 500
EACH = "*"
"""``by=*`` gives every combination of attributes a line."""


def metrics(store: Store, asked: Asked) -> dict[str, Any]:
    """Return the metrics that there are, by name, with the number of their series and the services they are from."""
    asked.check()
    sql = """
        SELECT name, mode(unit), mode(kind), mode(temporality), max(description), count(*), list(DISTINCT service),
            bool_or(monotonic)
        FROM series GROUP BY name ORDER BY name
    """
    keys = ("name", "unit", "kind", "temporality", "description", "series", "services", "monotonic")
    rows = [dict(zip(keys, row, strict=True)) for row in store.query(sql)]
    return {"metrics": [row | {"services": sorted(row["services"])} for row in rows]}


def metric(store: Store, asked: Asked) -> dict[str, Any]:
    """Return one metric over the window, a line for each value of the attribute ``by``."""
    name, by, stat = asked.required("name", "ml.requests"), asked.text("by"), asked.text("stat")
    where = asked_for(asked)
    span = asked.window()
    unit, kind, monotonic, description = _facts(store, name) if name else ("", "", False, "")
    possible = _possible(kind, monotonic)
    stat = asked.choice("stat", possible[0], possible) if not stat or kind else stat
    asked.check()
    keys = _keys(store, name) if by == EACH else (by,) if by else ()
    wanted = Wanted(name, where=where, by=keys)
    head = {"name": name, "unit": unit, "kind": kind, "description": description, "stat": stat, "t": span.starts}
    found = _levels(store, wanted, span) if stat == "value" else _lines(store, wanted, span, stat)
    shown = sorted(found, key=lambda line: -_size(line["values"]))[:SERIES]
    return {
        **head,
        "stats": list(possible),
        "series": [line | {"values": many(line["values"])} for line in sorted(shown, key=lambda line: line["label"])],
        "heatmap": _heatmap(store, wanted, span) if stat == "heatmap" else None,
        "exemplars": _exemplars(store, wanted, span),
        "folded": len(found) - len(shown),
    }


def asked_for(asked: Asked) -> dict[str, str | None]:
    """Return the attributes that are asked for: ``where=key=value``, several joined by spaces."""
    text = asked.text("where")
    found: dict[str, str | None] = {}
    for term in terms(text) or ([] if not text else [text]):
        key, equals, value = term.partition("=")
        if not key or not equals:
            asked.fault("where", text, "key=value, several of them joined by spaces, values with spaces in quotes")
            break
        found[key] = value or None
    return found


def _facts(store: Store, name: str) -> tuple[str, str, bool, str]:
    sql = "SELECT mode(unit), mode(kind), bool_or(monotonic), max(description) FROM series WHERE name = ?"
    ((unit, kind, monotonic, description),) = store.query(sql, [name])
    if kind is None:
        raise NotFoundError(f"there is no metric {name!r} in the store", "see /api/metrics for those there are")
    return unit, kind, bool(monotonic), description


def _possible(kind: str, monotonic: bool) -> tuple[str, ...]:
    """Return what can be asked of a kind of metric, the usual first."""
    if kind == "gauge" or (kind == "sum" and not monotonic):
        return ("value",)
    if kind == "sum":
        return ("rate",)
    return ("rate", "mean") if kind == "summary" else ("p95", "p50", "p99", "mean", "rate", "heatmap")


def _keys(store: Store, name: str) -> tuple[str, ...]:
    sql = "SELECT DISTINCT unnest(json_keys(attributes)) AS key FROM series WHERE name = ? ORDER BY key LIMIT 20"
    return tuple(key for (key,) in store.query(sql, [name]))


def _line(wanted: Wanted, labels: tuple[str, ...], values: Numbers) -> dict[str, Any]:
    pairs = {key: label for key, label in zip(wanted.by, labels, strict=True) if label}
    text = ", ".join(pairs.values() if len(wanted.by) == 1 else (f"{key}={value}" for key, value in pairs.items()))
    return {"label": text or ("" if not wanted.by else "(none)"), "attributes": pairs, "values": values}


def _levels(store: Store, wanted: Wanted, span: Window) -> list[dict[str, Any]]:
    groups: dict[tuple[str, ...], list[curves.Level]] = {}
    for level in curves.levels(store, wanted, span):
        groups.setdefault(level.labels, []).append(level)
    kinds = {series.kind for series in stored.series(store, wanted).values()}
    how = "sum" if kinds == {"sum"} else "mean"
    merged = {labels: curves.merged(group, how) for labels, group in groups.items()}
    return [_line(wanted, labels, values) for labels, values in merged.items() if values is not None]


def _lines(store: Store, wanted: Wanted, span: Window, stat: str) -> list[dict[str, Any]]:
    of: dict[str, Callable[[list[Curve]], Numbers]] = {
        "rate": lambda group: curves.rates(group, span),
        "heatmap": lambda group: curves.rates(group, span),
        "mean": lambda group: curves.per(curves.increases(group, span, 1), curves.increases(group, span)),
    }
    shares = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
    if stat in shares:
        of[stat] = lambda group: np.asarray(buckets.quantiles_over_time(group, span, (shares[stat],))[0])
    groups = curves.grouped(curves.curves(store, wanted, span))
    return [_line(wanted, labels, of[stat](group)) for labels, group in groups.items()]


def _heatmap(store: Store, wanted: Wanted, span: Window) -> dict[str, Any] | None:
    seen = buckets.heat(curves.curves(store, wanted, span), span)
    if seen is None:
        return None
    edges, counts = seen
    return {"t": span.starts, "edges": many(edges), "counts": [many(row) for row in counts]}


def _size(values: Numbers) -> float:
    known = values[~np.isnan(values)]
    return float(np.abs(known).max()) if known.size else 0.0


def _exemplars(store: Store, wanted: Wanted, span: Window) -> list[dict[str, Any]]:
    """Return the latest measured values that were kept with the trace they were measured in."""
    found = stored.series(store, wanted)
    sql = """
        SELECT series_id, exemplars FROM points
        WHERE series_id IN (SELECT unnest(?::BIGINT[])) AND time_ns >= ? AND time_ns < ?
            AND length(exemplars::VARCHAR) > 2 ORDER BY time_ns DESC LIMIT ?
    """
    rows: dict[tuple[int, str, str], dict[str, Any]] = {}
    for series_id, sent in store.query(sql, [list(found), span.from_ns, span.to_ns, EXEMPLARS]):
        label = ", ".join(label for label in found[series_id].labels if label)
        for exemplar in json.loads(sent) if isinstance(sent, str) else sent:
            time, value, trace_id = exemplar[:3]
            if trace_id:
                row = {"time_ns": time, "value": plain(value), "trace_id": trace_id, "label": label}
                rows.setdefault((time, trace_id, label), row)
    return sorted(rows.values(), key=lambda row: row["time_ns"])[-EXEMPLARS:]
