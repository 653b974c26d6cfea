"""For who is on call: is the service healthy, and if not, where and since when?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from grafana_foundation_sdk.builders.dashboard import Row

from . import panels as p
from . import queries as q
from . import variables

if TYPE_CHECKING:
    from grafana_foundation_sdk.builders.dashboard import Dashboard

REQUESTS, DURATION, STAGE = "ml_requests_total", "ml_prediction_duration_seconds", "ml_stage_duration_seconds"
FAILED = 'error_type!=""'
ERROR_SHARE = q.share(q.rate(REQUESTS, extra=FAILED), q.rate(REQUESTS))
QUANTILES = {"p50": (0.5, p.REFERENCE), "p95": (0.95, p.NOW), "p99": (0.99, p.BAD)}


def build() -> Dashboard:
    """Return the dashboard."""
    about = "Requests, errors, latency and stages of a service that predicts; every dot leads to its trace."
    board = p.board("otelml-service", "Service", about, variables.OF_A_MODEL)
    _health(board)
    _requests(board)
    _latency(board)
    _stages(board)
    board.with_row(Row("What failed"))
    failed = '{service_name=~"$service"} | severity_text=~"ERROR|FATAL"'
    about = "Log records of failed predictions and other errors, the newest first; trace_id opens the trace."
    return board.with_panel(p.records("Errors in the logs", about, failed))


def _health(board: Dashboard) -> None:
    board.with_row(Row("Is it healthy?"))
    firing = 'sum(ALERTS{alertstate="firing", severity="page"}) or vector(0)'
    alive = f"{q.selected('process_uptime_seconds', scope=q.SERVICE)} or {q.selected('ml_requests_active')}"
    reporting = f"count(group by (job, instance)({alive}))"
    low = p.low_is_good
    for panel in (
        p.figure("Requests", "Prediction calls per second.", "reqps", p.metric(q.rate(REQUESTS))),
        p.figure("Errors", "Share of calls that raised.", "percentunit", p.metric(ERROR_SHARE), steps=low(0.01, 0.05)),
        p.figure("p95 latency", "95 % of calls took less.", "s", p.metric(q.quantile(0.95, DURATION))),
        p.figure("In flight", "Calls that are running.", "short", p.metric(f"sum({q.selected('ml_requests_active')})")),
        p.figure("Instances", "Processes that report: each has its own instance id.", "short", p.metric(reporting)),
        p.figure("Pages", "Firing alerts that page somebody.", "short", p.metric(firing), steps=low(1, 1)),
    ):
        board.with_panel(panel)
    alerts = p.metric('ALERTS{alertstate="firing", severity=~"page|ticket"}', now=True, form="table")
    columns = {
        "alertname": ("Alert", "string"),
        "severity": ("Severity", "string"),
        "job": ("Service", "string"),
        "ml_model_name": ("Model", "string"),
    }
    about, width = "What fires now, for all services.", p.FULL - p.SIXTH
    board.with_panel(p.rows("Firing alerts", about, columns, alerts, width=width).height(6))
    loaded = f"count(group by (job, ml_model_name, ml_model_version)({q.selected('ml_model_loaded')})) or vector(0)"
    about = "Models and versions that are loaded: watched, or discovered by their loader."
    board.with_panel(p.figure("Loaded models", about, "short", p.metric(loaded)).height(6))


def _requests(board: Dashboard) -> None:
    board.with_row(Row("Requests and errors"))
    by_version = "{{ml_model_name}} {{ml_model_version}}"
    active = f"sum by (instance)({q.selected('ml_requests_active')})"
    errors = q.share(q.rate(REQUESTS, q.BY_VERSION, FAILED), q.rate(REQUESTS, q.BY_VERSION))
    for panel in (
        p.graph(
            "Requests by model and version",
            "Prediction calls per second. A new version shows as a new line.",
            "reqps",
            p.metric(q.rate(REQUESTS, q.BY_VERSION), by_version, exemplars=True),
        ),
        p.graph(
            "Errors by type",
            "Calls per second that raised, by the class of the exception.",
            "reqps",
            p.metric(q.rate(REQUESTS, "error_type", FAILED), "{{error_type}}", exemplars=True),
        ),
        p.graph(
            "Error share by version",
            "Share of each version's calls that raised.",
            "percentunit",
            p.metric(errors, by_version),
        ),
        p.graph(
            "In flight by instance",
            "Calls that are running; a line that climbs and stays is a service that can't keep up.",
            "short",
            p.metric(active, "{{instance}}"),
        ),
    ):
        board.with_panel(panel)


def _latency(board: Dashboard) -> None:
    board.with_row(Row("Latency"))
    asked = [p.metric(q.quantile(at, DURATION), name, exemplars=True) for name, (at, _) in QUANTILES.items()]
    about = "All selected calls, per step; a dot is one call, and opens its trace."
    quantiles = p.graph("Latency quantiles", about, "s", *asked)
    by_version = p.metric(q.quantile(0.95, DURATION, q.BY_VERSION), "{{ml_model_name}} {{ml_model_version}}")
    first = p.metric(q.quantile(0.95, "ml_prediction_time_to_first_item_seconds"), "p95")
    for panel in (
        p.heat_map("Latency", "How many calls took how long.", "s", q.heat(DURATION)),
        p.coloured(quantiles, {name: colour for name, (_, colour) in QUANTILES.items()}),
        p.graph("p95 latency by version", "Did the new version get slower?", "s", by_version),
        p.graph("Time to first item", "95 % of streaming predictions gave their first item sooner.", "s", first),
    ):
        board.with_panel(panel)


def _stages(board: Dashboard) -> None:
    board.with_row(Row("Where the time goes"))
    per_call = f"{q.rate(f'{STAGE}_sum', 'ml_stage')} / on () group_left () ({q.rate(f'{DURATION}_count')} > 0)"
    failed = q.rate(f"{STAGE}_count", "ml_stage", FAILED)
    legend = "{{ml_stage}}"
    for panel in (
        p.graph(
            "Time per call by stage",
            "Mean seconds that each stage adds to a call.",
            "s",
            p.metric(per_call, legend),
            stacked=True,
            width=p.THIRD,
        ),
        p.graph(
            "p95 by stage",
            "95 % of a stage's runs took less.",
            "s",
            p.metric(q.quantile(0.95, STAGE, "ml_stage"), legend, exemplars=True),
            width=p.THIRD,
        ),
        p.graph(
            "Failures by stage",
            "Runs of a stage per second that raised.",
            "reqps",
            p.metric(failed, legend, exemplars=True),
            width=p.THIRD,
        ),
    ):
        board.with_panel(p.stages(panel))
