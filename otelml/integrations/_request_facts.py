"""What HTTP requests say about themselves, and how it is written: known methods and schemes, sizes, names of spans."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import MutableMapping, Sequence

    Scope = MutableMapping[str, Any]

METHODS = {
    name: name for name in ("GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "QUERY")
}
"""Known methods, each as the one text by which a span that still has its first name is recognised."""
SCHEMES = frozenset({"http", "https", "ws", "wss"})
VERSIONS: dict[Any, str] = {name: name for name in ("1.0", "1.1", "2", "2.0", "3", "3.0")}
"""Known versions of HTTP."""
_SYNTHETIC = ((b"alwayson", "test"), (b"googlebot", "bot"), (b"bingbot", "bot"))
_MOST_DIGITS = 18
_LONG = 256
"""Bytes of a user agent: longer ones are read each time, as what is remembered is bounded."""


def known_method(method: str) -> str:
    """Return the name of a method that is written otherwise than as it is known."""
    name = method.strip().upper()
    return METHODS.get(name, "_OTHER") if name else ""


def span_name(method: str) -> str:
    """Return a span's name before its route is known."""
    return "HTTP" if method in {"", "_OTHER"} else method


def size(value: bytes) -> int | None:
    """Return a length in bytes, as a header says it."""
    return int(value) if value.isdigit() and len(value) <= _MOST_DIGITS else None


def synthetic(agent: bytes) -> str | None:
    """Return whether a user agent says that it is a ``bot`` or a ``test``."""
    return _read_agent(agent) if len(agent) <= _LONG else _read_agent.__wrapped__(agent)


@lru_cache(256)
def _read_agent(agent: bytes) -> str | None:
    text = agent.lower()
    return next((kind for pattern, kind in _SYNTHETIC if pattern in text), None)


def url(scope: Scope, headers: dict[bytes, bytes]) -> str:
    """Return the address that was asked for, to be compared with what is excluded; never kept."""
    host = headers.get(b"host")
    server: Sequence[Any] = scope.get("server") or ("0.0.0.0", 80)  # noqa: S104 - what upstream says of an unknown server
    name = f"{server[0]}:{server[1]}" if host is None else host.decode("latin-1")
    return f"{scope.get('scheme', 'http')}://{name}{scope['path']}"
