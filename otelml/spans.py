"""What is current while a prediction or a stage of it is open: a span of ours, a real one for everybody else.

Its ids are drawn when it starts; its context, and room for what the application adds, are made when somebody asks.
``tracers`` starts and exports them.
"""

from __future__ import annotations

import random
from functools import partial
from typing import TYPE_CHECKING, Any, Self

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.attributes import BoundedAttributes
from opentelemetry.sdk.trace import Event
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.trace import INVALID_SPAN, INVALID_SPAN_CONTEXT, Link, Status, StatusCode

from otelml import _scrub, semconv

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType

    from opentelemetry.trace import SpanContext
    from opentelemetry.trace.status import Status as StatusType
    from opentelemetry.util.types import Attributes, AttributeValue

KEY = otel_context.create_key("otelml-prediction")
"""Where a context holds the prediction that is open."""
SPAN_ID_BITS = 64
NANO = 1e-9
"""Seconds in a nanosecond, in which spans have their times."""


class RandomIds(IdGenerator):
    """Ids from a generator of our own: ``random.seed(0)`` in a training script would make every process's ids equal.

    An id of zero would be invalid; among 64 random bits that is one in 10^19, and not worth a look at each.
    """

    def __init__(self) -> None:
        self._random = random.Random()  # noqa: S311 - ids, no secrets
        self.reseed()
        self.bits: Callable[[int], int] = self._random.getrandbits
        """Returns as many random bits as asked for."""

    @property
    def number(self) -> Callable[[], int]:
        """Return what makes the numbers of predictions: 128 random bits each."""
        return partial(self.bits, 128)

    def reseed(self) -> None:
        """Take fresh entropy (a forked child must not repeat its parent's ids)."""
        self._random.seed(random.SystemRandom().getrandbits(256))

    def generate_span_id(self) -> int:
        """Return 64 random bits."""
        return self.bits(SPAN_ID_BITS)

    def generate_trace_id(self) -> int:
        """Return 128 random bits."""
        return self.bits(128)


def drawn_from(ids: IdGenerator) -> tuple[Callable[[], int], Callable[[], int]]:
    """Return what makes a span id, and what makes a trace id with, in the low 64 bits, a span id."""
    if type(ids) is RandomIds:
        return partial(ids.bits, SPAN_ID_BITS), partial(ids.bits, 3 * SPAN_ID_BITS)
    return ids.generate_span_id, lambda: ids.generate_trace_id() << SPAN_ID_BITS | ids.generate_span_id()


class Additions(trace.Span):
    """What the application itself adds to a span of ours; kept as given, and bounded by the worker."""

    def __init__(self) -> None:
        self.name: str | None = None
        self.attributes: dict[str, Any] = {}
        self.events: list[Event] = []
        self.links: list[Link] = []
        self.status: StatusType | None = None
        self.ended = False

    def get_span_context(self) -> SpanContext:
        """Return no context: it is the span's own."""
        return INVALID_SPAN_CONTEXT

    def is_recording(self) -> bool:
        """Return whether the application has not ended the span."""
        return not self.ended

    def set_attribute(self, key: str, value: AttributeValue) -> None:
        """Keep one attribute."""
        self.set_attributes({key: value})

    def set_attributes(self, attributes: Mapping[str, AttributeValue]) -> None:
        """Keep several attributes."""
        self.attributes = {**self.attributes, **BoundedAttributes(attributes=attributes)}

    def add_event(self, name: str, attributes: Attributes = None, timestamp: int | None = None) -> None:
        """Keep an event; ``timestamp`` is in nanoseconds since the epoch."""
        self.events.append(Event(name, BoundedAttributes(attributes=attributes), timestamp))

    def add_link(self, context: SpanContext, attributes: Attributes = None) -> None:
        """Keep a link to another span."""
        if context.is_valid or attributes or context.trace_state:
            self.links.append(Link(context, BoundedAttributes(attributes=attributes)))

    def update_name(self, name: str) -> None:
        """Change the name."""
        self.name = name

    def set_status(self, status: StatusType | StatusCode, description: str | None = None) -> None:
        """Set the status; OK is final and UNSET is ignored, as the specification has it."""
        if self.status is not None and self.status.status_code is StatusCode.OK:
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

    def end(self, end_time: int | None = None) -> None:  # noqa: ARG002 - the API's signature
        """Take nothing more; the span ends with its prediction or stage."""
        self.ended = True


class OwnSpan(trace.Span):
    """A span of ours from its start to its hand-over to the worker: the base of predictions and stages.

    Most have none of these: they take room, and time to set, only in those that do.
    """

    other: trace.Span | None = None
    """The tracer's own span that is used in place of this one (``TracerSpans``)."""
    added: Additions | None = None
    parent: SpanContext | None = None
    context: SpanContext | None = None

    @property
    def span(self) -> trace.Span:
        """Return the span that is current while this is open."""
        return self.other or self

    @property
    def span_name(self) -> str:
        """Return the name it starts with."""
        raise NotImplementedError

    @property
    def open(self) -> bool:
        """Return whether it has begun, is recorded, and has not ended."""
        raise NotImplementedError

    def touch(self) -> None:
        """Take note that the application added something: it is not encoded with others of its shape."""
        raise NotImplementedError

    def made_context(self) -> SpanContext:
        """Return its context, made when it is first asked for."""
        raise NotImplementedError

    def get_span_context(self) -> SpanContext:
        """Return the span's context."""
        if self.other is not None:
            return self.other.get_span_context()
        if self.context is None:
            self.context = self.made_context()
        return self.context

    def is_recording(self) -> bool:
        """Return whether what is set on the span is kept."""
        if self.other is not None:
            return self.other.is_recording()
        return self.open and (self.added is None or not self.added.ended)

    def _to(self) -> trace.Span:
        """Return what takes the application's additions now."""
        if self.other is not None:
            return self.other
        if not self.is_recording():
            return INVALID_SPAN
        if self.added is None:
            self.added = Additions()
            self.touch()
        return self.added

    def set_attribute(self, key: str, value: AttributeValue) -> None:
        """Set one attribute; ignored once the span has ended."""
        self._to().set_attribute(key, value)

    def set_attributes(self, attributes: Mapping[str, AttributeValue]) -> None:
        """Set several attributes; ignored once the span has ended."""
        self._to().set_attributes(attributes)

    def add_event(self, name: str, attributes: Attributes = None, timestamp: int | None = None) -> None:
        """Add an event; ``timestamp`` is in nanoseconds since the epoch."""
        self._to().add_event(name, attributes, timestamp)

    def add_link(self, context: SpanContext, attributes: Attributes = None) -> None:
        """Link another span."""
        self._to().add_link(context, attributes)

    def update_name(self, name: str) -> None:
        """Change the name."""
        self._to().update_name(name)

    def set_status(self, status: StatusType | StatusCode, description: str | None = None) -> None:
        """Set the status; OK is final and UNSET is ignored, as the specification has it."""
        self._to().set_status(status, description)

    def record_exception(
        self,
        exception: BaseException,
        attributes: Attributes = None,
        timestamp: int | None = None,
        escaped: bool = False,
    ) -> None:
        """Add an ``exception`` event whose message holds no raw values."""
        self._to().record_exception(exception, attributes, timestamp, escaped)

    def end(self, end_time: int | None = None) -> None:
        """Take nothing more; the span ends with its prediction or stage."""
        self._to().end(end_time)


class SpanBlock(OwnSpan):
    """A span of ours as a context manager, sync and async; the methods do the same without a block."""

    def begin(self) -> Self:
        """Start it and make it current."""
        raise NotImplementedError

    def finish(self, error: BaseException | None = None) -> None:
        """End it; ``error`` is the exception that ended it."""
        self.__exit__(None, error, None)

    async def __aenter__(self) -> Self:
        return self.begin()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, tb)


def lay_out(kind: type[SpanBlock], *names: str) -> None:
    """Make an object of ``kind`` that has the attributes that most of them will have.

    CPython keeps attributes inside the object where they are among those of the first objects of its class. Without
    this, predictions that follow on many unsampled ones would each need a dict more.
    """
    first = object.__new__(kind)
    for name in names:
        setattr(first, name, None)


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
