"""One prediction by otelml that can be found again: ``python -m otelml.stack.marked`` prints its ids as JSON."""

from __future__ import annotations

import json

from opentelemetry import trace

import otelml

SERVICE, MODEL = "otelml-stack-verify", "verify"


def main() -> None:
    """Predict once, send everything, print what to look for."""
    running = otelml.auto_instrument(SERVICE)
    with otelml.prediction(MODEL, version="1") as prediction:
        with prediction.stage("inference"):
            answer = "found"
        found = format(trace.get_current_span().get_span_context().trace_id, "032x")
        prediction.result(classes=answer, confidence=0.9)
    sent = running.force_flush(10.0)
    print(json.dumps({"trace_id": found, "sent": sent}))


if __name__ == "__main__":
    main()
