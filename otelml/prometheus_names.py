"""Metric and label names as the collector and Prometheus's OTLP endpoint make them: one dashboard serves all ways."""

from __future__ import annotations

import re

_UNIT_WORDS = """
d:days h:hours min:minutes s:seconds ms:milliseconds us:microseconds ns:nanoseconds
By:bytes KiBy:kibibytes MiBy:mebibytes GiBy:gibibytes TiBy:tibibytes KBy:kilobytes MBy:megabytes GBy:gigabytes
TBy:terabytes m:meters V:volts A:amperes J:joules W:watts g:grams Cel:celsius Hz:hertz %:percent 1:
"""
UNITS = {unit: word for unit, _, word in (pair.partition(":") for pair in _UNIT_WORDS.split())}
PER_UNITS = {"s": "second", "m": "minute", "h": "hour", "d": "day", "w": "week", "mo": "month", "y": "year"}
_SEPARATORS = re.compile(r"[^a-zA-Z0-9:]+")
_NOT_LABEL = re.compile(r"[^a-zA-Z0-9_]")


def metric_name(name: str, unit: str, *, counter: bool = False, gauge: bool = False) -> str:
    """Return the Prometheus name of an instrument, its unit and (for a monotonic counter) ``_total`` appended.

    Args:
        name: OpenTelemetry name, such as ``ml.prediction.duration``.
        unit: UCUM unit, such as ``s``; annotations such as ``{request}`` vanish.
        counter: A monotonic sum.
        gauge: A gauge (not an up-down counter): unit ``1`` becomes ``_ratio``.
    """
    tokens = [token for token in _SEPARATORS.split(name) if token]
    tokens += _unit_suffixes(unit, tokens)
    if counter:
        tokens = [*(token for token in tokens if token != "total"), "total"]  # noqa: S105 - a word, no password
    if gauge and unit == "1":
        tokens = [*(token for token in tokens if token != "ratio"), "ratio"]  # noqa: S105 - a word, no password
    joined = "_".join(tokens)
    return f"_{joined}" if joined[:1].isdigit() else joined


def label_name(key: str) -> str:
    """Return the Prometheus label of an attribute: every other character becomes ``_``, one for one."""
    label = _NOT_LABEL.sub("_", key)
    return f"key_{label}" if label[:1].isdigit() else label


def _unit_suffixes(unit: str, tokens: list[str]) -> list[str]:
    """Return the words a unit adds, less those the name already has."""
    main, _, per = unit.partition("/")
    main_word = _word(main, UNITS)
    per_word = _word(per, PER_UNITS)
    suffixes = [main_word] if main_word and main_word not in tokens else []
    return suffixes + (["per", per_word] if per_word and per_word not in tokens else [])


def _word(unit: str, known: dict[str, str]) -> str:
    unit = unit.strip()
    if "{" in unit or "}" in unit:
        return ""
    return _SEPARATORS.sub("_", known.get(unit, unit)).strip("_")
