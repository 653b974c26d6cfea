"""One feature of a reference: its bins, what was counted in them, and which bin a value falls into.

Bins are kept as two kinds:

- numbers: below the smallest value seen, the bins between quantiles, above the largest, missing;
- categories: the most frequent ones, all others together, missing.

The outermost are open, so that no value is lost, and empty in a reference of finite values: what falls there was never
seen.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from otelml._lazy import computed_once
from otelml.drift import tables

if TYPE_CHECKING:
    from collections import Counter

    from numpy.typing import NDArray

    Counts = NDArray[np.int64]

MISSING, OTHER, ANY = "missing", "other", "any value"
RUN = 8 * 255  # values whose comparisons are summed as bytes
CHUNK = 4 * RUN  # values compared at a time: they stay in the processor's cache


@dataclass(frozen=True)
class NumberFeature:
    """A feature of numbers: ``cuts`` are the upper ends of all bins but the last two, each within its bin."""

    name: str
    cuts: tuple[float, ...]
    counts: tuple[int, ...]

    kind = "number"

    @computed_once
    def labels(self) -> tuple[str, ...]:
        """Bins in the order of `counts`, as ``"< 1"``, ``"1 to 2"``, ``"> 2"`` and ``"missing"``."""
        if not self.cuts:
            return (ANY, MISSING)
        ends = [f"{cut:.6g}" for cut in (self.minimum, *self.cuts[1:])]
        if len(set(ends[1:])) < len(self.cuts) - 1:  # so close together that they need all digits
            ends = [repr(cut) for cut in (self.minimum, *self.cuts[1:])]
        middle = [low if low == high else f"{low} to {high}" for low, high in pairwise(ends)]
        return (f"< {ends[0]}", *middle, f"> {ends[-1]}", MISSING)

    @computed_once
    def ends(self) -> NDArray[np.float64]:
        """The upper ends of all bins but the last: only what is missing is above infinity."""
        return np.array((*self.cuts, math.inf), np.float64)

    @property
    def minimum(self) -> float:
        """The smallest finite value of the reference."""
        return math.nextafter(self.cuts[0], math.inf) + 0.0  # not -0.0

    @property
    def n(self) -> int:
        """Rows of the reference, those without a value as well."""
        return sum(self.counts)

    def bin_index(self, value: Any) -> int:
        """Return the bin of one value: an index into `labels`. What is no number is in the last one, missing."""
        number = value if type(value) is float else tables.numbers(tables.objects([value]))[0]
        return bisect_left(self.cuts, number) if number == number else len(self.cuts) + 1  # noqa: PLR0124 - NaN

    def count(self, values: Any) -> Counts:
        """Return how many values of a column fall into each bin."""
        column, tally = tables.column(values), Tally(self.ends)
        for start in range(0, len(column), CHUNK):
            tally.add(tables.numbers(column[start : start + CHUNK]))
        return tally.counts


@dataclass(frozen=True)
class CategoryFeature:
    """A feature of categories, the most frequent first; ``counts`` has two more: the others, and missing."""

    name: str
    categories: tuple[str, ...]
    counts: tuple[int, ...]

    kind = "category"

    @computed_once
    def labels(self) -> tuple[str, ...]:
        """Bins in the order of `counts`."""
        named = (f"'{name}'" if name in {OTHER, MISSING} else name for name in self.categories)
        return (*named, OTHER, MISSING)

    @property
    def n(self) -> int:
        """Rows of the reference, those without a value as well."""
        return sum(self.counts)

    @computed_once
    def _positions(self) -> dict[str | None, int]:
        return {**{category: i for i, category in enumerate(self.categories)}, None: len(self.categories) + 1}

    def bin_index(self, value: Any) -> int:
        """Return the bin of one value: an index into `labels`."""
        return self._positions.get(tables.category(value), len(self.categories))

    def count(self, values: Any) -> Counts:
        """Return how many values of a column fall into each bin."""
        return self.of(tables.categories(tables.column(values)))

    def of(self, counted: Counter[str | None]) -> Counts:
        """Return the counts of each bin from those of each category."""
        total = np.zeros(len(self.categories) + 2, np.int64)
        for category, count in counted.items():
            total[self._positions.get(category, len(self.categories))] += count
        return total


Feature = NumberFeature | CategoryFeature


class Tally:
    """Counts values in the bins of a feature of numbers, a block at a time, by comparing all of them with each end.

    That is several times as fast as searching for the bin of each value. The comparisons, a byte each, are summed eight
    at a time: as the bytes of whole words, at most 255 words together, so that no byte overflows into the next.
    """

    def __init__(self, ends: NDArray[np.float64]) -> None:
        self._ends = ends[:, None]
        self._upto = np.zeros(len(ends), np.int64)
        self._rows = 0

    def add(self, values: NDArray[np.float64]) -> None:
        """Count values of any length; at most `CHUNK` of them are fastest."""
        size = len(values)
        padded = np.empty(-(-size // RUN) * RUN)
        padded[:size], padded[size:] = values, np.nan  # which is at most no end
        words = np.less_equal(padded, self._ends).view(np.uint64).reshape(len(self._ends), -1, RUN // 8)
        sums = np.add.reduce(words, axis=2).view(np.uint8).reshape(len(self._ends), -1)
        self._upto += np.add.reduce(sums, axis=1, dtype=np.int64)
        self._rows += size

    @property
    def counts(self) -> Counts:
        """What was counted in each bin."""
        return np.diff(self._upto, prepend=0, append=self._rows)


def number_cuts(values: NDArray[np.float64], bins: int, low: float, high: float) -> tuple[float, ...]:
    """Return the cuts for a sample of finite values in ascending order, whose whole is within ``low`` and ``high``.

    Quantiles are values that were seen, so the bins follow any monotone map of the values. A value that holds more than
    a bin's share has a bin of its own.
    """
    at = (np.arange(1, bins) * len(values) / bins).astype(np.int64)
    quantiles = values[np.maximum(at - 1, 0)]
    inner = set(quantiles.tolist())
    for heavy in quantiles[:-1][quantiles[1:] == quantiles[:-1]].tolist():
        before = int(np.searchsorted(values, heavy)) - 1
        inner |= {values[before].item()} if before >= 0 else set()
    return (math.nextafter(low, -math.inf), *sorted(cut for cut in inner if low <= cut < high), high)
