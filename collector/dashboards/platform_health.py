"""For who runs the machines: is there room, and does telemetry arrive?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from grafana_foundation_sdk.builders.dashboard import Row

from . import panels as p
from . import queries as q
from . import variables

if TYPE_CHECKING:
    from grafana_foundation_sdk.builders.dashboard import Dashboard

SIGNALS = {"spans": "spans", "metric_points": "metric points", "log_records": "log records"}
STACK = f'job=~"{q.STACK}"'


def build() -> Dashboard:
    """Return the dashboard."""
    about = "GPUs, hosts and processes of the selected services; the collector and what it writes to."
    board = p.board("otelml-platform", "Platform", about, variables.OF_A_MACHINE)
    _loss(board)
    _gpu(board)
    _host(board)
    _process(board)
    _collector(board)
    _backends(board)
    return board


def _rate(metric: str, by: str = "", extra: str = "") -> str:
    """Return a rate over all selected instances."""
    return q.rate(metric, by, extra, q.SERVICE)


def _counted(recording: str, selector: str = "") -> str:
    """Return what a rule counted in 10 minutes; 0 while the collector is up and nothing was counted.

    A counter of failures begins with its first failure, which a rate never sees; the rule does.
    """
    return f'sum({recording}{selector}) or 0 * (max(up{{job="otelcol"}}) == 1)'


def _signals(stem: str, by: str) -> tuple[Any, ...]:
    """Return one query for each signal."""
    return tuple(
        p.metric(f'sum by ({by})(rate(otelcol_{stem}_{signal}{{job="otelcol"}}[{q.STEP}]))', f"{legend}, {{{{{by}}}}}")
        for signal, legend in SIGNALS.items()
    )


def _add(board: Dashboard, graphs: tuple[tuple[Any, ...], ...], width: int = p.THIRD) -> None:
    """Add graphs, each given as title, what it says, unit and its queries."""
    for title, about, unit, *asked in graphs:
        board.with_panel(p.graph(title, about, unit, *asked, width=width, whole=unit == "percentunit"))


def _loss(board: Dashboard) -> None:
    board.with_row(Row("Is anything lost?"))
    dropped = _counted("service:otelml_dropped:increase10m", '{job=~"$job"}')
    enqueue = _counted("collector:exporter_lost:increase10m", '{reason="queue"}')
    permanent = _counted("collector:exporter_lost:increase10m", '{reason="permanent"}')
    refused = _counted("collector:receiver_rejected:increase10m")
    queue = 'max(otelcol_exporter_queue_size{job="otelcol"} / otelcol_exporter_queue_capacity{job="otelcol"})'
    down = f"count(up{{{STACK}}} == 0) or 0 * count(up{{{STACK}}})"
    some = p.low_is_good(1, 1000)
    for panel in (
        p.figure(
            "Dropped", "Items that services dropped themselves in 10 minutes.", "short", p.metric(dropped), steps=some
        ),
        p.figure(
            "Refused",
            "Items that the collector did not take in 10 minutes; their senders try again.",
            "short",
            p.metric(refused),
            steps=some,
        ),
        p.figure(
            "Not queued",
            "Items that no queue of the collector took in 10 minutes: lost.",
            "short",
            p.metric(enqueue),
            steps=p.low_is_good(1, 1),
        ),
        p.figure(
            "Refused for good",
            "Items that a backend refused for good in 10 minutes: lost.",
            "short",
            p.metric(permanent),
            steps=p.low_is_good(1, 1),
        ),
        p.figure(
            "Fullest queue",
            "Share of a disk queue in use: what waits for its backend.",
            "percentunit",
            p.metric(queue),
            steps=p.low_is_good(0.6, 0.8),
        ),
        p.figure("Down", "Parts of the stack that don't answer.", "short", p.metric(down), steps=p.low_is_good(1, 1)),
    ):
        board.with_panel(panel)
    lost = 'sum by (otelml_what, otelml_where)(service:otelml_dropped:increase10m{job=~"$job"})'
    errors = 'sum by (otelml_where)(service:otelml_errors:increase10m{job=~"$job"})'
    folded = f"600 * {_rate('otelml_labels_folded_total', 'otelml_what')}"
    flush = q.quantile(0.95, "otelml_flush_duration_seconds", scope=q.SERVICE)
    about = "In 10 minutes: errors inside otelml (none reached the application), and label values counted as `other`."
    _add(
        board,
        (
            (
                "Dropped by what and where",
                "In the services, in 10 minutes: a buffer or queue was full, or an export failed.",
                "short",
                p.metric(lost, "{{otelml_what}}: {{otelml_where}}"),
            ),
            (
                "Faults of otelml, folded labels",
                about,
                "short",
                p.metric(errors, "error in {{otelml_where}}"),
                p.metric(folded, "folded {{otelml_what}}"),
            ),
            ("otelml's turns", "95 % of turns of records into telemetry took less.", "s", p.metric(flush, "p95")),
        ),
    )


def _gpu(board: Dashboard) -> None:
    board.with_row(Row("GPUs"))
    busy, memory = _each("hw_gpu_utilization_ratio", ", hw_gpu_task"), _each("hw_gpu_memory_utilization_ratio")
    held = _each("hw_gpu_throttled", ", hw_gpu_throttle_reason")
    xid = q.rate("hw_errors_total", "hw_name, error_type", scope=q.SERVICE)
    own = "Memory that the service's own processes hold."
    name = "{{hw_name}}"
    _add(
        board,
        (
            ("GPU busy", "Share of time that it worked.", "percentunit", p.metric(busy, f"{name} {{{{hw_gpu_task}}}}")),
            ("GPU memory", "Share in use.", "percentunit", p.metric(memory, name)),
            ("GPU memory of services", own, "bytes", p.metric(_each("process_gpu_memory_usage_bytes"), name)),
            ("GPU temperature", "By GPU.", "celsius", p.metric(_each("hw_temperature_celsius"), name)),
            ("GPU power", "Power drawn.", "watt", p.metric(_each("hw_power_watts"), name)),
            (
                "GPU held back",
                "1 while clocks are held back, by reason; and Xid errors per second.",
                "short",
                p.metric(held, f"{name} {{{{hw_gpu_throttle_reason}}}}"),
                p.metric(xid, f"{name} {{{{error_type}}}}"),
            ),
        ),
    )


def _each(metric: str, labels: str = "") -> str:
    """Return a gauge of each GPU; several processes report the same one."""
    return f"max by (hw_id, hw_name{labels})({q.selected(metric, scope=q.SERVICE)})"


def _gauge(metric: str, by: str, extra: str = "", function: str = "max") -> Any:
    """Return a gauge, one line for each value of a label."""
    return p.metric(f"{function} by ({by})({q.selected(metric, extra, q.SERVICE)})", f"{{{{{by}}}}}")


def _flow(metric: str, by: str) -> Any:
    """Return a counter's rate, one line for each value of a label."""
    return p.metric(_rate(metric, by), f"{{{{{by}}}}}")


def _host(board: Dashboard) -> None:
    board.with_row(Row("Hosts"))
    busy = _gauge("system_cpu_utilization_ratio", "instance", 'cpu_mode!="idle"', "sum")
    memory = _gauge("system_memory_utilization_ratio", "instance", 'system_memory_state="used"')
    root = _gauge("system_filesystem_utilization_ratio", "instance", 'system_filesystem_state="used"')
    waited = "Share of the last 10 s in which some task waited for it."
    disk = _flow("system_disk_io_bytes_total", "disk_io_direction")
    network = _flow("system_network_io_bytes_total", "network_io_direction")
    _add(
        board,
        (
            ("CPU", "Share of the machine's CPU time that is not idle.", "percentunit", busy),
            ("Memory", "Share of the machine's or container's memory in use.", "percentunit", memory),
            ("Pressure", waited, "percentunit", _gauge("otelml_host_pressure_ratio", "otelml_resource")),
            ("Disk", "Bytes per second read and written.", "Bps", disk),
            ("Network", "Bytes per second received and sent.", "Bps", network),
            ("Root file system", "Share in use.", "percentunit", root),
        ),
    )


def _process(board: Dashboard) -> None:
    board.with_row(Row("Processes of the services"))
    threads, files = (
        _gauge("process_thread_count", "instance"),
        _gauge("process_unix_file_descriptor_count", "instance"),
    )
    uptime = "A line that falls to 0 is a restart."
    cpu = _flow("process_cpu_time_seconds_total", "instance")
    _add(
        board,
        (
            ("CPU of processes", "CPUs in use.", "short", cpu),
            ("Memory of processes", "Physical memory.", "bytes", _gauge("process_memory_usage_bytes", "instance")),
            ("Time since start", uptime, "s", _gauge("process_uptime_seconds", "instance")),
            ("Threads", "Threads by process.", "short", threads),
            ("Open files", "File descriptors by process: a line that only climbs is a leak.", "short", files),
            (
                "Context switches",
                "Per second; many involuntary ones: too few CPUs.",
                "cps",
                _flow("process_context_switches_total", "process_context_switch_type"),
            ),
        ),
    )


def _collector(board: Dashboard) -> None:
    board.with_row(Row("Collector"))
    queue = 'sum by (exporter, data_type)(otelcol_exporter_queue_size{job="otelcol"})'
    limited = _counted("collector:memory_limiter_refused:increase10m")
    waiting = "Items on disk that wait for a backend. Falls to 0 when the backend is back."
    memory = 'otelcol_process_memory_rss{job="otelcol"}'
    _add(
        board,
        (
            ("Accepted", "Items per second from services.", "cps", *_signals("receiver_accepted", "transport")),
            ("Sent", "Items per second to backends.", "cps", *_signals("exporter_sent", "exporter")),
            (
                "Failed to send",
                "Items per second; all but permanent failures are tried again.",
                "cps",
                *_signals("exporter_send_failed", "exporter"),
            ),
            ("Waiting", waiting, "short", p.metric(queue, "{{exporter}} {{data_type}}")),
            ("Memory of the collector", "Physical memory.", "bytes", p.metric(memory, "{{instance}}")),
            (
                "Memory limiter",
                "Items refused for lack of memory in 10 minutes.",
                "short",
                p.metric(limited, "refused"),
            ),
        ),
    )


def _backends(board: Dashboard) -> None:
    board.with_row(Row("Prometheus, Jaeger, Loki, Alertmanager"))
    up = f"min by (job)(up{{{STACK}}})"
    names = "process_resident_memory_bytes|otelcol_process_memory_rss(_bytes)?"  # those of collectors, so of Jaeger too
    memory = f'max by (job)({{__name__=~"{names}", {STACK}}})'
    samples = f"sum(rate(prometheus_tsdb_head_samples_appended_total[{q.STEP}]))"
    old = f"600 * sum(rate(prometheus_tsdb_too_old_samples_total[{q.STEP}]))"  # these begin at 0
    rules = f"600 * sum(rate(prometheus_rule_evaluation_failures_total[{q.STEP}]))"
    lines = f"sum(rate(loki_distributor_lines_received_total[{q.STEP}]))"
    discarded = "sum by (reason)(loki:discarded_lines:increase10m)"
    spans = f'sum(rate({{__name__=~"otelcol_exporter_sent_spans(_total)?", job="jaeger"}}[{q.STEP}]))'
    sent = f"sum by (integration)(rate(alertmanager_notifications_total[{q.STEP}]))"
    failed = f"sum by (integration)(rate(alertmanager_notifications_failed_total[{q.STEP}]))"
    _add(
        board,
        (
            ("Up", "1 while it answers.", "short", p.metric(up, "{{job}}")),
            ("Memory of the stack", "Physical memory.", "bytes", p.metric(memory, "{{job}}")),
            (
                "Series",
                "Series in Prometheus's head.",
                "short",
                p.metric("prometheus_tsdb_head_series", "{{instance}}"),
            ),
            (
                "Stored",
                "Samples, log lines and spans per second.",
                "cps",
                p.metric(samples, "samples"),
                p.metric(lines, "log lines"),
                p.metric(spans, "spans"),
            ),
            (
                "Not stored",
                "Samples too old, log lines discarded, rules that failed: in 10 minutes.",
                "short",
                p.metric(old, "samples too old"),
                p.metric(discarded, "log lines: {{reason}}"),
                p.metric(rules, "failed rules"),
            ),
            (
                "Notifications",
                "Alerts sent per second, and those that did not arrive.",
                "cps",
                p.metric(sent, "{{integration}}"),
                p.metric(failed, "{{integration}} failed"),
            ),
        ),
    )
