"""Answers as CSV: the table of each page."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    Row = dict[str, Any]

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def to_csv(rows: Iterable[Row]) -> str:
    """Return rows as CSV with a head; nested values as JSON. A text that a spreadsheet would run gets a quote first."""
    rows = list(rows)
    heads = list(dict.fromkeys(key for row in rows for key in row))
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(heads)
    writer.writerows([_cell(row.get(head)) for head in heads] for row in rows)
    return out.getvalue()


def _cell(value: Any) -> Any:
    if value is None or isinstance(value, (int, float)):
        return "" if value is None else value
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return f"'{text}" if text.startswith(_FORMULA) else text


def of(name: str) -> Callable[[Row], list[Row]]:
    """Return what takes the rows out of an answer that has them under a name."""
    return lambda answer: list(answer[name])


def models(answer: Row) -> list[Row]:
    """Return models without their small charts."""
    return [{key: value for key, value in row.items() if key != "spark"} for row in answer["models"]]


def model(answer: Row) -> list[Row]:
    """Return traffic and latency over time."""
    parts = [answer[name] or {} for name in ("traffic", "latency")]
    columns = {key: values for part in parts for key, values in part.items() if isinstance(values, list)}
    return over_time(columns)


def metric(answer: Row) -> list[Row]:
    """Return a metric over time, a column for each line."""
    lines = {line["label"] or answer["name"]: line["values"] for line in answer["series"]}
    return over_time({"t": answer["t"]} | lines)


def slos(answer: Row) -> list[Row]:
    """Return objectives without their charts."""
    return [{key: value for key, value in row.items() if key not in ("t", "budget")} for row in answer["objectives"]]


def sql(answer: Row) -> list[Row]:
    """Return the rows of a query."""
    return [dict(zip(answer["columns"], row, strict=True)) for row in answer["rows"]]


def over_time(columns: dict[str, list[Any]]) -> list[Row]:
    """Return columns of one length as rows."""
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
