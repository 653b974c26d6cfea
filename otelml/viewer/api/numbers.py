"""Numbers as JSON has them: what is not a number, or without end, is null."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

DIGITS = 9
"""Significant digits: more than a chart or a table shows, and half the bytes."""


def plain(value: float | None) -> float | int | None:
    """Return a number without needless digits; None where it is unknown."""
    if value is None or not math.isfinite(value):
        return None
    if float(value).is_integer() and abs(value) < 2**53:
        return int(value)
    return float(f"{value:.{DIGITS}g}")


def many(values: Iterable[float | None]) -> list[float | int | None]:
    """Return numbers without needless digits."""
    return [plain(value) for value in values]


def share(part: float, whole: float) -> float | int | None:
    """Return ``part / whole``; None of nothing."""
    return plain(part / whole) if whole else None
