"""For who makes the model: does it still answer as it used to, as surely, and is it right?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from grafana_foundation_sdk.builders.dashboard import Row, TextBoxVariable

from . import drift, outcomes, variables
from . import panels as p
from . import queries as q

if TYPE_CHECKING:
    from grafana_foundation_sdk.builders.dashboard import Dashboard

REQUESTS, DURATION, ROWS = "ml_requests_total", "ml_prediction_duration_seconds", "ml_predictions_total"
CONFIDENCE, LOW, VALUE = "ml_prediction_confidence", "ml_prediction_low_confidence_total", "ml_prediction_value"
MISSING, CLASS = "ml_input_missing_values_total", "ml_prediction_class"
VERSION = "{{ml_model_name}} {{ml_model_version}}"
LOW_SHARE = q.share(q.rate(LOW), q.rate(f"{CONFIDENCE}_count"))
LOW_REFERENCE = (
    f"({q.increase(LOW)} or 0 * {q.increase(f'{CONFIDENCE}_count')}) / ({q.increase(f'{CONFIDENCE}_count')} > 0)"
)


def build() -> Dashboard:
    """Return the dashboard."""
    about = "Predictions by class, accuracy, drift of inputs, confidence and values, per model and version."
    threshold = TextBoxVariable("unsure").label("Unsure below").default_value("0.5")
    board = p.board("otelml-model", "Model quality", about, (*variables.OF_A_MODEL, drift.CHOICE, threshold))
    _answers(board)
    outcomes.add(board)
    drift.add(board)
    _confidence(board)
    _inputs(board)
    _versions(board)
    board.with_row(Row("The predictions themselves"))
    unsure = '{service_name=~"$service"} | ml_model_name=~"$model" | ml_prediction_confidence < $unsure | __error__=""'
    about = "One-row predictions whose confidence is under the bound above; trace_id opens the trace."
    return board.with_panel(p.records("Unsure predictions", about, unsure))


def _answers(board: Dashboard) -> None:
    board.with_row(Row("What does it answer?"))
    missing = f"{q.rate(MISSING)} / ({q.rate(ROWS)} > 0)"
    by_class = q.rate(ROWS, CLASS)
    class_share = f"{by_class} / on () group_left () ({q.rate(ROWS)} > 0)"
    for panel in (
        p.figure("Predictions", "Predicted rows per second.", "short", p.metric(q.rate(ROWS)), width=p.QUARTER),
        p.figure(
            "Low confidence",
            "Share of rows whose confidence is under OTELML_LOW_CONFIDENCE, of all rows that have one.",
            "percentunit",
            p.metric(LOW_SHARE),
            width=p.QUARTER,
        ),
        p.figure(
            "Mean confidence", "Mean over all rows.", "percentunit", p.metric(q.mean(CONFIDENCE)), width=p.QUARTER
        ),
        p.figure(
            "Missing values", "Missing input values per predicted row.", "short", p.metric(missing), width=p.QUARTER
        ),
        p.graph(
            "Predictions by class",
            "Predicted rows per second.",
            "short",
            p.metric(by_class, "{{ml_prediction_class}}"),
            stacked=True,
        ),
        p.graph(
            "Share of each class",
            "A class that grows or fades is the first sign that inputs or model have changed.",
            "percentunit",
            p.metric(class_share, "{{ml_prediction_class}}"),
            stacked=True,
            whole=True,
        ),
    ):
        board.with_panel(panel)


def _confidence(board: Dashboard) -> None:
    board.with_row(Row("How sure is it?"))
    low = p.graph(
        "Low confidence, and as a rule",
        "Share of unsure rows now; in grey, over a window as long as the range shown.",
        "percentunit",
        p.metric(LOW_SHARE, "now", exemplars=True),
        p.metric(LOW_REFERENCE, "as a rule"),
    )
    by_class = q.share(q.rate(LOW, CLASS), q.rate(f"{CONFIDENCE}_count", CLASS))
    tenth = p.metric(q.quantile(0.1, CONFIDENCE, q.BY_VERSION), VERSION)
    for panel in (
        p.heat_map("Confidence", "How many rows had which confidence.", "percentunit", q.heat(CONFIDENCE)),
        p.coloured(low, {"now": p.NOW, "as a rule": p.REFERENCE}),
        p.graph(
            "Low confidence by class",
            "Share of unsure rows among those of a class.",
            "percentunit",
            p.metric(by_class, "{{ml_prediction_class}}"),
        ),
        p.graph("Least sure tenth", "A tenth of each version's rows had less confidence.", "percentunit", tenth),
    ):
        board.with_panel(panel)


def _inputs(board: Dashboard) -> None:
    board.with_row(Row("Values and inputs"))
    middle = p.metric(q.quantile(0.5, VALUE, q.BY_VERSION), f"{VERSION} p50")
    upper = p.metric(q.quantile(0.9, VALUE, q.BY_VERSION), f"{VERSION} p90")
    missing = f"{q.rate(MISSING, q.BY_VERSION)} / ({q.rate(ROWS, q.BY_VERSION)} > 0)"
    for panel in (
        p.heat_map("Predicted values", "Regression only: how many rows had which value.", "short", q.heat(VALUE)),
        p.graph("Predicted values by version", "Regression only: median and 90 %.", "short", middle, upper).min(None),
        p.graph(
            "Missing values per row",
            "Missing (NaN or None) input values per predicted row.",
            "short",
            p.metric(missing, VERSION),
            width=p.FULL,
        ),
    ):
        board.with_panel(panel)


def _versions(board: Dashboard) -> None:
    board.with_row(Row("Is the new version better?"))
    by, failed = q.BY_VERSION, 'error_type!=""'
    asked = (
        q.rate(ROWS, by),
        q.share(q.rate(REQUESTS, by, failed), q.rate(REQUESTS, by)),
        q.quantile(0.95, DURATION, by),
        q.mean(CONFIDENCE, by),
        q.share(q.rate(LOW, by), q.rate(f"{CONFIDENCE}_count", by)),
    )
    columns = {
        "ml_model_name": ("Model", "string"),
        "ml_model_version": ("Version", "string"),
        "Value #A": ("Rows per second", "short"),
        "Value #B": ("Errors", "percentunit"),
        "Value #C": ("p95 latency", "s"),
        "Value #D": ("Mean confidence", "percentunit"),
        "Value #E": ("Low confidence", "percentunit"),
    }
    about = "Every version that answers now, side by side."
    now = (p.metric(query, now=True, form="table") for query in asked)
    board.with_panel(p.rows("Versions", about, columns, *now))
