"""The store's tables, and the way from their rows to the typed ones.

Times are nanoseconds since the epoch, ids lower-case hex, attributes and the other nested values JSON text. ``id`` is
the place in the order of arrival, over all three signals.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from otelml.viewer.encoding import dumps, loads
from otelml.viewer.rows import (
    Attributes,
    Exemplar,
    Exponential,
    Link,
    LogRecord,
    MetricPoint,
    Span,
    SpanEvent,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from otelml.viewer.decode import Signal

VERSION = 2
"""Kept in the table ``about``; a file of another version is refused. Version 1 was SQLite's."""

_ORIGIN = {"resource": "VARCHAR", "scope": "VARCHAR", "scope_version": "VARCHAR", "scope_schema_url": "VARCHAR"}
_LIFTED = {"service": "VARCHAR", "model": "VARCHAR", "version": "VARCHAR"}
_JSON = "VARCHAR USING COMPRESSION zstd"
"""Attributes differ from row to row: this takes half the room of what DuckDB takes for text by itself."""

SPANS = {
    "trace_id": "VARCHAR",
    "span_id": "VARCHAR",
    "parent_id": "VARCHAR",
    "name": "VARCHAR",
    "kind": "VARCHAR",
    "start_ns": "BIGINT",
    "end_ns": "BIGINT",
    "duration_ns": "BIGINT",
    "status": "VARCHAR",
    "status_message": "VARCHAR",
    "trace_state": "VARCHAR",
    "flags": "BIGINT",
    "attributes": _JSON,
    "events": _JSON,
    "links": _JSON,
    "dropped_attributes": "BIGINT",
    "dropped_events": "BIGINT",
    "dropped_links": "BIGINT",
    "stage": "VARCHAR",
    **_LIFTED,
    **_ORIGIN,
}
LOGS = {
    "event_name": "VARCHAR",
    "timestamp_ns": "BIGINT",
    "time_ns": "BIGINT",
    "observed_ns": "BIGINT",
    "severity": "INTEGER",
    "severity_text": "VARCHAR",
    "body": _JSON,
    "trace_id": "VARCHAR",
    "span_id": "VARCHAR",
    "flags": "BIGINT",
    "attributes": _JSON,
    "dropped_attributes": "BIGINT",
    **_LIFTED,
    **_ORIGIN,
}
"""``timestamp_ns`` is the time as it was sent; ``time_ns`` the same, or ``observed_ns`` where none was sent."""
SERIES = {
    "series_id": "BIGINT",
    "key": "VARCHAR",
    "name": "VARCHAR",
    "unit": "VARCHAR",
    "kind": "VARCHAR",
    "temporality": "VARCHAR",
    "monotonic": "BOOLEAN",
    "description": "VARCHAR",
    "attributes": "VARCHAR",
    **_LIFTED,
    **_ORIGIN,
}
POINTS = {
    "series_id": "BIGINT",
    "start_ns": "BIGINT",
    "time_ns": "BIGINT",
    "value": "DOUBLE",
    "whole": "BIGINT",
    "count": "BIGINT",
    "sum": "DOUBLE",
    "min": "DOUBLE",
    "max": "DOUBLE",
    "bounds": "VARCHAR",
    "bucket_counts": "VARCHAR",
    "exponential": "VARCHAR",
    "quantiles": "VARCHAR",
    "exemplars": "VARCHAR",
    "description": "VARCHAR",
    "flags": "BIGINT",
}
"""``whole`` is ``value`` where an integer was sent: a double holds 53 bits of it alone."""
ROWS: dict[Signal, str] = {"traces": "spans", "metrics": "points", "logs": "logs"}
"""The table that holds each signal's rows."""
LEDGER = {
    "about": {"version": "INTEGER", "settled": "BIGINT"},
    "commits": {"signal": "VARCHAR", "requests": "BIGINT", "received": "BIGINT", "refused": "BIGINT"},
    "totals": {
        "signal": "VARCHAR",
        "requests": "BIGINT",
        "received": "BIGINT",
        "refused": "BIGINT",
        "pruned": "BIGINT",
    },
    "names": {"signal": "VARCHAR", "name": "VARCHAR", "received": "BIGINT"},
    "latest": {"series_id": "BIGINT", "point": "VARCHAR"},
}
"""Counts and latest points; ``otelml.viewer.ledger`` tells."""
COLUMNS = {"spans": SPANS, "points": POINTS, "logs": LOGS, "series": SERIES, **LEDGER}


def columns(table: str, alias: str = "") -> str:
    """Return the columns of a table for a SELECT."""
    return ", ".join(f'{alias}"{column}"' for column in COLUMNS[table])


def _table(name: str, rows: Collection[str]) -> str:
    kinds = {"id": "BIGINT", **COLUMNS[name]} if name in rows else COLUMNS[name]
    listed = ", ".join(f'"{column}" {kind}' for column, kind in kinds.items())
    return f"CREATE TABLE {name} ({listed})"


TABLES = [_table(name, ROWS.values()) for name in COLUMNS]
SELECT_POINTS = (
    f"SELECT {columns('points', 'p.')}, {columns('series', 's.')}"  # noqa: S608 - constants only
    " FROM points p JOIN series s USING (series_id)"
)


def span(row: Sequence[Any], resource: Callable[[str], Attributes]) -> Span:
    """Return the typed form of one row of ``spans``, without its id."""
    sent = dict(zip(SPANS, row, strict=True))
    for name in ("duration_ns", "stage", *_LIFTED):
        del sent[name]
    sent["attributes"] = loads(sent["attributes"])
    sent["events"] = tuple(SpanEvent(*event) for event in loads(sent["events"]))
    sent["links"] = tuple(Link(*link) for link in loads(sent["links"]))
    sent["resource"] = resource(sent["resource"])
    return Span(**sent)


def log(row: Sequence[Any], resource: Callable[[str], Attributes]) -> LogRecord:
    """Return the typed form of one row of ``logs``, without its id."""
    sent = dict(zip(LOGS, row, strict=True))
    for name in _LIFTED:
        del sent[name]
    sent["time_ns"] = sent.pop("timestamp_ns")
    sent["body"], sent["attributes"] = loads(sent["body"]), loads(sent["attributes"])
    sent["resource"] = resource(sent["resource"])
    return LogRecord(**sent)


def series_row(series_id: int, key: str, point: MetricPoint, resource: str, model: tuple[str, str]) -> tuple[Any, ...]:
    """Return the row of the series that ``point`` belongs to; ``resource`` is JSON, ``model`` its name and version."""
    what = (point.name, point.unit, point.kind, point.temporality, point.monotonic, point.description)
    service = str(point.resource.get("service.name", ""))
    scope = (point.scope, point.scope_version, point.scope_schema_url)
    return (series_id, key, *what, dumps(point.attributes), service, *model, resource, *scope)


def point_row(series_id: int, point: MetricPoint) -> tuple[Any, ...]:
    """Return one point as a row of ``points``, without its id."""
    return (
        series_id,
        point.start_ns,
        point.time_ns,
        point.value,
        point.value if isinstance(point.value, int) and -(2**63) <= point.value < 2**63 else None,
        point.count,
        point.sum,
        point.min,
        point.max,
        dumps(point.bounds),
        dumps(point.bucket_counts),
        dumps(_exponential(point.exponential)) if point.exponential else "",
        dumps(point.quantiles),
        dumps([[e.time_ns, e.value, e.trace_id, e.span_id, e.attributes] for e in point.exemplars]),
        point.description,
        point.flags,
    )


def point(row: Sequence[Any], resource: Callable[[str], Attributes]) -> MetricPoint:
    """Return the typed form of one row of ``SELECT_POINTS``."""
    sent = dict(zip((*POINTS, *(f"series {name}" for name in SERIES)), row, strict=True))
    series = {name: sent[f"series {name}"] for name in SERIES}
    return MetricPoint(
        name=series["name"],
        description=sent["description"],
        unit=series["unit"],
        kind=series["kind"],
        temporality=series["temporality"],
        monotonic=series["monotonic"],
        start_ns=sent["start_ns"],
        time_ns=sent["time_ns"],
        attributes=loads(series["attributes"]),
        value=sent["value"] if sent["whole"] is None else sent["whole"],
        count=sent["count"],
        sum=sent["sum"],
        min=sent["min"],
        max=sent["max"],
        bounds=tuple(loads(sent["bounds"])),
        bucket_counts=tuple(loads(sent["bucket_counts"])),
        exponential=exponential_from(loads(sent["exponential"])) if sent["exponential"] else None,
        quantiles=tuple((quantile, value) for quantile, value in loads(sent["quantiles"])),
        exemplars=tuple(Exemplar(*exemplar) for exemplar in loads(sent["exemplars"])),
        flags=sent["flags"],
        scope=series["scope"],
        scope_version=series["scope_version"],
        scope_schema_url=series["scope_schema_url"],
        resource=resource(series["resource"]),
    )


def _exponential(sent: Exponential) -> list[Any]:
    sides = [sent.positive_offset, sent.positive, sent.negative_offset, sent.negative]
    return [sent.scale, sent.zero_count, sent.zero_threshold, *sides]


def exponential_from(row: list[Any]) -> Exponential:
    """Return the typed form of an exponential histogram's column."""
    scale, zero_count, threshold, positive_offset, positive, negative_offset, negative = row
    return Exponential(scale, zero_count, threshold, positive_offset, tuple(positive), negative_offset, tuple(negative))
