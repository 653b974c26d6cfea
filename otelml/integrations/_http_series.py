"""HTTP requests that differ in nothing but time and ids: what their spans and measurements have in common.

A span of such a series is written as OTLP bytes from parts that are encoded once.
"""

from __future__ import annotations

from functools import lru_cache
from struct import Struct
from typing import TYPE_CHECKING, Any

from otelml import context, encoding, semconv

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opentelemetry.trace import SpanContext

    from otelml.integrations._http_metrics import Values

METHOD, SCHEME, ROUTE = "http.request.method", "url.scheme", "http.route"
VERSION, STATUS = "network.protocol.version", "http.response.status_code"
_OF_DURATION = frozenset({METHOD, SCHEME, ROUTE, VERSION, STATUS, semconv.ERROR_TYPE})
_LOW = (1 << 64) - 1
_ROOT_IDS, _IDS = Struct(">2sQQ2sQ").pack, Struct(">2sQQ2sQ2sQ").pack
_TIMES = Struct("<cQcQ").pack
_LOCAL, _REMOTE = b"\x85\x01\x00\x01\x00\x00", b"\x85\x01\x00\x03\x00\x00"
_SERVER = b"\x30\x02"
_FAILED, _UNSET = b"\x7a\x02\x18\x02", b"\x7a\x00"


class Series:
    """Requests that differ in nothing but time and ids: what their spans and measurements have in common."""

    __slots__ = ("at_end", "at_start", "encoded", "failed", "measured", "method_name", "name", "values")

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
        self.values: list[Values] | None = None
        self.encoded = self._encode()
        """A span's name with its kind, and its attributes with its status, as OTLP; None for the SDK's way."""

    def _encode(self) -> tuple[bytes, bytes] | None:
        try:
            pairs = encoding.pairs({**self.at_start, **self.at_end})
            name = _sized(b"\x2a", self.name.encode())
        except (encoding.Unusual, UnicodeEncodeError):
            return None
        return name + _SERVER, b"".join(b"\x4a" + pair for pair in pairs) + (_FAILED if self.failed else _UNSET)


def message(
    series: Series, own: SpanContext, parent: SpanContext | None, times: tuple[int, int], request: str
) -> bytes:
    """Return an ended span of an encoded series as a message of a batch; ``times`` are ns since the epoch.

    Bytes are all that waits for the export: nothing that the garbage collector would have to look at.
    """
    trace_id, span_id = own[0], own[1]
    if parent is None:
        ids = _ROOT_IDS(b"\x0a\x10", trace_id >> 64, trace_id & _LOW, b"\x12\x08", span_id)
        flags = _LOCAL
    else:
        ids = _IDS(b"\x0a\x10", trace_id >> 64, trace_id & _LOW, b"\x12\x08", span_id, b"\x22\x08", parent[1])
        flags = _REMOTE if parent[2] else _LOCAL
    head, tail = series.encoded or (b"", b"")
    started, ended = times
    packed = _TIMES(b"\x39", started, b"\x41", ended)
    return _sized(b"\x12", b"".join((ids, head, packed, tail, _request_id_head(len(request)), request.encode(), flags)))


@lru_cache(context.MAX_LENGTH)
def _request_id_head(length: int) -> bytes:
    """Return what stands before the text of a request id, which is ASCII, in the attribute that holds it."""
    (pair,) = encoding.pairs({semconv.REQUEST_ID: "x" * length})
    return b"\x4a" + pair[:-length]


def is_error(status: int) -> bool:
    """Return whether a server failed to answer, by the semantic conventions."""
    return status < 100 or status >= 500  # noqa: PLR2004 - HTTP's classes of status


def _sized(tag: bytes, message: bytes) -> bytes:
    n = len(message)
    if n < 128:  # noqa: PLR2004 - what fits into seven bits
        return b"%b%c%b" % (tag, n, message)
    if n < 16_384:  # noqa: PLR2004 - twice seven bits
        return b"%b%c%c%b" % (tag, n & 127 | 128, n >> 7, message)
    raise encoding.Unusual
