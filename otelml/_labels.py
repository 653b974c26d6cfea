"""Bounded label values: the first N values of an attribute keep their name, later ones become ``other``."""

from __future__ import annotations

from collections import Counter

from otelml import semconv

OTHER = "other"
MAX_LENGTH = 128

_known: dict[str, dict[str, str]] = {}
_folded: Counter[str] = Counter()


def bounded(attribute: str, value: object) -> str:
    """Return ``value`` as a label of ``attribute``: text of at most 128 characters, from a bounded set.

    Raises KeyError for an attribute without a row in ``semconv``.
    """
    text = value if type(value) is str else _text(value)
    known = _known.get(attribute)
    if known is None:
        known = _known.setdefault(attribute, {})
    label = known.get(text)
    if label is not None:
        return label
    limit = semconv.attribute(attribute).limit or 0
    if len(known) >= limit:
        _folded[attribute] += 1
        return OTHER
    return known.setdefault(text[:MAX_LENGTH], text[:MAX_LENGTH])


def folded() -> dict[str, int]:
    """Return how many times a value was folded into ``other``, by attribute."""
    return dict(_folded)


def reset() -> None:
    """Forget every value seen (tests, and the child after a fork)."""
    _known.clear()
    _folded.clear()


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return str(value)
