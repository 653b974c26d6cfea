"""One class from a decorated function: otelml."""

from __future__ import annotations

import otelml
from _contenders import ANSWERS, DECORATED, MODEL, VERSION, arrived
from _contenders.otelml import flush, start

EXPECTED = DECORATED
__all__ = ["EXPECTED", "arrived", "flush", "predict", "start"]


@otelml.track_prediction(model=MODEL, version=VERSION)
def predict() -> str:
    """Make one prediction."""
    label, _ = next(ANSWERS)
    return label
