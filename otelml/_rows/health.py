"""Rows of ``semconv`` about health checks."""

from __future__ import annotations

from otelml._rows.kinds import Attribute, Metric

HEALTH_CHECK = "otelml.health.check"
HEALTH_SEVERITY = "otelml.health.severity"

HEALTH_ATTRIBUTES: tuple[Attribute, ...] = (
    Attribute(HEALTH_CHECK, "string", "Name that the application gave a health check.", limit=20),
    Attribute(
        HEALTH_SEVERITY, "string", "`fail` where the process is not ready while the check fails, else `warn`.", limit=2
    ),
)
HEALTH_STATUS = Metric(
    "otelml.health.status",
    "observable_gauge",
    "",
    "1 where a health check, or a model's test answer, passed when it was last asked for; 0 where it failed.",
    (HEALTH_CHECK, HEALTH_SEVERITY),
)
HEALTH_METRICS: tuple[Metric, ...] = (HEALTH_STATUS,)
