"""OpenTelemetry-first observability for machine-learning services: metrics, logs and traces from one call.

import otelml

otelml.auto_instrument()
"""

from __future__ import annotations

from otelml.api import auto_instrument, batch_member, current_prediction, event, prediction, stage
from otelml.errors import ConfigError, MissingExtraError, OtelmlError
from otelml.logs import logger
from otelml.off import NoPrediction
from otelml.prediction import Prediction
from otelml.runtime import Runtime
from otelml.stage import Stage
from otelml.tracking import track_prediction

__all__ = [
    "ConfigError",
    "MissingExtraError",
    "NoPrediction",
    "OtelmlError",
    "Prediction",
    "Runtime",
    "Stage",
    "__version__",
    "auto_instrument",
    "batch_member",
    "current_prediction",
    "event",
    "logger",
    "prediction",
    "stage",
    "track_prediction",
]


def __getattr__(name: str) -> str:
    if name == "__version__":
        from importlib.metadata import version  # noqa: PLC0415 - reading the metadata costs a few milliseconds

        return version("otelml")
    raise AttributeError(f"module 'otelml' has no attribute {name!r}")
