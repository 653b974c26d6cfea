"""otelml as its users write it."""

from __future__ import annotations

import otelml
from _contenders import ANSWERS, EXPECTED, MODEL, VERSION, arrived

__all__ = ["EXPECTED", "arrived", "flush", "predict", "start"]


def start() -> None:
    """Configure from the environment."""
    otelml.auto_instrument()


def predict() -> None:
    """Make one prediction."""
    with otelml.prediction(MODEL, VERSION) as p:
        with p.stage("feature_retrieval"):
            pass
        with p.stage("preprocessing"):
            pass
        with p.stage("inference"):
            label, confidence = next(ANSWERS)
        with p.stage("postprocessing"):
            p.result(classes=label, confidence=confidence)


def flush() -> None:
    """Export everything, or end with an error."""
    if not otelml.auto_instrument().force_flush(60):
        raise SystemExit("otelml could not export everything")
