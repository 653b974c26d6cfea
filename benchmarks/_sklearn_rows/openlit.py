"""OpenLIT, which knows no scikit-learn, with a span by hand around the call: no stages, metrics or record."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import openlit
from opentelemetry import trace

from _sklearn_rows.nothing import arrived

if TYPE_CHECKING:
    from collections.abc import Callable

    from _sklearn_rows.models import Case

__all__ = ["arrived", "call", "expected", "flush", "start"]


def start() -> None:
    """Configure, with the receiver that the environment names."""
    openlit.init(
        otlp_endpoint=os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"],
        application_name=os.environ["OTEL_SERVICE_NAME"],
    )


def call(case: Case) -> Callable[[Any], Any]:
    """Return a function that asks the model within a span."""
    model, name = case.predict, type(case.model).__name__

    def predict(row: Any) -> Any:
        with openlit.start_trace(name=f"predict {name}") as span:
            answer = model(row)
            span.set_metadata({"ml.model.name": name, "ml.batch.size": 1})
        return answer

    return predict


def flush() -> None:
    """Export everything."""
    provider: Any = trace.get_tracer_provider()
    provider.force_flush(60_000)


def expected(name: str) -> dict[str, float]:  # noqa: ARG001 - every contender's signature
    """Return that a call is one span."""
    return {"spans": 1, "logs": 0}
