"""otelml as its users write it: one call at the start."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import otelml
from _sklearn_rows import whole as expected
from _sklearn_rows.nothing import arrived
from otelml.integrations.sklearn import SklearnInstrumentor

if TYPE_CHECKING:
    from _sklearn_rows.models import Case

__all__ = ["arrived", "call", "expected", "flush", "off", "on", "start"]


def start() -> None:
    """Configure from the environment."""
    otelml.auto_instrument()


def call(case: Case) -> Any:
    """Return the model's own method."""
    return case.predict


def flush() -> None:
    """Export everything, or end with an error."""
    if not otelml.auto_instrument().force_flush(60):
        raise SystemExit("otelml could not export everything")


def off() -> None:
    """Stop observing scikit-learn."""
    SklearnInstrumentor().uninstrument()


def on() -> None:
    """Go on."""
    SklearnInstrumentor().instrument()
