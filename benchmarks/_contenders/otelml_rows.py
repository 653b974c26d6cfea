"""1,024 rows in one call to otelml: class, confidence and value of every row."""

from __future__ import annotations

import otelml
from _contenders import MODEL, VERSION, arrived
from _contenders.otelml import flush, start
from _contenders.rows import CLASSES, CONFIDENCES, EXPECTED, MINUTES

__all__ = ["EXPECTED", "arrived", "flush", "predict", "start"]


def predict() -> None:
    """Make one prediction of 1,024 rows."""
    with otelml.prediction(MODEL, VERSION) as p:
        p.result(classes=CLASSES, confidence=CONFIDENCES, values=MINUTES)
