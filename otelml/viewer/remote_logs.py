"""What the pages ask of logs, out of Loki: LogQL, its lines put into the page's store as OTLP.

Loki keeps attributes as structured metadata: texts, without dots, those of a resource among those of a record. Event
names are not kept. Services are the label ``service_name``, as Loki makes it of OTLP by itself.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from otelml import semconv
from otelml.prometheus_names import label_name
from otelml.viewer.api.search import SEVERITIES, parted, terms
from otelml.viewer.remote_names import keys
from otelml.viewer.remote_samples import put, quoted, sides
from otelml.viewer.rows import NANOS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from otelml.viewer.api.parameters import Asked, Window
    from otelml.viewer.remote_http import Backend
    from otelml.viewer.store import Store

MOST = 5000
"""Lines of one answer: as many as Loki gives unless it is told otherwise."""
NO_EVENTS = "Loki keeps no event names: search for words or attributes of events"
_AROUND_NS = 600 * NANOS
_HEADERS = {"X-Loki-Response-Encoding-Flags": "categorize-labels"}
_FIELDS = {
    *("trace_id", "span_id", "severity_number", "severity_text", "observed_timestamp", "flags", "scope_name"),
    *("scope_version", "detected_level", "event_name"),
}
_SPECIAL = re.compile(r"([\\.+*?()|\[\]{}^$])")
_SIZE = 4


@dataclass(slots=True)
class Search:
    """A search as LogQL."""

    service: str = ""
    filters: list[str] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    """Attributes that are asked for by name."""
    whole: bool = True
    """Loki can be asked for all of it; else what it finds is looked through again."""
    notes: list[str] = field(default_factory=list)

    @property
    def query(self) -> str:
        """The search in LogQL."""
        service = f"service_name={quoted(self.service)}" if self.service else 'service_name=~".+"'
        return " ".join([f"{{{service}}}", *self.filters])


def search(asked: Asked) -> Search:
    """Return a search as far as Loki can be asked for it."""
    wanted = Search(asked.text("service"))
    if asked.text("trace_id"):
        _equal(wanted, "trace_id", asked.text("trace_id"))
    if asked.text("event"):
        wanted.notes.append(NO_EVENTS)
        wanted.whole = False
    least = asked.choice("severity", "", ("", *SEVERITIES))
    if least:
        wanted.filters.append(f"| severity_number >= {SEVERITIES[least]}")
    for term in terms(asked.text("q")) or ():
        _narrow(wanted, *parted(term))
    return wanted


def _narrow(wanted: Search, key: str, operator: str, value: str) -> None:
    if not key:
        _word(wanted, value)
    elif key == "event":
        wanted.notes.append(NO_EVENTS)
        wanted.whole = False
    elif key == "severity" and operator == ">=" and value.lower() in SEVERITIES:
        wanted.filters.append(f"| severity_number >= {SEVERITIES[value.lower()]}")
    elif key == "severity" and operator == "=" and value.lower() in SEVERITIES:
        low = SEVERITIES[value.lower()]
        wanted.filters.append(f"| severity_number >= {low} | severity_number < {low + _SIZE}")
    elif operator == "=" and value and key == "service":
        wanted.service = value
    elif operator == "=" and value and key in ("trace_id", "span_id"):
        _equal(wanted, key, value)
    elif operator == "=" and value and key in ("model", "version"):
        _equal(wanted, semconv.MODEL_NAME if key == "model" else semconv.MODEL_VERSION, value)
    else:
        wanted.whole = False
        wanted.keys.append(key)
        if operator == "=" and value and "." in key and not _number(value):
            _equal(wanted, key, value)


def _equal(wanted: Search, key: str, value: str) -> None:
    wanted.filters.append(f"| {label_name(key)}={quoted(value)}")


def _word(wanted: Search, word: str) -> None:
    if re.fullmatch(r"[0-9a-fA-F]{32}", word):
        _equal(wanted, "trace_id", word.lower())
    else:
        pattern = "(?i)" + _SPECIAL.sub(r"\\\1", word)
        wanted.filters.append(f"|~ {quoted(pattern)}")


def _number(value: str) -> bool:
    try:
        float(value)
    except ValueError:
        return False
    return True


def found(store: Store, loki: Backend, asked: Asked, span: Window) -> tuple[Search, int]:
    """Put the latest lines that match into a store; return the search, and how many there are (-1: see the store)."""
    wanted = search(asked)
    limit, cursor, tail = asked.whole("limit", 200, 1, MOST), asked.text("cursor"), asked.text("tail_after")
    end = span.to_ns
    if cursor.partition("-")[0].isdigit():
        end = min(end, int(cursor.partition("-")[0]) + 1)
    begin = max(span.from_ns, int(tail.partition("-")[0])) if tail.partition("-")[0].isdigit() else span.from_ns
    most = min(MOST, limit + 1) if wanted.whole else MOST
    count = read(store, loki, wanted.query, begin, end, most, wanted.keys)
    if count < most and begin == span.from_ns and end == span.to_ns:
        return wanted, -1
    if not wanted.whole:
        wanted.notes.append(f"the latest {most:,} lines were looked at: narrow the range, or the search")
        return wanted, -1
    return wanted, counted(loki, wanted.query, span)


def read(  # noqa: PLR0917 - what Loki is asked
    store: Store, loki: Backend, query: str, from_ns: int, to_ns: int, most: int, asked: Iterable[str] = ()
) -> int:
    """Put the latest lines of a query into a store; return how many."""
    given = {"query": query, "start": from_ns, "end": to_ns, "limit": most, "direction": "backward"}
    answer = loki.get("/loki/api/v1/query_range", given, _HEADERS)
    lines = [
        (int(value[0]), value[1], {**stream["stream"], **_metadata(value)})
        for stream in answer["data"]["result"]
        for value in stream["values"]
    ]
    store.add("logs", _request(sorted(lines, key=lambda line: line[0]), asked))
    return len(lines)


def of_trace(store: Store, loki: Backend, trace_id: str) -> None:
    """Put the lines of a trace into a store."""
    ((first, last),) = store.query("SELECT min(start_ns), max(end_ns) FROM spans WHERE trace_id = ?", [trace_id])
    if first is not None:
        query = f'{{service_name=~".+"}} | trace_id={quoted(trace_id)}'
        read(store, loki, query, first - _AROUND_NS, last + _AROUND_NS, MOST)


def counted(loki: Backend, query: str, span: Window) -> int:
    """Return how many lines of a range match."""
    return sum(int(value) for _, value in _counts(loki, query, span.from_ns, span.to_ns))


def by_severity(loki: Backend, query: str, span: Window) -> dict[str, list[int]]:
    """Return how many lines of each severity match in each bin of a range."""
    edges = [int(edge) for edge in span.edges]
    cut = {1, len(edges) - 1}  # the outer bins may be shorter than the others
    counts = {place: _counts(loki, query, edges[place - 1], edges[place]) for place in cut}
    if len(edges) > 3:  # noqa: PLR2004 - there are bins between
        given = {
            "query": _count(query, span.step_ns),
            "start": edges[2],
            "end": edges[-2],
            "step": _seconds(span.step_ns),
        }
        for row in loki.get("/loki/api/v1/query_range", given)["data"]["result"]:
            number = _whole(row["metric"].get("severity_number", "0"))
            for time, value in row["values"]:
                place = 2 + round((float(time) * NANOS - edges[2]) / span.step_ns)
                counts.setdefault(place, []).append((number, float(value)))
    made: dict[str, list[int]] = {}
    for place, rows in counts.items():
        for number, value in rows:
            made.setdefault(_severity(number), [0] * (len(edges) - 1))[place - 1] += int(value)
    return {name: made[name] for name in ("unset", *SEVERITIES) if name in made}


def _counts(loki: Backend, query: str, from_ns: int, to_ns: int) -> list[tuple[int, float]]:
    given = {"query": _count(query, to_ns - from_ns), "time": to_ns}
    rows = loki.get("/loki/api/v1/query", given)["data"]["result"]
    return [(_whole(row["metric"].get("severity_number", "0")), float(row["value"][1])) for row in rows]


def _count(query: str, length_ns: int) -> str:
    return f"sum by (severity_number) (count_over_time({query} [{max(1, length_ns // 1_000_000)}ms]))"


def _seconds(length_ns: int) -> str:
    return f"{length_ns / NANOS:g}s"


def _severity(number: int) -> str:
    return next((name for name, low in reversed(SEVERITIES.items()) if number >= low), "unset")


def _metadata(value: list[Any]) -> dict[str, str]:
    return dict(value[2].get("structuredMetadata") or {}) if len(value) > 2 else {}  # noqa: PLR2004 - the third part


def _request(lines: list[tuple[int, str, dict[str, str]]], asked: Iterable[str]) -> ExportLogsServiceRequest:
    """Return lines as the request that would have sent them."""
    made, names = ExportLogsServiceRequest(), keys(asked)
    for time_ns, text, about in lines:
        resource, attributes = sides(((key, value) for key, value in about.items() if key not in _FIELDS), names)
        sent = made.resource_logs.add()
        put(sent.resource, resource)
        scoped = sent.scope_logs.add()
        scoped.scope.name, scoped.scope.version = about.get("scope_name", ""), about.get("scope_version", "")
        record = scoped.log_records.add(time_unix_nano=time_ns)
        record.observed_time_unix_nano = _whole(about.get("observed_timestamp", "0"))
        record.severity_number = cast("Any", min(_whole(about.get("severity_number", "0")), 24))
        record.severity_text = about.get("severity_text", "")
        record.event_name = about.get("event_name", "")
        record.body.string_value = text
        for key in ("trace_id", "span_id"):
            if re.fullmatch(r"([0-9a-f]{2})*", about.get(key, "")):
                setattr(record, key, bytes.fromhex(about.get(key, "")))
        put(record, attributes)
    return made


def _whole(text: str) -> int:
    return int(text) if text.isdigit() and len(text) < 19 + 1 else 0
