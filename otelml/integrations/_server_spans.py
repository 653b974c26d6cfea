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
from otelml.spans import Additions, OwnSpan, RandomIds

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from opentelemetry.context.context import Context
    from opentelemetry.sdk.trace import Tracer
    from opentelemetry.trace.status import Status as StatusType
    from opentelemetry.util.types import Attributes, AttributeValue

    from otelml.export import BatchQueue
    from otelml.integrations._http_series import Series

_NO_STATE = trace.INVALID_SPAN_CONTEXT.trace_state
_FLAGS = tuple(TraceFlags(flags) for flags in range(4))


class ServerSpan(OwnSpan):
    """A request's span between its start and its export; keeps no raw values, whoever sets them.

    Times are ns since the epoch; ``end_ns`` is 0 while it is open.
    """

    end_ns = 0

    def __init__(self, name: str, context: SpanContext, parent: SpanContext | None, start_ns: int) -> None:
        self._name, self.context, self.parent, self.start_ns = name, context, parent, start_ns

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

    def end(self, end_time: int | None = None) -> None:
        """End it; ``end_time`` is in ns since the epoch."""
        self.end_ns = self.end_ns or end_time or time_ns()

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

    def __init__(self, tracer: Tracer) -> None:
        self.tracer = tracer
        ids = tracer.id_generator
        self._trace_id, self._span_id = ids.generate_trace_id, ids.generate_span_id
        # Another generator's ids may be invalid, and their context is to say so.
        self._context: Any = _sdk.new_context if type(ids) is RandomIds else _sdk.checked_context
        self._decide, self._follows = _sdk.decision(tracer.sampler)
        self.seen = _sdk.processors_of(tracer)
        self._queue = self._own_queue()
        self._home = Home(tracer.resource, _sdk.scope_of(tracer))
        self._random = TraceFlags.RANDOM_TRACE_ID if tracer.id_generator.is_trace_id_random() else 0

    def start(self, name: str, context: Context, parent: SpanContext | None, start_ns: int) -> trace.Span:  # noqa: ARG002 - as a tracer has it
        """Start a span; ``parent`` is the valid context of the current span of ``context``, or None."""
        decide = self._decide
        if parent is None:
            trace_id = self._trace_id()
            sampled, random, state = decide is None or decide(trace_id), self._random, _NO_STATE
        else:
            trace_id, _, _, flags, state, _ = _sdk.fields(parent)
            follows = self._follows
            sampled = bool(flags & TraceFlags.SAMPLED) if follows else decide is None or decide(trace_id)
            random = flags & TraceFlags.RANDOM_TRACE_ID
        own = self._context(trace_id, self._span_id(), _FLAGS[sampled | random], state)
        return ServerSpan(name, own, parent, start_ns) if sampled else NonRecordingSpan(own)

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
        own = span.get_span_context()
        state = own[4]
        plain = (  # the application has added nothing, and the series can be encoded
            span.added is None and (state is _NO_STATE or not state) and kind is SpanKind.SERVER and series.encoded
        )
        if queue is None or not plain:
            _sdk.end_span(tracer, self._readable(span, series, request_id, kind))
            return
        if tracer.resource is not self._home.resource:  # it is another one in a forked child
            self._home = Home(tracer.resource, _sdk.scope_of(tracer))
        queue.put_bytes(message(series, own, span.parent, (span.start_ns, span.end_ns), request_id), self._home)

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
