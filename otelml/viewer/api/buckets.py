"""Buckets of histograms, explicit and exponential ones, as columns that can be subtracted and added up."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from otelml.viewer.distributions import narrowed, of_buckets, power

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from numpy.typing import NDArray

    from otelml.viewer.api.curves import Curve
    from otelml.viewer.api.parameters import Window
    from otelml.viewer.api.points import Point
    from otelml.viewer.rows import Exponential

    Numbers = NDArray[np.float64]

Spread = tuple[int, int, int, int, int]
FIRST = 2
"""Columns of a curve before its buckets: count and sum."""


@dataclass(frozen=True, slots=True)
class Layout:
    """The buckets of one series: edges float64[buckets, 2] (the outer ones may be infinite), and its extreme values."""

    edges: tuple[tuple[float, float], ...]
    least: float | None
    most: float | None
    exponential: Spread | None = None
    """Scale, first and number of the positive buckets, first and number of the negative ones."""

    def same(self, other: Layout) -> bool:
        """Return whether two layouts have the same buckets."""
        return self.edges == other.edges

    def counts(self, point: Point) -> list[int]:
        """Return the counts of a point in these buckets."""
        if self.exponential is None or point.exponential is None:
            return list(point.buckets) if point.buckets else [point.count or 0]
        return _exponential_counts(self.exponential, point.exponential)

    def finite(self) -> list[tuple[float, float]]:
        """Return the edges as far as values can lie, by the smallest and the largest value known."""
        return [narrowed(lower, upper, self.least, self.most) for lower, upper in self.edges]


def layout(points: Sequence[Point]) -> Callable[[Point], Layout]:
    """Return a function that says which buckets a point has; exponential ones of all points share one scale."""
    spread = _spread([parsed for point in points if (parsed := point.exponential) is not None])
    shared = None if spread is None else _exponential_edges(spread)

    def place(point: Point) -> Layout:
        if point.exponential is not None and shared is not None:
            return Layout(shared, point.min, point.max, spread)
        ends = (-math.inf, *point.bounds, math.inf) if point.buckets else (-math.inf, math.inf)
        return Layout(tuple(pairwise(ends)), point.min, point.max)

    return place


def rows(found: Iterable[tuple[Layout | None, Numbers]]) -> Numbers:
    """Return increases of histograms as rows (lower, upper, count), for quantiles: float64[n, 3]."""
    parts = [
        np.column_stack((np.array(ends.finite(), np.float64), values[FIRST:]))
        for ends, values in found
        if ends is not None
    ]
    return np.vstack(parts) if parts else np.zeros((0, 3))


def quantiles(found: Iterable[Curve], window: Window, shares: Sequence[float]) -> list[float]:
    """Return quantiles of what histograms counted over a window; NaN where that is nothing."""
    return of_buckets(rows((curve.layout, curve.total(window)) for curve in found), shares)


def quantiles_over_time(found: Sequence[Curve], window: Window, shares: Sequence[float]) -> Numbers:
    """Return quantiles of each bin: float64[shares, bins], NaN where nothing was counted."""
    edges = window.edges
    merged = _by_edges(found, lambda curve: np.diff(curve.at(edges), axis=0))
    bins = len(edges) - 1
    made = [of_buckets(rows((ends, values[i]) for ends, values in merged), shares) for i in range(bins)]
    return np.array(made, np.float64).T if made else np.zeros((len(shares), 0))


def _by_edges(found: Iterable[Curve], of: Callable[[Curve], Numbers]) -> list[tuple[Layout, Numbers]]:
    """Return what ``of`` gives for each curve, summed over curves of the same buckets."""
    sums: dict[tuple[tuple[float, float], ...], tuple[Layout, Numbers]] = {}
    for curve in found:
        if curve.layout is None:
            continue
        ends, values = curve.layout, of(curve)
        before = sums.get(ends.edges)
        sums[ends.edges] = (ends, values) if before is None else (_wider(before[0], ends), before[1] + values)
    return list(sums.values())


def _wider(a: Layout, b: Layout) -> Layout:
    least = None if a.least is None or b.least is None else min(a.least, b.least)
    most = None if a.most is None or b.most is None else max(a.most, b.most)
    return Layout(a.edges, least, most, a.exponential)


def heat(found: Sequence[Curve], window: Window) -> tuple[list[float], Numbers] | None:
    """Return the finite edges and the counts by bin of time and bucket, float64[bins, buckets]; None without any.

    Buckets nobody has filled at either end are left out; curves of other bounds than most are not shown.
    """
    edges = window.edges
    merged = _by_edges(found, lambda curve: np.diff(curve.at(edges), axis=0))
    if not merged:
        return None
    ends, values = max(merged, key=lambda item: float(item[1][:, 0].sum()))
    counts = values[:, FIRST:]
    filled = np.flatnonzero(counts.sum(axis=0) > 0)
    if not filled.size:
        return None
    first, last = int(filled[0]), int(filled[-1]) + 1
    places = ends.finite()[first:last]
    return [places[0][0], *(upper for _, upper in places)], counts[:, first:last]


# Exponential ----------------------------------------------------------------------------------------------------


def _spread(sent: Sequence[Exponential]) -> Spread | None:
    """Return the coarsest scale of all points and the range of buckets they need at it."""
    if not sent:
        return None
    scale = min(each.scale for each in sent)
    positive = _range([(each.scale - scale, each.positive_offset, each.positive) for each in sent])
    negative = _range([(each.scale - scale, each.negative_offset, each.negative) for each in sent])
    return (scale, *positive, *negative)


def _range(sides: Sequence[tuple[int, int, tuple[int, ...]]]) -> tuple[int, int]:
    """Return the first bucket that any side fills, ``coarser`` by so many halvings, and how many there are."""
    used = [(offset >> coarser, (offset + len(counts) - 1) >> coarser) for coarser, offset, counts in sides if counts]
    first = min((low for low, _ in used), default=0)
    return first, max((high for _, high in used), default=first - 1) - first + 1


def _exponential_edges(spread: Spread) -> tuple[tuple[float, float], ...]:
    scale, positive, positives, negative, negatives = spread
    below = [
        (-power(scale, place + 1), -power(scale, place)) for place in reversed(range(negative, negative + negatives))
    ]
    above = [(power(scale, place), power(scale, place + 1)) for place in range(positive, positive + positives)]
    return (*below, (0.0, 0.0), *above)


def _exponential_counts(spread: Spread, sent: Exponential) -> list[int]:
    scale, positive, positives, negative, negatives = spread
    coarser = sent.scale - scale
    below, above = [0] * negatives, [0] * positives
    for place, count in enumerate(sent.negative, sent.negative_offset):
        below[(place >> coarser) - negative] += count
    for place, count in enumerate(sent.positive, sent.positive_offset):
        above[(place >> coarser) - positive] += count
    return [*reversed(below), sent.zero_count, *above]
