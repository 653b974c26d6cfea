"""1,024 rows in one call to otelml: class, confidence and value of each, and its 30 features beside a reference."""

from __future__ import annotations

import otelml
from _contenders import MODEL, VERSION, arrived, otelml_rows
from _contenders.otelml import flush
from _contenders.rows import CLASSES, CONFIDENCES, FEATURES, INPUTS, MINUTES, OBSERVED
from otelml import drift

EXPECTED = OBSERVED
__all__ = ["EXPECTED", "arrived", "flush", "predict", "start"]


def start() -> None:
    """Configure from the environment, and watch the model's features."""
    otelml_rows.start()
    otelml.watch_drift(MODEL, drift.Reference.fit(INPUTS, FEATURES))


def predict() -> None:
    """Make one prediction of 1,024 rows."""
    with otelml.prediction(MODEL, VERSION) as p:
        p.result(classes=CLASSES, confidence=CONFIDENCES, values=MINUTES, inputs=INPUTS)
