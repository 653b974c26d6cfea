"""Rows of ``semconv`` about the sliding window of each model, and its thresholds."""

from __future__ import annotations

from otelml._rows.kinds import Attribute, Event, Metric

_MODEL = ("ml.model.name", "ml.model.version")

FIGURES = ("mean", "p50", "p95", "p99", "error_rate", "throughput", "confidence", "low_confidence")
"""What a window tells and thresholds are set for."""
LOWER_IS_WORSE = frozenset({"throughput", "confidence"})
"""Figures whose thresholds are crossed downwards."""

WINDOW_FIGURE = "ml.window.figure"
WINDOW_VALUE = "ml.window.value"
WINDOW_DURATION = "ml.window.duration"
WINDOW_REQUESTS = "ml.window.requests"
THRESHOLD_KIND = "ml.threshold.kind"
THRESHOLD_VALUE = "ml.threshold.value"
THRESHOLD_REASON = "ml.threshold.reason"
_THRESHOLD = (WINDOW_FIGURE, THRESHOLD_KIND)

WINDOW_ATTRIBUTES: tuple[Attribute, ...] = (
    Attribute(WINDOW_FIGURE, "string", f"{', '.join(f'`{name}`' for name in FIGURES)}.", limit=len(FIGURES)),
    Attribute(WINDOW_VALUE, "double", "The figure over the window: seconds, requests a second, or a share."),
    Attribute(WINDOW_DURATION, "double", "Seconds that the window covers."),
    Attribute(WINDOW_REQUESTS, "int", "Prediction calls in the window."),
    Attribute(THRESHOLD_KIND, "string", "`limit`: from the settings; `baseline`: from earlier windows.", limit=2),
    Attribute(THRESHOLD_VALUE, "double", "What the figure is compared with, in its unit."),
    Attribute(THRESHOLD_REASON, "string", "Why it was cleared: `recovered` or `no_traffic`."),
)

THRESHOLD_ACTIVE = Metric(
    "ml.threshold.active",
    "observable_updown",
    "{threshold}",
    "1 while a threshold of the window is exceeded; summed up, in how many processes.",
    (*_MODEL, *_THRESHOLD),
)
WINDOW_METRICS: tuple[Metric, ...] = (THRESHOLD_ACTIVE,)

_KNOWN = (*_MODEL, *_THRESHOLD, WINDOW_VALUE, THRESHOLD_VALUE, WINDOW_DURATION, WINDOW_REQUESTS)
EVENT_THRESHOLD_EXCEEDED = Event(
    "ml.threshold.exceeded", "A figure of a model's window crossed its threshold; severity WARN.", _KNOWN
)
EVENT_THRESHOLD_CLEARED = Event(
    "ml.threshold.cleared", "It has been back for a whole window, or traffic ended.", (*_KNOWN, THRESHOLD_REASON)
)
WINDOW_EVENTS: tuple[Event, ...] = (EVENT_THRESHOLD_EXCEEDED, EVENT_THRESHOLD_CLEARED)
