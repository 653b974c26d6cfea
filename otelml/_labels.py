"""Bounded label values: the first N values of an attribute keep their name, later ones become ``other``."""

from __future__ import annotations

import threading
from collections import Counter

from otelml import semconv
from otelml._guard import attempt

OTHER = "other"
MAX_LENGTH = 128

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
    label = known.get(value) if type(value) is str else None
    if label is not None:
        return label
    label = text(value)
    limit = semconv.attribute(attribute).limit or 0
    with _lock:  # so that threads that meet new values at once stay within the limit, and folded ones are all counted
        if label in known:
            return label
        if len(known) >= limit:
            _folded[attribute] += 1
            return OTHER
        return known.setdefault(label, label)


def text(value: object) -> str:
    """Return ``value`` as text of at most 128 characters that every exporter can encode."""
    made = value if type(value) is str else attempt(_text, value)[0]
    plain = (type(value).__name__ if made is None else made)[:MAX_LENGTH]
    return plain if plain.isascii() else plain.encode("utf-8", "replace").decode()


def name(value: object) -> str:
    """Return a name given by the application: its text, or the class of an object that is no scalar."""
    return text(value if isinstance(value, (str, bytes, bool, int, float)) else type(value).__name__)


def folded() -> dict[str, int]:
    """Return how many times a value was folded into ``other``, by attribute."""
    return dict(_folded)


def reset() -> None:
    """Forget every value seen (tests)."""
    _known.clear()
    _folded.clear()


def after_fork() -> None:
    """Start counting from zero with a new lock: what the parent counted is the parent's to send."""
    global _lock  # noqa: PLW0603 - a lock held across a fork is never released in the child
    _lock = threading.RLock()
    _folded.clear()


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return str(value)
