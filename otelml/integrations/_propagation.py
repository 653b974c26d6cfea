"""Trace context in and out of ASGI requests, by whatever propagators are configured."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opentelemetry.context.context import Context
from opentelemetry.propagators.textmap import Getter, Setter

if TYPE_CHECKING:
    from collections.abc import MutableMapping

    from opentelemetry.propagators.textmap import TextMapPropagator

    Message = MutableMapping[str, Any]
    Scope = MutableMapping[str, Any]


class _Headers(Getter["Scope"]):
    """Reads a request's headers for propagators."""

    def get(self, carrier: Scope, key: str) -> list[str] | None:
        """Return the values of a header, None without one."""
        name = key.lower().encode()
        return [value.decode("latin-1") for each, value in carrier["headers"] if each == name] or None

    def keys(self, carrier: Scope) -> list[str]:
        """Return the names of all headers."""
        return [key.decode("latin-1") for key, _ in carrier["headers"]]


class _Asked(_Headers):
    """Notes which headers a propagator asks for."""

    def __init__(self) -> None:
        self.names: set[bytes] = set()
        self.all = False

    def get(self, carrier: Scope, key: str) -> list[str] | None:
        """Note a name."""
        self.names.add(key.lower().encode())
        return super().get(carrier, key)

    def keys(self, carrier: Scope) -> list[str]:
        """Note that every header may matter."""
        self.all = True
        return super().keys(carrier)


class _ResponseHeaders(Setter["Message"]):
    """Writes a response's headers for propagators."""

    def set(self, carrier: Message, key: str, value: str) -> None:
        """Add a header."""
        carrier["headers"].append((key.lower().encode(), value.encode()))


GETTER, SETTER = _Headers(), _ResponseHeaders()


def fields_of(propagator: TextMapPropagator) -> frozenset[bytes] | None:
    """Return the headers without which a propagator finds nothing; None where that cannot be told.

    It is asked to look into a request without headers: what it asks for is what it reads.
    """
    asked = _Asked()
    found = propagator.extract({"headers": ()}, Context(), asked)
    return None if found or asked.all else frozenset(asked.names)
