"""Every private name of the OpenTelemetry SDK that otelml touches, each with a public way to fall back on.

Those of its metrics are in ``_sdk_metrics.py``. ``tests/test_sdk.py`` is the canary: it fails when a new SDK release
changes one of them.

1. ``attach``/``detach`` set the context variable itself. Fall-back: ``opentelemetry.context.attach``/``detach``.
2. ``direct_tracer`` hands finished spans to the processors. Fall-back: ``tracer.start_span``.
3. ``sender`` and ``set_stub`` send OTLP bytes with an exporter's own client. Fall-back: the exporter encodes itself.
4. ``name_instance`` gives a forked child's telemetry an id. Fall-back: the one that the SDK makes.
5. ``log_processors_of`` tells who sees our log records. Fall-back: ``logger.emit``.
6. ``is_suppressed`` reads a context's keys. Fall-back: ``is_instrumentation_enabled``, which costs ten times as much.
7. ``keep_random_apart`` gives it random numbers of its own. Fall-back: it draws from the application's.
"""

from __future__ import annotations

import sys
from contextvars import ContextVar, Token
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from random import Random
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import opentelemetry.context as otel_context
from opentelemetry import trace
from opentelemetry.context.context import Context
from opentelemetry.sdk._logs import Logger as SdkLogger
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, Tracer
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, ParentBased, TraceIdRatioBased

from otelml import _native
from otelml._guard import attempt
from otelml._lazy import LazyModule

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.trace import SpanContext, TraceFlags, TraceState
else:
    np = LazyModule("numpy")

# Context --------------------------------------------------------------------------------------------------------


def _context_variable() -> ContextVar[Context] | None:
    runtime = getattr(otel_context, "_RUNTIME_CONTEXT", None)
    variable = getattr(runtime, "_current_context", None)
    return variable if isinstance(variable, ContextVar) else None


_variable = _context_variable()
get_current: Callable[[], Context] = otel_context.get_current if _variable is None else _variable.get
attach: Callable[[Context], Token[Context]] = otel_context.attach if _variable is None else _variable.set


def detach(token: Token[Context]) -> None:
    """Restore the context from before ``attach``; does nothing where the token belongs to another task or thread."""
    if _variable is None:
        otel_context.detach(token)
        return
    try:  # noqa: SIM105 - contextlib.suppress costs 15 times as much, five times a prediction
        _variable.reset(token)
    except (ValueError, RuntimeError):
        pass


SPAN_KEY: str | None = getattr(trace.propagation, "_SPAN_KEY", None)


def with_span(  # noqa: PLR0917 - five times a prediction
    context: Context, span: trace.Span, key: str, value: object, second: str = "", more: object = None
) -> Context:
    """Return ``context`` with ``span`` as the current span and one more value, or two."""
    if not SPAN_KEY:
        context = otel_context.set_value(second, more, context) if second else context
        return otel_context.set_value(key, value, trace.set_span_in_context(span, context))
    if second:
        return Context({**context, SPAN_KEY: span, key: value, second: more})
    return Context({**context, SPAN_KEY: span, key: value})


native: Any = None if _variable is None or not SPAN_KEY else _native.module
"""The accelerator: it knows contexts as they are above."""
if native is not None:
    native.use_context(_variable, Context, SPAN_KEY)
    detach, with_span = native.detach, native.with_span


def is_plain_tuple() -> bool:
    """Whether a span's context is a tuple of the fields that we know."""
    parent = trace.SpanContext(1, 2, False, trace.TraceFlags(1), trace.TraceState())  # noqa: FBT003 - is_remote
    return tuple(parent) == (1, 2, False, 1, parent.trace_state, True)


def _properties(context: SpanContext) -> tuple[Any, ...]:
    c = context
    return c.trace_id, c.span_id, c.is_remote, c.trace_flags, c.trace_state, c.is_valid


fields: Callable[[SpanContext], tuple[Any, ...]] = (lambda c: c) if is_plain_tuple() else _properties
"""Returns trace id, span id, is_remote, flags, state and is_valid: the properties cost five times as much each."""


def checked_context(trace_id: int, span_id: int, flags: TraceFlags, state: TraceState) -> SpanContext:
    """Return the context of a new local span, which says whether its ids are valid."""
    return trace.SpanContext(trace_id, span_id, False, flags, state)  # noqa: FBT003 - is_remote


def _unchecked_context() -> Callable[[int, int, TraceFlags, TraceState], SpanContext] | None:
    """Return a way to make a context without checking ids again that are known to be valid."""
    if not is_plain_tuple():
        return None
    make: Any = tuple.__new__
    kind, local = trace.SpanContext, False

    def new(trace_id: int, span_id: int, flags: TraceFlags, state: TraceState) -> SpanContext:
        context: SpanContext = make(kind, (trace_id, span_id, local, flags, state, True))
        return context

    return new


new_context: Callable[[int, int, TraceFlags, TraceState], SpanContext] = _unchecked_context() or checked_context
"""Return the context of a new local span; its ids are not zero."""


def sampled_ids(context: SpanContext) -> int:
    """Return trace id and, in the low 64 bits, span id of a sampled span; 0 of any other."""
    trace_id, span_id, _, flags, _, _ = fields(context)
    return trace_id << 64 | span_id if flags & trace.TraceFlags.SAMPLED else 0


def sampled_span(ids: int) -> trace.Span:
    """Return a span that stands for the sampled one of these ids, as ``sampled_ids`` gives them."""
    low = (1 << 64) - 1
    return trace.NonRecordingSpan(
        trace.SpanContext(ids >> 64, ids & low, is_remote=False, trace_flags=trace.TraceFlags(trace.TraceFlags.SAMPLED))
    )


def child_context(above: SpanContext, span_id: int) -> SpanContext:
    """Return the context of a new local span below a valid ``above``; ``span_id`` is not zero."""
    trace_id, _, _, flags, state, _ = fields(above)
    return new_context(trace_id, span_id, flags, state)


def span_in(context: Context) -> trace.Span:
    """Return the current span of ``context``, or the invalid span."""
    if SPAN_KEY is None:
        return trace.get_current_span(context)
    found = context.get(SPAN_KEY)
    return found if isinstance(found, trace.Span) else trace.INVALID_SPAN


def _suppressing() -> tuple[str, str] | None:
    key = getattr(otel_context, "_SUPPRESS_INSTRUMENTATION_KEY", None)
    return None if key is None else (key, "suppress_instrumentation")


SUPPRESSING = _suppressing()
"""The keys by which a context keeps instrumentation quiet, None where they are not known."""


def is_suppressed(context: Context) -> bool:
    """Return whether instrumentation is suppressed in ``context``, which is the current one."""
    if SUPPRESSING is None:
        from opentelemetry.instrumentation.utils import is_instrumentation_enabled  # noqa: PLC0415 - only here

        return not is_instrumentation_enabled()
    key, plain = SUPPRESSING
    return bool(context.get(key) or context.get(plain))


def only_span(span: trace.Span) -> Context:
    """Return a context that holds nothing but the span: what an exemplar or a log record is correlated by."""
    return trace.set_span_in_context(span, Context()) if SPAN_KEY is None else Context({SPAN_KEY: span})


# Spans ----------------------------------------------------------------------------------------------------------

MOST_ATTRIBUTES = 32
"""More than a span or event of ours has."""
MOST_LINKS = 128
"""What the SDK keeps of events, links and their attributes, unless it is told otherwise."""
_PARENT_SAMPLERS = ("_remote_parent_sampled", "_remote_parent_not_sampled", "_local_parent_sampled")


def _plain(sampler: object) -> bool:
    """Whether a sampler decides by the trace alone, so that a stage's decision is its root's."""
    if type(sampler) is ParentBased:
        parts = [getattr(sampler, name, None) for name in (*_PARENT_SAMPLERS, "_local_parent_not_sampled")]
        return _plain(sampler._root) and parts == [ALWAYS_ON, ALWAYS_OFF, ALWAYS_ON, ALWAYS_OFF]
    return sampler in (ALWAYS_ON, ALWAYS_OFF) or type(sampler) is TraceIdRatioBased


def decision(sampler: Any) -> tuple[Callable[[int], bool] | None, bool]:
    """Return how a plain sampler decides on a trace id (None: always yes), and whether a child follows its parent."""
    if type(sampler) is ParentBased:
        return decision(sampler._root)[0], True
    if type(sampler) is TraceIdRatioBased:
        limit, bound = TraceIdRatioBased.TRACE_ID_LIMIT, sampler.bound
        return lambda trace_id: trace_id & limit < bound, False
    return (None if sampler is ALWAYS_ON else lambda _: False), False


def direct_tracer(tracer: trace.Tracer, ours: tuple[type[SpanProcessor], ...]) -> Tracer | None:
    """Return the tracer if finished spans may be handed straight to its processors, else None.

    That holds where the sampler is one of the SDK's own and no processor looks at a span's start.
    """
    if type(tracer) is not Tracer or not _plain(tracer.sampler) or not tracer._is_enabled():
        return None
    trusted = (BatchSpanProcessor, SimpleSpanProcessor, *ours)
    processors = getattr(tracer.span_processor, "_span_processors", None)
    if processors is None or not all(type(p) in trusted or _ignores_start(type(p)) for p in processors):
        return None
    return tracer


def _ignores_start(kind: type[SpanProcessor]) -> bool:
    return kind.on_start is SpanProcessor.on_start and kind._on_ending is SpanProcessor._on_ending


def processors_of(tracer: Any) -> object:
    """Return an object whose identity changes when a span processor is added to the tracer's provider."""
    return getattr(tracer.span_processor, "_span_processors", None)


def processors_getter(tracer: Tracer) -> Callable[[], object]:
    """Return a quick way to call ``processors_of(tracer)``."""
    return partial(getattr, tracer.span_processor, "_span_processors", None)


def name_instance(provider: object, resource: Resource) -> bool:
    """Merge what is known of a forked child into a provider's resource; returns False where the SDK has no way."""
    update = getattr(provider, "_update_resource", None)
    return update is not None and attempt(update, resource)[1] is None


def scope_of(tracer: Tracer) -> Any:
    """Return the tracer's instrumentation scope."""
    return tracer._instrumentation_scope


def limits_of(tracer: Tracer) -> Any:
    """Return the tracer's span limits."""
    return tracer._span_limits


def end_span(tracer: Tracer, span: ReadableSpan) -> None:
    """Hand one finished span to the tracer's processors."""
    tracer.span_processor.on_end(span)


def plain_limits(limits: Any, kind: str) -> bool:
    """Whether the limits of a ``span`` or ``log_record`` leave what we write alone."""
    most = getattr(limits, f"max_{kind}_attributes", 0)
    longest = (getattr(limits, f"max_{kind}_attribute_length", 0), getattr(limits, "max_attribute_length", 0))
    kept = {name: getattr(limits, name, None) for name in ("max_events", "max_links", "max_link_attributes")}
    enough = all(n is None or n >= MOST_LINKS for n in kept.values())
    return (most is None or most >= MOST_ATTRIBUTES) and longest == (None, None) and enough


# Export ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Sender:
    """Sends an encoded request the way an official exporter does."""

    send: Callable[[bytes], bool]
    largest: int
    """Bytes that the exporter lets a request have; 0: any number."""
    attempt: Callable[[bytes], tuple[bool, int | None]] | None = None
    """Sends too, and returns the HTTP status of the last answer as well; None over gRPC."""


def sender(exporter: Any) -> Sender | None:
    """Return what sends with an OTLP exporter's own client; None where that is not as we know it.

    A gRPC exporter needs ``set_stub`` before.
    """
    if hasattr(exporter, "_translate_data"):
        return _grpc_sender(exporter)
    client: Any = getattr(exporter, "_client", None)
    largest = getattr(exporter, "_max_request_size", None)
    if type(client).__name__ != "_OTLPHTTPClient" or not isinstance(largest, int) or not hasattr(exporter, "_shutdown"):
        return None

    def attempted(data: bytes) -> tuple[bool, int | None]:
        if exporter._shutdown:
            return False, None
        result = client.export(data)
        return bool(result.success), getattr(result, "status_code", None)

    return Sender(lambda data: attempted(data)[0], largest, attempted)


def set_stub(exporter: Any, stub: Callable[[Any], Any]) -> bool:
    """Make a gRPC exporter call what ``stub`` makes of its channel; returns False where it keeps its own."""
    if not all(hasattr(exporter, name) for name in ("_stub", "_client", "_channel", "_initialize_channel_and_stub")):
        return False
    exporter._stub, exporter._client = stub, stub(exporter._channel)
    return True


def _grpc_sender(exporter: Any) -> Sender | None:
    """Let a gRPC exporter take bytes for a batch, if a dry run shows that it sends them as they are."""
    translate, client, seen = exporter._translate_data, getattr(exporter, "_client", None), list[bytes]()
    count = getattr(exporter, "_count_data", len)
    exporter._translate_data = lambda batch: batch if type(batch) is bytes else translate(batch)
    exporter._count_data = lambda batch: 0 if type(batch) is bytes else count(batch)  # for metrics of its own
    exporter._client = SimpleNamespace(Export=lambda request, **_: seen.append(request))
    result, _ = attempt(lambda: exporter._export(b""))
    exporter._client = client
    if getattr(result, "name", None) != "SUCCESS" or seen != [b""]:
        exporter._translate_data = translate
        return None
    return Sender(lambda data: bool(exporter._export(data).name == "SUCCESS"), 0)


def encoder(signal: str) -> Callable[[list[Any]], Any] | None:
    """Return the official encoder of ``traces`` or ``logs``; call it where the exporter has imported it already."""
    name = "trace_encoder" if signal == "traces" else "_log_encoder"
    try:
        module = import_module(f"opentelemetry.exporter.otlp.proto.common.{name}")
    except ImportError:
        return None
    return getattr(module, "encode_spans" if signal == "traces" else "encode_logs", None)


# Logs -----------------------------------------------------------------------------------------------------------


def log_processors_of(logger: object) -> tuple[Any, ...]:
    """Return the processors that see every record of a logger as it is; empty where that is not known."""
    try:
        if type(logger) is not SdkLogger or not logger._is_enabled():
            return ()
        found: tuple[Any, ...] = logger._multi_log_record_processor._log_record_processors
    except AttributeError:
        return ()
    return found


def log_limits_of(logger: Any) -> Any:
    """Return a logger's limits of log records, None where they are not known."""
    return getattr(logger, "_log_record_limits", None)


def log_home(logger: Any) -> tuple[Any, Any]:
    """Return a logger's resource and instrumentation scope."""
    return logger.resource, logger.instrumentation_scope


# Random numbers -------------------------------------------------------------------------------------------------

_apart = Random()  # noqa: S311 - which measurement is an example, how long to wait
_DRAWING = (
    ("opentelemetry.sdk.metrics._internal.exemplar.exemplar_reservoir", "randrange", _apart.randrange),
    ("opentelemetry.exporter.otlp.common.http", "random", _apart),
    ("opentelemetry.exporter.otlp.proto.grpc.exporter", "random", _apart),
)


def keep_random_apart() -> list[str]:
    """Have the SDK draw random numbers of its own; return the modules that do, of those that are imported.

    It draws one of Python's for each measurement in a sampled trace and for each export: a seeded program would not
    repeat itself. Fall-back: it goes on doing so.
    """
    found = []
    for name, attribute, own in _DRAWING:
        module = sys.modules.get(name)
        if module is not None and hasattr(module, attribute):
            setattr(module, attribute, own)
            found.append(name)
    return found
