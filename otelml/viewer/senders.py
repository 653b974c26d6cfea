"""Who may send: anybody on loopback, elsewhere whoever has the token."""

from __future__ import annotations

import hmac

UNAUTHORIZED = (
    "the token is missing or wrong: send Authorization: Bearer TOKEN, for instance with"
    " OTEL_EXPORTER_OTLP_HEADERS=Authorization=Bearer%20TOKEN"
)


def allowed(token: str | None, authorization: str | None) -> bool:
    """Return whether a request with this ``Authorization`` header may be stored; always without a token."""
    if token is None:
        return True
    scheme, _, sent = (authorization or "").partition(" ")
    return scheme.lower() == "bearer" and hmac.compare_digest(sent.strip().encode(), token.encode())
