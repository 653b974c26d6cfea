"""What the rows of ``semconv`` are made of: an attribute, a metric, a span and an event."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

InstrumentKind = Literal[
    "counter", "updown", "histogram", "gauge", "observable_counter", "observable_updown", "observable_gauge"
]


@dataclass(frozen=True, slots=True)
class Attribute:
    """One attribute: ``limit`` bounds its distinct values on metrics (None: never a metric attribute)."""

    name: str
    type: Literal["string", "int", "double", "boolean", "string[]", "int[]"]
    help: str
    limit: int | None = None


@dataclass(frozen=True, slots=True)
class Metric:
    """One instrument: its OpenTelemetry name, kind, unit (UCUM), attributes and explicit bucket boundaries."""

    name: str
    kind: InstrumentKind
    unit: str
    help: str
    attributes: tuple[str, ...] = ()
    buckets: tuple[float, ...] | None = None


@dataclass(frozen=True, slots=True)
class SpanName:
    """One span name; ``{model}`` stands for the model's name."""

    name: str
    help: str
    attributes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Event:
    """One log record with an ``event_name``."""

    name: str
    help: str
    attributes: tuple[str, ...] = ()
