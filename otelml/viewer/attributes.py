"""Attributes of OTLP messages: as a dict, and as JSON text together with what is lifted out of them.

Most attributes of a service are the same from span to span. Each is encoded once and found again by its bytes, which
takes half the time of encoding every span's attributes anew.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from opentelemetry.proto.common.v1.common_pb2 import KeyValue

from otelml import semconv
from otelml.viewer.encoding import dumps, quoted

if TYPE_CHECKING:
    from collections.abc import Iterable

    from otelml.viewer.rows import Attributes, Value

_LIFTED = {semconv.MODEL_NAME: 0, semconv.MODEL_VERSION: 1, semconv.STAGE: 2}
_MOST_PAIRS, _LARGEST_PAIR = 20_000, 200
_MOST_RESOURCES = 200
_UNSEEN = ("", None, "")

Lifted = tuple[str, str, str, str]
"""JSON text of all attributes, then the model's name and version and the stage, each empty when absent."""


@dataclass(frozen=True, slots=True)
class Resource:
    """A resource's attributes, also as JSON text, and the name of its service."""

    attributes: Attributes
    text: str
    service: str


_pairs: dict[bytes, tuple[str, int | None, str]] = {}
_resources: dict[bytes, Resource] = {}


def attributes(pairs: Iterable[Any]) -> dict[str, Value]:
    """Return OTLP key-values as a dict."""
    return {pair.key: value(pair.value) for pair in pairs}


def value(sent: Any) -> Value:
    """Return the value of an OTLP ``AnyValue``."""
    which = sent.WhichOneof("value")
    if which is None or which == "string_value_strindex":  # the latter points into the string table of profiles
        return None
    found = getattr(sent, which)
    if which == "array_value":
        return [value(item) for item in found.values]
    if which == "kvlist_value":
        return attributes(found.values)
    return found  # type: ignore[no-any-return]


def lifted(pairs: Iterable[bytes]) -> Lifted:
    """Return attributes, each a key-value in protobuf, as JSON text, with the model and stage in them.

    Raises:
        DecodeError: One is no key-value.
    """
    parts: list[str] = []
    lifts = ["", "", ""]
    for raw in pairs:
        text, place, lift = _pairs.get(raw) or _encoded(raw)
        if not text:
            found = attributes(map(KeyValue.FromString, pairs))
            return (dumps(found), *lifts_of(found))
        parts.append(text)
        if place is not None:
            lifts[place] = lift
    return (f"{{{','.join(parts)}}}", *lifts)  # type: ignore[return-value]  # three


def lifts_of(found: Attributes) -> tuple[str, str, str]:
    """Return the model's name and version and the stage in attributes."""
    model, version, stage = (str(found.get(name, "")) for name in _LIFTED)
    return model, version, stage


def resource(sent: Any) -> Resource:
    """Return a resource; equal ones are one object."""
    raw = sent.SerializeToString()
    found = _resources.get(raw)
    if found is None:
        if len(_resources) >= _MOST_RESOURCES:
            _resources.clear()
        of = attributes(sent.attributes)
        found = _resources[raw] = Resource(of, dumps(of), str(of.get("service.name", "")))
    return found


def _encoded(raw: bytes) -> tuple[str, int | None, str]:
    """Return one attribute's JSON text; none where it depends on the others whether it is to be escaped."""
    pair = KeyValue.FromString(raw)
    if pair.key.startswith("$"):
        return _UNSEEN
    found = value(pair.value)
    place = _LIFTED.get(pair.key)
    # Most of what was not seen before are ids: as text, in a sixth of the time.
    text = f"{quoted(pair.key)}:{quoted(found)}" if isinstance(found, str) else dumps({pair.key: found})[1:-1]
    made = (text, place, "" if place is None else str(found))
    if len(raw) <= _LARGEST_PAIR:
        if len(_pairs) >= _MOST_PAIRS:
            _pairs.clear()
        _pairs[raw] = made
    return made
