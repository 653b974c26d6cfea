"""Private names of the SDK: whether every short cut through it works with the release that is installed."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import requires, version
from typing import TYPE_CHECKING, Any

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

from otelml import _native, _sdk, _sdk_metrics, config, exporters, otlp, semconv
from otelml._guard import attempt
from otelml.doctor.findings import FAULT, NOTE, OK, PROBE, Finding

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from otelml.config import Config


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


def accelerator(settings: Config) -> Iterator[Finding]:
    """Say whether predictions take the way in C."""
    if settings.sdk_disabled:
        return
    if _sdk.native is not None:
        yield Finding("accelerator", OK, f"otelml-native {attempt(version, 'otelml-native')[0]}, used")
    elif not _native.said:
        yield Finding("accelerator", OK, "otelml-native is not installed, and need not be: docs/performance.md")
    else:
        why = _native.said if _native.module is None else "left alone: this SDK keeps contexts in another way"
        again = f"pip install 'otelml-native @ git+https://github.com/otelml/otelml@v{version('otelml')}#subdirectory=native'"
        yield Finding("accelerator", NOTE, f"otelml-native is {why}", again)


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
    return provider, provider.get_meter(semconv.SCOPE).create_histogram(PROBE)


def _spans() -> bool:
    kept = InMemorySpanExporter()
    provider = TracerProvider(resource=Resource.get_empty(), shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(kept))
    tracer = _sdk.direct_tracer(provider.get_tracer(semconv.SCOPE), ())
    if tracer is None:
        return False
    sampled = SpanContext(1, 2, is_remote=False, trace_flags=TraceFlags(TraceFlags.SAMPLED))
    _sdk.end_span(tracer, ReadableSpan(PROBE, sampled, start_time=1, end_time=2))
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
