"""Which way each signal goes out, and why: encoded by otelml, or as objects of the SDK.

Both ways export the same telemetry; encoded is cheaper. These are the questions that ``tracers.py`` and ``events.py``
ask themselves when they choose; here the answer has words.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from opentelemetry.sdk._logs import Logger
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Tracer, TracerProvider
from opentelemetry.sdk.trace.sampling import DEFAULT_ON

from otelml import _sdk, otlp, semconv
from otelml.logs import JsonFileExporter
from otelml.processors import LogQueueProcessor, SpanQueueProcessor

if TYPE_CHECKING:
    from opentelemetry import _logs, metrics, trace
    from opentelemetry.sdk.trace import SpanProcessor
    from opentelemetry.sdk.trace.sampling import Sampler

ENCODED, SDK_OBJECTS = "encoded", "SDK objects"
_LIMITS = "limits of attributes or events are set"
_NO_LIMITS = "unset the OTEL_*_LIMIT variables"
_IN_THE_COLLECTOR = "do in the collector what it does, or accept the cost"


class Reason(NamedTuple):
    """Why a signal goes out as objects of the SDK, and what would change that."""

    text: str
    fix: str


class Way(NamedTuple):
    """How a signal (``traces``, ``logs``, ``metrics``) goes out: ``encoded`` or ``SDK objects``, and why the latter."""

    signal: str
    taken: str
    reason: Reason | None


def ways(
    tracers: trace.TracerProvider, loggers: _logs.LoggerProvider, meters: metrics.MeterProvider, *, batches: bool
) -> list[Way]:
    """Return the ways of traces, logs and metrics; ``batches`` says whether histograms take many values at once."""
    found = {"traces": why_not_spans(tracers), "logs": why_not_events(loggers)}
    told = [Way(signal, SDK_OBJECTS if reason else ENCODED, reason) for signal, reason in found.items()]
    return [*told, Way("metrics", SDK_OBJECTS, why_not_batches(meters, batches=batches))]


def why_not_spans(provider: trace.TracerProvider) -> Reason | None:
    """Return why spans of predictions are not encoded; None where they are."""
    tracer = provider.get_tracer(semconv.SCOPE)
    direct = _sdk.direct_tracer(tracer, (SpanQueueProcessor,))
    if direct is None:
        return _why_not_direct(tracer)
    found = _sdk.processors_of(direct)
    reason = _why_not_queued(found if isinstance(found, tuple) else (), SpanQueueProcessor)
    plain = _sdk.plain_limits(_sdk.limits_of(direct), "span")
    return reason or (None if plain else Reason(_LIMITS, _NO_LIMITS))


def why_not_events(provider: _logs.LoggerProvider) -> Reason | None:
    """Return why events of predictions are not encoded; None where they are."""
    logger = provider.get_logger(semconv.SCOPE)
    if not isinstance(logger, Logger):
        return Reason(f"the logger is not the SDK's but {_name(logger)}", _own("logger"))
    reason = _why_not_queued(_sdk.log_processors_of(logger), LogQueueProcessor)
    plain = _sdk.plain_limits(_sdk.log_limits_of(logger), "log_record")
    return reason or (None if plain else Reason(_LIMITS, _NO_LIMITS))


def why_not_batches(provider: metrics.MeterProvider, *, batches: bool) -> Reason | None:
    """Return why histograms take one value at a time; None where they take many at once."""
    if batches:
        return None
    if not isinstance(provider, MeterProvider):
        return Reason(f"histograms take one value at a time: the meter provider is {_name(provider)}", _own("meter"))
    return Reason(
        "histograms take one value at a time: they are exponential, or of the application's own View or provider",
        "leave OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION and the meter provider to otelml",
    )


def _why_not_direct(tracer: trace.Tracer) -> Reason:
    if type(tracer) is not Tracer:
        return Reason(f"the tracer is not the SDK's but {_name(tracer)}", _own("tracer"))
    if not _is_direct(DEFAULT_ON):
        return Reason("the SDK is another release than otelml knows", "see the checks of the SDK")
    if not _is_direct(tracer.sampler):
        fix = "take one of the samplers of OTEL_TRACES_SAMPLER, or sample in the collector"
        return Reason(f"the sampler {_name(tracer.sampler)} looks at every span", fix)
    found = _sdk.processors_of(tracer)
    names = ", ".join(
        _name(p) for p in (found if isinstance(found, tuple) else ()) if not _is_direct(tracer.sampler, p)
    )
    if names:
        return Reason(f"the span processor {names} sees spans start", _IN_THE_COLLECTOR)
    return Reason("the tracer is switched off", "switch it on in the tracer provider")


def _is_direct(sampler: Sampler, *processors: SpanProcessor) -> bool:
    """Ask the question again for a part of what the tracer has."""
    twin = TracerProvider(sampler, Resource.get_empty(), shutdown_on_exit=False)
    for processor in processors:
        twin.add_span_processor(processor)
    return _sdk.direct_tracer(twin.get_tracer(semconv.SCOPE), (SpanQueueProcessor,)) is not None


def _why_not_queued(processors: tuple[Any, ...], ours: type[Any]) -> Reason | None:
    """Return why there is not exactly one queue of ours that takes encoded messages."""
    others = ", ".join(_name(p) for p in processors if type(p) is not ours)
    if others:
        return Reason(f"the processor {others} needs the SDK's objects", _IN_THE_COLLECTOR)
    if not processors:
        return Reason("nothing is exported", "set the exporter to otlp")
    if any(type(p.queue.exporter) is JsonFileExporter for p in processors):
        return Reason("the JSON log file is written from the SDK's objects", "unset OTELML_LOG_FILE")
    if len(processors) > 1:
        return Reason(f"there are {len(processors)} exporters", "export once, to a collector, which fans out")
    (only,) = processors
    if only.takes_encoded:
        return None
    return Reason(*(otlp.why_not_encoded(only.queue.exporter) or ("the queue takes none", "let otelml make it")))


def _own(kind: str) -> str:
    return f"let otelml make the {kind} provider, or set one of opentelemetry-sdk"


def _name(thing: object) -> str:
    return f"{type(thing).__module__.partition('.')[0]}.{type(thing).__qualname__}"
