"""The series that queries may use, with their labels: from otelml, from rules, from the stack about itself."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from otelml import semconv
from otelml.cli import prometheus_name
from otelml.prometheus_names import label_name

RULES = Path(__file__).parents[2] / "collector" / "rules"
TARGET = {"job", "instance"}
RESOURCE = TARGET | {"service_name", "service_namespace", "service_version", "deployment_environment_name"}
"""Promoted by Prometheus (collector/prometheus.yaml): on every series that comes over OTLP."""

_SIGNALS = ("spans", "metric_points", "log_records")
_RECEIVED, _SENT = TARGET | {"receiver", "transport"}, TARGET | {"exporter"}
OWN: dict[str, set[str]] = {
    # Prometheus, https://prometheus.io/docs/concepts/jobs_instances/ and its page on alerting rules.
    "up": TARGET,
    "ALERTS": TARGET | {"alertname", "alertstate", "severity", "ml_model_name"},
    "prometheus_tsdb_head_series": TARGET,
    "prometheus_tsdb_head_samples_appended_total": TARGET | {"type"},
    "prometheus_tsdb_too_old_samples_total": TARGET | {"type"},
    "prometheus_rule_evaluation_failures_total": TARGET | {"rule_group"},
    # The collector: https://opentelemetry.io/docs/collector/internal-telemetry/ (scraped: no `_total`)
    **{f"otelcol_receiver_accepted_{signal}": _RECEIVED for signal in _SIGNALS},
    **{f"otelcol_receiver_refused_{signal}": _RECEIVED for signal in _SIGNALS},
    **{f"otelcol_receiver_failed_{signal}": _RECEIVED for signal in _SIGNALS},
    **{f"otelcol_exporter_sent_{signal}": _SENT for signal in _SIGNALS},
    **{f"otelcol_exporter_enqueue_failed_{signal}": _SENT for signal in _SIGNALS},
    **{f"otelcol_exporter_send_failed_{signal}": _SENT | {"error_type", "error_permanent"} for signal in _SIGNALS},
    **{f"otelcol_processor_memory_limiter_refused_{signal}": TARGET | {"processor"} for signal in _SIGNALS},
    "otelcol_exporter_queue_size": _SENT | {"data_type"},
    "otelcol_exporter_queue_capacity": _SENT | {"data_type"},
    "otelcol_process_memory_rss": TARGET,
    # In every Go program with Prometheus's client library.
    "process_resident_memory_bytes": TARGET,
    # Loki: https://grafana.com/docs/loki/latest/operations/observability/
    "loki_distributor_lines_received_total": TARGET | {"tenant"},
    "loki_discarded_samples_total": TARGET | {"tenant", "reason"},
    # Alertmanager, notify/notify.go in its repository.
    "alertmanager_notifications_total": TARGET | {"integration"},
    "alertmanager_notifications_failed_total": TARGET | {"integration", "reason"},
    # Jaeger 2 is a collector of an older release, whose names may end in their unit.
    "otelcol_exporter_sent_spans_total": _SENT,
    "otelcol_process_memory_rss_bytes": TARGET,
}


def emitted() -> dict[str, set[str]]:
    """Return what otelml emits, by its name in Prometheus."""
    series: dict[str, set[str]] = {"target_info": RESOURCE}
    for metric in semconv.METRICS:
        name, labels = prometheus_name(metric), RESOURCE | {label_name(each) for each in metric.attributes}
        if metric.kind == "histogram":
            series |= {f"{name}_sum": labels, f"{name}_count": labels, f"{name}_bucket": labels | {"le"}}
        else:
            series[name] = labels
    return series


def counters() -> set[str]:
    """Return the series that only grow: what they say is their rate."""
    names = {prometheus_name(metric) for metric in semconv.METRICS if metric.kind.endswith("counter")}
    histograms = {prometheus_name(metric) for metric in semconv.METRICS if metric.kind == "histogram"}
    names |= {f"{name}_{part}" for name in histograms for part in ("sum", "count", "bucket")}
    grows = ("_total", *(f"_{signal}" for signal in _SIGNALS))
    return names | {name for name in OWN if name.endswith(grows)}


def recorded() -> dict[str, set[str]]:
    """Return what the recording rules record; labels are those that the rules group by and add."""
    series: dict[str, set[str]] = {}
    for path in sorted(RULES.glob("*.yaml")):
        for group in yaml.safe_load(path.read_text(encoding="utf-8"))["groups"]:
            for rule in group["rules"]:
                if "record" in rule:
                    series.setdefault(rule["record"], set()).update(_labels(rule, series))
    return series


def _labels(rule: dict[str, Any], series: dict[str, set[str]]) -> set[str]:
    """Return the labels of a rule that groups, or else all of what it computes with."""
    groups = [set(each.replace(" ", "").split(",")) for each in re.findall(r"\w by \(([^)]*)\)", rule["expr"])]
    used = [series[name] for name in set(re.findall(r"\w+:\w+:\w+", rule["expr"])) & series.keys()]
    leads = re.match(r"\s*\w+ by \(", rule["expr"])
    labels = groups[0] if leads else set().union(*groups, *used) - {"le"}
    return set(rule.get("labels", {})) | labels


def log_labels() -> set[str]:
    """Return the labels and the structured metadata that log records have in Loki."""
    own = {"service_name", "service_namespace", "deployment_environment_name"}
    added = {"trace_id", "span_id", "severity_text", "severity_number", "detected_level", "__error__"}
    return own | added | {label_name(each) for event in semconv.EVENTS for each in event.attributes}
