"""HTTP requests that differ in nothing but time and ids: what their spans and measurements have in common.

A span of such a series is written as OTLP bytes from parts that are encoded once.
"""

from __future__ import annotations

from functools import lru_cache
from struct import Struct
from typing import TYPE_CHECKING, Any

from otelml import _sdk, context, encoding, semconv

if TYPE_CHECKING:
    from collections import deque
    from collections.abc import Mapping

METHOD, SCHEME, ROUTE = "http.request.method", "url.scheme", "http.route"
VERSION, STATUS = "network.protocol.version", "http.response.status_code"
_OF_DURATION = frozenset({METHOD, SCHEME, ROUTE, VERSION, STATUS, semconv.ERROR_TYPE})
_PARENT, _TIMES = Struct(">2sQ").pack, Struct("<cQcQ").pack
NO_ERROR = range(100, 500)
"""Statuses of which none says that a server failed to answer."""
_LONGEST = 15_000
"""Bytes of what the spans of a series have in common: with what differs, two bytes hold their length."""
_LOCAL, _REMOTE = b"\x85\x01\x00\x01\x00\x00", b"\x85\x01\x00\x03\x00\x00"
_SERVER = b"\x30\x02"
_FAILED, _UNSET = b"\x7a\x02\x18\x02", b"\x7a\x00"


class Series:
    """Requests that differ in nothing but time and ids: what their spans and measurements have in common."""

    __slots__ = ("at_end", "at_start", "encoded", "failed", "measured", "method_name", "name", "waiting")

    def __init__(self, method: str, at_start: Mapping[str, Any], status: int | None) -> None:
        self.method_name = method
        route = at_start.get(ROUTE)
        self.name = method if route is None else f"{method} {route}"
        self.at_start = dict(at_start)
        self.failed = status is not None and is_error(status)
        self.at_end: dict[str, Any] = {} if status is None else {STATUS: status}
        if self.failed:
            self.at_end[semconv.ERROR_TYPE] = str(status)
        both = {**self.at_start, **self.at_end}
        self.measured = {key: value for key, value in both.items() if key in _OF_DURATION}
        self.waiting: deque[tuple[float, int | None, int | None, int]] | None = None
        """Measurements that wait to be recorded together: seconds, sizes, and ids of the span where it is sampled."""
        self.encoded = self._encode()
        """A span's name with its kind, and its attributes with its status, as OTLP; None for the SDK's way."""

    def _encode(self) -> tuple[bytes, bytes] | None:
        try:
            pairs = encoding.pairs({**self.at_start, **self.at_end})
            name = _sized(b"\x2a", self.name.encode())
        except (encoding.Unusual, UnicodeEncodeError):
            return None
        tail = b"".join(b"\x4a" + pair for pair in pairs) + (_FAILED if self.failed else _UNSET)
        return None if len(name) + len(tail) > _LONGEST else (name + _SERVER, tail)


def message(  # noqa: PLR0917 - parts that wait in a tuple
    encoded: tuple[bytes, bytes], ids: int, parent: int, remote: bool, started: int, ended: int, request: str
) -> bytes:
    """Return an ended span as a message of a batch.

    Args:
        encoded: That of its series.
        ids: Its trace id and, in the low 64 bits, span id.
        parent: The parent's span id; 0 without one.
        remote: Whether the parent is of another process.
        started: In ns since the epoch, as ``ended``.
        ended: See above.
        request: The request id.
    """
    own = ids.to_bytes(24, "big")
    above = _PARENT(b"\x22\x08", parent) if parent else b""
    packed, flags = _TIMES(b"\x39", started, b"\x41", ended), _REMOTE if remote else _LOCAL
    head, tail = encoded
    text = request.encode()
    parts = (b"\x0a\x10", own[:16], b"\x12\x08", own[16:], above, head, packed, tail)
    return _sized(b"\x12", b"".join((*parts, _request_id_head(len(text)), text, flags)))


@lru_cache(context.MAX_LENGTH)
def _request_id_head(length: int) -> bytes:
    """Return what stands before the text of a request id, which is ASCII, in the attribute that holds it."""
    (pair,) = encoding.pairs({semconv.REQUEST_ID: "x" * length})
    return b"\x4a" + pair[:-length]


if _sdk.native is not None:
    message = _sdk.native.use_message(message, _request_id_head, _LOCAL, _REMOTE)


def is_error(status: int) -> bool:
    """Return whether a server failed to answer, by the semantic conventions."""
    return status not in NO_ERROR


def _sized(tag: bytes, message: bytes) -> bytes:
    n = len(message)
    if n < 128:  # noqa: PLR2004 - what fits into seven bits
        return b"%b%c%b" % (tag, n, message)
    if n < 16_384:  # noqa: PLR2004 - twice seven bits
        return b"%b%c%c%b" % (tag, n & 127 | 128, n >> 7, message)
    raise encoding.Unusual
