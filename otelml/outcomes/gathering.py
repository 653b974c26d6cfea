"""Ended predictions as rows for the database. Called on the recorder's thread, never on the application's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opentelemetry.trace import format_span_id, format_trace_id

from otelml import slices
from otelml._lazy import is_numpy
from otelml.outcomes.rows import MAX_ROWS, Predicted, name, number_of, row_id
from otelml.spans import NANO

if TYPE_CHECKING:
    from collections.abc import Iterator

    from opentelemetry.trace import SpanContext

    from otelml.columns import Columns
    from otelml.prediction import Prediction
    from otelml.result import Result

_NO_IDS = ("", "")


def predicted(columns: Columns) -> list[Predicted]:
    """Return the rows that were predicted; none where the predictions failed.

    A prediction of n rows gives n, with the ids ``{prediction id}#0`` and so on; one made for n requests at once gives
    a row to each, with the id of its request's prediction. One of more than 100,000 rows gives none.
    """
    if columns.error is not None:
        return []
    part = slices.stored(columns.series)
    return [row for p in columns.predictions for row in _rows(p, part, exported=columns.exported)]


def _rows(p: Prediction, part: str | None, *, exported: bool) -> Iterator[Predicted]:
    result = p.outcome()
    if result is None or result.rows is None:
        return
    n, members = result.rows, p.members
    if n > MAX_ROWS:
        return
    model, version = name(p.series.model), name(p.series.version or "")
    time = (p.ended + p.offset) * NANO
    own = _ids(p.get_span_context()) if exported else _NO_IDS
    for i, (label, value, confidence) in enumerate(_facts(result, n)):
        if len(members) == n:
            key, ids = members[i].id, _ids(members[i].context) if members[i].sampled else _NO_IDS
        else:
            key, ids = name(row_id(p.id, i, n)), own
        yield Predicted(key, model, version, time, label, value, confidence, *ids, p.seconds, p.variant, part)


def _facts(result: Result, n: int) -> Iterator[tuple[str | None, float | None, float | None]]:
    """Return class, value and confidence of each row."""
    columns = zip(_each(result.classes, n), _each(result.values, n), _each(result.confidence, n), strict=True)
    for label, value, confidence in columns:
        sure = None if confidence is None else number_of(confidence)
        yield (
            None if label is None else name(label),
            None if value is None else number_of(value),
            sure if sure is not None and 0 <= sure <= 1 else None,
        )


def _each(column: Any, n: int) -> list[Any]:
    """Return the values of n rows; None where they are not known one by one."""
    if is_numpy(column, "ndarray"):
        column = column.tolist()
        return column if len(column) == n else [None] * n
    return [column] if n == 1 else [None] * n


def _ids(context: SpanContext) -> tuple[str, str]:
    return format_trace_id(context.trace_id), format_span_id(context.span_id)
