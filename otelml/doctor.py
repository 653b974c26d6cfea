"""``otelml doctor``: what these settings will do, before anything runs: which way each signal goes, and what is wrong.

A check takes the settings and gives findings; another one is a function in ``CHECKS``. Nothing is sent, and nothing
is left running.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from importlib.metadata import requires
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import numpy as np
from opentelemetry import context, metrics
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanContext, TraceFlags

from otelml import _sdk, _sdk_metrics, config, exporters, otlp, pipeline, semconv, ways
from otelml._guard import attempt

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from otelml.config import Config

OK, NOTE, FAULT = "ok", "note", "fault"
"""States: as it should be; works, at a cost or with a loss that the settings ask for; to be repaired."""
_PROBE = "otelml.doctor"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line: what was looked at, its state, what was found, and what to do about it."""

    what: str
    state: str
    detail: str
    fix: str = ""


def examine(settings: Config) -> list[Finding]:
    """Run every check.

    Raises:
        ConfigError: An exporter cannot be made, as ``auto_instrument()`` would say.
        MissingExtraError: A setting needs an extra that is not installed.
    """
    return [finding for check in CHECKS for finding in check(settings)]


# Signals --------------------------------------------------------------------------------------------------------


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
        aside = replace(settings, log_file=log_file, prometheus_host="127.0.0.1", prometheus_port=0)
        made = pipeline.build(aside, views=views)
        try:
            histogram = made.meter_provider.get_meter(semconv.SCOPE).create_histogram(_PROBE)
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


# Private names of the SDK -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Canary:
    """One use of private names in ``_sdk.py``: whether it works with the installed SDK, and what it costs if not."""

    what: str
    works: Callable[[], bool]
    cost: str


def canaries(settings: Config) -> Iterator[Finding]:
    """Try every short cut through the SDK."""
    for canary in () if settings.sdk_disabled else CANARIES:
        works, error = attempt(canary.works)
        if works:
            yield Finding(f"SDK: {canary.what}", OK, "as known")
        else:
            why = f" ({type(error).__name__})" if error else ""
            yield Finding(f"SDK: {canary.what}", FAULT, f"changed{why}: {canary.cost}", f"install {_supported()}")


def _supported() -> str:
    """Return the releases of the SDK and its exporter that otelml is made for."""
    wanted = ("opentelemetry-sdk", "opentelemetry-exporter-otlp")
    return " ".join(f"'{line}'" for line in requires("otelml") or () if line.startswith(wanted) and ";" not in line)


def _context() -> bool:
    return _sdk.attach is not context.attach and _sdk.SPAN_KEY is not None


def _histograms() -> bool:
    reader = InMemoryMetricReader()
    provider, histogram = _meter(reader)
    histogram.record(_sdk_metrics.Batch(np.array([1.0, 2.0])))
    data: Any = reader.get_metrics_data()
    (point,) = data.resource_metrics[0].scope_metrics[0].metrics[0].data.data_points
    return _sdk_metrics.takes_batches(provider, histogram) and bool(point.count == 2)  # noqa: PLR2004 - the two above


def _fork() -> bool:
    return _sdk_metrics.forget_measurements(_meter(InMemoryMetricReader())[0])


def _meter(reader: InMemoryMetricReader) -> tuple[MeterProvider, metrics.Histogram]:
    provider = MeterProvider([reader], Resource.get_empty(), shutdown_on_exit=False, views=[_sdk_metrics.BATCH_VIEW])
    return provider, provider.get_meter(semconv.SCOPE).create_histogram(_PROBE)


def _spans() -> bool:
    kept = InMemorySpanExporter()
    provider = TracerProvider(resource=Resource.get_empty(), shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(kept))
    tracer = _sdk.direct_tracer(provider.get_tracer(semconv.SCOPE), ())
    if tracer is None:
        return False
    sampled = SpanContext(1, 2, is_remote=False, trace_flags=TraceFlags(TraceFlags.SAMPLED))
    _sdk.end_span(tracer, ReadableSpan(_PROBE, sampled, start_time=1, end_time=2))
    known = isinstance(_sdk.processors_of(tracer), tuple) and _sdk.limits_of(tracer) is not None
    return known and len(kept.get_finished_spans()) == 1


def _logs() -> bool:
    provider = LoggerProvider(Resource.get_empty(), shutdown_on_exit=False)
    processor = SimpleLogRecordProcessor(InMemoryLogRecordExporter())  # type: ignore[no-untyped-call] # in the SDK
    provider.add_log_record_processor(processor)
    logger = provider.get_logger(semconv.SCOPE)
    return _sdk.log_processors_of(logger) == (processor,) and _sdk.log_home(logger)[1].name == semconv.SCOPE


def _requests(protocol: str) -> bool:
    settings = config.load({"exporter_otlp_protocol": protocol}, {})
    return all(_takes_over(settings, signal) for signal in ("traces", "logs"))


def _takes_over(settings: Config, signal: str) -> bool:
    exporter = exporters.maker(settings, signal, "otlp")()
    known = otlp.take_over(exporter, signal, otlp.Answers(signal, lambda *_: None))
    exporter.shutdown()
    return known is not None


_SLOWER_EXPORT = "spans and events are encoded by the official exporter, at a higher cost"
CANARIES = (
    Canary("context", _context, "spans are attached through the API's own calls, which cost more"),
    Canary("histograms", _histograms, "histograms take one value at a time, which costs more with many rows a call"),
    Canary("spans", _spans, "spans are made by the SDK on the caller's thread, at a higher cost"),
    Canary("fork", _fork, "a forked child keeps its parent's metrics and may report them again"),
    Canary("OTLP over HTTP", lambda: _requests("http/protobuf"), _SLOWER_EXPORT),
    Canary("OTLP over gRPC", lambda: _requests("grpc"), _SLOWER_EXPORT),
    Canary("logs", _logs, "events are emitted as log records of the SDK, at a higher cost"),
)

CHECKS: tuple[Callable[[Config], Iterable[Finding]], ...] = (signals, canaries)
