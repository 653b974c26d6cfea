"""OpenTelemetry-first observability for machine-learning services: metrics, logs and traces from one call.

import otelml

otelml.auto_instrument()
"""

from __future__ import annotations

from otelml.api import (
    Alert,
    Window,
    auto_instrument,
    batch_member,
    current_prediction,
    event,
    force_flush,
    on_alert,
    prediction,
    profile,
    record_outcome,
    stage,
    unwatch,
    watch,
    watch_drift,
    window,
)
from otelml.errors import ConfigError, MissingExtraError, OtelmlError
from otelml.logs import logger
from otelml.off import NoPrediction
from otelml.prediction import Prediction
from otelml.profiling.profile import Profile
from otelml.retrieval import feature_retrieval
from otelml.runtime import Runtime
from otelml.stage import Stage
from otelml.tracking import track_prediction

__all__ = [
    "Alert",
    "ConfigError",
    "MissingExtraError",
    "NoPrediction",
    "OtelmlError",
    "Prediction",
    "Profile",
    "Runtime",
    "Stage",
    "Window",
    "__version__",
    "auto_instrument",
    "batch_member",
    "current_prediction",
    "event",
    "feature_retrieval",
    "force_flush",
    "logger",
    "on_alert",
    "prediction",
    "profile",
    "record_outcome",
    "stage",
    "track_prediction",
    "unwatch",
    "watch",
    "watch_drift",
    "window",
]


def __getattr__(name: str) -> str:
    if name == "__version__":
        from importlib.metadata import version  # noqa: PLC0415 - reading the metadata costs a few milliseconds

        return version("otelml")
    raise AttributeError(f"module 'otelml' has no attribute {name!r}")
