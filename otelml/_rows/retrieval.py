"""Rows of ``semconv`` about features that are fetched for a prediction."""

from __future__ import annotations

from otelml._rows.kinds import Attribute, Metric

_MODEL = ("ml.model.name", "ml.model.version")

RETRIEVAL_SOURCE = "ml.feature_retrieval.source"
RETRIEVAL_ROWS = "ml.feature_retrieval.rows"
RETRIEVAL_VALUES_COUNT = "ml.feature_retrieval.values"
RETRIEVAL_MISSING_SHARE = "ml.feature_retrieval.missing.share"
RETRIEVAL_AGE_SECONDS = "ml.feature_retrieval.age"

RETRIEVAL_ATTRIBUTES: tuple[Attribute, ...] = (
    Attribute(RETRIEVAL_SOURCE, "string", "Where features were fetched: a name of yours, or `feast`.", limit=10),
    Attribute(RETRIEVAL_ROWS, "int", "Rows that were fetched: entities, not their keys."),
    Attribute(RETRIEVAL_VALUES_COUNT, "int", "Values that were asked for: rows by features."),
    Attribute(RETRIEVAL_MISSING_SHARE, "double", "Share of those values that were missing, from 0 to 1."),
    Attribute(RETRIEVAL_AGE_SECONDS, "double", "Age of the oldest feature, in seconds, where the store tells."),
)
AGES = (1.5, 10.5, 60.5, 300.5, 1800.5, 3600.5, 21600.5, 86400.5, 604800.5, 2592000.5)
"""Seconds, from a moment to thirty days."""
RETRIEVAL_VALUES = Metric(
    RETRIEVAL_VALUES_COUNT, "counter", "{value}", "Feature values asked for.", (*_MODEL, RETRIEVAL_SOURCE)
)
RETRIEVAL_MISSING = Metric(
    "ml.feature_retrieval.missing_values",
    "counter",
    "{value}",
    "Feature values that a store did not have.",
    (*_MODEL, RETRIEVAL_SOURCE),
)
RETRIEVAL_AGE = Metric(
    RETRIEVAL_AGE_SECONDS,
    "histogram",
    "s",
    "Age of the oldest feature of a retrieval.",
    (*_MODEL, RETRIEVAL_SOURCE),
    AGES,
)
RETRIEVAL_METRICS: tuple[Metric, ...] = (RETRIEVAL_VALUES, RETRIEVAL_MISSING, RETRIEVAL_AGE)
