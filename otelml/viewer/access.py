"""Who may look: a link that works once, the cookie it is changed for, a bearer token for programs.

The page is on loopback, where every program and every web site that the browser shows can knock: requests must name a
host that is ours (DNS rebinding), come from our own page (cross-site), and carry what only the terminal was told.
"""

from __future__ import annotations

import hmac
import ipaddress
import secrets
import socket
import threading
from dataclasses import dataclass
from http import HTTPStatus
from http.cookies import CookieError, SimpleCookie
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Protocol

    class Headers(Protocol):
        """Headers of a request: names whatever their case."""

        def get(self, name: str, default: str, /) -> str:
            """Return a header, or the default."""


MOST_LINKS, MOST_SESSIONS = 16, 64
"""Unused links and open sessions at a time; the oldest go first."""
_BYTES = 32
_LOCAL = frozenset({"localhost", "localhost.localdomain"})
_PAGE_MODES = frozenset({"navigate"})
_OURS = frozenset({"same-origin", "none"})

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self';"
        " font-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
"""Sent with every answer."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request is refused, and what to do about it."""

    status: HTTPStatus
    message: str
    fix: str


class Access:
    """Decides about requests. Safe to use from any thread.

    Args:
        host: Address that the server is bound to; anything but loopback makes its own names acceptable as well.
        token: Bearer token of programs; a new one when None.
    """

    def __init__(self, host: str = "127.0.0.1", token: str | None = None) -> None:
        self.bearer = token or secrets.token_urlsafe(_BYTES)
        self._loopback = is_loopback(host)
        self._names = set(_LOCAL) | ({host.lower()} if self._loopback else _own_names(host))
        self._lock = threading.Lock()
        self._links: dict[str, None] = {}
        self._sessions: dict[str, None] = {}

    def new_link(self) -> str:
        """Return a token that opens the page once."""
        return self._issued(self._links, MOST_LINKS)

    def redeem(self, token: str) -> str | None:
        """Return the value of a session's cookie for a link's token; None when it was used before, or never given."""
        with self._lock:
            known = next((link for link in self._links if same(link, token)), None)
            if known is None:
                return None
            del self._links[known]
        return self._issued(self._sessions, MOST_SESSIONS)

    def foreign(self, headers: Headers) -> Refusal | None:
        """Return why a request does not come from a page of ours; None where it does, or from no page at all."""
        host = _host(headers.get("Host", ""))
        if host is None or not self._is_ours(host):
            return Refusal(
                HTTPStatus.FORBIDDEN,
                f"the host {headers.get('Host', '')[:100]!r} is not this viewer's",
                "open it as http://127.0.0.1 or http://localhost with its port, or the address given to --listen",
            )
        origin = headers.get("Origin", "")
        if origin and origin.partition("://")[2].lower() != headers.get("Host", "").lower():
            return Refusal(HTTPStatus.FORBIDDEN, "the request comes from another site", "open the viewer's own page")
        site = headers.get("Sec-Fetch-Site", "none")
        if site not in _OURS and headers.get("Sec-Fetch-Mode", "") not in _PAGE_MODES:
            return Refusal(HTTPStatus.FORBIDDEN, "the request comes from another site", "open the viewer's own page")
        return None

    def allowed(self, headers: Headers, cookie: str) -> bool:
        """Return whether a request has the bearer token, or the cookie named ``cookie`` of an open session."""
        kind, _, token = headers.get("Authorization", "").partition(" ")
        if kind.lower() == "bearer" and same(self.bearer, token.strip()):
            return True
        value = _cookie(headers.get("Cookie", ""), cookie)
        with self._lock:
            return value is not None and any(same(session, value) for session in self._sessions)

    def linked_from_elsewhere(self, headers: Headers) -> bool:
        """Return whether a link on another site leads here: the browser then keeps the cookie to itself.

        The page without data may be shown: what it asks for itself comes with the cookie.
        """
        site = headers.get("Sec-Fetch-Site", "none")
        return site not in _OURS and headers.get("Sec-Fetch-Mode", "") in _PAGE_MODES

    def _issued(self, into: dict[str, None], most: int) -> str:
        token = secrets.token_urlsafe(_BYTES)
        with self._lock:
            into[token] = None
            while len(into) > most:
                del into[next(iter(into))]
        return token

    def _is_ours(self, host: str) -> bool:
        if host in self._names or is_loopback(host):
            return True
        # An address is no name that somebody else's DNS could point here.
        return not self._loopback and _address(host) is not None


def is_loopback(host: str) -> bool:
    """Return whether a host is this machine's loopback, by name or address."""
    address = _address(host)
    return host.lower() in _LOCAL if address is None else address.is_loopback


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _host(header: str) -> str | None:
    """Return the host of a Host header without its port, lower-case; None where there is none."""
    if header.startswith("["):
        host, bracket, rest = header[1:].partition("]")
        return host.lower() if bracket and (not rest or rest[0] == ":") else None
    host, _, port = header.partition(":")
    return host.lower() if host and (not port or port.isdigit()) else None


def _own_names(host: str) -> set[str]:
    return {name.lower() for name in (host, socket.gethostname(), socket.getfqdn()) if name}


def _cookie(header: str, name: str) -> str | None:
    try:
        found = SimpleCookie(header).get(name)
    except CookieError:
        return None
    return None if found is None else found.value


def same(known: str, given: str) -> bool:
    """Compare secrets in a time that tells nothing of them."""
    return hmac.compare_digest(known.encode(), given.encode("utf-8", "replace"))
