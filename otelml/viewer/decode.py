"""OTLP requests, protobuf or JSON, to rows ready for the store.

Spans and log records become plain tuples in the order of the store's columns (they arrive by the hundred thousand);
metric points become ``MetricPoint``, since the store folds them.
"""

from __future__ import annotations

import json
from base64 import b64encode
from typing import TYPE_CHECKING, Any, Literal, get_args

from google.protobuf.json_format import ParseDict, ParseError
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from otelml.viewer import wire
from otelml.viewer.attributes import attributes, lifted, resource, value
from otelml.viewer.encoding import dumps
from otelml.viewer.rows import (
    Attributes,
    Exemplar,
    Exponential,
    MetricPoint,
    PointKind,
    Scope,
    SpanKind,
    StatusCode,
    Temporality,
    Value,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

Row = tuple[Any, ...]
Signal = Literal["traces", "metrics", "logs"]
SIGNALS: tuple[Signal, ...] = get_args(Signal)
KINDS: tuple[SpanKind, ...] = get_args(SpanKind)
STATUSES: tuple[StatusCode, ...] = get_args(StatusCode)
TEMPORALITIES: tuple[Temporality, ...] = get_args(Temporality)
_POINT_KINDS: tuple[PointKind, ...] = get_args(PointKind)
_BIGGEST = 2**63 - 1  # the store's integers are signed; OTLP's times and counts are not
_IDS = frozenset({"traceId", "spanId", "parentSpanId", "trace_id", "span_id", "parent_span_id"})
_REQUESTS: dict[Signal, Callable[[], Any]] = {
    "traces": wire.TraceRequest,
    "metrics": ExportMetricsServiceRequest,
    "logs": wire.LogsRequest,
}
_OFFICIAL: dict[Signal, Callable[[], Any]] = {
    "traces": ExportTraceServiceRequest,
    "metrics": ExportMetricsServiceRequest,
    "logs": ExportLogsServiceRequest,
}


class MalformedError(ValueError):
    """A request body is not what its content type says."""


def parse(signal: Signal, body: bytes, *, as_json: bool) -> Any:
    """Return the OTLP request message in ``body``; MalformedError when there is none."""
    request = _REQUESTS[signal]()
    try:
        if as_json:
            return ParseDict(_with_base64_ids(_object(body)), _OFFICIAL[signal](), ignore_unknown_fields=True)
        request.ParseFromString(body)
    except (DecodeError, ParseError, ValueError, TypeError, AttributeError, RecursionError) as error:
        encoding = "JSON" if as_json else "protobuf"
        raise MalformedError(f"the body is not an OTLP {signal} request in {encoding}") from error
    return request


def spans(request: Any) -> list[Row]:
    """Return the spans of a request as rows of ``schema.SPANS``; MalformedError when an attribute is none."""
    resources = wire.lean(request, wire.TraceRequest).resource_spans
    return _rows(_span, ((scoped.spans, *of) for scoped, *of in _origins(resources, "scope_spans")))


def logs(request: Any) -> list[Row]:
    """Return the log records of a request as rows of ``schema.LOGS``; MalformedError when an attribute is none."""
    resources = wire.lean(request, wire.LogsRequest).resource_logs
    return _rows(_log, ((scoped.log_records, *of) for scoped, *of in _origins(resources, "scope_logs")))


def _rows(row: Callable[[Any, str], Row], sent: Iterable[tuple[Any, Any, Any]]) -> list[Row]:
    try:
        return [(*row(each, service), *origin) for items, service, origin in sent for each in items]
    except DecodeError as error:
        raise MalformedError("an attribute is not one in protobuf") from error


def _origins(resources: Any, inner: str) -> Iterator[tuple[Any, str, Row]]:
    """Yield what each scope sent, with its service and the columns that say where a row is from."""
    for sent in resources:
        known = resource(sent.resource)
        for scoped in getattr(sent, inner):
            scope = _scope(scoped)
            yield scoped, known.service, (known.text, scope.name, scope.version, scope.schema_url)


def metric_points(request: Any) -> list[MetricPoint]:
    """Return the metric points of a request."""
    found: list[MetricPoint] = []
    for sent in request.resource_metrics:
        origin = resource(sent.resource).attributes
        for scoped in sent.scope_metrics:
            scope = _scope(scoped)
            for metric in scoped.metrics:
                found.extend(_points(metric, scope, origin))
    return found


def _scope(scoped: Any) -> Scope:
    return Scope(scoped.scope.name, scoped.scope.version, scoped.schema_url)


def _span(span: Any, service: str) -> Row:
    start, end, status = span.start_time_unix_nano, span.end_time_unix_nano, span.status
    if start > _BIGGEST or end > _BIGGEST:
        start, end = _signed(start), _signed(end)
    text, model, version, stage = lifted(span.attributes)
    return (
        span.trace_id.hex(),
        span.span_id.hex(),
        span.parent_span_id.hex(),
        span.name,
        KINDS[_within(span.kind, KINDS)],
        start,
        end,
        end - start,
        STATUSES[_within(status.code, STATUSES)],
        status.message,
        span.trace_state,
        span.flags,
        text,
        dumps([_event(event) for event in span.events]) if span.events else "[]",
        dumps([_link(link) for link in span.links]) if span.links else "[]",
        span.dropped_attributes_count,
        span.dropped_events_count,
        span.dropped_links_count,
        stage,
        service,
        model,
        version,
    )


def _event(event: Any) -> list[Value]:
    time = _signed(event.time_unix_nano)
    return [event.name, time, attributes(event.attributes), event.dropped_attributes_count]


def _link(link: Any) -> list[Value]:
    ids = [link.trace_id.hex(), link.span_id.hex(), link.trace_state]
    return [*ids, attributes(link.attributes), link.flags, link.dropped_attributes_count]


def _log(log: Any, service: str) -> Row:
    sent, observed = _signed(log.time_unix_nano), _signed(log.observed_time_unix_nano)
    text, model, version, _ = lifted(log.attributes)
    return (
        log.event_name,
        sent,
        sent or observed,
        observed,
        log.severity_number,
        log.severity_text,
        dumps(value(log.body)),
        log.trace_id.hex(),
        log.span_id.hex(),
        log.flags,
        text,
        log.dropped_attributes_count,
        service,
        model,
        version,
    )


def _points(metric: Any, scope: Scope, resource: Attributes) -> Iterator[MetricPoint]:
    kind = metric.WhichOneof("data")
    if kind not in _POINT_KINDS:
        return
    data = getattr(metric, kind)
    temporality = TEMPORALITIES[_within(getattr(data, "aggregation_temporality", 0), TEMPORALITIES)]
    monotonic = getattr(data, "is_monotonic", False)
    for point in data.data_points:
        yield MetricPoint(
            name=metric.name,
            description=metric.description,
            unit=metric.unit,
            kind=kind,
            temporality=temporality,
            monotonic=monotonic,
            start_ns=_signed(point.start_time_unix_nano),
            time_ns=_signed(point.time_unix_nano),
            attributes=attributes(point.attributes),
            value=_number(point) if kind in ("sum", "gauge") else None,
            count=_signed(point.count) if hasattr(point, "count") else None,
            sum=point.sum if kind == "summary" else _given(point, "sum"),
            min=_given(point, "min"),
            max=_given(point, "max"),
            bounds=tuple(getattr(point, "explicit_bounds", ())),
            bucket_counts=tuple(getattr(point, "bucket_counts", ())),
            exponential=_exponential(point) if kind == "exponential_histogram" else None,
            quantiles=tuple((item.quantile, item.value) for item in getattr(point, "quantile_values", ())),
            exemplars=tuple(_exemplar(item) for item in getattr(point, "exemplars", ())),
            flags=point.flags,
            scope=scope.name,
            scope_version=scope.version,
            scope_schema_url=scope.schema_url,
            resource=resource,
        )


def _number(point: Any) -> float | None:
    which = point.WhichOneof("value")
    return getattr(point, which) if which else None


def _given(point: Any, field: str) -> float | None:
    """Return an optional field; None when it was left out, or when points of this kind have no such field."""
    return getattr(point, field) if hasattr(point, field) and point.HasField(field) else None


def _exponential(point: Any) -> Exponential:
    return Exponential(
        point.scale,
        point.zero_count,
        point.zero_threshold,
        point.positive.offset,
        tuple(point.positive.bucket_counts),
        point.negative.offset,
        tuple(point.negative.bucket_counts),
    )


def _exemplar(exemplar: Any) -> Exemplar:
    value = _number(exemplar)
    return Exemplar(
        _signed(exemplar.time_unix_nano),
        0 if value is None else value,
        exemplar.trace_id.hex(),
        exemplar.span_id.hex(),
        attributes(exemplar.filtered_attributes),
    )


def _signed(number: int) -> int:
    return min(number, _BIGGEST)


def _within(code: int, known: tuple[str, ...]) -> int:
    return code if 0 <= code < len(known) else 0


def _object(body: bytes) -> dict[str, Any]:
    value = json.loads(body)
    if not isinstance(value, dict):  # ParseDict takes an empty list for an empty message
        raise TypeError("not a JSON object")
    return value


def _with_base64_ids(value: Any) -> Any:
    """Rewrite ids: OTLP's JSON has them in hex, protobuf's own JSON mapping reads base64.

    User attributes are lists of ``{"key": ..., "value": ...}``, so none of their names can be taken for an id.
    """
    if isinstance(value, list):
        return [_with_base64_ids(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {key: _base64(item) if key in _IDS else _with_base64_ids(item) for key, item in value.items()}


def _base64(hex_id: Any) -> str | None:
    return None if hex_id is None else b64encode(bytes.fromhex(hex_id)).decode()
