"""The two ways a span is started and exported, and the choice between them.

``DirectSpans``: the prediction or stage is the span, and the worker hands it over finished, as OTLP bytes or as the
SDK's ``ReadableSpan``. ``TracerSpans``: the tracer's own span is used in its place, where a sampler or a processor of
somebody else's must see it start. Both export the same span.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from opentelemetry import trace
from opentelemetry.attributes import BoundedAttributes
from opentelemetry.sdk.trace import Event, ReadableSpan, SpanLimits, SpanProcessor, Tracer
from opentelemetry.sdk.util import BoundedList
from opentelemetry.trace import INVALID_SPAN_CONTEXT, Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags

from otelml import _sdk, encoding, templates
from otelml.encoding import Encoded, Home
from otelml.processors import SpanQueueProcessor
from otelml.spans import SPAN_ID_BITS, ErrorFacts, OwnSpan, drawn_from

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from opentelemetry.context.context import Context
    from opentelemetry.trace.status import Status as StatusType

    from otelml.columns import Columns
    from otelml.export import BatchQueue
    from otelml.prediction import Prediction
    from otelml.stage import Stage
    from otelml.templates import Column

_SPAN_KEY = _sdk.SPAN_KEY or ""
_SAMPLED, _RANDOM = TraceFlags.SAMPLED, TraceFlags.RANDOM_TRACE_ID
_FLAGS = tuple(TraceFlags(flags) for flags in range(4))


class Ended(NamedTuple):
    """An ended prediction or stage: what its span is made of. Times are ns since the epoch."""

    span: OwnSpan
    parent: SpanContext | None
    times: tuple[int, int]
    attributes: Mapping[str, Any]
    error: ErrorFacts | None
    links: Sequence[tuple[SpanContext, Mapping[str, Any]]] = ()


class DirectSpans:
    """Finished spans go straight to our queue or to the processors; starting one costs ids and a decision."""

    __slots__ = ("__dict__", "__weakref__", "_always", "_flags", "_follows", "_ids", "span_id")

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer
        ids = tracer.id_generator
        self.span_id, self._ids = drawn_from(ids)
        self._decide, self._follows = _sdk.decision(tracer.sampler)
        self._always = self._decide is None and self._follows
        self._seen = _sdk.processors_of(tracer)
        self._queue = self._own_queue()
        self._home = Home(tracer.resource, _sdk.scope_of(tracer))
        self._random = _RANDOM if ids.is_trace_id_random() else 0
        self._flags = _FLAGS[_SAMPLED | self._random]

    def start(self, prediction: Prediction, current: Context, start_ns: int) -> None:  # noqa: ARG002 - the protocol's
        """Give a prediction its ids and the decision whether it is sampled; its parent is the span of ``current``."""
        if self._always and current.get(_SPAN_KEY) is None:
            prediction.ids = self._ids()
            prediction.flags = self._flags
            prediction.sampled = True
        else:
            self._start_below(prediction, _sdk.span_in(current).get_span_context())

    def _start_below(self, prediction: Prediction, parent: SpanContext) -> None:
        decide = self._decide
        trace_id, _, _, flags, state, valid = _sdk.fields(parent)
        if not valid:
            prediction.ids = ids = self._ids()
            sampled = decide is None or decide(ids >> SPAN_ID_BITS)
            prediction.flags = _FLAGS[sampled | self._random]
        else:
            prediction.parent = parent
            prediction.ids = trace_id << SPAN_ID_BITS | self.span_id()
            sampled = bool(flags & _SAMPLED) if self._follows else decide is None or decide(trace_id)
            prediction.flags = _FLAGS[sampled | flags & _RANDOM]
            if state:
                prediction.special = True
        prediction.sampled = sampled

    def start_stage(self, stage: Stage, current: Context, start_ns: int) -> None:
        """Do nothing: a stage is its own span."""

    def _own_queue(self) -> BatchQueue[Any] | None:
        """Return our queue where nobody else sees the spans and it takes them encoded."""
        processors = self._seen
        if not isinstance(processors, tuple) or len(processors) != 1:
            return None
        (only,) = processors
        ours = type(only) is SpanQueueProcessor and only.takes_encoded
        return only.queue if ours and _sdk.plain_limits(_sdk.limits_of(self._tracer), "span") else None

    @property
    def queue(self) -> BatchQueue[Any] | None:
        """Return the queue that takes spans as bytes; None where they must be the SDK's."""
        return self._queue if _sdk.processors_of(self._tracer) is self._seen else None

    @property
    def home(self) -> Home:
        """Return the resource and scope of the spans."""
        if self._tracer.resource is not self._home.resource:  # it is another one in a forked child
            self._home = Home(self._tracer.resource, _sdk.scope_of(self._tracer))
        return self._home

    def put_all(self, columns: Columns, attributes: tuple[Column, Column]) -> bool:
        """Put the spans of ended predictions into our queue, encoded together; False where they must be the SDK's."""
        queue = self.queue
        if queue is None:
            return False
        roots, stages = templates.spans(columns, attributes)
        each = 1 + len(columns.names)
        step = max(1, min(queue.batch // each, encoding.MAX_TOGETHER))
        for i in range(0, len(roots), step):
            data = b"".join((*roots[i : i + step], stages[i : i + step].tobytes()))
            queue.put(Encoded(data, self.home, each * len(roots[i : i + step])))
        return True

    def finish(self, ended: Iterable[Ended]) -> None:
        """Put encoded spans into our queue; what has to go the SDK's way is finished there."""
        queue, home = self.queue, self.home
        for one in ended:
            data = None if queue is None else _encoded(one)
            if queue is None or data is None:
                _sdk.end_span(self._tracer, self._readable(one))
            else:
                queue.put(Encoded(data, home))

    def _readable(self, ended: Ended) -> ReadableSpan:
        tracer, limits = self._tracer, _sdk.limits_of(self._tracer)
        span, added = ended.span, ended.span.added
        return ReadableSpan(
            name=span.span_name if added is None or added.name is None else added.name,
            context=span.get_span_context(),
            parent=ended.parent,
            resource=tracer.resource,
            attributes=BoundedAttributes(
                limits.max_span_attributes,
                {**ended.attributes, **({} if added is None else added.attributes)},
                immutable=False,
                max_value_len=limits.max_span_attribute_length,
            ),
            events=_events(ended, limits),
            links=_links(ended, limits),
            kind=SpanKind.INTERNAL,
            status=_status(ended),
            start_time=ended.times[0],
            end_time=ended.times[1],
            instrumentation_scope=_sdk.scope_of(tracer),
        )


if _sdk.native is not None and _sdk.is_plain_tuple():
    _sdk.native.use_direct(DirectSpans, OwnSpan, SpanContext, _FLAGS, INVALID_SPAN_CONTEXT.trace_state)


def _encoded(ended: Ended) -> bytes | None:
    """Return a span encoded, or None where it is unusual."""
    if ended.span.added is not None:
        return None
    error = ended.error
    failed = None if error is None else (error.message, error.event())
    name, context = ended.span.span_name, ended.span.get_span_context()
    given = name, context, ended.parent, ended.times, ended.attributes
    try:
        return encoding.span(*given, error=failed, links=ended.links)
    except (encoding.Unusual, UnicodeEncodeError):
        return None


def _events(ended: Ended, limits: SpanLimits) -> Sequence[Event]:
    error, added = ended.error, ended.span.added
    own = () if error is None else (Event("exception", error.event(), ended.times[1]),)
    if added is None or not added.events:
        return own
    most, longest = limits.max_event_attributes, limits.max_attribute_length
    given = (Event(e.name, BoundedAttributes(most, e.attributes, True, longest), e.timestamp) for e in added.events)  # noqa: FBT003 - immutable
    return BoundedList.from_seq(limits.max_events, (*given, *own))


def _links(ended: Ended, limits: SpanLimits) -> Sequence[Link]:
    added = ended.span.added
    pairs = [*ended.links, *(() if added is None else [(link.context, link.attributes) for link in added.links])]
    if not pairs:
        return ()
    most, longest = limits.max_link_attributes, limits.max_attribute_length
    given = (Link(context, BoundedAttributes(most, attributes, True, longest)) for context, attributes in pairs)  # noqa: FBT003 - immutable
    return BoundedList.from_seq(limits.max_links, given)


def _status(ended: Ended) -> StatusType:
    added = ended.span.added
    if added is not None and added.status is not None:
        return added.status
    return Status() if ended.error is None else Status(StatusCode.ERROR, ended.error.message)


class TracerSpans:
    """The public way: the tracer's own spans, for foreign providers, samplers and processors."""

    def __init__(self, tracer: trace.Tracer) -> None:
        self._tracer = tracer

    @staticmethod
    def span_id() -> int:
        """Return no id: the tracer makes its own."""
        return 0

    def start(self, prediction: Prediction, current: Context, start_ns: int) -> None:
        """Start the tracer's span in place of the prediction."""
        attributes = prediction.series.attributes
        span = self._tracer.start_span(
            prediction.span_name, context=current, attributes=attributes, start_time=start_ns
        )
        prediction.other, prediction.special = span, True
        prediction.sampled = span.is_recording()

    def start_stage(self, stage: Stage, current: Context, start_ns: int) -> None:
        """Start the tracer's span in place of the stage."""
        above = (stage.above or stage.prediction).get_span_context()
        below = trace.set_span_in_context(trace.NonRecordingSpan(above), current)
        stage.other = self._tracer.start_span(stage.span_name, context=below, start_time=start_ns)

    def put_all(self, columns: Columns, attributes: tuple[Column, Column]) -> bool:  # noqa: ARG002 - the protocol's
        """Return False: they are the tracer's own."""
        return False

    def finish(self, ended: Iterable[Ended]) -> None:
        """Set what is known at the end and end the spans."""
        for one in ended:
            if one.span.other is None:  # the share of a member, which only the worker knows of
                below = trace.set_span_in_context(trace.NonRecordingSpan(one.parent or INVALID_SPAN_CONTEXT))
                one.span.other = self._tracer.start_span(one.span.span_name, below, start_time=one.times[0])
            span, error, end_ns = one.span.span, one.error, one.times[1]
            if span.is_recording():
                for context, attributes in one.links:
                    span.add_link(context, attributes)
                # What the application has set itself stays.
                own, status = getattr(span, "attributes", None) or {}, getattr(span, "status", None)
                span.set_attributes({name: value for name, value in one.attributes.items() if name not in own})
                if error is not None:
                    span.add_event("exception", error.event(), end_ns)
                    if status is None or status.is_unset:
                        span.set_status(Status(StatusCode.ERROR, error.message))
            span.end(end_ns)


Spans: TypeAlias = DirectSpans | TracerSpans
"""Starts spans on the caller's thread and finishes them on the worker's."""


class ChosenSpans:
    """Picks ``DirectSpans`` or ``TracerSpans`` and picks again when a span processor is added."""

    __slots__ = ("__dict__", "__weakref__", "_chosen", "_processors", "_seen")

    def __init__(self, tracer: trace.Tracer, ours: tuple[type[SpanProcessor], ...] = ()) -> None:
        self._tracer, self._ours = tracer, ours
        self._processors = _sdk.processors_getter(tracer) if isinstance(tracer, Tracer) else lambda: None
        self._choose()

    def _choose(self) -> Spans:
        self._seen = self._processors()
        direct = _sdk.direct_tracer(self._tracer, self._ours)
        self._chosen: Spans = TracerSpans(self._tracer) if direct is None else DirectSpans(direct)
        return self._chosen

    @property
    def current(self) -> Spans:
        """Return the way spans are made now."""
        return self._chosen if self._processors() is self._seen else self._choose()
