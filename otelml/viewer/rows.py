"""What the store gives back: one frozen dataclass per signal.

Times are integer nanoseconds since the epoch, ids lower-case hex (empty when absent), integers stay ``int``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

Value: TypeAlias = "str | bool | int | float | bytes | Sequence[Value] | Mapping[str, Value] | None"
Attributes: TypeAlias = Mapping[str, Value]
SpanKind = Literal["unspecified", "internal", "server", "client", "producer", "consumer"]
StatusCode = Literal["unset", "ok", "error"]
PointKind = Literal["gauge", "sum", "histogram", "exponential_histogram", "summary"]
Temporality = Literal["unspecified", "delta", "cumulative"]
NANOS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Scope:
    """The instrumentation scope a row came from."""

    name: str = ""
    version: str = ""
    schema_url: str = ""


@dataclass(frozen=True, slots=True)
class SpanEvent:
    """One event inside a span."""

    name: str
    time_ns: int
    attributes: Attributes
    dropped_attributes: int = 0


@dataclass(frozen=True, slots=True)
class Link:
    """A link from a span to another one."""

    trace_id: str
    span_id: str
    trace_state: str
    attributes: Attributes
    flags: int = 0
    dropped_attributes: int = 0


@dataclass(frozen=True, slots=True)
class Span:
    """One span as it was received."""

    trace_id: str
    span_id: str
    parent_id: str
    name: str
    kind: SpanKind
    start_ns: int
    end_ns: int
    status: StatusCode
    status_message: str
    trace_state: str
    flags: int
    attributes: Attributes
    events: tuple[SpanEvent, ...]
    links: tuple[Link, ...]
    dropped_attributes: int
    dropped_events: int
    dropped_links: int
    scope: str
    scope_version: str
    scope_schema_url: str
    resource: Attributes

    @property
    def duration_s(self) -> float:
        """Duration in seconds."""
        return (self.end_ns - self.start_ns) / NANOS


@dataclass(frozen=True, slots=True)
class LogRecord:
    """One log record, or event when ``event_name`` is set, as it was received."""

    time_ns: int
    observed_ns: int
    severity: int
    severity_text: str
    event_name: str
    body: Value
    trace_id: str
    span_id: str
    flags: int
    attributes: Attributes
    dropped_attributes: int
    scope: str
    scope_version: str
    scope_schema_url: str
    resource: Attributes


@dataclass(frozen=True, slots=True)
class Exemplar:
    """One measured value kept beside a metric point, with the span it was measured in."""

    time_ns: int
    value: float
    trace_id: str
    span_id: str
    attributes: Attributes


@dataclass(frozen=True, slots=True)
class Exponential:
    """Buckets of an exponential histogram; bucket ``i`` of a side ends at ``base ** (offset + i + 1)``."""

    scale: int
    zero_count: int
    zero_threshold: float
    positive_offset: int
    positive: tuple[int, ...]
    negative_offset: int
    negative: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class MetricPoint:
    """One point of one metric series, as it was received or as ``Store.latest`` folded it.

    ``value`` is set for sums and gauges; ``count``, ``sum``, ``min``, ``max`` (None when the sender left them out) for
    histograms, with ``bounds`` and ``bucket_counts``, or ``exponential``; ``quantiles`` for summaries.
    """

    name: str
    description: str
    unit: str
    kind: PointKind
    temporality: Temporality
    monotonic: bool
    start_ns: int
    time_ns: int
    attributes: Attributes
    value: float | None
    count: int | None
    sum: float | None
    min: float | None
    max: float | None
    bounds: tuple[float, ...]
    bucket_counts: tuple[int, ...]
    exponential: Exponential | None
    quantiles: tuple[tuple[float, float], ...]
    exemplars: tuple[Exemplar, ...]
    flags: int
    scope: str
    scope_version: str
    scope_schema_url: str
    resource: Attributes
