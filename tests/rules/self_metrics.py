"""Metrics that are not ours: what the collector, Prometheus and Loki say of themselves, and where that stands.

Scraped names: a collector that exposes them by `pull: prometheus: {host, port}` adds neither `_total` nor units.
"""

RECEIVER = "opentelemetry-collector, receiver/receiverhelper/documentation.md"
EXPORTER = "opentelemetry-collector, exporter/exporterhelper/documentation.md"
LIMITER = "opentelemetry-collector, processor/memorylimiterprocessor/documentation.md"
TARGET = {"job", "instance"}

SELF_METRICS = {
    "up": (set(), "Prometheus, docs/concepts/jobs_instances.md"),
    "target_info": (set(), "Prometheus, OTLP translation: the resource; only through the SDK's metrics"),
    **{
        f"otelcol_receiver_{outcome}_{items}": ({"receiver", "transport"}, RECEIVER)
        for outcome in ("refused", "failed")
        for items in ("spans", "metric_points", "log_records")
    },
    **{
        f"otelcol_exporter_{outcome}_{items}": ({"exporter", "error_type", "error_permanent"}, EXPORTER)
        for outcome in ("enqueue_failed", "send_failed")
        for items in ("spans", "metric_points", "log_records")
    },
    "otelcol_exporter_queue_size": ({"exporter", "data_type"}, EXPORTER),
    "otelcol_exporter_queue_capacity": ({"exporter", "data_type"}, EXPORTER),
    **{
        f"otelcol_processor_memory_limiter_refused_{items}": ({"processor"}, LIMITER)
        for items in ("spans", "metric_points", "log_records")
    },
    "prometheus_tsdb_too_old_samples_total": ({"type"}, "Prometheus 3.15, its /metrics"),
    "prometheus_rule_evaluation_failures_total": ({"rule_group"}, "Prometheus 3.15, its /metrics"),
    "loki_discarded_samples_total": ({"tenant", "reason"}, "Loki, pkg/validation/validate.go"),
    "ALERTS": ({"alertname", "alertstate", "severity"}, "Prometheus, docs/configuration/alerting_rules.md"),
}
"""Labels of each, beside `job` and `instance`, and the source."""

RESOURCE = {"job", "instance", "service_name", "deployment_environment_name", "host_name"}
"""Labels from the resource: `job` and `instance` by OTLP translation, the rest promoted by Prometheus."""
