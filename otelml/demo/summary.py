"""What was sent and what was received, as counts that must be equal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from otelml import semconv
from otelml.demo.screen import HTTP_DURATION, PREDICT_ROUTE
from otelml.viewer import queries

if TYPE_CHECKING:
    from otelml.demo.replay import Replay
    from otelml.viewer.store import Store

SERVER_SPAN = f"POST {PREDICT_ROUTE}"


def summarize(replay: Replay, store: Store | None, model: str) -> dict[str, Any]:
    """Return the counts of the replayer and, where telemetry came here, of the receiver.

    ``checks`` holds pairs that must be equal; ``equal`` says whether they all are.
    """
    sent: dict[str, Any] = {"requests": replay.sent, "answered": dict(sorted(replay.answered.items()))}
    if store is None:
        return {"sent": sent, "received": None, "checks": {}, "equal": True}
    received = _received(store, model)
    checks = _checks(replay, received, store, model)
    return {"sent": sent, "received": received, "checks": checks, "equal": all(a == b for a, b in checks.values())}


def _received(store: Store, model: str) -> dict[str, Any]:
    statuses: dict[str, int] = {}
    for point in store.latest(HTTP_DURATION):
        if point.attributes.get("http.route") == PREDICT_ROUTE:
            status = str(point.attributes.get("http.response.status_code"))
            statuses[status] = statuses.get(status, 0) + (point.count or 0)
    failed = queries.errors(store, model=model)
    return {
        "http_answers": dict(sorted(statuses.items())),
        "requests": failed.requests,
        "errors": failed.by_type,
        "predictions_by_class": queries.class_mix(store, model=model),
        "stages": {name: times.count for name, times in queries.stage_times(store, model=model).items()},
        "spans": store.counts_by_span_name(),
        "events": store.counts_by_event_name(),
        "metrics": _totals(store),
        "missing_values": queries.missing_values(store, model=model),
        "dropped": store.total(semconv.DROPPED.name),
        "items": dict(store.received),
    }


def _totals(store: Store) -> dict[str, float]:
    """Return every counter's total and every histogram's count, by metric name."""
    counted = [
        name
        for name in store.metric_names
        if all(point.monotonic or point.count is not None for point in store.latest(name))
    ]
    return {name: store.total(name) for name in counted}


def _checks(replay: Replay, received: dict[str, Any], store: Store, model: str) -> dict[str, list[int]]:
    """Return what must be equal, each as [sent, received]."""
    predicted = replay.answered["200"] + replay.answered["500"]
    checks = {
        "answers of equal status: HTTP metric": [
            sum(replay.answered.values()),
            sum(n for status, n in received["http_answers"].items() if replay.answered[status] == n),
        ],
        "requests: server spans": [replay.sent, received["spans"].get(SERVER_SPAN, 0)],
        "predictions: request counter": [predicted, received["requests"]],
        "predictions: by class": [replay.answered["200"], sum(received["predictions_by_class"].values())],
        "predictions: spans": [predicted, received["spans"].get(f"predict {model}", 0)],
        "predictions: events": [predicted, received["events"].get(semconv.EVENT_PREDICTION.name, 0)],
        "dropped": [0, received["dropped"]],
    }
    for stage in semconv.STAGES:
        histogram = int(store.total(semconv.STAGE_DURATION.name, **{semconv.STAGE: stage, semconv.MODEL_NAME: model}))
        checks[f"{stage}: histogram"] = [predicted, histogram]
        checks[f"{stage}: spans"] = [predicted, received["spans"].get(stage, 0)]
    return checks
