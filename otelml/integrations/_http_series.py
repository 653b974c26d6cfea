"""HTTP requests that differ in nothing but time and ids: what their spans and measurements have in common.

A span of such a series is written as OTLP bytes from parts that are encoded once.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from opentelemetry.trace import SpanContext

from otelml import encoding, semconv

if TYPE_CHECKING:
    from collections.abc import Mapping

METHOD, SCHEME, ROUTE = "http.request.method", "url.scheme", "http.route"
VERSION, STATUS = "network.protocol.version", "http.response.status_code"
_OF_DURATION = frozenset({METHOD, SCHEME, ROUTE, VERSION, STATUS, semconv.ERROR_TYPE})
_FAILED, _UNSET = b"\x7a\x02\x18\x02", b"\x7a\x00"

Waiting = tuple[float, SpanContext | None, int | None, int | None]
"""Seconds, the sampled span's context, and the sizes of request and response in bytes."""


class Series:
    """Requests that differ in nothing but time and ids: what their spans and measurements have in common."""

    __slots__ = ("_encoded", "at_end", "at_start", "failed", "measured", "method_name", "name", "waiting")

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
        self.waiting: deque[Waiting] = deque()
        self._encoded: tuple[bytes, bytes] | None = None

    def encode(self, ids: bytes, times: bytes, own: bytes, flags: bytes) -> bytes:
        """Return a span of this series as OTLP bytes; ``own`` is an attribute of this one alone."""
        if self._encoded is None:
            self._encoded = self._encode()
        head, tail = self._encoded
        return _sized(b"\x12", b"".join((ids, head, times, tail, b"\x4a", own, flags)))

    def _encode(self) -> tuple[bytes, bytes]:
        pairs = encoding.pairs({**self.at_start, **self.at_end})
        attributes = b"".join(b"\x4a" + pair for pair in pairs)
        return _sized(b"\x2a", self.name.encode()) + b"\x30\x02", attributes + (
            _FAILED if self.failed else _UNSET
        )


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
