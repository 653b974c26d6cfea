"""What ``otelml await`` waits for: ``traces>=1 model=flight-delay``, ``ml.requests>=100``, or a SELECT that is true."""

from __future__ import annotations

import operator
import re
from typing import TYPE_CHECKING, Any

from otelml.viewer.api.points import Wanted, conditions
from otelml.viewer.api.search import Condition, joined, search, terms
from otelml.viewer.api.sql import SECONDS, run

if TYPE_CHECKING:
    from otelml.viewer.api.parameters import Asked
    from otelml.viewer.store import Store

_COMPARE = {
    ">=": operator.ge,
    "<=": operator.le,
    "!=": operator.ne,
    "=": operator.eq,
    ">": operator.gt,
    "<": operator.lt,
}
_FIRST = re.compile(r"([A-Za-z_][\w.]*)(>=|<=|!=|=|>|<)(\d+(?:\.\d+)?)")
_SELECT = re.compile(r"\s*(SELECT|WITH|FROM)\b", re.IGNORECASE)
_COUNTED = {
    "traces": "count(DISTINCT trace_id) FROM spans",
    "spans": "count(*) FROM spans",
    "errors": "count(*) FROM spans",
    "logs": "count(*) FROM logs",
}
_VALUE = """
SELECT coalesce(CASE WHEN bool_or(kind = 'gauge') THEN max(latest) ELSE sum(latest) END, 0) FROM (
    SELECT kind, CASE WHEN any_value(temporality) = 'delta' THEN sum(coalesce(value, count))
        ELSE arg_max(coalesce(value, count), time_ns) END AS latest
    FROM series JOIN points USING (series_id) WHERE {} GROUP BY series_id, kind
)
"""


def check(store: Store, asked: Asked) -> dict[str, Any]:
    """Return whether an expression ``holds`` over everything stored, and the ``value`` that it looks at.

    ``traces``, ``spans``, ``errors`` (spans with an error) and ``logs`` are counted, with terms as in the search box;
    any other name is a metric, whose latest values are added up (counts of histograms; of gauges the largest).
    """
    text = asked.required("expression", "traces>=1")
    if _SELECT.match(text):
        asked.check()
        _, rows = run(store, text, 1, SECONDS)
        value = rows[0][0] if rows and rows[0] else None
        return {"holds": bool(value), "value": value if isinstance(value, (int, float, str)) else bool(value)}
    words = terms(text) or [""]
    first = _FIRST.fullmatch(words[0])
    if first is None:
        asked.fault("expression", text, "traces>=1, logs>=1 severity=error, ml.requests>=100, or a SELECT")
    asked.check()
    assert first is not None  # noqa: S101 - else check() has raised
    name, comparison, number = first.groups()
    value = _counted(store, asked, name) if name in _COUNTED else _value(store, asked, name, words[1:])
    return {"holds": bool(_COMPARE[comparison](value, float(number))), "value": value}


def _counted(store: Store, asked: Asked, name: str) -> int:
    found = search(asked, "logs" if name == "logs" else "traces", "expression", skip=1)
    asked.check()
    if name == "errors":
        found.append(Condition("status = 'error'"))
    sql, values = joined(found)
    ((count,),) = store.query(f"SELECT {_COUNTED[name]} WHERE {sql}", values)
    return int(count)


def _value(store: Store, asked: Asked, name: str, words: list[str]) -> float:
    where: dict[str, str | None] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not key or not equals:
            asked.fault("expression", word, "key=value")
        where[key] = value or None
    asked.check()
    sql, values = conditions(Wanted(name, where=where))
    ((value,),) = store.query(_VALUE.format(sql), values)
    return float(value)
