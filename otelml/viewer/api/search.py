"""What is typed into the search boxes, as conditions of SQL: ``model=delay duration>50ms "connection refused"``.

Terms are joined by spaces, and all must hold: ``key=value``, ``key!=value``, ``key>1.5`` (also ``>=``, ``<``, ``<=``),
``key~text`` (contains, whatever the case), and words, which the name or body must contain. Quotes hold spaces
together; ``key=`` asks for what lacks the key. Keys of their own: see ``FIELDS``; every other one is an attribute of
the span, log record or resource. Values reach SQL as parameters only.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from otelml.viewer.api.points import pointer

if TYPE_CHECKING:
    from otelml.viewer.api.parameters import Asked

Of = Literal["traces", "logs"]
FIELDS: dict[str, dict[str, str]] = {
    "traces": {name: name for name in ("model", "version", "service", "name", "status", "kind", "stage", "scope")}
    | {"trace_id": "trace_id", "span_id": "span_id"},
    "logs": {name: name for name in ("model", "version", "service", "scope", "trace_id", "span_id")}
    | {"event": "event_name", "body": "json_extract_string(body, '$')"},
}
"""Keys that are columns, by what is searched; ``duration`` (s, ms, us) and ``severity`` come on top."""
SEVERITIES = {"trace": 1, "debug": 5, "info": 9, "warn": 13, "error": 17, "fatal": 21}
_SIZE = 4
"""Numbers a severity has: info is 9 to 12."""
_WORDS = {"traces": ("name",), "logs": ("body", "event_name")}
_TERM = re.compile(r"([A-Za-z_][\w.\-/:\[\]]*)(!=|>=|<=|=|>|<|~)(.*)", re.DOTALL)
_DURATION = re.compile(r"(\d{1,18}(?:\.\d{0,18})?|\.\d{1,18})\s*(ns|us|µs|ms|s|m)?")
_UNITS = {"ns": 1.0, "us": 1e3, "µs": 1e3, "ms": 1e6, "s": 1e9, "m": 60e9, None: 1e9}
_MOST = 30
_TRACE_ID = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class Condition:
    """A part of a WHERE clause and its parameters."""

    sql: str
    parameters: tuple[Any, ...] = ()

    @property
    def reads_attributes(self) -> bool:
        """Whether it reads the attributes, which are most of what is stored."""
        return "attributes" in self.sql


def search(asked: Asked, of: Of, name: str = "q", *, skip: int = 0) -> list[Condition]:
    """Return the conditions of a search parameter after its first ``skip`` terms; faults go to ``asked``."""
    text = asked.text(name)
    found: list[Condition] = []
    read = terms(text)
    if read is None or len(read) > _MOST:
        asked.fault(name, text, f"at most {_MOST} terms such as model=delay duration>50ms, quotes closed")
        return []
    for term in read[skip:]:
        condition = _condition(term, of)
        if condition is None:
            wanted = "number with a unit (50ms)" if term.startswith("duration") else "number"
            asked.fault(name, term, f"a comparison with a {wanted}; severity: {', '.join(SEVERITIES)}")
        else:
            found.append(condition)
    return found


def joined(conditions: list[Condition]) -> tuple[str, list[Any]]:
    """Return conditions as one expression, all of which must hold, and its parameters."""
    if not conditions:
        return "true", []
    return " AND ".join(f"({each.sql})" for each in conditions), [p for each in conditions for p in each.parameters]


def equal(column: str, value: str | None) -> list[Condition]:
    """Return the condition that a column of ours has a value; none where no value is asked for."""
    return [] if value is None else [Condition(f"{column} = ?", (value,))]


def terms(text: str) -> list[str] | None:
    """Return the terms of a text, quotes taken away; None where a quote stays open. A backslash keeps a quote."""
    found: list[str] = []
    current: list[str] = []
    quoted = begun = False
    characters = iter(text)
    for character in characters:
        if character == "\\" and quoted:
            current.append(next(characters, ""))
        elif character == '"':
            quoted, begun = not quoted, True
        elif character.isspace() and not quoted:
            if current or begun:
                found.append("".join(current))
            current, begun = [], False
        else:
            current.append(character)
    if current or begun:
        found.append("".join(current))
    return None if quoted else found


def parted(term: str) -> tuple[str, str, str]:
    """Return key, operator and value of a term; of a word, that as value alone."""
    matched = _TERM.fullmatch(term)
    return ("", "", term) if matched is None else (matched[1], matched[2], matched[3])


def duration_ns(value: str) -> int | None:
    """Return a duration such as ``50ms`` in nanoseconds; None where it is none."""
    matched = _DURATION.fullmatch(value.strip().lower())
    return None if matched is None else min(round(float(matched[1]) * _UNITS[matched[2]]), 2**63 - 1)


def _condition(term: str, of: Of) -> Condition | None:
    key, operator, value = parted(term)
    if not key:
        return _word(term, of)
    if key == "duration" and of == "traces":
        return _duration(operator, value)
    if key == "severity" and of == "logs":
        return severity(operator, value)
    if key in FIELDS[of]:
        return _compared(FIELDS[of][key], (), operator, value, absent="''")
    path = pointer(key)
    expression = "coalesce(json_extract_string(attributes, ?), json_extract_string(resource, ?))"
    found = _compared(expression, (path, path), operator, value, absent=None)
    if found is None or operator == "!=" or not value:
        return found
    # Looking for the key, and for a text beside it, in the text of the JSON spares reading most of it.
    written = f"{json.dumps(key, ensure_ascii=False)}:"
    if operator == "=" and _number(value) is None and value[0] not in "[{tf":  # no list, map, true or false
        written += json.dumps(value, ensure_ascii=False)
    quick = "(contains(attributes, ?) OR contains(resource, ?))"
    return Condition(f"{quick} AND {found.sql}", (written, written, *found.parameters))


def _word(word: str, of: Of) -> Condition:
    if _TRACE_ID.fullmatch(word.lower()):
        return Condition("trace_id = ?", (word.lower(),))
    columns = [f"contains(lower({column}::VARCHAR), ?)" for column in _WORDS[of]]
    return Condition(" OR ".join(columns), (word.lower(),) * len(columns))


def _compared(sql: str, own: tuple[Any, ...], operator: str, value: str, absent: str | None) -> Condition | None:
    if operator == "~":
        return Condition(f"contains(lower({sql}), ?)", (*own, value.lower()))
    if not value and operator in ("=", "!="):
        lacks = f"{sql} IS NULL" if absent is None else f"{sql} = {absent}"
        return Condition(lacks if operator == "=" else f"NOT ({lacks})", own)
    number = _number(value)
    if operator in ("=", "!="):
        same = f"{sql} = ?" if number is None else f"({sql} = ? OR TRY_CAST({sql} AS DOUBLE) = ?)"
        values = (*own, value) if number is None else (*own, value, *own, number)
        return Condition(same if operator == "=" else f"NOT coalesce({same}, false)", values)
    return None if number is None else Condition(f"TRY_CAST({sql} AS DOUBLE) {operator} ?", (*own, number))


def _duration(operator: str, value: str) -> Condition | None:
    length = duration_ns(value)
    return None if length is None or operator == "~" else Condition(f"duration_ns {operator} ?", (length,))


def severity(operator: str, value: str) -> Condition | None:
    """Return the condition on a log's severity, by name or number; None where it can't be read."""
    low = SEVERITIES.get(value.lower().removesuffix("ing"))
    if low is None:
        number = _number(value)
        return None if number is None or operator == "~" else Condition(f"severity {operator} ?", (number,))
    high = low + _SIZE
    if operator in ("=", "!="):
        inside = "severity >= ? AND severity < ?"
        return Condition(inside if operator == "=" else f"NOT ({inside})", (low, high))
    first = {">": ("severity >= ?", high), ">=": ("severity >= ?", low), "<": ("severity < ?", low)}
    found = {**first, "<=": ("severity < ?", high)}.get(operator)
    return None if found is None else Condition(found[0], (found[1],))


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if number == number and abs(number) != float("inf") else None  # noqa: PLR0124 - only NaN differs
