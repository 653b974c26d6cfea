"""prometheus_client alone: the metrics, scraped over HTTP at the end; no trace, no event."""

from __future__ import annotations

from time import perf_counter
from urllib.request import urlopen

from prometheus_client import Counter, Gauge, Histogram, start_http_server
from prometheus_client.parser import text_string_to_metric_families

from _contenders import ANSWERS, CONFIDENCE_BUCKETS, DURATION_BUCKETS, METRICS, MODEL, STAGES, VERSION

EXPECTED = METRICS
NAMES = ("model", "version")
NAME_OF = {"ml_requests_total": "ml.requests", "ml_predictions_total": "ml.predictions"} | {
    f"{name}_count": name.replace("_seconds", "").replace("_", ".")
    for name in ("ml_prediction_duration_seconds", "ml_stage_duration_seconds", "ml_prediction_confidence")
}

requests = Counter("ml_requests", "Prediction calls.", NAMES).labels(MODEL, VERSION)
predictions = Counter("ml_predictions", "Predicted rows.", (*NAMES, "class"))
active = Gauge("ml_requests_active", "Prediction calls in flight.", NAMES).labels(MODEL, VERSION)
duration = Histogram("ml_prediction_duration_seconds", "Duration.", NAMES, buckets=DURATION_BUCKETS).labels(
    MODEL, VERSION
)
stage_durations = Histogram("ml_stage_duration_seconds", "Stages.", (*NAMES, "stage"), buckets=DURATION_BUCKETS)
confidences = Histogram("ml_prediction_confidence", "Confidence.", (*NAMES, "class"), buckets=CONFIDENCE_BUCKETS)

# Series are looked up once, as its documentation advises where speed matters.
BY_STAGE = {stage: stage_durations.labels(MODEL, VERSION, stage) for stage in STAGES}
PREDICTED = {label: predictions.labels(MODEL, VERSION, label) for label in ("late", "on_time")}
CONFIDENT = {label: confidences.labels(MODEL, VERSION, label) for label in ("late", "on_time")}
_page: list[str] = []
_port: list[int] = []


def start() -> None:
    """Serve ``/metrics`` on a free port."""
    server, _ = start_http_server(0, "127.0.0.1")
    _port.append(server.server_port)


def predict() -> None:
    """Make one prediction."""
    active.inc()
    started = perf_counter()
    for stage in STAGES:
        stage_started = perf_counter()
        if stage == "inference":
            label, confidence = next(ANSWERS)
        BY_STAGE[stage].observe(perf_counter() - stage_started)
    requests.inc()
    PREDICTED[label].inc()
    duration.observe(perf_counter() - started)
    CONFIDENT[label].observe(confidence)
    active.dec()


def flush() -> None:
    """Let the metrics be scraped once."""
    with urlopen(f"http://127.0.0.1:{_port[0]}/metrics") as answer:
        _page[:] = [answer.read().decode()]


def arrived() -> dict[str, float]:
    """Return the totals of the scraped page."""
    totals = dict.fromkeys(EXPECTED, 0.0)
    for family in text_string_to_metric_families(_page[0]):
        for sample in family.samples:
            name = NAME_OF.get(sample.name)
            if name is not None:
                totals[name] += sample.value
            if sample.name == "ml_requests_active":
                totals["ml.requests.active"] += sample.value
    return totals
