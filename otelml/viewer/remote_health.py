"""What a running stack says of itself: Prometheus's alerts, what the collector takes in, senders that fell silent."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from otelml.viewer.api import curves
from otelml.viewer.api.health import gaps
from otelml.viewer.api.mistakes import MOST_SERIES, cardinality, no_instance
from otelml.viewer.api.numbers import many, plain
from otelml.viewer.api.points import Wanted
from otelml.viewer.remote_metrics import fill, names
from otelml.viewer.remote_names import Metric
from otelml.viewer.rows import NANOS

if TYPE_CHECKING:
    from otelml.viewer.api.parameters import Asked, Window
    from otelml.viewer.remote_http import Backend
    from otelml.viewer.store import Store

TARGET = Metric("target_info", "gauge", "", "", "target_info")
RECEIVED = {
    "traces": "otelcol_receiver_accepted_spans",
    "metrics": "otelcol_receiver_accepted_metric_points",
    "logs": "otelcol_receiver_accepted_log_records",
}
"""Counters of the collector itself; some of its versions add ``_total``, and so does Jaeger, which is one as well."""
UNSEEN = (
    "mistakes that only the sender's own names, units and temporality show, and parents that never arrived, are not"
    " looked for here"
)


def alerts(prometheus: Backend) -> list[dict[str, Any]] | None:
    """Return Prometheus's alerts, pages first; None where it has no alerting rules."""
    groups = prometheus.get("/api/v1/rules", {"type": "alert"})["data"]["groups"]
    if not any(group["rules"] for group in groups):
        return None
    rows = [_alert(row) for row in prometheus.get("/api/v1/alerts")["data"]["alerts"]]
    order = {"page": 0, "ticket": 1}
    kept = [row for row in rows if row["severity"] != "none"]  # that of a watchdog always fires
    return sorted(kept, key=lambda row: (order.get(row["severity"], 2), row["state"] != "firing", row["name"]))


def _alert(row: dict[str, Any]) -> dict[str, Any]:
    labels, notes = row.get("labels", {}), row.get("annotations", {})
    return {
        "name": labels.get("alertname", ""),
        "severity": labels.get("severity", ""),
        "state": row.get("state", "firing"),
        "since_ns": _time(row.get("activeAt", "")),
        "summary": notes.get("summary") or notes.get("description", ""),
        "runbook": notes.get("runbook_url", ""),
    }


def _time(text: str) -> int | None:
    try:
        return int(datetime.fromisoformat(text[:19] + "+00:00").timestamp()) * NANOS
    except ValueError:
        return None


def health(store: Store, prometheus: Backend, asked: Asked, span: Window, notes: list[str]) -> dict[str, Any]:
    """Return what the collector received, gaps of senders, and what is wrong as far as Prometheus shows it."""
    asked.window()
    asked.check()
    there = set(names(prometheus, span))
    shown = {signal: name if name in there else f"{name}_total" for signal, name in RECEIVED.items()}
    counters = [Metric(name, "counter", "", "", name) for name in shown.values()]
    fill(store, prometheus, [TARGET, *counters], span)
    received = {signal: made for signal, name in shown.items() if (made := _received(store, name, span)) is not None}
    if not received:
        notes.append("Prometheus does not scrape the collector: what arrives is not known")
    notes.append(UNSEEN)
    return {
        "received": received,
        "gaps": gaps(store, span),
        "mistakes": [*_no_instance(prometheus), *_cardinality(prometheus)],
        "store": None,
    }


def _received(store: Store, name: str, span: Window) -> dict[str, Any] | None:
    found = curves.curves(store, Wanted(name), span)
    if not found:
        return None
    total = plain(curves.total(found, span))
    rates = many(curves.rates(found, span))
    return {"items": total, "requests": None, "in_range": total, "t": span.starts, "per_s": rates}


def _no_instance(prometheus: Backend) -> list[dict[str, Any]]:
    query = 'count by (job) ({__name__=~"ml_.+", instance="", __name__!~".*:.*"})'
    rows = prometheus.get("/api/v1/query", {"query": query})["data"]["result"]
    return [no_instance(row["metric"].get("job", ""), int(row["value"][1])) for row in rows]


def _cardinality(prometheus: Backend) -> list[dict[str, Any]]:
    query = f'topk(20, count by (__name__, job) ({{__name__=~".+", __name__!~".+_(bucket|sum)"}}) > {MOST_SERIES})'
    rows = prometheus.get("/api/v1/query", {"query": query})["data"]["result"]
    return [cardinality(row["metric"].get("job", ""), row["metric"]["__name__"], int(row["value"][1])) for row in rows]
