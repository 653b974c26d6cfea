"""What the service makes of each request; the service itself starts otelml when it is imported."""

from __future__ import annotations

MODEL = "flight-delay"
STAGES = ("feature_retrieval", "preprocessing", "inference", "postprocessing")
SPANS = 2 + len(STAGES)
"""Spans of a request: the server's, the prediction's, the stages'. Log records: its event, and a line if it is late."""
LOADED = 1
"""The event about the model, at the start."""
