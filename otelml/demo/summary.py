"""What was sent and what was received, as counts that must be equal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from otelml import semconv
from otelml.demo.replay import NO_ANSWER
from otelml.demo.screen import HTTP_DURATION, PREDICT_ROUTE
from otelml.viewer import queries

if TYPE_CHECKING:
    from otelml.demo.landings import Landings
    from otelml.demo.replay import Replay
    from otelml.viewer.store import Store

SERVER_SPAN = f"POST {PREDICT_ROUTE}"


def summarize(replay: Replay, landings: Landings, store: Store | None, model: str) -> dict[str, Any]:
    """Return the counts of the replayer and, where telemetry came here, of the receiver.

    ``checks`` holds pairs that must be equal; ``equal`` says whether they all are.
    """
    answered = dict(sorted(replay.answered.items()))
    sent: dict[str, Any] = {"requests": replay.sent, "answered": answered, "outcomes": landings.told}
    if store is None:
        return {"sent": sent, "received": None, "checks": {}, "equal": True}
    received = _received(store, model)
    checks = _checks(replay, received, store, model)
    checks |= _truths(replay, landings, received, store)
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


def _truths(replay: Replay, landings: Landings, received: dict[str, Any], store: Store) -> dict[str, list[int]]:
    delays = int(store.total(semconv.OUTCOME_DELAY_HISTOGRAM.name))
    return {
        "inputs: rows observed": [replay.answered["200"], int(store.total(semconv.FEATURE_ROWS.name))],
        "outcomes: counter": [landings.told, int(store.total(semconv.OUTCOMES.name))],
        "outcomes: delays": [landings.told, delays],
        "outcomes: events": [landings.told, received["events"].get(semconv.EVENT_OUTCOME.name, 0)],
        "outcomes: spans": [landings.told, received["spans"].get(semconv.SPAN_OUTCOME.name, 0)],
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
    predicted, spans = replay.answered["200"] + replay.answered["500"], received["spans"].get(SERVER_SPAN, 0)
    # What got no answer may have come to the service, or not.
    answered = sum(replay.answered.values()) - replay.answered[NO_ANSWER]
    checks = {
        "answers of equal status: HTTP metric": [
            answered,
            sum(n for status, n in received["http_answers"].items() if replay.answered[status] == n),
        ],
        "requests: server spans": [_within(answered, spans, replay.sent), spans],
        "predictions: request counter": [predicted, received["requests"]],
        "predictions: by class": [replay.answered["200"], sum(received["predictions_by_class"].values())],
        "predictions: spans": [predicted, received["spans"].get(f"predict {model}", 0)],
        "predictions: events": [predicted, received["events"].get(semconv.EVENT_PREDICTION.name, 0)],
        "dropped": [0, received["dropped"]],
    }
    for stage in semconv.STAGES:
        histogram = int(store.total(semconv.STAGE_DURATION.name, **{semconv.STAGE: stage, semconv.MODEL_NAME: model}))
        reached = _within(replay.answered["200"], histogram, predicted)  # what failed went no further than its stage
        checks[f"{stage}: histogram"] = [reached, histogram]
        checks[f"{stage}: spans"] = [reached, received["spans"].get(stage, 0)]
    return checks


def _within(least: int, count: int, most: int) -> int:
    """Return the count where it is possible, else what it may be and is nearest to it."""
    return min(max(count, least), most)
