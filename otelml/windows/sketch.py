"""Quantiles of durations from counts in log-spaced bins: bounded memory, mergeable, with a stated error.

DDSketch (Masson, Rim and Lee, "DDSketch: A Fast and Fully-Mergeable Quantile Sketch with Relative-Error Guarantees",
VLDB 2019): bin i counts values in (g^(i-1), g^i] with g = (1 + a) / (1 - a), and stands for 2 g^i / (g + 1). Every
quantile is then within the share a of the sample's own, the element of rank floor(q (n - 1)) (numpy's
``method="lower"``). Here a is 1 %, for values from 1 µs to 10,000 s; what is outside counts as the nearest of these.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from otelml._lazy import LazyModule

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
else:
    np = LazyModule("numpy")

ACCURACY = 0.01
"""Relative error of a quantile, at most."""
LOWEST, HIGHEST = 1e-6, 1e4
"""Seconds."""
GAMMA = (1 + ACCURACY) / (1 - ACCURACY)
_LOG = math.log(GAMMA)
_FIRST = math.ceil(math.log(LOWEST) / _LOG)
BINS = math.ceil(math.log(HIGHEST) / _LOG) - _FIRST + 1
"""Bins of a sketch that has met everything: 4 bytes each."""


class Sketch:
    """Counts of values by bin; only the bins between the smallest and the largest value are kept."""

    __slots__ = ("_counts", "_first")

    def __init__(self) -> None:
        self._first = 0
        self._counts: NDArray[np.uint32] | None = None

    def add(self, values: NDArray[np.float64]) -> None:
        """Count values in seconds, of shape (n,), n at least 1."""
        inside = np.clip(values, LOWEST, HIGHEST)
        bins = np.ceil(np.log(inside) / _LOG).astype(np.int64) - _FIRST
        low = int(bins.min())
        self._add(low, np.bincount(bins - low))

    def merge(self, other: Sketch) -> None:
        """Count what ``other`` has counted."""
        if other._counts is not None:
            self._add(other._first, other._counts)

    def quantile(self, share: float) -> float | None:
        """Return the quantile of a share from 0 to 1, in seconds; None where nothing was counted."""
        if self._counts is None:
            return None
        sums = np.cumsum(self._counts, dtype=np.int64)
        place = int(np.searchsorted(sums, share * (int(sums[-1]) - 1), side="right"))
        return 2.0 * GAMMA ** (self._first + place + _FIRST) / (GAMMA + 1)

    def _add(self, first: int, counts: NDArray[np.integer]) -> None:
        mine = self._counts
        if mine is None:
            self._first, self._counts = first, counts.astype(np.uint32)
            return
        low, high = min(first, self._first), max(first + counts.size, self._first + mine.size)
        if high - low > mine.size:
            wider = np.zeros(high - low, np.uint32)
            wider[self._first - low : self._first - low + mine.size] = mine
            self._first, self._counts = low, wider
            mine = wider
        mine[first - low : first - low + counts.size] += counts.astype(np.uint32)
