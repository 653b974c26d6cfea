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
_LOW = (1 << 64) - 1
_ROOT_IDS, _IDS = Struct(">2sQQ2sQ").pack, Struct(">2sQQ2sQ2sQ").pack
_DOUBLE = Struct("<d").pack
_TIMES = Struct("<cQcQ").pack
_TIME = Struct("<cQ").pack
_SHORT = tuple(bytes((n,)) for n in range(128))
_HAS_REMOTE, _IS_REMOTE = b"\x85\x01\x00\x01\x00\x00", b"\x85\x01\x00\x03\x00\x00"
_NO_STATE = trace.INVALID_SPAN_CONTEXT.trace_state
_UNSET = b"\x7a\x00"


class Unusual(Exception):  # noqa: N818 - not a fault: the SDK's way is taken
    """A value that only the official encoder knows how to handle."""


class Known(dict[str, Any]):
    """Attributes that are encoded once and used several times; not to be changed after that."""

    __slots__ = ("of_span", "pairs")
    pairs: list[bytes]
    of_span: bytes


class Encoded:
    """One message of a batch, with the tag and length it has there."""

    __slots__ = ("data", "home")

    def __init__(self, data: bytes, home: Home) -> None:
        self.data, self.home = data, home


class Home:
    """The resource and scope that spans and log records belong to, encoded when first needed."""

    def __init__(self, resource: Resource, scope: InstrumentationScope) -> None:
        self.resource, self._scope = resource, scope
        self._parts: tuple[bytes, bytes, bytes, bytes] | None = None

    def wrap(self, messages: Sequence[bytes]) -> bytes:
        """Return messages of one kind as an OTLP request for that kind."""
        if self._parts is None:
            self._parts = self._encode()
        resource, scope, scope_schema, schema = self._parts
        inner = b"".join((scope, *messages, scope_schema))
        return _sized(b"\x0a", b"".join((resource, _sized(b"\x12", inner), schema)))

    def _encode(self) -> tuple[bytes, bytes, bytes, bytes]:
        from opentelemetry.exporter.otlp.proto.common.trace_encoder import (  # noqa: PLC0415 - only with this exporter
            encode_spans,
        )

        some = trace.SpanContext(1, 1, is_remote=False)
        span = ReadableSpan("", some, resource=self.resource, instrumentation_scope=self._scope)
        (resource,) = encode_spans([span]).resource_spans
        (scope,) = resource.scope_spans
        return (
            _sized(b"\x0a", resource.resource.SerializeToString()),
            _sized(b"\x0a", scope.scope.SerializeToString()),
            _text(b"\x1a", scope.schema_url),
            _text(b"\x1a", resource.schema_url),
        )


def span(
    name: str,
    context: SpanContext,
    parent: SpanContext | None,
    times: tuple[int, int],
    attributes: Mapping[str, Any],
    *,
    error: tuple[str, Mapping[str, str]] | None = None,
) -> bytes:
    """Return an internal span; ``times`` are its start and end in ns, ``error`` a message and an event's attributes.

    Raises:
        Unusual: It has a trace state or other values than texts, numbers and lists of them.
        UnicodeEncodeError: A text is not one.
    """
    trace_id, span_id, _, _, state, _ = context  # a tuple: its properties cost five times as much
    if state is not _NO_STATE and state:
        raise Unusual
    start, end = times
    if parent is None:
        ids, flags = _ROOT_IDS(b"\x0a\x10", trace_id >> 64, trace_id & _LOW, b"\x12\x08", span_id), _HAS_REMOTE
    else:
        above, flags = parent[1], _IS_REMOTE if parent[2] else _HAS_REMOTE
        ids = _IDS(b"\x0a\x10", trace_id >> 64, trace_id & _LOW, b"\x12\x08", span_id, b"\x22\x08", above)
    message = b"".join(
        (
            *(ids, _name(name), _TIMES(b"\x39", start, b"\x41", end)),
            *(_of_span(attributes), _UNSET if error is None else _failed(end, *error), flags),
        )
    )
    n = len(message)
    return b"\x12" + (_SHORT[n] if n < 128 else _varint(n)) + message  # noqa: PLR2004 - what fits into seven bits


def log(
    name: str,
    severity: tuple[int, str],
    body: str,
    encoded: list[bytes],
    context: SpanContext,
    *,
    times: tuple[int, int],
) -> bytes:
    """Return a log record; ``times`` are its own and when it was observed, in ns, ``encoded`` is from ``pairs``."""
    message = b"".join(
        (
            _TIME(b"\x09", times[0]),
            _severity(*severity),
            _sized(b"\x2a", _text(b"\x0a", body)),
            _tagged(b"\x32", encoded),
            _origin(context),
            _TIME(b"\x59", times[1]),
            _event_name(name),
        )
    )
    return _sized(b"\x12", message)


def pairs(attributes: Mapping[str, Any]) -> list[bytes]:
    """Return each attribute as a KeyValue with its length but no tag."""
    if not isinstance(attributes, Known):
        return [_pair(key, value) for key, value in attributes.items()]
    try:
        return attributes.pairs
    except AttributeError:
        attributes.pairs = found = [_pair(key, value) for key, value in attributes.items()]
        return found


def _of_span(attributes: Mapping[str, Any]) -> bytes:
    if not isinstance(attributes, Known):
        return _tagged(b"\x4a", pairs(attributes))
    try:
        return attributes.of_span
    except AttributeError:
        attributes.of_span = found = _tagged(b"\x4a", pairs(attributes))
        return found


def _pair(key: str, value: Any) -> bytes:
    kind = type(value)
    if kind is str:
        if key in _UNIQUE or len(value) > _MAX_REMEMBERED:
            return _key_value(key, _text(b"\x0a", value))
        return _text_pair(key, value)
    if kind is float:
        return _key_value(key, b"\x21" + _DOUBLE(value))
    return _integer_pair(key, value) if kind is int else _key_value(key, _value(value))


@lru_cache(4096)
def _text_pair(key: str, value: str) -> bytes:
    return _key_value(key, _text(b"\x0a", value))


@lru_cache(1024)
def _integer_pair(key: str, value: int) -> bytes:
    return _key_value(key, _integer(value))


def _key_value(key: str, value: bytes) -> bytes:
    head, n = _key(key), len(value)
    total = len(head) + 1 + n
    if total < 128:  # noqa: PLR2004 - what fits into seven bits
        return b"".join((_SHORT[total], head, _SHORT[n], value))
    return _sized(b"", head + _sized(b"", value))


@lru_cache(256)
def _key(key: str) -> bytes:
    return _text(b"\x0a", key) + b"\x12"


def _value(value: Any) -> bytes:
    encode = _VALUES.get(type(value))
    if encode is None:
        raise Unusual
    return encode(value)


def _integer(value: int) -> bytes:
    if not -(1 << 63) <= value < 1 << 63:
        raise Unusual
    return b"\x18" + _varint(value & 0xFFFF_FFFF_FFFF_FFFF)


def _array(values: Sequence[Any]) -> bytes:
    return _sized(b"\x2a", b"".join(_sized(b"\x0a", _value(x)) for x in values))


_VALUES: dict[type, Callable[[Any], bytes]] = {
    str: lambda value: _text(b"\x0a", value),
    bool: lambda value: b"\x10\x01" if value else b"\x10\x00",
    int: _integer,
    float: lambda value: b"\x21" + _DOUBLE(value),
    list: _array,
    tuple: _array,
}


@lru_cache(1024)
def _name(name: str) -> bytes:
    return _text(b"\x2a", name) + b"\x30\x01"


@lru_cache(64)
def _event_name(name: str) -> bytes:
    return _text(b"\x62", name)


@lru_cache(64)
def _severity(number: int, text: str) -> bytes:
    return b"\x10" + _varint(number) + _text(b"\x1a", text)


def _failed(at: int, message: str, event: Mapping[str, str]) -> bytes:
    exception = _TIME(b"\x09", at) + b"\x12\x09exception" + _tagged(b"\x1a", pairs(event))
    status = (_text(b"\x12", message) if message else b"") + b"\x18\x02"
    return _sized(b"\x5a", exception) + _sized(b"\x7a", status)


def _origin(context: SpanContext) -> bytes:
    trace_id, span_id, _, flags, _, _ = context
    if not trace_id or not span_id:
        raise Unusual
    ids = _ROOT_IDS(b"\x4a\x10", trace_id >> 64, trace_id & _LOW, b"\x52\x08", span_id)
    return b"".join((b"\x45", int(flags).to_bytes(4, "little"), ids))


def _tagged(tag: bytes, messages: Sequence[bytes]) -> bytes:
    return tag + tag.join(messages) if messages else b""


def _text(tag: bytes, value: str) -> bytes:
    return _sized(tag, value.encode())


def _sized(tag: bytes, message: bytes) -> bytes:
    n = len(message)
    return tag + (_SHORT[n] if n < 128 else _varint(n)) + message  # noqa: PLR2004 - what fits into seven bits


@lru_cache(4096)
def _varint(n: int) -> bytes:
    out = bytearray()
    while n > 127:  # noqa: PLR2004 - seven bits a byte
        out.append(n & 127 | 128)
        n >>= 7
    out.append(n)
    return bytes(out)
