"""Spans and events of predictions as OTLP bytes: a few fixed shapes, written without building protobuf objects.

What is written decodes to the very message that the official encoder makes of the same span or log record. Whatever has
another shape raises ``Unusual``: then the span or record goes the SDK's way.
"""

from __future__ import annotations

from functools import lru_cache
from struct import Struct
from typing import TYPE_CHECKING, Any

from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan

from otelml import semconv

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.util.instrumentation import InstrumentationScope
    from opentelemetry.trace import SpanContext

_UNIQUE = frozenset({semconv.PREDICTION_ID, semconv.REQUEST_ID})
"""Attributes whose values never come again: not worth remembering."""
_MAX_REMEMBERED = 64
MAX_TOGETHER = 256
"""Messages that wait in a queue as one item."""
MOST_LINKS = 100
"""Links of a span; of more than 128 the SDK keeps the last."""
_LOW = (1 << 64) - 1
_ROOT_IDS, _IDS = Struct(">2sQQ2sQ").pack, Struct(">2sQQ2sQ2sQ").pack
_DOUBLE = Struct("<d").pack
_TIMES = Struct("<cQcQ").pack
_TIME = Struct("<cQ").pack
_SHORT = tuple(bytes((n,)) for n in range(128))
HAS_REMOTE, IS_REMOTE = b"\x85\x01\x00\x01\x00\x00", b"\x85\x01\x00\x03\x00\x00"
_NO_STATE = trace.INVALID_SPAN_CONTEXT.trace_state
NO_STATUS = b"\x7a\x00"
SPAN_ATTRIBUTE, LOG_ATTRIBUTE = b"\x4a", b"\x32"


class Unusual(Exception):  # noqa: N818 - not a fault: the SDK's way is taken
    """A value that only the official encoder knows how to handle."""


class Known(dict[str, Any]):
    """Attributes that are encoded once and used several times; not to be changed after that."""

    __slots__ = ("of_log", "of_span", "pairs")
    pairs: list[bytes]
    of_span: bytes
    of_log: bytes


class Encoded:
    """Messages of a batch, each with the tag and length it has there."""

    __slots__ = ("count", "data", "home")

    def __init__(self, data: bytes, home: Home, count: int = 1) -> None:
        self.data, self.home, self.count = data, home, count


def messages(item: object) -> int:
    """Return how many spans or log records an item of a queue is."""
    return item.count if type(item) is Encoded else 1


class Home:
    """The resource and scope that spans and log records belong to, encoded when first needed.

    ``write`` makes a message, with the tag and length it has in a batch, of parts that wait to be encoded.
    """

    def __init__(
        self, resource: Resource, scope: InstrumentationScope, write: Callable[..., bytes] = lambda *parts: parts[0]
    ) -> None:
        self.resource, self._scope, self.write = resource, scope, write
        self._parts: tuple[bytes, bytes, bytes, bytes] | None = None

    def wrap(self, messages: Sequence[bytes]) -> bytes:
        """Return messages of one kind as an OTLP request for that kind."""
        if self._parts is None:
            self._parts = self._encode()
        resource, scope, scope_schema, schema = self._parts
        # Requests are large: they are joined once, as each copy would be written to memory that is not there yet.
        n = sum(map(len, messages)) + len(scope) + len(scope_schema)
        head = b"\x12" + varint(n)
        whole = varint(len(resource) + len(head) + n + len(schema))
        return b"".join((b"\x0a", whole, resource, head, scope, *messages, scope_schema, schema))

    def _encode(self) -> tuple[bytes, bytes, bytes, bytes]:
        from opentelemetry.exporter.otlp.proto.common.trace_encoder import (  # noqa: PLC0415 - only with this exporter
            encode_spans,
        )

        some = trace.SpanContext(1, 1, is_remote=False)
        span = ReadableSpan("", some, resource=self.resource, instrumentation_scope=self._scope)
        (resource,) = encode_spans([span]).resource_spans
        (scope,) = resource.scope_spans
        return (
            sized(b"\x0a", resource.resource.SerializeToString()),
            sized(b"\x0a", scope.scope.SerializeToString()),
            text(b"\x1a", scope.schema_url),
            text(b"\x1a", resource.schema_url),
        )


def span(
    name: str,
    context: SpanContext,
    parent: SpanContext | None,
    times: tuple[int, int],
    attributes: Mapping[str, Any],
    *,
    error: tuple[str, Mapping[str, str]] | None = None,
    links: Sequence[tuple[SpanContext, Mapping[str, Any]]] = (),
) -> bytes:
    """Return an internal span; ``times`` are its start and end in ns, ``error`` a message and an event's attributes.

    Raises:
        Unusual: It has a trace state, more links than the SDK keeps, or other values than texts, numbers and lists.
        UnicodeEncodeError: A text is not one.
    """
    trace_id, span_id, _, _, state, _ = context  # a tuple: its properties cost five times as much
    if (state is not _NO_STATE and state) or len(links) > MOST_LINKS:
        raise Unusual
    start, end = times
    if parent is None:
        ids, flags = _ROOT_IDS(b"\x0a\x10", trace_id >> 64, trace_id & _LOW, b"\x12\x08", span_id), HAS_REMOTE
    else:
        above, flags = parent[1], IS_REMOTE if parent[2] else HAS_REMOTE
        ids = _IDS(b"\x0a\x10", trace_id >> 64, trace_id & _LOW, b"\x12\x08", span_id, b"\x22\x08", above)
    message = b"".join(
        (
            *(ids, name_field(name), _TIMES(b"\x39", start, b"\x41", end)),
            *(of_span(attributes), *[_link(*one) for one in links]),
            *(NO_STATUS if error is None else _failed(end, *error), flags),
        )
    )
    n = len(message)
    return b"\x12" + (_SHORT[n] if n < 128 else varint(n)) + message  # noqa: PLR2004 - what fits into seven bits


def log(
    name: str,
    severity: tuple[int, str],
    body: str,
    attributes: tuple[Mapping[str, Any], list[bytes]],
    context: SpanContext,
    *,
    times: tuple[int, int],
) -> bytes:
    """Return a log record; ``times`` are its own and when it was observed, in ns.

    ``attributes`` are those to encode, and ``pairs`` of more that follow.
    """
    known, more = attributes
    message = b"".join(
        (
            _TIME(b"\x09", times[0]),
            severity_field(*severity),
            sized(b"\x2a", text(b"\x0a", body)),
            of_log(known),
            tagged(LOG_ATTRIBUTE, more),
            _origin(context),
            _TIME(b"\x59", times[1]),
            event_name_field(name),
        )
    )
    return sized(b"\x12", message)


def pairs(attributes: Mapping[str, Any]) -> list[bytes]:
    """Return each attribute as a KeyValue with its length but no tag."""
    if type(attributes) is not Known:
        return [_pair(key, value) for key, value in attributes.items()]
    try:
        return attributes.pairs
    except AttributeError:
        attributes.pairs = found = [_pair(key, value) for key, value in attributes.items()]
        return found


def of_span(attributes: Mapping[str, Any]) -> bytes:
    """Return attributes as a span has them."""
    if type(attributes) is not Known:
        return tagged(SPAN_ATTRIBUTE, pairs(attributes))
    try:
        return attributes.of_span
    except AttributeError:
        attributes.of_span = found = tagged(SPAN_ATTRIBUTE, pairs(attributes))
        return found


def of_log(attributes: Mapping[str, Any]) -> bytes:
    """Return attributes as a log record has them."""
    if type(attributes) is not Known:
        return tagged(LOG_ATTRIBUTE, pairs(attributes))
    try:
        return attributes.of_log
    except AttributeError:
        attributes.of_log = found = tagged(LOG_ATTRIBUTE, pairs(attributes))
        return found


def _pair(key: str, value: Any) -> bytes:
    kind = type(value)
    if kind is str:
        if key in _UNIQUE or len(value) > _MAX_REMEMBERED:
            data: bytes = value.encode()
            return text_head(key, len(data)) + data
        return _text_pair(key, value)
    if kind is float:
        return float_head(key) + _DOUBLE(value)
    return _integer_pair(key, value) if kind is int else _key_value(key, _value(value))


@lru_cache(1024)
def text_head(key: str, n: int) -> bytes:
    """Return an attribute, as in ``pairs``, up to its text of ``n`` bytes."""
    return _key_value(key, text(b"\x0a", " " * n))[:-n] if n else _key_value(key, text(b"\x0a", ""))


@lru_cache(256)
def float_head(key: str) -> bytes:
    """Return an attribute, as in ``pairs``, up to its number."""
    return _key_value(key, b"\x21" + _DOUBLE(0))[:-8]


@lru_cache(4096)
def _text_pair(key: str, value: str) -> bytes:
    return _key_value(key, text(b"\x0a", value))


@lru_cache(1024)
def _integer_pair(key: str, value: int) -> bytes:
    return _key_value(key, _integer(value))


def _key_value(key: str, value: bytes) -> bytes:
    head, n = _key(key), len(value)
    total = len(head) + 1 + n
    if total < 128:  # noqa: PLR2004 - what fits into seven bits
        return b"".join((_SHORT[total], head, _SHORT[n], value))
    return sized(b"", head + sized(b"", value))


@lru_cache(256)
def _key(key: str) -> bytes:
    return text(b"\x0a", key) + b"\x12"


def _value(value: Any) -> bytes:
    encode = _VALUES.get(type(value))
    if encode is None:
        raise Unusual
    return encode(value)


def _integer(value: int) -> bytes:
    if not -(1 << 63) <= value < 1 << 63:
        raise Unusual
    return b"\x18" + varint(value & 0xFFFF_FFFF_FFFF_FFFF)


def _array(values: Sequence[Any]) -> bytes:
    return sized(b"\x2a", b"".join(sized(b"\x0a", _value(x)) for x in values))


_VALUES: dict[type, Callable[[Any], bytes]] = {
    str: lambda value: text(b"\x0a", value),
    bool: lambda value: b"\x10\x01" if value else b"\x10\x00",
    int: _integer,
    float: lambda value: b"\x21" + _DOUBLE(value),
    list: _array,
    tuple: _array,
}


@lru_cache(1024)
def name_field(name: str) -> bytes:
    """Return the name of a span, and that it is an internal one."""
    return text(b"\x2a", name) + b"\x30\x01"


@lru_cache(64)
def event_name_field(name: str) -> bytes:
    """Return the name of an event."""
    return text(b"\x62", name)


@lru_cache(64)
def severity_field(number: int, name: str) -> bytes:
    """Return the severity of a log record."""
    return b"\x10" + varint(number) + text(b"\x1a", name)


def _failed(at: int, message: str, event: Mapping[str, str]) -> bytes:
    exception = _TIME(b"\x09", at) + b"\x12\x09exception" + tagged(b"\x1a", pairs(event))
    status = (text(b"\x12", message) if message else b"") + b"\x18\x02"
    return sized(b"\x5a", exception) + sized(b"\x7a", status)


def _link(context: SpanContext, attributes: Mapping[str, Any]) -> bytes:
    trace_id, span_id, remote, _, _, _ = context
    ids = _ROOT_IDS(b"\x0a\x10", trace_id >> 64, trace_id & _LOW, b"\x12\x08", span_id)
    flags = b"\x35\x00\x03\x00\x00" if remote else b"\x35\x00\x01\x00\x00"
    return sized(b"\x6a", ids + tagged(b"\x22", pairs(attributes)) + flags)


def _origin(context: SpanContext) -> bytes:
    trace_id, span_id, _, flags, _, _ = context
    if not trace_id or not span_id:
        raise Unusual
    ids = _ROOT_IDS(b"\x4a\x10", trace_id >> 64, trace_id & _LOW, b"\x52\x08", span_id)
    return b"".join((b"\x45", int(flags).to_bytes(4, "little"), ids))


def tagged(tag: bytes, messages: Sequence[bytes]) -> bytes:
    """Return messages that hold their length, each with a tag."""
    return tag + tag.join(messages) if messages else b""


def text(tag: bytes, value: str) -> bytes:
    """Return a text with its tag and length."""
    return sized(tag, value.encode())


def sized(tag: bytes, message: bytes) -> bytes:
    """Return a message with its tag and length."""
    n = len(message)
    return tag + (_SHORT[n] if n < 128 else varint(n)) + message  # noqa: PLR2004 - what fits into seven bits


@lru_cache(4096)
def varint(n: int) -> bytes:
    """Return an unsigned number, seven bits a byte."""
    out = bytearray()
    while n > 127:  # noqa: PLR2004 - seven bits a byte
        out.append(n & 127 | 128)
        n >>= 7
    out.append(n)
    return bytes(out)
