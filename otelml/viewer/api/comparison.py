"""Two versions of a model side by side: what each did in the window, and which is better."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from otelml.viewer.api.model import known_versions, panels
from otelml.viewer.api.numbers import plain
from otelml.viewer.api.parameters import NotFoundError

if TYPE_CHECKING:
    from otelml.viewer.api.parameters import Asked
    from otelml.viewer.store import Store

_ROWS = (
    ("requests", "{request}", None),
    ("error_share", "1", "lower"),
    ("p50_s", "s", "lower"),
    ("p95_s", "s", "lower"),
    ("p99_s", "s", "lower"),
    ("confidence_mean", "1", None),
    ("missing_per_row", "{value}", "lower"),
    ("drifted", "{feature}", "lower"),
    ("accuracy", "1", "higher"),
    ("estimated_accuracy", "1", "higher"),
    ("auc", "1", "higher"),
    ("mae", "", "lower"),
    ("outcomes", "{outcome}", None),
)
"""What is compared: its unit, and what is better."""


def compare(store: Store, asked: Asked) -> dict[str, Any]:
    """Return the figures of two versions, ``a`` and ``b``; without them, the two with the latest data."""
    name, a, b = asked.required("model", "flight-delay"), asked.given("a"), asked.given("b")
    span = asked.window()
    asked.check()
    versions = known_versions(store, name)
    b = versions[0] if b is None else b
    a = next((each for each in versions if each != b), b) if a is None else a
    for version in (a, b):
        if version not in versions:
            raise NotFoundError(f"{name} has no version {version!r}", f"its versions: {', '.join(map(repr, versions))}")
    first, second = (_summary(panels(store, name, version, span)) for version in (a, b))
    stages = sorted(set(first["stages"]) | set(second["stages"]))
    rows = [_row(what, unit, better, first, second) for what, unit, better in _ROWS]
    rows += [
        _row(stage, "s", "lower", first["stages"], second["stages"]) | {"what": f"{stage} p95"} for stage in stages
    ]
    _tested(rows, first, second)
    kept = [row for row in rows if row["a"] is not None or row["b"] is not None]
    return {
        "model": name,
        "versions": versions,
        "a": {"version": a} | first,
        "b": {"version": b} | second,
        "rows": kept,
    }


def _summary(found: dict[str, Any]) -> dict[str, Any]:
    traffic, latency = found["traffic"] or {}, (found["latency"] or {}).get("overall", {})
    quality = found["quality"] or {}
    requests, errors = traffic.get("requests") or 0, traffic.get("errors") or 0
    missing = found["missing"] or {}
    return {
        "requests": requests,
        "errors": errors,
        "error_share": plain(errors / requests if requests else None),
        **{name: latency.get(name) for name in ("p50_s", "p95_s", "p99_s")},
        "confidence_mean": _mean(found["confidence"]),
        "missing_per_row": plain(missing["values"] / missing["rows"] if missing.get("rows") else None),
        "drifted": None if found["drift"] is None else sum(row["detected"] for row in found["drift"]),
        **{name: _latest(quality.get("measured", {}).get(name)) for name in ("accuracy", "auc", "mae")},
        "estimated_accuracy": _latest(quality.get("estimated", {}).get("estimated_accuracy")),
        "outcomes": quality.get("outcomes"),
        "stages": {row["stage"]: row["p95_s"] for row in found["stages"] or ()},
    }


def _mean(confidence: list[dict[str, Any]] | None) -> float | int | None:
    """Return the mean of what a heatmap counts, taken from the middles of its buckets."""
    total = weighted = 0.0
    for row in confidence or ():
        middles = [(low + high) / 2 for low, high in zip(row["edges"][:-1], row["edges"][1:], strict=True)]
        for counts in row["counts"]:
            total += sum(counts)
            weighted += sum(count * middle for count, middle in zip(counts, middles, strict=True))
    return plain(weighted / total) if total else None


def _latest(values: list[float | None] | None) -> float | None:
    known = [value for value in values or () if value is not None]
    return known[-1] if known else None


def _row(what: str, unit: str, better: str | None, first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
    a, b = first.get(what), second.get(what)
    winner = ratio = None
    if a is not None and b is not None:
        ratio = plain(b / a) if a else None
        if better is not None and a != b:
            winner = "a" if (a < b) is (better == "lower") else "b"
    return {"what": what, "unit": unit, "a": a, "b": b, "ratio": ratio, "better": winner}


def _tested(rows: list[dict[str, Any]], first: dict[str, Any], second: dict[str, Any]) -> None:
    """Put the p-value of the two shares of errors (two-sided, normal approximation) into its row."""
    n, m = first["requests"], second["requests"]
    x, y = first["errors"], second["errors"]
    pooled = (x + y) / (n + m) if n + m else 0.0
    if not (n and m and 0 < pooled < 1):
        return
    z = abs(x / n - y / m) / math.sqrt(pooled * (1 - pooled) * (1 / n + 1 / m))
    next(row for row in rows if row["what"] == "error_share")["p_value"] = plain(math.erfc(z / math.sqrt(2)))
