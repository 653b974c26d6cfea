"""One model and version: traffic, latency, stages, classes, confidence, errors, what it was loaded from, and where."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from otelml import semconv
from otelml.viewer.api import buckets, curves
from otelml.viewer.api.answer import answer
from otelml.viewer.api.drift import drift
from otelml.viewer.api.machine import gpus
from otelml.viewer.api.models import SHARES, failed
from otelml.viewer.api.numbers import many, plain, share
from otelml.viewer.api.parameters import NotFoundError
from otelml.viewer.api.points import Wanted
from otelml.viewer.api.quality import quality
from otelml.viewer.rows import NANOS

if TYPE_CHECKING:
    from otelml.viewer.api.curves import Curve
    from otelml.viewer.api.parameters import Asked, Window
    from otelml.viewer.store import Store

SLOWEST = 20
"""Slowest predictions listed."""
LOADS = 50
"""Loads and other events of a model's life listed."""
_EVENTS = (semconv.EVENT_MODEL_LOADED, semconv.EVENT_MODEL_UNLOADED, semconv.EVENT_DEVICE_FALLBACK)


def model(store: Store, asked: Asked) -> dict[str, Any]:
    """Return everything about one model and version; the version with the latest data where none is given."""
    name, version = asked.required("model", "flight-delay"), asked.given("version")
    span = asked.window()
    asked.check()
    versions = known_versions(store, name)
    if version is None:
        version = versions[0]
    elif version not in versions:
        raise NotFoundError(f"{name} has no version {version!r}", f"its versions: {', '.join(map(repr, versions))}")
    found = panels(store, name, version, span)
    return {
        "model": name,
        "version": version,
        "versions": versions,
        "answer": answer(found, span),
        **found,
        "gpus": gpus(store, name, version, span),
        "slowest": _slowest(store, name, version, span),
        "loads": _loads(store, name, version),
    }


def known_versions(store: Store, name: str) -> list[str]:
    """Return the versions of a model, the one with the latest data first; NotFoundError when there is no such model."""
    sql = """
        SELECT version, max(time_ns) AS last FROM (
            SELECT version, time_ns FROM series JOIN points USING (series_id) WHERE model = ? AND name = ?
            UNION ALL SELECT version, 0 FROM series WHERE model = ?
            UNION ALL SELECT version, start_ns FROM spans WHERE model = ? AND name = 'predict ' || ?
        ) GROUP BY version ORDER BY last DESC, version DESC
    """
    versions = [row[0] for row in store.query(sql, (name, semconv.REQUESTS.name, name, name, name))]
    if not versions:
        raise NotFoundError(f"there is no model {name!r} in the store", "see /api/models for those there are")
    return [each for each in versions if each] or versions


def panels(store: Store, name: str, version: str, span: Window) -> dict[str, Any]:
    """Return the parts that versions are compared by; a part that was not recorded is null."""

    def of(row: semconv.Metric, *by: str) -> list[Curve]:
        return curves.curves(store, Wanted(row.name, name, version, by=by), span)

    requests = of(semconv.REQUESTS, semconv.ERROR_TYPE)
    return {
        "traffic": _traffic(requests, span),
        "latency": _latency(of(semconv.PREDICTION_DURATION), span),
        "stages": _stages(of(semconv.STAGE_DURATION, semconv.STAGE), span),
        "classes": _classes(of(semconv.PREDICTIONS, semconv.PREDICTION_CLASS), span),
        "confidence": _confidence(of(semconv.CONFIDENCE_HISTOGRAM, semconv.PREDICTION_CLASS), span),
        "drift": drift(store, name, version, span),
        "missing": _missing(of(semconv.INPUT_MISSING_VALUES), of(semconv.PREDICTIONS), span),
        "quality": quality(store, name, version, span),
        "errors": _errors(store, name, version, failed(requests), span),
    }


def _traffic(requests: list[Curve], span: Window) -> dict[str, Any] | None:
    if not requests:
        return None
    seconds = curves.covered(requests, span)
    bad = failed(requests)
    errors = curves.per(curves.increases(bad, span), seconds)
    return {
        "t": span.starts,
        "requests_per_s": many(curves.rates(requests, span)),
        "errors_per_s": many(errors),
        "requests": plain(curves.total(requests, span)),
        "errors": plain(curves.total(bad, span)),
    }


def _latency(durations: list[Curve], span: Window) -> dict[str, Any] | None:
    if not durations:
        return None
    over_time = buckets.quantiles_over_time(durations, span, SHARES)
    whole = buckets.quantiles(durations, span, SHARES)
    names = ("p50_s", "p95_s", "p99_s")
    return {
        "t": span.starts,
        **{name: many(values) for name, values in zip(names, over_time, strict=True)},
        "count": plain(curves.total(durations, span)),
        "overall": dict(zip(names, many(whole), strict=True)),
    }


def _stages(found: list[Curve], span: Window) -> list[dict[str, Any]] | None:
    """Return each stage's count, share of the time of all stages, quantiles and mean over time."""
    groups = {labels[0]: group for labels, group in curves.grouped(found).items()}
    sums = {stage: np.sum([curve.total(span)[:2] for curve in group], axis=0) for stage, group in groups.items()}
    whole = sum(float(each[1]) for each in sums.values())
    order = [stage for stage in semconv.STAGES if stage in groups] + sorted(groups.keys() - set(semconv.STAGES))
    rows = []
    for stage in order:
        p50, p95 = buckets.quantiles(groups[stage], span, (0.5, 0.95))
        means = curves.per(curves.increases(groups[stage], span, 1), curves.increases(groups[stage], span))
        rows.append(
            {
                "stage": stage,
                "count": plain(sums[stage][0]),
                "share": share(float(sums[stage][1]), whole),
                "p50_s": plain(p50),
                "p95_s": plain(p95),
                "t": span.starts,
                "mean_s": many(means),
            }
        )
    return rows or None


def _classes(found: list[Curve], span: Window) -> list[dict[str, Any]] | None:
    groups = curves.grouped(curve for curve in found if curve.labels[0])
    rows = [
        {
            "class": labels[0],
            "rows": plain(curves.total(group, span)),
            "t": span.starts,
            "per_s": many(curves.rates(group, span)),
        }
        for labels, group in groups.items()
    ]
    return sorted(rows, key=lambda row: -row["rows"]) or None


def _confidence(found: list[Curve], span: Window) -> list[dict[str, Any]] | None:
    rows = []
    for labels, group in curves.grouped(found).items():
        seen = buckets.heat(group, span)
        if seen is not None:
            edges, counts = seen
            rows.append(
                {"class": labels[0], "edges": many(edges), "t": span.starts, "counts": [many(c) for c in counts]}
            )
    return rows or None


def _missing(values: list[Curve], rows: list[Curve], span: Window) -> dict[str, Any] | None:
    """Return missing values per predicted row over time, which may be several, and how many there were."""
    if not values:
        return None
    per_row = curves.per(curves.increases(values, span), curves.increases(rows, span))
    return {
        "t": span.starts,
        "per_row": many(per_row),
        "values": plain(curves.total(values, span)),
        "rows": plain(curves.total(rows, span)),
    }


def _errors(store: Store, name: str, version: str, bad: list[Curve], span: Window) -> list[dict[str, Any]] | None:
    """Return failed calls by ``error.type``, each with the latest trace that has one."""
    sql = """
        SELECT json_extract_string(attributes, '/error.type') AS type, arg_max(trace_id, start_ns) FROM spans
        WHERE model = ? AND version = ? AND status = 'error' AND name = 'predict ' || model
            AND start_ns >= ? AND start_ns < ? GROUP BY type
    """
    traces = dict(store.query(sql, (name, version, span.from_ns, span.to_ns)))
    rows = [
        {"type": labels[0], "count": plain(curves.total(group, span)), "trace_id": traces.get(labels[0])}
        for labels, group in curves.grouped(bad).items()
    ]
    return sorted((row for row in rows if row["count"]), key=lambda row: -row["count"]) or None


def _slowest(store: Store, name: str, version: str, span: Window) -> list[dict[str, Any]] | None:
    sql = """
        SELECT trace_id, start_ns, duration_ns FROM spans
        WHERE model = ? AND version = ? AND name = 'predict ' || model AND start_ns >= ? AND start_ns < ?
        ORDER BY duration_ns DESC LIMIT ?
    """
    rows = store.query(sql, (name, version, span.from_ns, span.to_ns, SLOWEST))
    return [{"trace_id": row[0], "start_ns": row[1], "duration_s": row[2] / NANOS} for row in rows] or None


def _loads(store: Store, name: str, version: str) -> list[dict[str, Any]] | None:
    """Return when the model was loaded or dropped, or fell back to the CPU, the latest first; of all time."""
    sql = """
        SELECT time_ns, event_name, json_extract_string(attributes, ?), json_extract_string(attributes, ?) FROM logs
        WHERE event_name IN (?, ?, ?) AND model = ? AND version = ? ORDER BY time_ns DESC LIMIT ?
    """
    keys = [f"/{key}" for key in (semconv.MODEL_FRAMEWORK, semconv.DEVICE_USED)]
    rows = store.query(sql, (*keys, *(event.name for event in _EVENTS), name, version, LOADS))
    return [dict(zip(("time_ns", "event", "framework", "device"), row, strict=True)) for row in rows] or None
