"""Attribute values as JSON text: everything OTLP can carry comes back as it went in.

JSON lacks bytes, NaN and infinities; they become ``{"$bytes": base64}`` and ``{"$double": "nan"}``, and a map that
would read like one of these is wrapped in ``{"$map": ...}``.
"""

from __future__ import annotations

import json
import math
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from otelml.viewer.rows import Value

_MARK = '"$'
_encode = json.JSONEncoder(
    ensure_ascii=False, check_circular=False, allow_nan=False, separators=(",", ":"), default=lambda _: {"$": 0}
).encode
quoted = json.encoder.encode_basestring
"""Return a text as JSON; it is the same within a map or a list."""


def dumps(value: Value) -> str:
    """Return ``value`` as JSON text that SQLite's JSON functions accept."""
    try:
        text = _encode(value)
    except ValueError:  # NaN or an infinity somewhere inside
        return _encode(_escaped(value))
    return _encode(_escaped(value)) if _MARK in text else text


def loads(text: str) -> Any:
    """Return the value that ``dumps`` wrote."""
    value = json.loads(text)
    return _unescaped(value) if _MARK in text else value


def real(value: float) -> float | str:
    """Return ``value`` as SQLite can hold it: no NaN (it would become NULL), no integer of more than 64 bits."""
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        return float(value)
    return value if value == value else "nan"  # noqa: PLR0124 - only NaN differs from itself


def unreal(value: float | str | None) -> float | None:
    """Return the number that ``real`` wrote."""
    return float(value) if isinstance(value, str) else value


def _escaped(value: Value) -> Value:
    if isinstance(value, bytes):
        return {"$bytes": b64encode(value).decode()}
    if isinstance(value, float) and not math.isfinite(value):
        return {"$double": str(value)}
    if isinstance(value, Mapping):
        inner = {key: _escaped(item) for key, item in value.items()}
        return {"$map": inner} if _looks_marked(value) else inner
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_escaped(item) for item in value]
    return value


def _unescaped(value: Any) -> Value:
    if isinstance(value, list):
        return [_unescaped(item) for item in value]
    if not isinstance(value, dict):
        return cast("Value", value)
    if not _looks_marked(value):
        return {key: _unescaped(item) for key, item in value.items()}
    ((mark, inner),) = value.items()
    if mark == "$bytes":
        return b64decode(inner)
    if mark == "$double":
        return float(inner)
    return {key: _unescaped(item) for key, item in inner.items()}


def _looks_marked(value: Mapping[str, Any]) -> bool:
    return len(value) == 1 and next(iter(value)).startswith("$")
