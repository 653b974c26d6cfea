"""Rows of live observation: features and predictions in the bins of their reference, and how far they moved."""

from __future__ import annotations

from otelml._rows.kinds import Attribute, Event, Metric

FEATURE_NAME = "ml.feature.name"
FEATURE_BIN = "ml.feature.bin"
FEATURE_KIND = "ml.feature.kind"
VIOLATION = "ml.violation"
DRIFT_RAISED = "ml.drift.raised"
DRIFT_TEST = "ml.drift.test"
DRIFT_P_VALUE = "ml.drift.p_value"
DRIFT_Q_VALUE = "ml.drift.q_value"
DRIFT_PSI = "ml.drift.psi"
DRIFT_PSI_BIAS = "ml.drift.psi_bias"
DRIFT_JS = "ml.drift.js"
DRIFT_KS = "ml.drift.ks"
DRIFT_ROWS = "ml.drift.rows"
DRIFT_MISSING_CHANGE = "ml.drift.missing_change"
DRIFT_WINDOW = "ml.drift.window"

MOST_BINS = 5000
"""Bins of all features of one reference together."""

_MODEL = ("ml.model.name", "ml.model.version")
_FEATURE = (*_MODEL, FEATURE_NAME)

DRIFT_ATTRIBUTES: tuple[Attribute, ...] = (
    Attribute(FEATURE_NAME, "string", "Feature, as the reference calls it; `prediction` is the output.", limit=5000),
    Attribute(
        FEATURE_BIN,
        "string",
        "Bin of the reference: `03 12.5 to 20`, numbered from the lowest; a category or `other`; `missing`.",
        limit=MOST_BINS,
    ),
    Attribute(FEATURE_KIND, "string", "`number` or `category`.", limit=2),
    Attribute(VIOLATION, "string", "`missing`, `extra`, `wrong_type`, `out_of_range` or `new_category`.", limit=5),
    Attribute(DRIFT_RAISED, "boolean", "Whether the alarm was raised, or cleared."),
    Attribute(DRIFT_TEST, "string", "Test that saw most of the drift, such as `rank` or `missing`."),
    Attribute(DRIFT_P_VALUE, "double", "p-value of all tests of the feature together."),
    Attribute(DRIFT_Q_VALUE, "double", "The same, corrected for the number of features."),
    Attribute(DRIFT_PSI, "double", "Population stability index of the window."),
    Attribute(DRIFT_PSI_BIAS, "double", "What the index is on average without any change."),
    Attribute(DRIFT_JS, "double", "Jensen-Shannon distance of the window."),
    Attribute(DRIFT_KS, "double", "Kolmogorov-Smirnov statistic of the window; numbers only."),
    Attribute(DRIFT_ROWS, "int", "Rows of the window."),
    Attribute(DRIFT_MISSING_CHANGE, "double", "Change of the share of missing values."),
    Attribute(DRIFT_WINDOW, "double", "Seconds that the window lasted."),
)

FEATURE_OBSERVATIONS = Metric(
    "ml.feature.observations",
    "observable_counter",
    "{value}",
    "Values of a feature by bin of the reference, every bin from zero.",
    (*_FEATURE, FEATURE_BIN),
)
FEATURE_ROWS = Metric(
    "ml.feature.rows",
    "observable_counter",
    "{row}",
    "Rows of inputs seen, those that were not observed as well (sampled or dropped).",
    _MODEL,
)
FEATURE_VIOLATIONS = Metric(
    "ml.feature.violations",
    "observable_counter",
    "{value}",
    "Values that the reference does not allow.",
    (*_FEATURE, VIOLATION),
)
FEATURE_REFERENCE = Metric(
    "ml.feature.reference",
    "observable_gauge",
    "{value}",
    "Values of the reference by bin.",
    (*_FEATURE, FEATURE_BIN, FEATURE_KIND),
)
DRIFT_PSI_GAUGE = Metric(
    DRIFT_PSI, "observable_gauge", "", "Population stability index of this process's last window.", _FEATURE
)
DRIFT_JS_GAUGE = Metric(
    DRIFT_JS, "observable_gauge", "", "Jensen-Shannon distance of this process's last window, 0 to 1.", _FEATURE
)
DRIFT_KS_GAUGE = Metric(
    DRIFT_KS,
    "observable_gauge",
    "",
    "Kolmogorov-Smirnov statistic of this process's last window, 0 to 1; numbers only.",
    _FEATURE,
)
DRIFT_DETECTED_GAUGE = Metric(
    "ml.drift.detected", "observable_gauge", "", "1 while the alarm of a feature is raised in this process.", _FEATURE
)
DRIFT_METRICS: tuple[Metric, ...] = (
    FEATURE_OBSERVATIONS,
    FEATURE_ROWS,
    FEATURE_VIOLATIONS,
    FEATURE_REFERENCE,
    DRIFT_PSI_GAUGE,
    DRIFT_JS_GAUGE,
    DRIFT_KS_GAUGE,
    DRIFT_DETECTED_GAUGE,
)

EVENT_DRIFT = Event(
    "ml.drift.detected",
    "A feature has drifted for several windows (severity WARN), or no longer does (INFO).",
    (
        *(*_FEATURE, DRIFT_RAISED, DRIFT_TEST, DRIFT_P_VALUE, DRIFT_Q_VALUE, DRIFT_PSI, DRIFT_PSI_BIAS),
        *(DRIFT_JS, DRIFT_KS, DRIFT_MISSING_CHANGE, DRIFT_ROWS, DRIFT_WINDOW),
    ),
)
DRIFT_EVENTS: tuple[Event, ...] = (EVENT_DRIFT,)
