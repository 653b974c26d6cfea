"""What the pages ask of traces, out of Jaeger: its HTTP API v3 answers in OTLP, which goes into the page's store.

Its search finds traces by service, name, duration and attributes; what else is asked for is looked for in those that
it found. Attributes go through the query API of its own page: v3 of Jaeger 2.0 to 2.1x does not look at them.
"""

from __future__ import annotations

import json
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from otelml import semconv
from otelml.viewer.api.search import duration_ns, parted, terms
from otelml.viewer.decode import parse
from otelml.viewer.remote_http import AbsentError
from otelml.viewer.rows import NANOS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from otelml.viewer.api.parameters import Asked, Window
    from otelml.viewer.remote_http import Backend
    from otelml.viewer.store import Store

MOST, MOST_TAGGED = 500, 100
"""Traces asked of Jaeger for each service; fewer where attributes are looked for, each of which is then read."""
MOST_SERVICES, MOST_LINKED = 30, 20
SLOWEST = 20
_AT_ONCE = 4
_ENDED = re.compile(r"Original end timestamp: (\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)(?:\.(\d{1,9}))? \+0000 UTC")
_LATEST = "the latest {} traces of {} were looked at; there may be more: narrow the range or the search"


@dataclass(slots=True)
class Search:
    """What of a search Jaeger can be asked for."""

    services: list[str]
    from_ns: int
    to_ns: int
    name: str = ""
    least_ns: int = 0
    most_ns: int = 0
    tags: dict[str, str] = field(default_factory=dict)
    limit: int = MOST


def services(jaeger: Backend) -> list[str]:
    """Return the services that have sent spans."""
    return sorted(jaeger.get("/api/v3/services").get("services") or [])


def search(jaeger: Backend, asked: Asked, span: Window) -> Search:
    """Return what to ask Jaeger for; the whole search is looked at again in what it finds."""
    cursor = asked.whole("cursor", 0, 0, 2**63 - 1)
    service = asked.text("service")
    wanted = Search([service] if service else [], span.from_ns, min(span.to_ns, cursor or span.to_ns))
    wanted.name = asked.text("name")
    wanted.least_ns = round((asked.number("min_s") or 0) * NANOS)
    wanted.most_ns = round((asked.number("max_s") or 0) * NANOS)
    if asked.text("model"):
        wanted.tags[semconv.MODEL_NAME] = asked.text("model")
    if asked.flag("errors"):
        wanted.tags["error"] = "true"
    for term in terms(asked.text("q")) or ():
        _narrow(wanted, term)
    wanted.limit = MOST_TAGGED if wanted.tags else MOST
    if not wanted.services:
        wanted.services = services(jaeger)
    return wanted


def _narrow(wanted: Search, term: str) -> None:
    key, operator, value = parted(term)
    if key == "duration" and operator in (">", ">=") and not wanted.least_ns:
        wanted.least_ns = duration_ns(value) or 0
    elif operator != "=" or not value:
        return
    elif key == "service":
        wanted.services = [value]
    elif key == "name":
        wanted.name = value
    elif key in ("model", "version"):
        wanted.tags[f"ml.model.{'name' if key == 'model' else 'version'}"] = value
    elif key == "status" and value == "error":
        wanted.tags["error"] = "true"
    elif key == "stage":
        wanted.tags[semconv.STAGE] = value
    elif "." in key:
        wanted.tags[key] = value


def found(store: Store, jaeger: Backend, wanted: Search) -> list[str]:
    """Put what Jaeger finds into a store; return notes on what it may have left out."""
    notes = []
    asked = wanted.services[:MOST_SERVICES]
    if len(wanted.services) > len(asked):
        notes.append(f"{len(asked)} of {len(wanted.services)} services were asked for: choose one (service=...)")
    for service in asked:
        if wanted.tags:
            ids = _tagged(jaeger, wanted, service)
            _read(store, jaeger, ids)
            count = len(ids)
        else:
            count = _add(store, _searched(jaeger, wanted, service))
        if count >= wanted.limit:
            notes.append(_LATEST.format(wanted.limit, service))
    return notes


def trace(store: Store, jaeger: Backend, trace_id: str) -> None:
    """Put a trace, and those that its spans link to, into a store."""
    _read(store, jaeger, [trace_id])
    spans = store.spans(trace_id=trace_id)
    linked = {link.trace_id for span in spans for link in span.links} - {trace_id}
    _read(store, jaeger, sorted(linked)[:MOST_LINKED])


def calls(services_: Iterable[str], name: str, version: str, span: Window, least_ns: int = 0) -> Search:
    """Return the search for calls of a model that took so long at least."""
    tags = {semconv.MODEL_VERSION: version} if version else {semconv.MODEL_NAME: name}
    return Search(list(services_), span.from_ns, span.to_ns, f"predict {name}", least_ns, 0, tags, MOST_TAGGED)


def slow_and_failed(store: Store, jaeger: Backend, wanted: Search) -> list[str]:
    """Put the calls of a search, and those that failed whatever they took, into a store; return notes."""
    notes = found(store, jaeger, wanted)
    notes += found(store, jaeger, replace(wanted, least_ns=0, tags={**wanted.tags, "error": "true"}))
    return sorted(set(notes))


def latest(store: Store, jaeger: Backend, now_ns: int) -> None:
    """Put some of the latest traces of every service into a store, for completion."""
    wanted = Search(services(jaeger), now_ns - 3600 * NANOS, now_ns, limit=50)
    found(store, jaeger, wanted)


# Questions ------------------------------------------------------------------------------------------------------


def _searched(jaeger: Backend, wanted: Search, service: str) -> Any:
    given: dict[str, Any] = {
        "query.service_name": service,
        "query.start_time_min": _time(wanted.from_ns),
        "query.start_time_max": _time(wanted.to_ns),
        "query.num_traces": wanted.limit,
        "query.search_depth": wanted.limit,
    }
    if wanted.name:
        given["query.operation_name"] = wanted.name
    if wanted.least_ns:
        given["query.duration_min"] = f"{wanted.least_ns}ns"
    if wanted.most_ns:
        given["query.duration_max"] = f"{wanted.most_ns}ns"
    try:
        return jaeger.get("/api/v3/traces", given)
    except AbsentError:
        return {}


def _tagged(jaeger: Backend, wanted: Search, service: str) -> list[str]:
    """Return the ids of traces that have attributes."""
    given: dict[str, Any] = {
        "service": service,
        "start": wanted.from_ns // 1000,
        "end": -(-wanted.to_ns // 1000),
        "limit": wanted.limit,
        "tags": json.dumps(wanted.tags),
    }
    if wanted.name:
        given["operation"] = wanted.name
    if wanted.least_ns:
        given["minDuration"] = f"{wanted.least_ns}ns"
    if wanted.most_ns:
        given["maxDuration"] = f"{wanted.most_ns}ns"
    return [each["traceID"].rjust(32, "0") for each in jaeger.get("/api/traces", given).get("data") or ()]


def _read(store: Store, jaeger: Backend, ids: Iterable[str]) -> None:
    def ask(trace_id: str) -> Any:
        try:
            return jaeger.get(f"/api/v3/traces/{trace_id}")
        except AbsentError:
            return {}

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        for answer in pool.map(ask, ids):
            _add(store, answer)


def _add(store: Store, answer: Any) -> int:
    """Store an answer in OTLP; return how many traces it has. Spans that are there already are left out."""
    request = parse("traces", json.dumps(answer.get("result") or {}).encode(), as_json=True)
    known = {row[0] for row in store.query("SELECT DISTINCT trace_id FROM spans")}
    seen = set()
    for resource in request.resource_spans:
        for scope in resource.scope_spans:
            fresh = []
            for span in scope.spans:
                trace_id = span.trace_id.hex()
                seen.add(trace_id)
                if trace_id not in known:
                    fresh.append(_as_sent(span))
            del scope.spans[:]
            scope.spans.extend(fresh)
    store.add("traces", request)
    return len(seen)


def _as_sent(span: Any) -> Any:
    """Take away what Jaeger adds: warnings, a nanosecond where a span took none, a name of OpenTracing's on links."""
    for link in span.links:
        own = [each for each in link.attributes if each.key != "opentracing.ref_type"]
        del link.attributes[:]
        link.attributes.extend(own)
    kept = [each for each in span.attributes if not each.key.startswith("@jaeger@")]
    if len(kept) < len(span.attributes):
        ended = _ENDED.search(str(span.attributes))
        if ended is not None:
            whole = datetime.fromisoformat(f"{ended[1]}+00:00")
            span.end_time_unix_nano = int(whole.timestamp()) * NANOS + int((ended[2] or "0").ljust(9, "0"))
        del span.attributes[:]
        span.attributes.extend(kept)
    return span


def _time(time_ns: int) -> str:
    whole = datetime.fromtimestamp(time_ns // NANOS, UTC)
    return f"{whole:%Y-%m-%dT%H:%M:%S}.{time_ns % NANOS:09}Z"
