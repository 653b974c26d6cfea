"""Bounded label values: the first N values of an attribute keep their name, later ones become ``other``."""

from __future__ import annotations

import threading
from collections import Counter
from typing import Any

from otelml import semconv
from otelml._guard import attempt
from otelml._text import encodable, kind_name, plain

OTHER = "other"
MAX_LENGTH = 128
_LARGE = 1 << 63

_known: dict[str, dict[str, str]] = {}
_folded: Counter[str] = Counter()
_lock = threading.RLock()


def bounded(attribute: str, value: object) -> str:
    """Return ``value`` as a label of ``attribute``: text of at most 128 characters, from a bounded set.

    Raises KeyError for an attribute without a row in ``semconv``.
    """
    known = _known.get(attribute)
    if known is None:
        known = _known.setdefault(attribute, {})
    label = value if type(value) is str else text(value)
    if label in known:
        return label
    label = text(label)
    limit = semconv.attribute(attribute).limit or 0
    with _lock:  # so that threads that meet new values at once stay within the limit, and folded ones are all counted
        if label in known:
            return label
        if len(known) >= limit:
            _folded[attribute] += 1
            return OTHER
        return known.setdefault(label, label)


def fold(attribute: str, label: str) -> None:
    """Count a label that became ``other`` although it is a known one."""
    if label != OTHER:
        with _lock:
            _folded[attribute] += 1


def text(value: object) -> str:
    """Return ``value`` as text of at most 128 characters that every exporter can encode."""
    if type(value) is int and -_LARGE < value < _LARGE:
        return str(value)
    if type(value) is not str:
        value = attempt(_spelled, value)[0] or plain(value)
    short = value[:MAX_LENGTH]
    return short if short.isascii() else encodable(short)


def name(value: object) -> str:
    """Return a name given by the application: its text, or the class of an object that is no scalar."""
    return text(value if issubclass(type(value), (str, bytes, bool, int, float)) else kind_name(value))


def folded() -> dict[str, int]:
    """Return how many times a value was folded into ``other``, by attribute."""
    return dict(_folded)


def counts() -> dict[str, int]:
    """Return how many values of each attribute are known; its limit is in ``semconv``."""
    return {attribute: len(known) for attribute, known in dict(_known).items()}


def reset() -> None:
    """Forget every value seen (tests)."""
    _known.clear()
    _folded.clear()


def after_fork() -> None:
    """Start counting from zero with a new lock: what the parent counted is the parent's to send."""
    global _lock  # noqa: PLW0603 - a lock held across a fork is never released in the child
    _lock = threading.RLock()
    _folded.clear()


def _spelled(value: Any) -> str | None:
    """Return numbers that have a spelling of their own: 3.0 is the class 3; None for any other value."""
    if type(value) is bool:
        return "true" if value else "false"
    whole = issubclass(type(value), float) and float.is_integer(value)
    return str(int(value)) if whole else None
