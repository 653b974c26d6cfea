"""Questions over a store, all answered from what was received. Cheap enough to be asked twice a second.

Quantiles of durations are exact, from spans, as long as (nearly) every prediction has one; else, when traces are
sampled or pruned, they are interpolated from the histograms. The answer's ``source`` says which.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from otelml import semconv
from otelml.viewer.distributions import QUANTILES, Distribution, nothing, of_histogram
from otelml.viewer.rows import NANOS
from otelml.viewer.trees import Node, Tree, trace_tree

if TYPE_CHECKING:
    from otelml.viewer.rows import MetricPoint, Span
    from otelml.viewer.store import Store

__all__ = [
    "Errors",
    "Node",
    "Tree",
    "class_mix",
    "confidence_by_class",
    "errors",
    "gpus",
    "latency",
    "missing_values",
    "models",
    "request_rate",
    "services",
    "slowest",
    "stage_times",
    "trace_tree",
]

_PREDICT = "predict "
_NAMED = "name IN (SELECT unnest(?::VARCHAR[]))"
_FAR = 2**63 - 1
_ALL = 0.9
"""Share of predictions that need a span for quantiles to be taken from spans: metrics and spans arrive in turns, so
a full set may lag a little."""


@dataclass(frozen=True, slots=True)
class Errors:
    """Failed predictions: ``by_type`` counts them by ``error.type``; ``share`` is NaN before the first request."""

    requests: int
    failed: int
    by_type: dict[str, int]

    @property
    def share(self) -> float:
        """Failed requests per request, from 0 to 1."""
        return self.failed / self.requests if self.requests else math.nan


def models(store: Store) -> list[str]:
    """Return the names of the models that have predicted, sorted."""
    return sorted({_label(point, semconv.MODEL_NAME) for point in store.latest(semconv.REQUESTS.name)})


def services(store: Store) -> list[str]:
    """Return the names of the services seen, sorted."""
    tables = " UNION ".join(f"SELECT service FROM {table}" for table in ("spans", "logs", "series"))  # noqa: S608 - ours
    return sorted(name for (name,) in store.query(tables) if name)


def request_rate(store: Store, seconds: float = 10.0, *, model: str | None = None, now_ns: int | None = None) -> float:
    """Return predictions per second over the last ``seconds``.

    Counted from spans where every prediction has one, else from the request counter (whose points are as old as the
    sender's export interval).
    """
    since = _since(seconds, now_ns)
    if _spans_are_complete(store, model):
        names = _prediction_names(store, model)
        sql = f"SELECT count(*) FROM spans WHERE {_NAMED} AND end_ns >= ?"  # noqa: S608 - a constant
        return int(store.query(sql, (names, since))[0][0]) / seconds
    return _counter_rate(store, seconds, since, model)


def latency(
    store: Store, *, model: str | None = None, seconds: float | None = None, now_ns: int | None = None
) -> Distribution:
    """Return how long predictions took, in seconds.

    Args:
        store: Where to look.
        model: Only this model; all together when None.
        seconds: Only predictions that ended this long ago at most; the whole run when None, and always when the
            answer has to come from histograms.
        now_ns: What to take for now.
    """
    if _spans_are_complete(store, model):
        since = None if seconds is None else _since(seconds, now_ns)
        return _span_durations(store, _prediction_names(store, model), since)
    return of_histogram(_of_model(store, semconv.PREDICTION_DURATION.name, model))


def stage_times(store: Store, *, model: str | None = None) -> dict[str, Distribution]:
    """Return how long each stage took, in seconds, in the order of the pipeline; stages of the user's own come last."""
    points = _grouped(_of_model(store, semconv.STAGE_DURATION.name, model), semconv.STAGE)
    names = [stage for stage in semconv.STAGES if stage in points]
    names += sorted(points.keys() - set(semconv.STAGES))
    return {name: _stage(store, name, points[name], model) for name in names}


def errors(store: Store, *, model: str | None = None) -> Errors:
    """Return how many predictions failed, by ``error.type``, from the request counter (never sampled)."""
    by_type: Counter[str] = Counter()
    for point in _of_model(store, semconv.REQUESTS.name, model):
        by_type[_label(point, semconv.ERROR_TYPE)] += int(point.value or 0)
    requests = by_type.total()
    by_type.pop("", None)
    return Errors(requests, by_type.total(), dict(by_type.most_common()))


def class_mix(store: Store, *, model: str | None = None) -> dict[str, int]:
    """Return how many rows were predicted for each class, the most frequent first."""
    mix: Counter[str] = Counter()
    for point in _of_model(store, semconv.PREDICTIONS.name, model):
        if semconv.PREDICTION_CLASS in point.attributes:
            mix[_label(point, semconv.PREDICTION_CLASS)] += int(point.value or 0)
    return dict(mix.most_common())


def confidence_by_class(store: Store, *, model: str | None = None) -> dict[str, Distribution]:
    """Return how sure the model was of each class, from histograms; the key is empty where no class is known."""
    points = _grouped(_of_model(store, semconv.CONFIDENCE_HISTOGRAM.name, model), semconv.PREDICTION_CLASS)
    return {name: of_histogram(points[name]) for name in sorted(points)}


def missing_values(store: Store, *, model: str | None = None) -> int:
    """Return how many missing values were in the inputs."""
    return sum(int(point.value or 0) for point in _of_model(store, semconv.INPUT_MISSING_VALUES.name, model))


def gpus(store: Store) -> dict[str, dict[str, float]]:
    """Return the latest value of every metric of each GPU, by ``hw.id`` and metric name; empty without a GPU."""
    found: dict[str, dict[str, float]] = {}
    for metric in semconv.METRICS:
        if "hw.id" not in metric.attributes:
            continue
        for point in sorted(store.latest(metric.name), key=lambda point: point.time_ns):
            if point.value is not None:
                found.setdefault(_label(point, "hw.id"), {})[metric.name] = point.value
    return found


def slowest(store: Store, *, model: str | None = None) -> Span | None:
    """Return the span of the slowest prediction kept; ``trace_tree(store, span.trace_id)`` shows the rest."""
    sql = f"SELECT trace_id, span_id FROM spans WHERE {_NAMED} ORDER BY duration_ns DESC, id LIMIT 1"  # noqa: S608 - a constant
    for trace_id, span_id in store.query(sql, (_prediction_names(store, model),)):
        return next((span for span in store.spans(trace_id=trace_id) if span.span_id == span_id), None)
    return None


def _stage(store: Store, name: str, points: list[MetricPoint], model: str | None) -> Distribution:
    """Return one stage's times: from spans unless the stage is one of several models', whose spans share a name."""
    wanted = sum(point.count or 0 for point in points)
    kept = _kept(store, [name])
    one_model = model is None or models(store) == [model]
    if one_model and wanted * _ALL <= kept:
        return _span_durations(store, [name], None)
    return of_histogram(points)


def _spans_are_complete(store: Store, model: str | None) -> bool:
    points = _of_model(store, semconv.PREDICTION_DURATION.name, model)
    kept = _kept(store, _prediction_names(store, model))
    return kept >= _ALL * sum(point.count or 0 for point in points)


def _prediction_names(store: Store, model: str | None) -> list[str]:
    names = store.counts_by_span_name()
    return [name for name in names if (name == _PREDICT + model if model else name.startswith(_PREDICT))]


def _kept(store: Store, names: list[str]) -> int:
    return int(store.query(f"SELECT count(*) FROM spans WHERE {_NAMED}", (names,))[0][0])  # noqa: S608 - a constant


def _span_durations(store: Store, names: list[str], since: int | None) -> Distribution:
    where = f"{_NAMED} AND end_ns >= ?"
    sql = f"SELECT count(*), avg(duration_ns), quantile_disc(duration_ns, ?::DOUBLE[]) FROM spans WHERE {where}"  # noqa: S608 - constants
    count, mean, quantiles = store.query(sql, (QUANTILES, names, -_FAR if since is None else since))[0]
    if not count:
        return nothing("spans")
    p05, p50, p95, p99 = (quantile / NANOS for quantile in quantiles)
    return Distribution(count, mean / NANOS, p05, p50, p95, p99, "spans")


def _counter_rate(store: Store, seconds: float, since: int, model: str | None) -> float:
    """Return the rate of the request counter: increase per time between the points around ``since`` and the last."""
    where = "s.name = ?" if model is None else "s.name = ? AND s.model = ?"
    arguments = (since, semconv.REQUESTS.name) if model is None else (since, semconv.REQUESTS.name, model)
    deltas = (
        "SELECT coalesce(sum(p.value), 0) FROM points p JOIN series s USING (series_id)"  # noqa: S608 - constants only
        f" WHERE p.time_ns >= ? AND {where} AND s.temporality = 'delta'"
    )
    totals = (
        "SELECT arg_max(p.value, p.time_ns), max(p.time_ns), min(p.start_ns),"  # noqa: S608 - constants only
        " arg_max(p.value, p.time_ns) FILTER (p.time_ns < since), max(p.time_ns) FILTER (p.time_ns < since)"
        " FROM points p JOIN series s USING (series_id), (SELECT ?::BIGINT AS since)"
        f" WHERE {where} AND s.temporality = 'cumulative' GROUP BY series_id, since HAVING max(p.time_ns) >= since"
    )
    rate = float(store.query(deltas, arguments)[0][0]) / seconds
    for value, last, start, before, first in store.query(totals, arguments):
        began = start if first is None else first
        rate += (value - (before or 0)) * NANOS / (last - began) if last > began else 0.0
    return rate


def _since(seconds: float, now_ns: int | None) -> int:
    return (time.time_ns() if now_ns is None else now_ns) - int(seconds * NANOS)


def _of_model(store: Store, metric: str, model: str | None) -> list[MetricPoint]:
    points = store.latest(metric)
    return points if model is None else [p for p in points if p.attributes.get(semconv.MODEL_NAME) == model]


def _grouped(points: list[MetricPoint], attribute: str) -> dict[str, list[MetricPoint]]:
    groups: dict[str, list[MetricPoint]] = {}
    for point in points:
        groups.setdefault(_label(point, attribute), []).append(point)
    return groups


def _label(point: MetricPoint, attribute: str) -> str:
    value = point.attributes.get(attribute)
    return "" if value is None else str(value)
