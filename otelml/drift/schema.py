"""The file of a reference: versioned JSON, a line for each field, every fault of it told at once."""

from __future__ import annotations

import json
import math
import sys
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from otelml.drift.faults import InvalidReferenceError
from otelml.drift.features import CategoryFeature, NumberFeature

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from otelml.drift.features import Feature

FORMAT, VERSION = "otelml.drift.reference", 1
LONGEST_SHOWN = 60


def dump(features: Sequence[Feature]) -> str:
    """Return features as JSON, each field of each on a line of its own, so that a diff shows what has changed."""
    parts = []
    for feature in features:
        fields = [f"   {json.dumps(key)}: {json.dumps(value)}" for key, value in _fields(feature).items()]
        parts.append("  {\n" + ",\n".join(fields) + "\n  }")
    rows = features[0].n if features else 0
    head = f' "format": "{FORMAT}",\n "version": {VERSION},\n "rows": {rows},\n "features": ['
    return "{\n" + head + ("\n" + ",\n".join(parts) + "\n ]\n}\n" if parts else "]\n}\n")


def _fields(feature: Feature) -> dict[str, Any]:
    counts = list(feature.counts)
    if isinstance(feature, CategoryFeature):
        middle: dict[str, Any] = {"categories": feature.categories, "counts": counts[:-2], "other": counts[-2]}
    else:
        ends = (feature.minimum, feature.cuts[-1]) if feature.cuts else (None, None)
        middle = {"minimum": ends[0], "maximum": ends[1], "edges": feature.cuts[1:-1], "counts": counts[:-1]}
    return {"name": feature.name, "kind": feature.kind, **middle, "missing": counts[-1]}


def parse(text: str) -> tuple[Feature, ...]:
    """Return the features in the text of a reference.

    Raises:
        InvalidReferenceError: it is no reference, one of another version, or inconsistent; all faults in one error.
    """
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidReferenceError([f"no JSON: {error}"]) from error
    faults = list(_document_faults(document))
    if not faults:
        for i, fields in enumerate(document["features"]):
            faults += [f"{_place(i, fields)}: {fault}" for fault in _feature_faults(fields, document["rows"])]
        names = [fields["name"] for fields in document["features"] if isinstance(fields, dict) and "name" in fields]
        faults += [f"feature {name!r} is there twice" for i, name in enumerate(names) if name in names[:i]]
    if faults:
        raise InvalidReferenceError(faults)
    return tuple(_feature(fields) for fields in document["features"])


def _document_faults(document: Any) -> Iterator[str]:
    if not isinstance(document, dict):
        yield f"an object is needed, not {_shown(document)}"
        return
    if document.get("format") != FORMAT:
        yield f"format: {_shown(document.get('format'))}, not {FORMAT!r}"
    if not _is_whole(document.get("version")) or document.get("version") != VERSION:
        yield f"version: {_shown(document.get('version'))}, where this otelml reads {VERSION}: profile the data again"
        return
    if not _is_whole(document.get("rows")):
        yield f"rows: {_shown(document.get('rows'))} is no count"
    if not isinstance(document.get("features"), list):
        yield f"features: {_shown(document.get('features'))} is no list"


def _place(i: int, fields: Any) -> str:
    name = fields.get("name") if isinstance(fields, dict) else None
    return f"feature {name!r}" if isinstance(name, str) else f"features[{i}]"


KNOWN = {
    "number": ("name", "kind", "minimum", "maximum", "edges", "counts", "missing"),
    "category": ("name", "kind", "categories", "counts", "other", "missing"),
}


def _feature_faults(fields: Any, rows: int) -> Iterator[str]:
    if not isinstance(fields, dict):
        yield f"an object is needed, not {_shown(fields)}"
        return
    kind = fields.get("kind")
    if not isinstance(kind, str) or kind not in KNOWN:
        yield f"kind: {_shown(kind)} is none of {', '.join(KNOWN)}"
        return
    absent = [key for key in KNOWN[kind] if key not in fields]
    yield from (f"{key} is missing" for key in absent)
    yield from (f"{key} is unknown" for key in fields if key not in KNOWN[kind])
    found = [
        f for key, fault in CHECKS.items() if key in fields and key not in absent for f in _checked(fields, key, fault)
    ]
    yield from found
    if not (absent or found):
        yield from _sum_faults(fields, rows)


def _checked(fields: dict[str, Any], key: str, check: Callable[[Any], bool]) -> Iterator[str]:
    if not check(fields[key]):
        yield f"{key}: {_shown(fields[key])} {WANTED[key]}"


def _sum_faults(fields: dict[str, Any], rows: int) -> Iterator[str]:
    """What single fields don't show: lengths, order and sums."""
    counts = fields["counts"]
    if fields["kind"] == "category":
        bins, ordered = len(fields["categories"]), True
    else:
        low, high, edges = fields["minimum"], fields["maximum"], fields["edges"]
        empty = low is None and high is None and not edges
        bins = 1 if empty else len(edges) + 3
        ordered = empty or (None not in (low, high) and low <= high and all(low <= edge < high for edge in edges))
    if not ordered:
        yield "minimum, edges and maximum are not in order"
    if len(counts) != bins:
        yield f"counts: {len(counts)} of them for {bins} bins"
    if (total := sum(counts) + fields.get("other", 0) + fields["missing"]) != rows:
        yield f"counts: their sum with other and missing is {total}, not rows: {rows}"


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**53


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) <= sys.float_info.max


def _is_end(value: Any) -> bool:
    return value is None or _is_number(value)


def _are_edges(value: Any) -> bool:
    return isinstance(value, list) and all(map(_is_number, value)) and all(a < b for a, b in pairwise(value))


def _are_names(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) for each in value) and len(set(value)) == len(value)


def _are_counts(value: Any) -> bool:
    return isinstance(value, list) and all(map(_is_whole, value))


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and value != ""


CHECKS: dict[str, Callable[[Any], bool]] = {
    "name": _is_name,
    "minimum": _is_end,
    "maximum": _is_end,
    "edges": _are_edges,
    "categories": _are_names,
    "counts": _are_counts,
    "other": _is_whole,
    "missing": _is_whole,
}
WANTED = {
    "name": "is no name",
    "minimum": "is no finite number",
    "maximum": "is no finite number",
    "edges": "are not finite numbers that increase",
    "categories": "are not different names",
    "counts": "are not whole numbers from 0",
    "other": "is no count",
    "missing": "is no count",
}


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}..."


def _feature(fields: dict[str, Any]) -> Feature:
    if fields["kind"] == "category":
        counts = (*fields["counts"], fields["other"], fields["missing"])
        return CategoryFeature(fields["name"], tuple(fields["categories"]), counts)
    cuts: tuple[float, ...] = ()
    if fields["minimum"] is not None:
        below = math.nextafter(fields["minimum"], -math.inf)
        cuts = (below, *map(float, fields["edges"]), float(fields["maximum"]))
    return NumberFeature(fields["name"], cuts, (*fields["counts"], fields["missing"]))
