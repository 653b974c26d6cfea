"""Spans of predictions and stages: real contexts on the caller's thread, the finished span built by the worker.

``LiveSpan`` is what the application sees as the current span. The worker turns it into the SDK's ``ReadableSpan``
and hands it to the span processors (``DirectSpans``). Where a sampler or a processor of somebody else's must see a
span start, the tracer's own span is used instead (``TracerSpans``); both export the same span.
"""

from __future__ import annotations

import random
from time import time_ns
from typing import TYPE_CHECKING, Any, Protocol

from opentelemetry import trace
from opentelemetry.attributes import BoundedAttributes
from opentelemetry.sdk.trace import Event, ReadableSpan, SpanLimits, SpanProcessor, Tracer
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.trace.sampling import Decision
from opentelemetry.sdk.util import BoundedList
from opentelemetry.trace import INVALID_SPAN_CONTEXT, Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags

from otelml import _scrub, _sdk, encoding, semconv
from otelml.encoding import Encoded, Home
from otelml.export import SpanQueueProcessor

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from opentelemetry.context.context import Context
    from opentelemetry.trace.status import Status as StatusType
    from opentelemetry.util.types import Attributes, AttributeValue

    from otelml.export import BatchQueue

    Ended = tuple[trace.Span, Mapping[str, Any], "ErrorFacts | None", int]
    """A span, its attributes, what went wrong and its end in ns since the epoch."""

_SAMPLED = TraceFlags(TraceFlags.SAMPLED)
_NOT_SAMPLED = TraceFlags(TraceFlags.DEFAULT)
_LOCAL = False  # SpanContext's is_remote
_NO_STATE = INVALID_SPAN_CONTEXT.trace_state


class RandomIds(IdGenerator):
    """Ids from a generator of our own: ``random.seed(0)`` in a training script would make every process's ids equal."""

    def __init__(self) -> None:
        self.reseed()

    def reseed(self) -> None:
        """Take fresh entropy (a forked child must not repeat its parent's ids)."""
        self._bits = random.Random(random.SystemRandom().getrandbits(128)).getrandbits  # noqa: S311 - ids, no secrets

    def generate_span_id(self) -> int:
        """Return 64 random bits, not all zero."""
        return self._bits(64) or 1

    def generate_trace_id(self) -> int:
        """Return 128 random bits, not all zero."""
        return self._bits(128) or 1


class LiveSpan(trace.Span):
    """A span between its start and its hand-over to the worker.

    Times are nanoseconds since the epoch. Attributes, events and links set by the application are kept as given
    and bounded by the worker.
    """

    __slots__ = ("context", "name", "parent", "start_ns")
    # Most spans never have these: they take room, and time to set, only in those that do.
    end_ns = 0
    attributes: dict[str, Any] | None = None
    events: list[Event] | None = None
    links: list[Link] | None = None
    status: StatusType | None = None

    def __init__(self, name: str, context: SpanContext, parent: SpanContext | None, start_ns: int) -> None:
        self.name = name
        self.context = context
        self.parent = parent
        self.start_ns = start_ns

    def get_span_context(self) -> SpanContext:
        """Return the span's context."""
        return self.context

    def is_recording(self) -> bool:
        """Return whether the span is still open."""
        return not self.end_ns

    def set_attribute(self, key: str, value: AttributeValue) -> None:
        """Set one attribute; ignored once the span has ended."""
        self.set_attributes({key: value})

    def set_attributes(self, attributes: Mapping[str, AttributeValue]) -> None:
        """Set several attributes; ignored once the span has ended."""
        if not self.end_ns:
            self.attributes = {**(self.attributes or {}), **BoundedAttributes(attributes=attributes)}

    def add_event(self, name: str, attributes: Attributes = None, timestamp: int | None = None) -> None:
        """Add an event; ``timestamp`` is in nanoseconds since the epoch."""
        if not self.end_ns:
            self.events = [*(self.events or ()), Event(name, BoundedAttributes(attributes=attributes), timestamp)]

    def add_link(self, context: SpanContext, attributes: Attributes = None) -> None:
        """Link another span."""
        if not self.end_ns and (context.is_valid or attributes or context.trace_state):
            self.links = [*(self.links or ()), Link(context, BoundedAttributes(attributes=attributes))]

    def update_name(self, name: str) -> None:
        """Change the name."""
        if not self.end_ns:
            self.name = name

    def set_status(self, status: StatusType | StatusCode, description: str | None = None) -> None:
        """Set the status; OK is final and UNSET is ignored, as the specification has it."""
        if self.end_ns or (self.status is not None and self.status.status_code is StatusCode.OK):
            return
        new = status if isinstance(status, Status) else Status(status, description)
        self.status = self.status if new.is_unset else new

    def record_exception(
        self,
        exception: BaseException,
        attributes: Attributes = None,
        timestamp: int | None = None,
        escaped: bool = False,  # noqa: ARG002 - the API's signature
    ) -> None:
        """Add an ``exception`` event whose message holds no raw values."""
        self.add_event("exception", {**ErrorFacts(exception).event(), **(attributes or {})}, timestamp)

    def end(self, end_time: int | None = None) -> None:
        """End the span; ``end_time`` is in nanoseconds since the epoch."""
        if not self.end_ns:
            self.end_ns = end_time or time_ns()


class Spans(Protocol):
    """Starts spans on the caller's thread and finishes them on the worker's."""

    def start(self, name: str, context: Context, attributes: Mapping[str, AttributeValue], start_ns: int) -> trace.Span:
        """Start a span whose parent is the current span of ``context``."""

    def child(self, name: str, parent: SpanContext, context: Context, start_ns: int) -> trace.Span:
        """Start a span below ``parent``."""

    def finish(self, span: trace.Span, attributes: Mapping[str, Any], error: ErrorFacts | None, end_ns: int) -> None:
        """End the span and export it."""

    def finish_all(self, ended: Iterable[Ended]) -> None:
        """Finish several spans of one prediction."""


class ErrorFacts:
    """What is kept of an exception: no raw values, no references to frames."""

    __slots__ = ("message", "stacktrace", "type")

    def __init__(self, error: BaseException) -> None:
        self.type = _scrub.type_name(error)
        self.message = _scrub.message(error)
        self.stacktrace = _scrub.stacktrace(error)

    def event(self) -> dict[str, str]:
        """Return the attributes of the span event ``exception``."""
        return {
            semconv.EXCEPTION_TYPE: self.type,
            semconv.EXCEPTION_MESSAGE: self.message,
            semconv.EXCEPTION_STACKTRACE: self.stacktrace,
        }


class DirectSpans:
    """Finished spans go straight to the processors; starting one costs ids, a decision and a small object."""

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer
        self._ids = tracer.id_generator
        self._span_id = tracer.id_generator.generate_span_id
        self._always = _sdk.always_on_root(tracer)
        self._seen = _sdk.processors_of(tracer)
        self._queue = self._own_queue()
        self._home = Home(tracer.resource, _sdk.scope_of(tracer))
        self._flags = _SAMPLED
        self._unsampled_flags = _NOT_SAMPLED
        if tracer.id_generator.is_trace_id_random():
            self._flags = TraceFlags(TraceFlags.SAMPLED | TraceFlags.RANDOM_TRACE_ID)
            self._unsampled_flags = TraceFlags(TraceFlags.RANDOM_TRACE_ID)

    def start(self, name: str, context: Context, attributes: Mapping[str, AttributeValue], start_ns: int) -> trace.Span:
        """Start a span whose parent is the current span of ``context``."""
        parent = _sdk.span_in(context).get_span_context()
        if parent is INVALID_SPAN_CONTEXT or not parent.is_valid:
            if self._always:
                ids = self._ids
                own = SpanContext(ids.generate_trace_id(), ids.generate_span_id(), _LOCAL, self._flags, _NO_STATE)
                return LiveSpan(name, own, None, start_ns)
            return self._decide(name, context, None, attributes, start_ns)
        if self._always and parent.trace_flags & TraceFlags.SAMPLED:
            return self.child(name, parent, context, start_ns)
        return self._decide(name, context, parent, attributes, start_ns)

    def child(self, name: str, parent: SpanContext, context: Context, start_ns: int) -> trace.Span:  # noqa: ARG002
        """Start a span below ``parent``, sampled as it is."""
        return LiveSpan(name, _sdk.child_context(parent, self._span_id()), parent, start_ns)

    def _decide(
        self,
        name: str,
        context: Context,
        parent: SpanContext | None,
        attributes: Mapping[str, AttributeValue],
        start_ns: int,
    ) -> trace.Span:
        trace_id = self._ids.generate_trace_id() if parent is None else parent.trace_id
        result = self._tracer.sampler.should_sample(context, trace_id, name, SpanKind.INTERNAL, attributes, ())
        is_sampled = result.decision is Decision.RECORD_AND_SAMPLE
        flags = self._flags if is_sampled else self._unsampled_flags
        if parent is not None:
            random_bit = parent.trace_flags & TraceFlags.RANDOM_TRACE_ID
            sampled = _SAMPLED if is_sampled else _NOT_SAMPLED
            flags = TraceFlags(sampled | random_bit)
        own = SpanContext(trace_id, self._ids.generate_span_id(), _LOCAL, flags, result.trace_state)
        if result.decision is Decision.DROP:
            return trace.NonRecordingSpan(own)
        return LiveSpan(name, own, parent, start_ns)

    def finish(self, span: trace.Span, attributes: Mapping[str, Any], error: ErrorFacts | None, end_ns: int) -> None:
        """Build the SDK's span and hand it to the processors."""
        if not isinstance(span, LiveSpan) or not span.context.trace_flags & TraceFlags.SAMPLED:
            return
        tracer, limits = self._tracer, _sdk.limits_of(self._tracer)
        _sdk.end_span(
            tracer,
            ReadableSpan(
                name=span.name,
                context=span.context,
                parent=span.parent,
                resource=tracer.resource,
                attributes=BoundedAttributes(
                    limits.max_span_attributes,
                    {**attributes, **(span.attributes or {})},
                    immutable=False,
                    max_value_len=limits.max_span_attribute_length,
                ),
                events=_events(span, error, end_ns, limits),
                links=_links(span, limits),
                kind=SpanKind.INTERNAL,
                status=_status(span, error),
                start_time=span.start_ns,
                end_time=end_ns,
                instrumentation_scope=_sdk.scope_of(tracer),
            ),
        )

    def _own_queue(self) -> BatchQueue[Any] | None:
        """Return our queue where nobody else sees the spans and it takes them encoded."""
        processors = self._seen
        if not isinstance(processors, tuple) or len(processors) != 1:
            return None
        (only,) = processors
        ours = type(only) is SpanQueueProcessor and only.takes_encoded
        return only.queue if ours and _sdk.plain_limits(_sdk.limits_of(self._tracer), "span") else None

    def finish_all(self, ended: Iterable[Ended]) -> None:
        """Put encoded spans into our queue; what has to go the SDK's way is finished there."""
        queue, tracer = self._queue, self._tracer
        if queue is None or _sdk.processors_of(tracer) is not self._seen:
            for one in ended:
                self.finish(*one)
            return
        if tracer.resource is not self._home.resource:  # it is another one in a forked child
            self._home = Home(tracer.resource, _sdk.scope_of(tracer))
        for one in ended:
            data = _encoded(*one)
            if data is None:
                self.finish(*one)
            else:
                queue.put(Encoded(data, self._home))


def _encoded(span: trace.Span, attributes: Mapping[str, Any], error: ErrorFacts | None, end_ns: int) -> bytes | None:
    """Return a sampled span encoded, or None where it is unusual."""
    if type(span) is not LiveSpan or not span.context[3] & 1:
        return None
    if span.attributes or span.events or span.links or span.status is not None:
        return None
    failed = None if error is None else (error.message, error.event())
    try:
        return encoding.span(span.name, span.context, span.parent, (span.start_ns, end_ns), attributes, error=failed)
    except (encoding.Unusual, UnicodeEncodeError):
        return None


def _events(span: LiveSpan, error: ErrorFacts | None, end_ns: int, limits: SpanLimits) -> Sequence[Event]:
    own = () if error is None else (Event("exception", error.event(), end_ns),)
    if not span.events:
        return own
    most, longest = limits.max_event_attributes, limits.max_attribute_length
    given = (Event(e.name, BoundedAttributes(most, e.attributes, True, longest), e.timestamp) for e in span.events)  # noqa: FBT003 - immutable
    return BoundedList.from_seq(limits.max_events, (*given, *own))


def _links(span: LiveSpan, limits: SpanLimits) -> Sequence[Link]:
    if not span.links:
        return ()
    most, longest = limits.max_link_attributes, limits.max_attribute_length
    given = (Link(link.context, BoundedAttributes(most, link.attributes, True, longest)) for link in span.links)  # noqa: FBT003 - immutable
    return BoundedList.from_seq(limits.max_links, given)


def _status(span: LiveSpan, error: ErrorFacts | None) -> StatusType:
    if span.status is not None:
        return span.status
    return Status() if error is None else Status(StatusCode.ERROR, error.message)


class TracerSpans:
    """The public way: the tracer's own spans, for foreign providers, samplers and processors."""

    def __init__(self, tracer: trace.Tracer) -> None:
        self._tracer = tracer

    def start(self, name: str, context: Context, attributes: Mapping[str, AttributeValue], start_ns: int) -> trace.Span:
        """Start a span whose parent is the current span of ``context``."""
        return self._tracer.start_span(name, context=context, attributes=attributes, start_time=start_ns)

    def child(self, name: str, parent: SpanContext, context: Context, start_ns: int) -> trace.Span:
        """Start a span below ``parent``."""
        below = trace.set_span_in_context(trace.NonRecordingSpan(parent), context)
        return self._tracer.start_span(name, context=below, start_time=start_ns)

    def finish(self, span: trace.Span, attributes: Mapping[str, Any], error: ErrorFacts | None, end_ns: int) -> None:
        """Set what is known at the end and end the span."""
        if span.is_recording():
            # What the application has set itself stays.
            own, status = getattr(span, "attributes", None) or {}, getattr(span, "status", None)
            span.set_attributes({name: value for name, value in attributes.items() if name not in own})
            if error is not None:
                span.add_event("exception", error.event(), end_ns)
                if status is None or status.is_unset:
                    span.set_status(Status(StatusCode.ERROR, error.message))
        span.end(end_ns)

    def finish_all(self, ended: Iterable[Ended]) -> None:
        """Finish several spans of one prediction."""
        for one in ended:
            self.finish(*one)


class ChosenSpans:
    """Picks ``DirectSpans`` or ``TracerSpans`` and picks again when a span processor is added."""

    def __init__(self, tracer: trace.Tracer, ours: tuple[type[SpanProcessor], ...] = ()) -> None:
        self._tracer, self._ours = tracer, ours
        self._seen: object = None
        self._of_sdk = isinstance(tracer, Tracer)
        self._chosen: Spans = TracerSpans(tracer)
        self._choose()

    def _choose(self) -> None:
        direct = _sdk.direct_tracer(self._tracer, self._ours)
        self._chosen = TracerSpans(self._tracer) if direct is None else DirectSpans(direct)
        if self._of_sdk:
            self._seen = _sdk.processors_of(self._tracer)

    @property
    def current(self) -> Spans:
        """Return the way spans are made now."""
        if self._of_sdk and _sdk.processors_of(self._tracer) is not self._seen:
            self._choose()
        return self._chosen
