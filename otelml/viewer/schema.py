"""The store's tables, and the way between their rows and the typed ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from otelml.viewer.decode import KINDS, STATUSES, Signal
from otelml.viewer.encoding import dumps, loads, real, unreal
from otelml.viewer.rows import (
    Attributes,
    Exemplar,
    Exponential,
    Link,
    LogRecord,
    MetricPoint,
    Scope,
    Span,
    SpanEvent,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

VERSION = 1
"""Kept in the file's ``user_version``; a file of another version is refused."""

_POINT = (
    "series_id INTEGER NOT NULL, description TEXT, start_ns INTEGER, time_ns INTEGER, value, count INTEGER, sum, min,"
    " max, bounds TEXT, bucket_counts TEXT, exponential TEXT, quantiles TEXT, exemplars TEXT, flags INTEGER"
)
_POINT_COLUMNS = (
    "p.series_id, p.description, p.start_ns, p.time_ns, p.value, p.count, p.sum, p.min, p.max, p.bounds,"
    " p.bucket_counts, p.exponential, p.quantiles, p.exemplars, p.flags"
)
TABLES = f"""
CREATE TABLE IF NOT EXISTS resources (id INTEGER PRIMARY KEY, attributes TEXT NOT NULL UNIQUE);
CREATE TABLE IF NOT EXISTS scopes (id INTEGER PRIMARY KEY, name TEXT, version TEXT, schema_url TEXT,
    UNIQUE (name, version, schema_url));
CREATE TABLE IF NOT EXISTS names (id INTEGER PRIMARY KEY, signal TEXT NOT NULL, name TEXT NOT NULL,
    received INTEGER NOT NULL DEFAULT 0, UNIQUE (signal, name));
CREATE TABLE IF NOT EXISTS counters (signal TEXT PRIMARY KEY, requests INTEGER NOT NULL DEFAULT 0,
    received INTEGER NOT NULL DEFAULT 0, pruned INTEGER NOT NULL DEFAULT 0);
CREATE TABLE IF NOT EXISTS spans (id INTEGER PRIMARY KEY, name_id INTEGER NOT NULL, trace_id TEXT, span_id TEXT,
    parent_id TEXT, kind INTEGER, start_ns INTEGER, end_ns INTEGER, duration_ns INTEGER, status INTEGER,
    status_message TEXT, trace_state TEXT, flags INTEGER, attributes TEXT, events TEXT, links TEXT,
    dropped_attributes INTEGER, dropped_events INTEGER, dropped_links INTEGER, scope_id INTEGER, resource_id INTEGER);
CREATE INDEX IF NOT EXISTS spans_by_trace ON spans (trace_id);
CREATE INDEX IF NOT EXISTS spans_by_end ON spans (name_id, end_ns, duration_ns);
CREATE INDEX IF NOT EXISTS spans_by_duration ON spans (name_id, duration_ns);
CREATE TABLE IF NOT EXISTS logs (id INTEGER PRIMARY KEY, name_id INTEGER NOT NULL, time_ns INTEGER,
    observed_ns INTEGER, severity INTEGER, severity_text TEXT, body TEXT, trace_id TEXT, span_id TEXT, flags INTEGER,
    attributes TEXT, dropped_attributes INTEGER, scope_id INTEGER, resource_id INTEGER);
CREATE INDEX IF NOT EXISTS logs_by_trace ON logs (trace_id);
CREATE INDEX IF NOT EXISTS logs_by_name ON logs (name_id, time_ns);
CREATE TABLE IF NOT EXISTS series (id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, name TEXT, unit TEXT, kind TEXT,
    temporality TEXT, monotonic INTEGER, attributes TEXT, scope_id INTEGER, resource_id INTEGER);
CREATE INDEX IF NOT EXISTS series_by_name ON series (name);
CREATE TABLE IF NOT EXISTS points (id INTEGER PRIMARY KEY, {_POINT});
CREATE INDEX IF NOT EXISTS points_by_time ON points (series_id, time_ns);
CREATE TABLE IF NOT EXISTS latest ({_POINT}, PRIMARY KEY (series_id));
"""
ROWS: dict[Signal, str] = {"traces": "spans", "metrics": "points", "logs": "logs"}
"""The table that holds each signal's rows."""

INSERT_SPAN = f"INSERT INTO spans VALUES (NULL{',?' * 20})"  # noqa: S608 - only placeholders
INSERT_LOG = f"INSERT INTO logs VALUES (NULL{',?' * 13})"  # noqa: S608 - only placeholders
INSERT_POINT = f"INSERT INTO points VALUES (NULL{',?' * 15})"  # noqa: S608 - only placeholders
REPLACE_LATEST = f"INSERT OR REPLACE INTO latest VALUES (?{',?' * 14})"  # noqa: S608 - only placeholders
INSERT_SERIES = f"INSERT INTO series VALUES (?{',?' * 9})"  # noqa: S608 - only placeholders

_ORIGIN = "c.name, c.version, c.schema_url, r.attributes"
_FROM_ORIGIN = "JOIN scopes c ON c.id = {0}.scope_id JOIN resources r ON r.id = {0}.resource_id"
SELECT_SPANS = (
    "SELECT n.name, s.trace_id, s.span_id, s.parent_id, s.kind, s.start_ns, s.end_ns, s.status, s.status_message,"  # noqa: S608 - constants only
    " s.trace_state, s.flags, s.attributes, s.events, s.links, s.dropped_attributes, s.dropped_events, s.dropped_links,"
    f" {_ORIGIN} FROM spans s JOIN names n ON n.id = s.name_id {_FROM_ORIGIN.format('s')}"
)
SELECT_LOGS = (
    "SELECT n.name, l.time_ns, l.observed_ns, l.severity, l.severity_text, l.body, l.trace_id, l.span_id, l.flags,"  # noqa: S608 - constants only
    f" l.attributes, l.dropped_attributes, {_ORIGIN} FROM logs l JOIN names n ON n.id = l.name_id"
    f" {_FROM_ORIGIN.format('l')}"
)


def select_points(table: str) -> str:
    """Return the query for typed points from ``points`` or ``latest``."""
    return (
        f"SELECT e.name, e.unit, e.kind, e.temporality, e.monotonic, e.attributes, {_POINT_COLUMNS},"  # noqa: S608 - constants only
        f" {_ORIGIN} FROM {table} p JOIN series e ON e.id = p.series_id {_FROM_ORIGIN.format('e')}"
    )


def span(row: Sequence[Any], resource: Attributes) -> Span:
    """Return the typed form of one row of ``SELECT_SPANS``."""
    return Span(
        name=row[0],
        trace_id=row[1],
        span_id=row[2],
        parent_id=row[3],
        kind=KINDS[row[4]],
        start_ns=row[5],
        end_ns=row[6],
        status=STATUSES[row[7]],
        status_message=row[8],
        trace_state=row[9],
        flags=row[10],
        attributes=loads(row[11]),
        events=tuple(SpanEvent(*event) for event in loads(row[12] or "[]")),
        links=tuple(Link(*link) for link in loads(row[13] or "[]")),
        dropped_attributes=row[14],
        dropped_events=row[15],
        dropped_links=row[16],
        scope=row[17],
        scope_version=row[18],
        scope_schema_url=row[19],
        resource=resource,
    )


def log(row: Sequence[Any], resource: Attributes) -> LogRecord:
    """Return the typed form of one row of ``SELECT_LOGS``."""
    return LogRecord(
        event_name=row[0],
        time_ns=row[1],
        observed_ns=row[2],
        severity=row[3],
        severity_text=row[4],
        body=loads(row[5]),
        trace_id=row[6],
        span_id=row[7],
        flags=row[8],
        attributes=loads(row[9]),
        dropped_attributes=row[10],
        scope=row[11],
        scope_version=row[12],
        scope_schema_url=row[13],
        resource=resource,
    )


def series_row(series_id: int, key: str, point: MetricPoint, scope_id: int, resource_id: int) -> tuple[Any, ...]:
    """Return the row of the series that ``point`` belongs to."""
    what = (point.name, point.unit, point.kind, point.temporality, point.monotonic)
    return (series_id, key, *what, dumps(point.attributes), scope_id, resource_id)


def point_row(series_id: int, point: MetricPoint) -> tuple[Any, ...]:
    """Return one point as a row of ``points`` (less its id) or ``latest``."""
    return (
        series_id,
        point.description,
        point.start_ns,
        point.time_ns,
        *(None if number is None else real(number) for number in (point.value, point.count)),
        *(None if number is None else real(number) for number in (point.sum, point.min, point.max)),
        dumps(point.bounds),
        dumps(point.bucket_counts),
        dumps(_exponential(point.exponential)) if point.exponential else "",
        dumps(point.quantiles),
        dumps([[e.time_ns, e.value, e.trace_id, e.span_id, e.attributes] for e in point.exemplars]),
        point.flags,
    )


def point(row: Sequence[Any], resource: Attributes) -> MetricPoint:
    """Return the typed form of one row of ``select_points``."""
    return MetricPoint(
        name=row[0],
        unit=row[1],
        kind=row[2],
        temporality=row[3],
        monotonic=bool(row[4]),
        attributes=loads(row[5]),
        description=row[7],
        start_ns=row[8],
        time_ns=row[9],
        value=unreal(row[10]),
        count=row[11],
        sum=unreal(row[12]),
        min=unreal(row[13]),
        max=unreal(row[14]),
        bounds=tuple(loads(row[15])),
        bucket_counts=tuple(loads(row[16])),
        exponential=_exponential_from(loads(row[17])) if row[17] else None,
        quantiles=tuple((quantile, value) for quantile, value in loads(row[18])),
        exemplars=tuple(Exemplar(*exemplar) for exemplar in loads(row[19])),
        flags=row[20],
        scope=row[21],
        scope_version=row[22],
        scope_schema_url=row[23],
        resource=resource,
    )


def scope_of(point: MetricPoint) -> Scope:
    """Return the scope of a point."""
    return Scope(point.scope, point.scope_version, point.scope_schema_url)


def _exponential(sent: Exponential) -> list[Any]:
    sides = [sent.positive_offset, sent.positive, sent.negative_offset, sent.negative]
    return [sent.scale, sent.zero_count, sent.zero_threshold, *sides]


def _exponential_from(row: list[Any]) -> Exponential:
    scale, zero_count, threshold, positive_offset, positive, negative_offset, negative = row
    return Exponential(scale, zero_count, threshold, positive_offset, tuple(positive), negative_offset, tuple(negative))
