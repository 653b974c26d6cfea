"""What the pages ask of metrics, out of Prometheus: PromQL for the series of a page, put into its store as OTLP."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from otelml import semconv
from otelml.prometheus_names import label_name
from otelml.viewer.api.metrics import EACH
from otelml.viewer.api.parameters import Asked, NotFoundError, Window
from otelml.viewer.remote_names import BY_NAME, Metric, bases, metric
from otelml.viewer.remote_samples import Reading, named, request, selector
from otelml.viewer.rows import NANOS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from otelml.viewer.remote_http import Backend
    from otelml.viewer.store import Store

RAW_SECONDS = 3600
"""Of ranges up to so long every sample is read; of longer ones the last of each bin."""
NEAR_NS, FAR_SECONDS, MODEL_SECONDS = 300 * NANOS, 3600, 86_400
"""Samples before the range: all of the last five minutes, the last one of an hour, and of a day for models' calls."""
DAY_NS = 86_400 * NANOS
_MODELS = (semconv.REQUESTS, semconv.PREDICTIONS, semconv.PREDICTION_DURATION, semconv.CONFIDENCE_HISTOGRAM)
_MODEL = (
    *(semconv.PREDICTIONS, semconv.PREDICTION_DURATION, semconv.CONFIDENCE_HISTOGRAM, semconv.STAGE_DURATION),
    *(semconv.INPUT_MISSING_VALUES, semconv.FEATURE_OBSERVATIONS, semconv.FEATURE_REFERENCE, semconv.DRIFT_PSI_GAUGE),
    *(semconv.DRIFT_DETECTED_GAUGE, semconv.OUTCOMES, semconv.OUTCOME_DELAY_HISTOGRAM),
)
_GPUS = (semconv.GPU_UTILIZATION, semconv.GPU_MEMORY_USAGE, semconv.GPU_MEMORY_LIMIT, semconv.GPU_TEMPERATURE)
_SLOS = (semconv.REQUESTS, semconv.PREDICTION_DURATION, semconv.CONFIDENCE_HISTOGRAM, semconv.LOW_CONFIDENCE)
QUALITY = "ml.quality."
_COLUMNS = {
    "model": semconv.MODEL_NAME,
    "version": semconv.MODEL_VERSION,
    "service": "service.name",
    "instance": "service.instance.id",
}
"""What the pages' columns are called outside."""


def rows(found: Iterable[semconv.Metric]) -> list[Metric]:
    """Return rows of semconv as metrics of Prometheus."""
    return [BY_NAME[row.name] for row in found]


def fill(
    store: Store,
    prometheus: Backend,
    metrics: Iterable[Metric],
    span: Window,
    *,
    where: Mapping[str, str] | None = None,
    before: int = FAR_SECONDS,
    asked: Iterable[str] = (),
    exemplars: bool = False,
) -> None:
    """Put the samples of metrics over a range, and the last ones before it, into a store."""
    metrics = list(metrics)
    if not metrics:
        return
    chosen = selector((name for each in metrics for name in each.names), where)
    reading = Reading(prometheus, chosen)
    read(reading, span, before)
    found = _exemplars(prometheus, chosen, span) if exemplars else None
    store.add("metrics", request(reading, metrics, found, asked))


def read(reading: Reading, span: Window, before: int = FAR_SECONDS) -> None:
    """Read a range: every sample where it is short, else the last ones of its bins and at its marks."""
    if span.seconds <= RAW_SECONDS:
        begun = max(1, span.from_ns - NEAR_NS)
        reading.at(begun, before)
        reading.every(begun, span.to_ns)
        return
    lookback = max(before, span.step_ns // NANOS)
    reading.at(span.from_ns, lookback)
    reading.steps(span.from_ns, span.to_ns, span.step_ns)
    for moment in {*span.marks, span.to_ns}:
        reading.at(moment, lookback)


def models(store: Store, prometheus: Backend, span: Window) -> None:
    """Put what the page of all models shows into a store."""
    fill(store, prometheus, rows(_MODELS), span, before=MODEL_SECONDS)


def model(store: Store, prometheus: Backend, span: Window, name: str, versions: Iterable[str]) -> list[str]:
    """Put what the page of a model shows into a store; return the services that run it."""
    of_model = {_label(semconv.MODEL_NAME): name}
    fill(store, prometheus, rows([semconv.REQUESTS]), span, where=of_model, before=MODEL_SECONDS)
    quality = [each for each in BY_NAME.values() if each.name.startswith(QUALITY)]
    wanted = [*rows(_MODEL), *quality]
    of_versions = [{**of_model, _label(semconv.MODEL_VERSION): version} for version in versions]
    for where in of_versions or [of_model]:
        fill(store, prometheus, wanted, span, where=where)
    services = [row[0] for row in store.query("SELECT DISTINCT service FROM series WHERE model = ?", [name])]
    for service in services:
        fill(store, prometheus, rows(_GPUS), span, where={"service_name": service})
    return services


def objectives(
    store: Store, prometheus: Backend, period: Window, span: Window, promised: Iterable[str] | None = None
) -> None:
    """Put what objectives count into a store: over their whole period, and over the range that is charted.

    ``promised`` are the series of a file's objectives, by Prometheus's names; None asks for those of the usual ones.
    """
    if promised is None:
        wanted = rows(_SLOS)
    else:
        there = names(prometheus, period)
        found = (metric(base, there) for base in bases(there))
        wanted = [each for each in found if each is not None and not set(promised).isdisjoint(each.names)]
    if not wanted:
        return
    reading = Reading(prometheus, selector(name for each in wanted for name in each.names))
    read(reading, period)
    if span.seconds <= RAW_SECONDS:
        reading.every(max(1, span.from_ns - NEAR_NS), span.to_ns)
    else:
        reading.steps(span.from_ns, span.to_ns, span.step_ns)
    store.add("metrics", request(reading, wanted))


def one(store: Store, prometheus: Backend, asked: Asked, span: Window, where: Mapping[str, str | None]) -> None:
    """Put one metric into a store, by OpenTelemetry's name or by Prometheus's; NotFoundError without it."""
    name, by = asked.text("name"), asked.text("by")
    there = names(prometheus, span)
    found = metric(name, there)
    if found is None:
        raise NotFoundError(f"there is no metric {name[:200]!r} in Prometheus", "see /api/metrics for those there are")
    found = found._replace(name=name)
    told = [*where, *([by] if by not in ("", EACH) else [])]
    labels = {_label(key): value or "" for key, value in where.items()}
    fill(store, prometheus, [found], span, where=labels, asked=told, exemplars=True)
    if not store.metric_names:  # it is there, and has no samples in the range
        fill(store, prometheus, [found], span, before=MODEL_SECONDS, asked=told)


def listed(prometheus: Backend) -> dict[str, Any]:
    """Return every metric of the last day, as ``/api/metrics`` does."""
    now = time.time_ns()
    told = prometheus.get("/api/v1/metadata")["data"]
    there = names(prometheus, Window(now - DAY_NS, now, DAY_NS))
    counts: dict[str, dict[str, int]] = {}
    query = 'count by (__name__, service_name, job) ({__name__=~".+", __name__!~".+_(bucket|sum)"})'
    for row in prometheus.get("/api/v1/query", {"query": query})["data"]["result"]:
        labels = row["metric"]
        service = labels.get("service_name") or labels.get("job", "")
        services = counts.setdefault(labels["__name__"], {})
        services[service] = services.get(service, 0) + int(row["value"][1])
    made = []
    for base in bases(there):
        found = metric(base, there)
        if found is None or base.startswith("ALERTS"):
            continue
        services = counts.get(base) or counts.get(f"{base}_count") or {}
        made.append(_listed(found, services, (told.get(base) or [{}])[0]))
    return {"metrics": sorted(made, key=lambda row: row["name"])}


def _listed(found: Metric, services: Mapping[str, int], told: Mapping[str, str]) -> dict[str, Any]:
    kind = {"updown": "sum", "counter": "sum"}.get(found.kind, found.kind)
    return {
        "name": found.name,
        "unit": found.unit or told.get("unit", ""),
        "kind": kind,
        "temporality": "unspecified" if kind == "gauge" else "cumulative",
        "description": found.description or told.get("help", ""),
        "series": sum(services.values()),
        "services": sorted(service for service in services if service),
        "monotonic": found.kind == "counter",
    }


def names(prometheus: Backend, span: Window) -> list[str]:
    """Return the names of the series that have samples in a range, or had in the day before it ends."""
    start = min(span.from_ns, span.to_ns - DAY_NS)
    given = {"start": max(0, start) // NANOS, "end": -(-span.to_ns // NANOS)}
    found: list[str] = prometheus.get("/api/v1/label/__name__/values", given)["data"]
    return found


def _exemplars(prometheus: Backend, chosen: str, span: Window) -> dict[Any, list[Any]]:
    given = {"query": chosen, "start": span.from_ns / NANOS, "end": span.to_ns / NANOS}
    found: dict[Any, list[Any]] = {}
    for row in prometheus.get("/api/v1/query_exemplars", given).get("data") or ():
        found.setdefault(named(tuple(sorted(row["seriesLabels"].items()))), []).extend(row["exemplars"])
    return found


def _label(key: str) -> str:
    return label_name(_COLUMNS.get(key, key))
