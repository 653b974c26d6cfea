"""Text of values that belong to the application: plain, one that UTF-8 can hold, whatever their classes do.

What a value is, its type tells, never ``isinstance``, which asks the value itself: a mock says that it is a float.
"""

from __future__ import annotations

from typing import Any

from otelml._guard import attempt


def plain(value: Any) -> str:
    """Return ``str(value)`` as a plain ``str`` that every exporter can encode; its class's name where that raises."""
    made = value if type(value) is str else attempt(_plain, value)[0]
    return kind_name(value) if made is None else encodable(made)


def encodable(text: str) -> str:
    """Return text that UTF-8 can hold: lone surrogates become question marks."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def kind_name(value: object) -> str:
    """Return the name of a value's class, which a metaclass of the application's may refuse to tell."""
    found = attempt(lambda: str.__str__(type(value).__name__))[0]
    return "object" if found is None else encodable(found)


_CONTAINERS = (list, tuple, dict, set, frozenset)
_SCALARS = frozenset((str, bytes, bool, int, float, type(None)))
_FEW = 16


def is_long(value: Any) -> bool:
    """Return whether a list or mapping would take any time to be written out: it is long, or holds others."""
    if not issubclass(type(value), _CONTAINERS):
        return False
    cells = value.values() if issubclass(type(value), dict) else value
    return len(value) > _FEW or not _SCALARS.issuperset(map(type, cells))


def _plain(value: Any) -> str:
    if is_long(value):
        raise TypeError("no name")
    made = bytes(value).decode("utf-8", "replace") if issubclass(type(value), bytes) else str(value)
    return str.__str__(made)  # the text of a subclass of str, whose methods are its own
