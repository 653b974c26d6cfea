"""Mistakes of instrumentation that can be seen in what arrives, each with its fix."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from otelml.prometheus_names import metric_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from otelml.viewer.api.parameters import Window
    from otelml.viewer.store import Store

    Mistake = dict[str, Any]

MOST_SERIES = 2000
"""Series of one metric of one service that are more than a label bounded by 20 to 50 values makes."""
LOOKED_AT, RECENT_NS, LONGEST_NS, SETTLED_NS = 5_000, 300 * 10**9, 600 * 10**9, 60 * 10**9
"""So many spans of the last minutes are asked for their parents, which have begun so long before at most: the first of
them, which DuckDB finds without sorting them all as long as they are under about 10,000. Parents end, and so are sent,
after their children, and another machine's clock may be ahead: both by a minute."""
FEW_ORPHANS = 10
"""Spans without their parent that are not worth a word: some parents are still on their way."""
_BRACES = re.compile(r"\{[^{}]*\}")
_UCUM = re.compile(
    r"1|%|s|ms|us|ns|min|h|d|wk|mo|a|By|KiBy|MiBy|GiBy|TiBy|kBy|MBy|GBy|TBy|bit|[kMG]?bit|Cel|\[degF\]|K|W|kW|J|kJ"
    r"|V|A|Hz|[kMG]Hz|m|km|g|kg|Pa|kPa|L|deg|rad"
)
DOCS = "https://github.com/otelml/otelml/blob/main/docs/"
_SEMCONV = "https://opentelemetry.io/docs/specs/semconv/"


def mistakes(store: Store, span: Window) -> list[Mistake]:
    """Return what is wrong, errors before warnings; ``where`` names the services, metrics or spans."""
    found = [mistake for check in _CHECKS for mistake in check(store, span)]
    return sorted(found, key=lambda mistake: (mistake["severity"] != "error", mistake["id"], mistake["where"]))


def _mistake(kind: str, severity: str, what: str, where: str, fix: str, docs: str) -> Mistake:  # noqa: PLR0917 - the columns of the table
    return {"id": kind, "severity": severity, "what": what, "where": where, "fix": fix, "docs": docs}


def _no_instance(store: Store, _: Window) -> Iterator[Mistake]:
    sql = """
        SELECT service, count(*) FROM series
        WHERE json_extract_string(resource, '/service.instance.id') IS NULL GROUP BY service ORDER BY service
    """
    for service, count in store.query(sql):
        yield no_instance(service, count)


def no_instance(service: str, count: int) -> Mistake:
    """Return the mistake of a service with so many series that don't say which process they are from."""
    return _mistake(
        "no-instance-id",
        "error",
        f"{count} series have no service.instance.id: those of several processes overwrite one another",
        service or "(no service name)",
        "OTEL_RESOURCE_ATTRIBUTES=service.instance.id=$(uuidgen) for each process; otelml sets it by itself",
        f"{_SEMCONV}resource/#service",
    )


def _no_service(store: Store, _: Window) -> Iterator[Mistake]:
    sql = """
        SELECT DISTINCT service FROM (SELECT service FROM series UNION ALL SELECT DISTINCT service FROM spans)
        WHERE service = '' OR starts_with(service, 'unknown_service') ORDER BY service
    """
    for (service,) in store.query(sql):
        what = "telemetry without a service name: it can't be told from that of other services"
        fix = "OTEL_SERVICE_NAME=my-service"
        yield _mistake("no-service-name", "error", what, service or "(empty)", fix, f"{_SEMCONV}resource/#service")


def _delta(store: Store, _: Window) -> Iterator[Mistake]:
    sql = """
        SELECT service, list(DISTINCT name ORDER BY name) FROM series WHERE temporality = 'delta'
        GROUP BY service ORDER BY service
    """
    for service, names in store.query(sql):
        yield _mistake(
            "delta-temporality",
            "warning",
            f"{len(names)} metrics have delta temporality, which Prometheus does not take: {_some(names)}",
            service,
            "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE=cumulative",
            f"{DOCS}troubleshooting.md",
        )


def _cardinality(store: Store, _: Window) -> Iterator[Mistake]:
    sql = """
        SELECT service, name, count(DISTINCT attributes) AS series FROM series GROUP BY ALL HAVING series > ?
        ORDER BY series DESC LIMIT 20
    """
    for service, name, count in store.query(sql, [MOST_SERIES]):
        key, values = _widest(store, service, name)
        yield cardinality(service, name, count, key, f"; {key} alone has {values:,} values")


def cardinality(service: str, name: str, count: int, key: str = "what is unbounded", more: str = "") -> Mistake:
    """Return the mistake of a metric with so many series; ``key`` makes most of them."""
    return _mistake(
        "cardinality",
        "error",
        f"{name} has {count:,} sets of attributes{more}",
        f"{service} {name}",
        f"take {key} off the metric, or bound it (a View with attribute_keys); ids belong on spans and logs",
        f"{DOCS}metrics.md",
    )


def _widest(store: Store, service: str, name: str) -> tuple[str, int]:
    sql = """
        SELECT key, count(DISTINCT value) AS n FROM (
            SELECT unnest(json_keys(attributes)) AS key, json_extract_string(attributes, '/' || replace(replace(
                unnest(json_keys(attributes)), '~', '~0'), '/', '~1')) AS value
            FROM (SELECT attributes FROM series WHERE service = ? AND name = ? LIMIT 5000)
        ) GROUP BY key ORDER BY n DESC, key LIMIT 1
    """
    rows = store.query(sql, (service, name))
    return (str(rows[0][0]), int(rows[0][1])) if rows else ("?", 0)


def _units(store: Store, _: Window) -> Iterator[Mistake]:
    sql = "SELECT DISTINCT name, unit, service FROM series WHERE unit <> '' ORDER BY ALL"
    for name, unit, service in store.query(sql):
        parts = _BRACES.sub("", unit).replace(".", "/").split("/")
        if all(not part or _UCUM.fullmatch(part) for part in parts):
            continue
        what = f"{unit!r} is not a unit of UCUM, so nobody can convert it"
        fix = f"write it as {_better(unit)}; a count of things as {{thing}}, durations in s, sizes in By"
        yield _mistake("unit", "warning", what, f"{service} {name}", fix, f"{_SEMCONV}general/metrics/")


def _better(unit: str) -> str:
    known = {
        "seconds": "s",
        "second": "s",
        "sec": "s",
        "milliseconds": "ms",
        "millis": "ms",
        "bytes": "By",
        "byte": "By",
    }
    known |= {"b": "By", "percent": "%", "ratio": "1", "celsius": "Cel", "watts": "W", "joules": "J", "count": "{item}"}
    return known.get(unit.lower(), f"{{{unit}}}")


def _collisions(store: Store, _: Window) -> Iterator[Mistake]:
    """Yield metrics that are several things under one name, here or once Prometheus has translated them."""
    sql = "SELECT name, unit, kind, bool_or(monotonic), list(DISTINCT service) FROM series GROUP BY name, unit, kind"
    rows = store.query(sql)
    named: dict[str, set[tuple[str, str]]] = {}
    translated: dict[str, set[str]] = {}
    for name, unit, kind, monotonic, _services in rows:
        named.setdefault(name, set()).add((unit, kind))
        counter = kind == "sum" and bool(monotonic)
        translated.setdefault(metric_name(name, unit, counter=counter, gauge=kind == "gauge"), set()).add(name)
    for name, kinds in sorted(named.items()):
        if len(kinds) > 1:
            text = " and ".join(sorted(f"{kind} in {unit or 'no unit'}" for unit, kind in kinds))
            fix = "give each its own name, or the same unit and kind everywhere"
            yield _mistake(
                "name-collision", "error", f"one name, several metrics: {text}", name, fix, f"{DOCS}metrics.md"
            )
    for name, names in sorted(translated.items()):
        if len(names) > 1:
            what = f"{_some(sorted(names))} become one metric in Prometheus, {name}"
            fix = "rename one of them: dots and underscores are the same there"
            yield _mistake("prometheus-collision", "warning", what, name, fix, f"{DOCS}prometheus.md")


def _orphans(store: Store, span: Window) -> Iterator[Mistake]:
    """Yield services whose spans name a parent that never arrived."""
    sql = """
        WITH child AS MATERIALIZED (
            SELECT service, trace_id, parent_id FROM spans WHERE parent_id <> '' AND start_ns >= ? AND start_ns <= ?
        ), parent AS MATERIALIZED (
            SELECT span_id FROM spans WHERE start_ns >= ? AND start_ns < ? AND span_id IN (SELECT parent_id FROM child)
        )
        SELECT service, count(*) AS spans, any_value(trace_id) FROM child
        WHERE parent_id NOT IN (SELECT span_id FROM parent) GROUP BY service HAVING spans >= ? ORDER BY service
    """
    settled = span.to_ns - SETTLED_NS
    newest = "SELECT max(start_ns) FROM spans WHERE start_ns >= ? AND start_ns < ?"
    ((last,),) = store.query(newest, (span.from_ns, settled))
    first = max(span.from_ns, (last or 0) - RECENT_NS)
    looked_at = """
        SELECT min(start_ns), max(start_ns) FROM (
            SELECT start_ns FROM spans WHERE parent_id <> '' AND start_ns >= ? AND start_ns < ?
            ORDER BY start_ns LIMIT ?
        )
    """
    ((first, last),) = store.query(looked_at, (first, settled, LOOKED_AT))
    if first is None:
        return
    values = (first, last, first - LONGEST_NS, min(last + SETTLED_NS, settled), FEW_ORPHANS)
    for service, count, trace_id in store.query(sql, values):
        yield _mistake(
            "orphan-spans",
            "warning",
            f"{count:,} spans have a parent that did not arrive, as in trace {trace_id}",
            service,
            "instrument the caller and send its spans here; sample by the parent (parentbased_traceidratio)",
            f"{DOCS}troubleshooting.md",
        )


def _clocks(store: Store, span: Window) -> Iterator[Mistake]:
    """Yield services with spans that end before they start."""
    sql = """
        SELECT service, count(*) FROM spans WHERE duration_ns < 0 AND start_ns >= ? AND start_ns < ?
        GROUP BY service ORDER BY service
    """
    for service, count in store.query(sql, (span.from_ns, span.to_ns)):
        what = f"{count:,} spans end before they start"
        fix = "take both times from one clock (the SDK does, unless given times by hand)"
        yield _mistake("clock", "warning", what, service, fix, f"{DOCS}troubleshooting.md")


def _some(names: list[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""  # noqa: PLR2004 - as many as are named
    return ", ".join(names[:3]) + more


_CHECKS: tuple[Callable[[Store, Window], Iterator[Mistake]], ...] = (
    *(_no_instance, _no_service, _delta, _cardinality, _units, _collisions, _orphans, _clocks),
)
