"""The span of one HTTP request: a small object while it is open, OTLP bytes or the SDK's span when it has ended.

What the application sees as the current span is real: it can be given attributes, events, links and a status, and
refuses raw values (see ``_private_spans``). Where a sampler or processor of somebody else's must see spans start, the
tracer's own are used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opentelemetry import trace
from opentelemetry.attributes import BoundedAttributes
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.trace.sampling import Decision
from opentelemetry.sdk.util import BoundedList
from opentelemetry.trace import Link, NonRecordingSpan, SpanContext, SpanKind, Status, StatusCode, TraceFlags

from otelml import _sdk, semconv
from otelml.encoding import Home
from otelml.export import SpanQueueProcessor
from otelml.integrations import _private_spans
from otelml.integrations._http_series import Pending, packed
from otelml.spans import LiveSpan

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from opentelemetry.context.context import Context
    from opentelemetry.sdk.trace import Tracer
    from opentelemetry.trace.status import Status as StatusType
    from opentelemetry.util.types import Attributes, AttributeValue

    from otelml.export import BatchQueue
    from otelml.integrations._http_series import Series

_NO_STATE = trace.INVALID_SPAN_CONTEXT.trace_state


class ServerSpan(LiveSpan):
    """A request's span between its start and its export; keeps no raw values, whoever sets them."""

    __slots__ = ()

    def set_attributes(self, attributes: Mapping[str, AttributeValue]) -> None:
        """Set attributes, but those that are refused."""
        super().set_attributes(_private_spans.kept(attributes))

    def set_status(self, status: StatusType | StatusCode, description: str | None = None) -> None:
        """Set the status; a description is scrubbed."""
        super().set_status(*_private_spans.private_status(status, description))

    def record_exception(
        self,
        exception: BaseException,
        attributes: Attributes = None,
        timestamp: int | None = None,
        escaped: bool = False,
    ) -> None:
        """Add an ``exception`` event as the SDK does, whose message and stack trace hold no raw values."""
        self.add_event("exception", _private_spans.exception_event(exception, attributes, escaped=escaped), timestamp)


class DirectServerSpans:
    """Makes spans of our own and hands the ended ones to the queue or the tracer's processors."""

    def __init__(self, tracer: Tracer) -> None:
        self.tracer = tracer
        self._ids = tracer.id_generator
        self._span_id = tracer.id_generator.generate_span_id
        self._always = _sdk.always_on_root(tracer)
        self.seen = _sdk.processors_of(tracer)
        self._queue = self._own_queue()
        self._home = Home(tracer.resource, _sdk.scope_of(tracer))
        self._random = TraceFlags.RANDOM_TRACE_ID if tracer.id_generator.is_trace_id_random() else 0
        self._sampled_root = TraceFlags(TraceFlags.SAMPLED | self._random)

    def start(self, name: str, context: Context, parent: SpanContext | None, start_ns: int) -> trace.Span:
        """Start a span; ``parent`` is the valid context of the current span of ``context``, or None."""
        if self._always:
            if parent is None:
                ids = self._ids
                trace_id, span_id = ids.generate_trace_id(), ids.generate_span_id()
                own = SpanContext(trace_id, span_id, False, self._sampled_root, _NO_STATE)  # noqa: FBT003 - is_remote
                return ServerSpan(name, own, None, start_ns)
            if parent.trace_flags & TraceFlags.SAMPLED:
                return ServerSpan(name, _sdk.child_context(parent, self._span_id()), parent, start_ns)
        return self._decide(name, context, parent, start_ns)

    def _decide(self, name: str, context: Context, parent: SpanContext | None, start_ns: int) -> trace.Span:
        trace_id = self._ids.generate_trace_id() if parent is None else parent.trace_id
        result = self.tracer.sampler.should_sample(context, trace_id, name, SpanKind.SERVER, {}, ())
        random_bit = self._random if parent is None else parent.trace_flags & TraceFlags.RANDOM_TRACE_ID
        sampled = TraceFlags.SAMPLED if result.decision is Decision.RECORD_AND_SAMPLE else 0
        flags = TraceFlags(sampled | random_bit)
        own = SpanContext(trace_id, self._span_id(), False, flags, result.trace_state)  # noqa: FBT003 - is_remote
        if result.decision is Decision.DROP:
            return NonRecordingSpan(own)
        return ServerSpan(name, own, parent, start_ns)

    def _own_queue(self) -> BatchQueue[Any] | None:
        """Return our queue where nobody else sees the spans and it takes them encoded."""
        processors = self.seen
        if not isinstance(processors, tuple) or len(processors) != 1:
            return None
        (only,) = processors
        ours = type(only) is SpanQueueProcessor and only.takes_encoded
        return only.queue if ours and _sdk.plain_limits(_sdk.limits_of(self.tracer), "span") else None

    def finish(self, span: ServerSpan, series: Series, request_id: str, kind: SpanKind) -> None:
        """Export an ended, sampled span."""
        queue, tracer = self._queue, self.tracer
        state = span.context[4]
        plain = (  # the application has added nothing, and the series can be encoded
            span.name is series.method_name
            and not (span.attributes or span.events or span.links or span.status)
            and (state is _NO_STATE or not state)
            and kind is SpanKind.SERVER
            and series.encoded
        )
        if queue is None or not plain:
            _sdk.end_span(tracer, self._readable(span, series, request_id, kind))
            return
        if tracer.resource is not self._home.resource:  # it is another one in a forked child
            self._home = Home(tracer.resource, _sdk.scope_of(tracer))
        times = packed(span.start_ns, span.end_ns)
        queue.put(Pending(self._home, series, (span.context, span.parent), times, request_id))

    def _readable(self, span: ServerSpan, series: Series, request_id: str, kind: SpanKind) -> ReadableSpan:
        tracer, limits = self.tracer, _sdk.limits_of(self.tracer)
        given = {**series.at_start, semconv.REQUEST_ID: request_id, **(span.attributes or {}), **series.at_end}
        return ReadableSpan(
            name=series.name if span.name is series.method_name else span.name,
            context=span.context,
            parent=span.parent,
            resource=tracer.resource,
            attributes=BoundedAttributes(
                limits.max_span_attributes, given, immutable=False, max_value_len=limits.max_span_attribute_length
            ),
            events=_events(span.events, limits),
            links=_links(span.links, limits),
            kind=kind,
            status=span.status or Status(StatusCode.ERROR if series.failed else StatusCode.UNSET),
            start_time=span.start_ns,
            end_time=span.end_ns,
            instrumentation_scope=_sdk.scope_of(tracer),
        )


def _events(events: Sequence[Event] | None, limits: Any) -> Sequence[Event]:
    if not events:
        return ()
    most, longest = limits.max_event_attributes, limits.max_attribute_length
    bounded = (Event(e.name, BoundedAttributes(most, e.attributes, True, longest), e.timestamp) for e in events)  # noqa: FBT003 - immutable
    return BoundedList.from_seq(limits.max_events, bounded)


def _links(links: Sequence[Link] | None, limits: Any) -> Sequence[Link]:
    if not links:
        return ()
    most, longest = limits.max_link_attributes, limits.max_attribute_length
    bounded = (Link(link.context, BoundedAttributes(most, link.attributes, True, longest)) for link in links)  # noqa: FBT003 - immutable
    return BoundedList.from_seq(limits.max_links, bounded)
