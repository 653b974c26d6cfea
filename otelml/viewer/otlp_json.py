"""Typed rows as OTLP's JSON: whole numbers of 64 bits as text, ids in hex, values by their kind."""

from __future__ import annotations

import math
from base64 import b64encode
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any

from otelml.viewer.decode import KINDS, STATUSES, TEMPORALITIES

if TYPE_CHECKING:
    from otelml.viewer.rows import Attributes, Exemplar, Link, LogRecord, MetricPoint, Span, SpanEvent, Value

    Json = dict[str, Any]

_KEYS = {"exponential_histogram": "exponentialHistogram"}


def resource_of(row: Span | LogRecord | MetricPoint) -> Json:
    """Return the resource of a row."""
    return {"attributes": attributes(row.resource)}


def scope_of(row: Span | LogRecord | MetricPoint) -> Json:
    """Return the instrumentation scope of a row."""
    return {"name": row.scope, "version": row.scope_version}


def span(row: Span) -> Json:
    """Return a span."""
    return {
        "traceId": row.trace_id,
        "spanId": row.span_id,
        "parentSpanId": row.parent_id,
        "flags": row.flags,
        "traceState": row.trace_state,
        "name": row.name,
        "kind": KINDS.index(row.kind),
        "startTimeUnixNano": str(row.start_ns),
        "endTimeUnixNano": str(row.end_ns),
        "attributes": attributes(row.attributes),
        "droppedAttributesCount": row.dropped_attributes,
        "events": [_event(event) for event in row.events],
        "droppedEventsCount": row.dropped_events,
        "links": [_link(link) for link in row.links],
        "droppedLinksCount": row.dropped_links,
        "status": {"code": STATUSES.index(row.status), "message": row.status_message},
    }


def _event(event: SpanEvent) -> Json:
    return {
        "timeUnixNano": str(event.time_ns),
        "name": event.name,
        "attributes": attributes(event.attributes),
        "droppedAttributesCount": event.dropped_attributes,
    }


def _link(link: Link) -> Json:
    return {
        "traceId": link.trace_id,
        "spanId": link.span_id,
        "traceState": link.trace_state,
        "flags": link.flags,
        "attributes": attributes(link.attributes),
        "droppedAttributesCount": link.dropped_attributes,
    }


def log_record(row: LogRecord) -> Json:
    """Return a log record."""
    return {
        "timeUnixNano": str(row.time_ns),
        "observedTimeUnixNano": str(row.observed_ns),
        "severityNumber": row.severity,
        "severityText": row.severity_text,
        "eventName": row.event_name,
        "body": value(row.body),
        "attributes": attributes(row.attributes),
        "droppedAttributesCount": row.dropped_attributes,
        "flags": row.flags,
        "traceId": row.trace_id,
        "spanId": row.span_id,
    }


def metrics(rows: Sequence[MetricPoint]) -> list[Json]:
    """Return points of one scope as metrics; neighbours of one metric together."""
    found = []
    for (name, description, unit, kind, temporality, monotonic), group in groupby(
        rows, key=lambda p: (p.name, p.description, p.unit, p.kind, p.temporality, p.monotonic)
    ):
        data: Json = {"dataPoints": [_point(point) for point in group]}
        if kind not in ("gauge", "summary"):
            data["aggregationTemporality"] = TEMPORALITIES.index(temporality)
        if kind == "sum":
            data["isMonotonic"] = monotonic
        found.append({"name": name, "description": description, "unit": unit, _KEYS.get(kind, kind): data})
    return found


def _point(point: MetricPoint) -> Json:
    made: Json = {
        "attributes": attributes(point.attributes),
        "flags": point.flags,
        "startTimeUnixNano": str(point.start_ns),
        "timeUnixNano": str(point.time_ns),
    }
    if point.exemplars:
        made["exemplars"] = [_exemplar(exemplar) for exemplar in point.exemplars]
    if point.kind in ("gauge", "sum"):
        return made if point.value is None else made | _number(point.value)
    made["count"] = str(point.count or 0)
    made |= {name: _double(given) for name in ("sum", "min", "max") if (given := getattr(point, name)) is not None}
    if point.kind == "summary":
        made["quantileValues"] = [{"quantile": q, "value": _double(v)} for q, v in point.quantiles]
    if point.kind == "histogram":
        made["explicitBounds"] = [_double(bound) for bound in point.bounds]
        made["bucketCounts"] = [str(count) for count in point.bucket_counts]
    sent = point.exponential
    if sent is not None:
        made |= {"scale": sent.scale, "zeroCount": str(sent.zero_count), "zeroThreshold": sent.zero_threshold}
        made["positive"] = {"offset": sent.positive_offset, "bucketCounts": [str(count) for count in sent.positive]}
        made["negative"] = {"offset": sent.negative_offset, "bucketCounts": [str(count) for count in sent.negative]}
    return made


def _exemplar(exemplar: Exemplar) -> Json:
    return {
        "timeUnixNano": str(exemplar.time_ns),
        "traceId": exemplar.trace_id,
        "spanId": exemplar.span_id,
        "filteredAttributes": attributes(exemplar.attributes),
        **_number(exemplar.value),
    }


def _number(number: float) -> Json:
    return {"asInt": str(number)} if isinstance(number, int) else {"asDouble": _double(number)}


def attributes(given: Attributes) -> list[Json]:
    """Return attributes as key-values."""
    return [{"key": key, "value": value(item)} for key, item in given.items()]


def value(given: Value) -> Json:  # noqa: PLR0911 - one for each kind
    """Return one value by its kind."""
    if given is None:
        return {}
    if isinstance(given, str):
        return {"stringValue": given}
    if isinstance(given, bool):
        return {"boolValue": given}
    if isinstance(given, int):
        return {"intValue": str(given)}
    if isinstance(given, float):
        return {"doubleValue": _double(given)}
    if isinstance(given, bytes):
        return {"bytesValue": b64encode(given).decode()}
    if isinstance(given, Mapping):
        return {"kvlistValue": {"values": attributes(given)}}
    return {"arrayValue": {"values": [value(item) for item in given]}}


def _double(number: float) -> float | str:
    """Return a number; those that JSON has no way to write, as protobuf's JSON writes them."""
    if math.isnan(number):
        return "NaN"
    return number if math.isfinite(number) else "Infinity" if number > 0 else "-Infinity"
