"""Rows of ``semconv`` about outcomes: the truth that arrives after a prediction, and how right the model was."""

from __future__ import annotations

from otelml._rows.kinds import Attribute, Event, Metric, SpanName

_MODEL = ("ml.model.name", "ml.model.version")
_PREDICTION = ("ml.prediction.id", "ml.prediction.value", "ml.prediction.confidence")
_CLASS = "ml.prediction.class"

OUTCOME_PREDICTED = "ml.outcome.predicted"
OUTCOME_ACTUAL = "ml.outcome.actual"
OUTCOME_CORRECT = "ml.outcome.correct"
OUTCOME_VALUE = "ml.outcome.value"
OUTCOME_DELAY = "ml.outcome.delay"
OUTCOME_REASON = "ml.outcome.reason"
FEATURE_FLAG_KEY = "feature_flag.key"
FEATURE_FLAG_VARIANT = "feature_flag.result.variant"
_OUTCOME = (OUTCOME_PREDICTED, OUTCOME_ACTUAL, OUTCOME_CORRECT)

OUTCOME_ATTRIBUTES: tuple[Attribute, ...] = (
    Attribute(OUTCOME_PREDICTED, "string", "Class that was predicted.", limit=16),
    Attribute(OUTCOME_ACTUAL, "string", "Class that turned out to be true.", limit=16),
    Attribute(OUTCOME_CORRECT, "string", "`true` where the prediction was right, else `false`.", limit=2),
    Attribute(OUTCOME_VALUE, "double", "Number that turned out to be true, for regression."),
    Attribute(OUTCOME_DELAY, "double", "Seconds from the prediction to its truth."),
    Attribute(OUTCOME_REASON, "string", "`duplicate`, `conflicting` or `wrong_type`.", limit=3),
    Attribute(FEATURE_FLAG_KEY, "string", "The model, where one of several versions of it was chosen to predict."),
    Attribute(
        FEATURE_FLAG_VARIANT, "string", "Part that the chosen version plays, such as `canary` or `shadow`.", limit=20
    ),
)

_DELAYS = (0.5, 1.5, 10.5, 60.5, 300.5, 900.5, 1800.5, 3600.5, 7200.5, 14400.5, 28800.5, 86400.5, 604800.5, 2592000.5)
_ERRORS = (0.01, 0.1, 0.5, 1.5, 2.5, 5.5, 10.5, 25.5, 50.5, 100.5, 250.5, 500.5, 1000.5, 10000.5, 100000.5)
_SHARES = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)

OUTCOMES = Metric("ml.outcomes", "counter", "{outcome}", "Predictions whose truth has arrived.", (*_MODEL, *_OUTCOME))
OUTCOME_DELAY_HISTOGRAM = Metric(
    OUTCOME_DELAY, "histogram", "s", "Time from a prediction to its truth.", _MODEL, _DELAYS
)
OUTCOME_CONFIDENCE = Metric(
    "ml.outcome.confidence",
    "histogram",
    "1",
    "Confidence of predictions whose truth has arrived, right ones and wrong ones.",
    (*_MODEL, OUTCOME_CORRECT),
    _SHARES,
)
OUTCOME_ERROR = Metric(
    "ml.outcome.error", "histogram", "", "Absolute error of a predicted value: sum over count is MAE.", _MODEL, _ERRORS
)
OUTCOME_SQUARED_ERROR = Metric(
    "ml.outcome.squared_error",
    "counter",
    "",
    "Sum of squared errors of predicted values: over the count of `ml.outcome.error` it is RMSE squared.",
    _MODEL,
)
OUTCOMES_IGNORED = Metric(
    "ml.outcomes.ignored",
    "counter",
    "{outcome}",
    "Truths that changed nothing: told before, contradicting the first one, or no number where one is needed.",
    (*_MODEL, OUTCOME_REASON),
)
OUTCOMES_UNMATCHED = Metric(
    "ml.outcomes.unmatched", "counter", "{outcome}", "Truths whose prediction did not turn up in time."
)
OUTCOMES_MISSING = Metric(
    "ml.outcomes.missing", "counter", "{prediction}", "Predictions forgotten before their truth arrived.", _MODEL
)
OUTCOMES_UNWRITTEN = Metric(
    "otelml.outcomes.unwritten", "observable_updown", "{item}", "Predictions and truths not yet in the database."
)
OUTCOMES_FAILURES = Metric(
    "otelml.outcomes.failures", "observable_counter", "{failure}", "Failed turns of the outcomes' database."
)


def _quality(name: str, text: str, *more: str, unit: str = "1") -> Metric:
    return Metric(f"ml.quality.{name}", "observable_gauge", unit, f"{text} over the window.", (*_MODEL, *more))


QUALITY_OUTCOMES = _quality("outcomes", "Outcomes", unit="{outcome}")
QUALITY_ACCURACY = _quality("accuracy", "Share of right predictions")
QUALITY_PRECISION = _quality("precision", "Share of right ones among predictions of a class", _CLASS)
QUALITY_RECALL = _quality("recall", "Share of a class's cases that were predicted", _CLASS)
QUALITY_F1 = _quality("f1", "Harmonic mean of precision and recall of a class", _CLASS)
QUALITY_AUC = _quality("auc", "Area under the ROC curve, two classes")
QUALITY_CALIBRATION_ERROR = _quality("calibration_error", "Expected calibration error")
QUALITY_ESTIMATED_ACCURACY = _quality(
    "estimated_accuracy", "Share of right predictions to expect, from calibrated confidence, of all predictions made"
)
QUALITY_ESTIMATED_ACCURACY_LOWER = _quality(
    "estimated_accuracy_lower", "Lower end of the 95 % interval of the accuracy to expect"
)
QUALITY_ESTIMATED_ACCURACY_UPPER = _quality(
    "estimated_accuracy_upper", "Upper end of the 95 % interval of the accuracy to expect"
)
QUALITY_MAE = _quality("mae", "Mean absolute error of predicted values", unit="")
QUALITY_RMSE = _quality("rmse", "Root mean squared error of predicted values", unit="")

OUTCOME_METRICS: tuple[Metric, ...] = (
    OUTCOMES,
    OUTCOME_DELAY_HISTOGRAM,
    OUTCOME_CONFIDENCE,
    OUTCOME_ERROR,
    OUTCOME_SQUARED_ERROR,
    OUTCOMES_IGNORED,
    OUTCOMES_UNMATCHED,
    OUTCOMES_MISSING,
    OUTCOMES_UNWRITTEN,
    OUTCOMES_FAILURES,
    QUALITY_OUTCOMES,
    QUALITY_ACCURACY,
    QUALITY_PRECISION,
    QUALITY_RECALL,
    QUALITY_F1,
    QUALITY_AUC,
    QUALITY_CALIBRATION_ERROR,
    QUALITY_ESTIMATED_ACCURACY,
    QUALITY_ESTIMATED_ACCURACY_LOWER,
    QUALITY_ESTIMATED_ACCURACY_UPPER,
    QUALITY_MAE,
    QUALITY_RMSE,
)

_KNOWN = (*_MODEL, FEATURE_FLAG_KEY, FEATURE_FLAG_VARIANT, *_PREDICTION, *_OUTCOME, OUTCOME_VALUE, OUTCOME_DELAY)
SPAN_OUTCOME = SpanName("outcome", "The truth of one prediction arrived; linked to the prediction's span.", _KNOWN)
OUTCOME_SPANS: tuple[SpanName, ...] = (SPAN_OUTCOME,)
EVENT_OUTCOME = Event("ml.outcome", "The truth of one prediction arrived.", _KNOWN)
OUTCOME_EVENTS: tuple[Event, ...] = (EVENT_OUTCOME,)
