"""Which way each signal goes: the pipeline that the settings ask for is built, asked, and closed again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from otelml import _sdk_metrics, config, pipeline, semconv, ways
from otelml.doctor.findings import NOTE, OK, PROBE, Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from otelml.config import Config


def signals(settings: Config) -> Iterator[Finding]:
    """Say where each signal goes and which way."""
    if settings.sdk_disabled:
        yield Finding("telemetry", NOTE, "switched off by OTEL_SDK_DISABLED", "unset OTEL_SDK_DISABLED")
        return
    if settings.otel_config:
        text = "SDK objects, as OTEL_CONFIG_FILE builds them: that file cannot name otelml's queues"
        for signal in config.SIGNALS:
            yield Finding(signal, NOTE, text, "unset OTEL_CONFIG_FILE and set the OTEL_* variables instead")
        return
    for way in _ways(settings):
        where = _where(settings, way.signal)
        if not where:
            yield Finding(way.signal, NOTE, "not exported", f"set OTEL_{way.signal.upper()}_EXPORTER=otlp")
        elif way.reason is None:
            yield Finding(way.signal, OK, f"{way.taken}, {where}")
        else:
            yield Finding(way.signal, NOTE, f"{way.taken}, {where}: {way.reason.text}", way.reason.fix)


def _ways(settings: Config) -> list[ways.Way]:
    """Build what ``auto_instrument()`` would, ask it, close it; a running service's port and file are left alone."""
    views = (_sdk_metrics.BATCH_VIEW,) if settings.histogram_aggregation == "explicit_bucket_histogram" else ()
    with TemporaryDirectory() as folder:
        log_file = str(Path(folder) / "log") if settings.log_file else None
        aside = replace(settings, log_file=log_file, prometheus_host="127.0.0.1", prometheus_port=0, spool_dir=None)
        made = pipeline.build(aside, views=views)
        try:
            histogram = made.meter_provider.get_meter(semconv.SCOPE).create_histogram(PROBE)
            batches = _sdk_metrics.takes_batches(made.meter_provider, histogram)
            return ways.ways(made.tracer_provider, made.logger_provider, made.meter_provider, batches=batches)
        finally:
            for queue in made.queues["metrics"]:
                queue.shutdown(0.0)  # before the last collection, which could hold metrics of the SDK itself
            made.shutdown(1.0)


def _where(settings: Config, signal: str) -> str:
    """Return the exporters of a signal with protocol and endpoint; empty where there are none."""
    names: tuple[str, ...] = getattr(settings, f"{signal}_exporter")
    return " and ".join(_target(settings, signal, name) for name in names if name != "none")


def _target(settings: Config, signal: str, name: str) -> str:
    if name == "prometheus":
        return f"scraped at {settings.prometheus_host}:{settings.prometheus_port}"
    options = settings.signal(signal)
    return f"{options.protocol} to {without_secrets(options.endpoint)}" if name == "otlp" else f"to {name}"


def without_secrets(endpoint: str) -> str:
    """Return a URL without user, password and query."""
    parts = urlsplit(endpoint)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()
