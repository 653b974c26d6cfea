"""Rows about the truth: how right the model was, what to expect of it, and whether truths still come."""

from __future__ import annotations

from typing import TYPE_CHECKING

from grafana_foundation_sdk.builders.dashboard import Row

from . import panels as p
from . import queries as q

if TYPE_CHECKING:
    from grafana_foundation_sdk.builders.dashboard import Dashboard

OUTCOMES, CONFIDENCE, DELAY = "ml_outcomes_total", "ml_outcome_confidence", "ml_outcome_delay_seconds"
ALARMS = (
    "FeatureDrift|FeatureViolations|ModelAccuracyLow|ModelAccuracyExpectedLow|ModelMeanErrorHigh|LabelsLate|"
    "LabelsUnmatched|ModelPredictionsShifted|ModelValuesShifted"
)
VERSION = "{{ml_model_name}} {{ml_model_version}}"
OF_CLASS = f"{q.BY_VERSION}, ml_prediction_class"
ESTIMATE, EDGE = "#cc79a7", "#6b5563"


def add(board: Dashboard) -> None:
    """Add the rows."""
    board.with_row(Row("Is it right?"))
    for panel in (*_figures(), _accuracy(), _confusion(), _classes(), _calibration(), _errors()):
        board.with_panel(panel)
    board.with_row(Row("Do truths still come?"))
    for panel in (*_truths(), _alarms()):
        board.with_panel(panel)


def quality(name: str, by: str = q.BY_VERSION) -> str:
    """Return a quality gauge: every process computes it from the whole database, so the largest is what all say."""
    return f"max by ({by}) ({q.selected(f'ml_quality_{name}')})"


def _figures() -> tuple[p.Panel, ...]:
    unsettled = q.rate("ml_outcomes_unmatched_total", scope=q.SERVICE)
    return (
        p.figure(
            "Accuracy",
            "Share of right predictions, of those whose truth came within OTELML_OUTCOMES_WINDOW (a day).",
            "percentunit",
            p.metric(quality("accuracy_ratio"), VERSION),
            width=p.QUARTER,
        ),
        p.figure(
            "Accuracy to expect",
            "Of all predictions of the window, their truth known or not, from calibrated confidence. It does not see "
            "when the same input comes to have another truth.",
            "percentunit",
            p.metric(quality("estimated_accuracy_ratio"), VERSION),
            width=p.QUARTER,
        ),
        p.figure(
            "Truths counted",
            "Predictions with a truth in the window. Below a hundred or so read nothing into the rest.",
            "short",
            p.metric(quality("outcomes"), VERSION),
            width=p.QUARTER,
        ),
        p.figure(
            "Truths without a prediction",
            "Per second: their id was not found before OTELML_OUTCOMES_WAIT was over.",
            "short",
            p.metric(unsettled),
            width=p.QUARTER,
        ),
    )


def _accuracy() -> p.Panel:
    usual = q.selected("models:ml_outcomes:accuracy7d_before", scope='job=~"$job", ml_model_name=~"$model"')
    panel = p.graph(
        "Accuracy, seen and expected",
        "What the truths say, and what confidence promised, between the ends of its 95 % interval. Apart for long, the "
        "same inputs mean something else than before. In grey, the mean of the seven days before the last.",
        "percentunit",
        p.metric(quality("accuracy_ratio"), f"{VERSION} seen"),
        p.metric(quality("estimated_accuracy_ratio"), f"{VERSION} expected"),
        p.metric(quality("estimated_accuracy_lower_ratio"), f"{VERSION} at least"),
        p.metric(quality("estimated_accuracy_upper_ratio"), f"{VERSION} at most"),
        p.metric(f"max by (ml_model_name) ({usual})", "{{ml_model_name}} as a rule"),
        width=p.FULL,
    )
    ends = {" seen": p.NOW, " expected": ESTIMATE, " at least": EDGE, " at most": EDGE, " as a rule": p.REFERENCE}
    return p.coloured_by_end(panel, ends)


def _confusion() -> p.Panel:
    pairs = q.increase(OUTCOMES, "ml_outcome_predicted, ml_outcome_actual", 'ml_outcome_correct!=""')
    return p.matrix(
        "Predicted and true class",
        "Truths that came in the range shown, by what was predicted (rows) and what was true (columns).",
        ("ml_outcome_predicted", "ml_outcome_actual"),
        p.metric(pairs, now=True, form="table"),
    )


def _classes() -> p.Panel:
    columns = {
        "ml_model_name": ("Model", "string"),
        "ml_model_version": ("Version", "string"),
        "ml_prediction_class": ("Class", "string"),
        "Value #A": ("Precision", "percentunit"),
        "Value #B": ("Recall", "percentunit"),
        "Value #C": ("F1", "percentunit"),
        "Value #D": ("Truths in a day", "short"),
    }
    figures = [quality(f"{name}_ratio", OF_CLASS) for name in ("precision", "recall", "f1")]
    actual = q.selected("model_class:ml_outcomes_actual:increase1d", scope=q.RECORDED)
    asked = (*figures, f"sum by ({OF_CLASS}) ({actual})")
    about = "Of a class: right among those predicted, found among those true, and the harmonic mean of both."
    return p.rows(
        "Precision and recall by class",
        about,
        columns,
        *(p.metric(one, now=True, form="table") for one in asked),
        width=p.HALF,
    )


def _calibration() -> p.Panel:
    said, right = q.increase(f"{CONFIDENCE}_sum"), q.increase(f"{CONFIDENCE}_count", extra='ml_outcome_correct="true"')
    counted = q.increase(f"{CONFIDENCE}_count")
    return p.graph(
        "Said and kept",
        "Mean confidence beside the share of right ones, over a window as long as the range shown, and the mean gap "
        "between the two over ten bins of confidence.",
        "percentunit",
        p.metric(f"{said} / ({counted} > 0)", "confidence"),
        p.metric(q.share(right, counted), "right"),
        p.metric(quality("calibration_error_ratio"), f"{VERSION} calibration error"),
    )


def _errors() -> p.Panel:
    return p.graph(
        "Errors of values",
        "Regression only: mean absolute error, and root of the mean squared error.",
        "short",
        p.metric(quality("mae"), f"{VERSION} MAE"),
        p.metric(quality("rmse"), f"{VERSION} RMSE"),
    )


def _truths() -> tuple[p.Panel, ...]:
    usual = q.selected("model:ml_outcome_delay_seconds:p90_rate1d", scope=q.RECORDED)
    by = q.BY_VERSION
    return (
        p.graph(
            "Delay of truths",
            "From the prediction to its truth: median, and 90 % of those that came now and within a day.",
            "s",
            p.metric(q.quantile(0.5, DELAY, by), f"{VERSION} p50"),
            p.metric(q.quantile(0.9, DELAY, by), f"{VERSION} p90"),
            p.metric(f"max by ({by}) ({usual})", f"{VERSION} p90 of the day"),
        ),
        p.graph(
            "What becomes of truths",
            "Per second: joined with their prediction, ignored (told before, contradicting, no number), without a "
            "prediction; and predictions that were forgotten before their truth came.",
            "short",
            p.metric(q.rate(OUTCOMES), "joined"),
            p.metric(q.rate("ml_outcomes_ignored_total", "ml_outcome_reason"), "{{ml_outcome_reason}}"),
            p.metric(q.rate("ml_outcomes_unmatched_total", scope=q.SERVICE), "without a prediction"),
            p.metric(q.rate("ml_outcomes_missing_total"), "forgotten"),
        ),
        p.graph(
            "Not yet written",
            "Predictions and truths that the database has not taken yet, and its failed turns per second.",
            "short",
            p.metric(f"sum by (job)({q.selected('otelml_outcomes_unwritten', scope=q.SERVICE)})", "{{job}}"),
            p.metric(q.rate("otelml_outcomes_failures_total", "job", scope=q.SERVICE), "{{job}} failures"),
        ),
    )


def _alarms() -> p.Panel:
    columns = {
        "alertname": ("Alert", "string"),
        "alertstate": ("State", "string"),
        "ml_model_name": ("Model", "string"),
        "ml_model_version": ("Version", "string"),
        "ml_feature_name": ("Feature", "string"),
        "reason": ("Reason", "string"),
    }
    asked = q.selected("ALERTS", f'alertname=~"{ALARMS}"', 'job=~"$job"')
    about = "Alerts on drift, quality and truths that fire or are about to."
    return p.rows("Alerts of drift and quality", about, columns, p.metric(asked, now=True, form="table"), width=p.HALF)
