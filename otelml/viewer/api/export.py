"""The store as OTLP in JSON, one request a line, as the collector's file exporter writes it: page after page."""

from __future__ import annotations

import json
from itertools import groupby
from typing import TYPE_CHECKING, Any

from otelml.viewer import schema
from otelml.viewer.encoding import loads
from otelml.viewer.otlp_json import log_record, metrics, resource_of, scope_of, span

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from otelml.viewer.api.parameters import Asked
    from otelml.viewer.store import Store

SIGNALS = ("traces", "logs", "metrics")
PAGE, MOST = 2000, 10_000
"""Spans, log records or points in one answer."""
_NAMES = {
    "traces": ("resourceSpans", "scopeSpans"),
    "logs": ("resourceLogs", "scopeLogs"),
    "metrics": ("resourceMetrics", "scopeMetrics"),
}


def export(store: Store, asked: Asked) -> dict[str, Any]:
    """Return the ``lines`` of one signal that come after an id, in the order of arrival, and the ``next`` id."""
    signal = asked.choice("signal", "traces", SIGNALS)
    after, limit = asked.whole("after", -1, -1, 2**63 - 1), asked.whole("limit", PAGE, 1, MOST)
    asked.check()
    rows = _rows(store, signal, after, limit)
    return {
        "lines": [lines for lines in [_line(signal, [row for _, row in rows])] if rows],
        "next": rows[-1][0] if len(rows) == limit else None,
    }


def _rows(store: Store, signal: str, after: int, limit: int) -> list[tuple[int, Any]]:
    if signal == "metrics":
        sql = f"SELECT p.id, {schema.SELECT_POINTS.removeprefix('SELECT ')}"
        found = store.query(f"{sql} WHERE p.id > ? ORDER BY p.id LIMIT ?", (after, limit))
        return [(row[0], schema.point(row[1:], loads)) for row in found]
    table = schema.ROWS[signal]  # type: ignore[index]  # one of the three
    made: Callable[[Sequence[Any], Callable[[str], Any]], Any] = schema.span if signal == "traces" else schema.log
    sql = f"SELECT id, {schema.columns(table)} FROM {table} WHERE id > ? ORDER BY id LIMIT ?"  # noqa: S608 - constants
    return [(row[0], made(row[1:], loads)) for row in store.query(sql, (after, limit))]


def _line(signal: str, rows: list[Any]) -> str:
    """Return rows as one request; neighbours of one resource and scope together."""
    outer, inner = _NAMES[signal]
    parts = []
    for _, group in groupby(rows, key=lambda row: json.dumps([resource_of(row), scope_of(row)], sort_keys=True)):
        items = list(group)
        scope: dict[str, Any] = {"scope": scope_of(items[0]), "schemaUrl": items[0].scope_schema_url}
        if signal == "metrics":
            scope["metrics"] = metrics(items)
        else:
            scope |= (
                {"spans": list(map(span, items))}
                if signal == "traces"
                else {"logRecords": list(map(log_record, items))}
            )
        parts.append({"resource": resource_of(items[0]), inner: [scope]})
    return json.dumps({outer: parts}, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
