"""Every model and version: requests, errors, latency, confidence, from metrics, or from spans where there are none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from otelml import semconv
from otelml.viewer.api import buckets, curves
from otelml.viewer.api.numbers import many, plain, share
from otelml.viewer.api.parameters import window
from otelml.viewer.api.points import Wanted
from otelml.viewer.rows import NANOS

if TYPE_CHECKING:
    from otelml.viewer.api.curves import Curve
    from otelml.viewer.api.parameters import Asked, Window
    from otelml.viewer.store import Store

    Key = tuple[str, str]
    Counted = dict[Key, list[Curve]]

SHARES = (0.5, 0.95, 0.99)
SPARKS = 40
"""Bins of a small chart."""
_MODEL = ("model", "version")


def models(store: Store, asked: Asked) -> dict[str, Any]:
    """Return one row for every model and version seen, those with most requests first."""
    span = asked.window()
    asked.check()
    small = window(span.from_ns, span.to_ns, SPARKS)
    known = _known(store, small)
    counted = {
        row.name: _counted(store, row.name, small)
        for row in (semconv.REQUESTS, semconv.PREDICTIONS, semconv.PREDICTION_DURATION, semconv.CONFIDENCE_HISTOGRAM)
    }
    traced = _traced(store, small, {key for key in known if key not in counted[semconv.REQUESTS.name]})
    rows = [
        traced[key] | _names(key, services)
        if key in traced
        else _row(key, services, {name: found.get(key, []) for name, found in counted.items()}, small)
        for key, services in known.items()
    ]
    return {"models": sorted(rows, key=lambda row: (-row["requests"], row["model"], row["version"]))}


def _known(store: Store, span: Window) -> dict[Key, list[str]]:
    """Return the services of every model and version in the store's series, or in spans of the window.

    Stages are within predictions, and most of the spans.
    """
    sql = """
        SELECT model, version, service FROM series WHERE model <> ''
        UNION SELECT model, version, service FROM spans
        WHERE model <> '' AND stage = '' AND start_ns >= ? AND start_ns < ? ORDER BY ALL
    """
    found: dict[Key, list[str]] = {}
    for model, version, service in store.query(sql, (span.from_ns, span.to_ns)):
        found.setdefault((model, version), []).append(service)
    # What has no version is of a model as a whole (such as ml.model.expected): no row beside those of its versions.
    versioned = {model for model, version in found if version}
    return {key: services for key, services in found.items() if key[1] or key[0] not in versioned}


def _counted(store: Store, name: str, span: Window) -> Counted:
    found: Counted = {}
    for curve in curves.curves(store, Wanted(name, by=(*_MODEL, semconv.ERROR_TYPE)), span):
        found.setdefault((curve.labels[0], curve.labels[1]), []).append(curve)
    return found


def failed(found: list[Curve]) -> list[Curve]:
    """Return the curves whose last label, ``error.type``, is set."""
    return [curve for curve in found if curve.labels[-1]]


def _names(key: Key, services: list[str]) -> dict[str, Any]:
    return {"model": key[0], "version": key[1], "service": [service for service in services if service]}


def _row(key: Key, services: list[str], found: dict[str, list[Curve]], span: Window) -> dict[str, Any]:
    requests = found[semconv.REQUESTS.name]
    durations = found[semconv.PREDICTION_DURATION.name]
    sure = found[semconv.CONFIDENCE_HISTOGRAM.name]
    calls, errors = curves.total(requests, span), curves.total(failed(requests), span)
    p50, p95, p99 = buckets.quantiles(durations, span, SHARES)
    counts = [curve.total(span)[: buckets.FIRST] for curve in sure]
    confidence = np.sum(counts, axis=0) if counts else np.zeros(2)
    return {
        **_names(key, services),
        "requests": plain(calls),
        "rows": plain(curves.total(found[semconv.PREDICTIONS.name], span)),
        "errors": plain(errors),
        "error_share": share(errors, calls),
        "p50_s": plain(p50),
        "p95_s": plain(p95),
        "p99_s": plain(p99),
        "confidence_mean": share(float(confidence[1]), float(confidence[0])),
        "last_ns": max((int(curve.times[-1]) for curve in requests), default=None),
        "spark": {
            "t": span.starts,
            "requests": many(curves.rates(requests, span)),
            "p95_s": many(buckets.quantiles_over_time(durations, span, (0.95,))[0]),
        },
    }


# From spans -----------------------------------------------------------------------------------------------------

_COUNTED = """
SELECT model, version, start_ns // ? AS step, count(*), count(*) FILTER (status = 'error'),
    quantile_disc(duration_ns, [0.5, 0.95, 0.99]), max(start_ns)
FROM spans
WHERE name IN (SELECT unnest(?::VARCHAR[])) AND name = 'predict ' || model AND start_ns >= ? AND start_ns < ?
GROUP BY GROUPING SETS ((model, version), (model, version, step))
"""
"""Of each step, and without one of the whole window."""


def _traced(store: Store, span: Window, wanted: set[Key]) -> dict[Key, dict[str, Any]]:
    """Return rows of models that send spans and no metrics."""
    if not wanted:
        return {}
    rows: dict[Key, dict[str, Any]] = {}
    sparks: dict[Key, dict[str, list[Any]]] = {}
    starts, first = span.starts, span.from_ns // span.step_ns
    names = sorted({f"predict {model}" for model, _ in wanted})
    found = store.query(_COUNTED, (span.step_ns, names, span.from_ns, span.to_ns))
    for model, version, step, calls, errors, durations, last in found:
        key, seconds = (model, version), [plain(each / NANOS) for each in durations]
        empty: dict[str, list[Any]] = {"t": starts, "requests": [0] * len(starts), "p95_s": [None] * len(starts)}
        spark = sparks.setdefault(key, empty)
        if step is not None:
            spark["requests"][step - first] = plain(calls * NANOS / span.step_ns)
            spark["p95_s"][step - first] = seconds[1]
        elif key in wanted:
            rows[key] = {
                "requests": calls,
                "rows": None,
                "errors": errors,
                "error_share": share(errors, calls),
                **dict(zip(("p50_s", "p95_s", "p99_s"), seconds, strict=True)),
                "confidence_mean": None,
                "last_ns": last,
                "spark": spark,
            }
    return rows
