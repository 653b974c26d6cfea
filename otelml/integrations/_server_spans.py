"""The span of one HTTP request: a small object while it is open, OTLP bytes or the SDK's span when it has ended.

What the application sees as the current span is real: it can be given attributes, events, links and a status, and
refuses raw values (see ``_private_spans``). Where a sampler or processor of somebody else's must see spans start, the
tracer's own are used.
"""

from __future__ import annotations

from time import time_ns
from typing import TYPE_CHECKING, Any

from opentelemetry import trace
from opentelemetry.attributes import BoundedAttributes
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.util import BoundedList
from opentelemetry.trace import Link, NonRecordingSpan, SpanContext, SpanKind, Status, StatusCode, TraceFlags

from otelml import _sdk, semconv
from otelml.encoding import Home
from otelml.integrations import _private_spans
from otelml.integrations._http_series import message
from otelml.processors import SpanQueueProcessor
from otelml.spans import SPAN_ID_BITS, Additions, OwnSpan, drawn_from

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from opentelemetry.context.context import Context
    from opentelemetry.sdk.trace import Tracer
    from opentelemetry.trace.status import Status as StatusType
    from opentelemetry.util.types import Attributes, AttributeValue

    from otelml.export import BatchQueue
    from otelml.integrations._http_series import Series

_NO_STATE = trace.INVALID_SPAN_CONTEXT.trace_state
_LOW, _LATEST = (1 << SPAN_ID_BITS) - 1, 1 << 63
_FLAGS = tuple(TraceFlags(flags) for flags in range(4))


class ServerSpanFields:
    """What a request's span holds, beside what the application adds. Times are ns since the epoch."""

    _name: str
    ids: int
    """The trace id and, in the low 64 bits, the span id."""
    flags: TraceFlags
    parent: SpanContext | None = None
    start_ns: int
    end_ns = 0
    """0 while it is open."""


if _sdk.native is not None:
    ServerSpanFields = _sdk.native.ServerSpanFields  # type: ignore[misc]


class ServerSpan(ServerSpanFields, OwnSpan):
    """A request's span between its start and its export, which is sampled; keeps no raw values, whoever sets them."""

    def __init__(self, name: str, ids: int, flags: TraceFlags, parent: SpanContext | None, start_ns: int) -> None:
        self._name, self.ids, self.flags, self.parent, self.start_ns = name, ids, flags, parent, start_ns

    @property
    def span_name(self) -> str:
        """Return the name it starts with."""
        return self._name

    @property
    def name(self) -> str:
        """Return the name that it has now."""
        return self._name if self.added is None or self.added.name is None else self.added.name

    @property
    def open(self) -> bool:
        """Return whether it has not ended."""
        return not self.end_ns

    def touch(self) -> None:
        """Do nothing: what was added is seen at the end."""

    def made_context(self) -> SpanContext:
        """Return the span's context, with the parent's trace state."""
        return _context_of(self.ids, self.flags, self.parent)

    def end(self, end_time: int | None = None) -> None:
        """End it; ``end_time`` is in ns since the epoch."""
        given = end_time if type(end_time) is int and 0 < end_time < _LATEST else None
        self.end_ns = self.end_ns or given or time_ns()

    def set_attribute(self, key: str, value: AttributeValue) -> None:
        """Set one attribute, unless it is refused."""
        self.set_attributes({key: value})

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

    __slots__ = ("__dict__", "__weakref__", "_decide", "_home", "_ids", "_queue", "_random",
        "processors", "seen", "tracer")  # fmt: skip

    def __init__(self, tracer: Tracer) -> None:
        self.tracer = tracer
        ids = tracer.id_generator
        self._span_id, self._ids = drawn_from(ids)
        self._decide, self._follows = _sdk.decision(tracer.sampler)
        self.processors = _sdk.processors_getter(tracer)
        """Returns what changes when a processor is added."""
        self.seen = self.processors()
        self._queue = self._own_queue()
        self._home = Home(tracer.resource, _sdk.scope_of(tracer), message)
        self._random = TraceFlags.RANDOM_TRACE_ID if tracer.id_generator.is_trace_id_random() else 0

    def start(self, name: str, context: Context, parent: SpanContext | None, start_ns: int) -> trace.Span:  # noqa: ARG002 - as a tracer has it
        """Start a span; ``parent`` is the valid context of the current span of ``context``, or None."""
        decide = self._decide
        if parent is None:
            ids = self._ids()
            sampled, random = decide is None or decide(ids >> SPAN_ID_BITS), self._random
        else:
            trace_id, _, _, flags, _, _ = _sdk.fields(parent)
            ids = trace_id << SPAN_ID_BITS | self._span_id()
            sampled = bool(flags & TraceFlags.SAMPLED) if self._follows else decide is None or decide(trace_id)
            random = flags & TraceFlags.RANDOM_TRACE_ID
        flags = _FLAGS[sampled | random]
        if sampled:
            return ServerSpan(name, ids, flags, parent, start_ns)
        return NonRecordingSpan(_context_of(ids, flags, parent))

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
        queue, tracer, encoded, parent = self._queue, self.tracer, series.encoded, span.parent
        above, remote, state = 0, False, None
        if parent is not None:
            _, above, remote, _, state, _ = _sdk.fields(parent)
        if queue is None or span.added is not None or state or kind is not SpanKind.SERVER or encoded is None:
            _sdk.end_span(tracer, self._readable(span, series, request_id, kind))
            return
        if tracer.resource is not self._home.resource:  # it is another one in a forked child
            self._home = Home(tracer.resource, _sdk.scope_of(tracer), message)
        queue.put_parts((encoded, span.ids, above, remote, span.start_ns, span.end_ns, request_id), self._home)

    def _readable(self, span: ServerSpan, series: Series, request_id: str, kind: SpanKind) -> ReadableSpan:
        tracer, limits = self.tracer, _sdk.limits_of(self.tracer)
        added = span.added or Additions()
        given = {**series.at_start, semconv.REQUEST_ID: request_id, **added.attributes, **series.at_end}
        return ReadableSpan(
            name=series.name if span.name is series.method_name else span.name,
            context=span.get_span_context(),
            parent=span.parent,
            resource=tracer.resource,
            attributes=BoundedAttributes(
                limits.max_span_attributes, given, immutable=False, max_value_len=limits.max_span_attribute_length
            ),
            events=_events(added.events, limits),
            links=_links(added.links, limits),
            kind=kind,
            status=added.status or Status(StatusCode.ERROR if series.failed else StatusCode.UNSET),
            start_time=span.start_ns,
            end_time=span.end_ns,
            instrumentation_scope=_sdk.scope_of(tracer),
        )


def _context_of(ids: int, flags: TraceFlags, parent: SpanContext | None) -> SpanContext:
    trace_id, span_id = ids >> SPAN_ID_BITS, ids & _LOW
    # Another generator's ids may be invalid, and their context is to say so.
    make = _sdk.new_context if trace_id and span_id else _sdk.checked_context
    return make(trace_id, span_id, flags, _NO_STATE if parent is None else parent.trace_state)


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
