"""Intervals of shares, means, quantiles and areas, and of the difference of two. Plain arithmetic, no SciPy."""

from __future__ import annotations

from math import ceil, floor, sqrt
from statistics import NormalDist
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from otelml.drift import statistics

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Counts = NDArray[np.int64]

DRAWS = 2000
"""Draws of the bootstrap."""


class Interval(NamedTuple):
    """An estimate and the ends of its interval."""

    value: float
    lower: float
    upper: float


def deviations(alpha: float) -> float:
    """Return the standard deviations on both sides outside which a normal variable falls with chance ``alpha``."""
    return NormalDist().inv_cdf(1 - alpha / 2)


def share(hits: int, n: int, z: float) -> Interval:
    """Return a share of n > 0 cases with Wilson's interval (E. B. Wilson, J. Am. Stat. Assoc. 22, 1927)."""
    p, width = hits / n, n + z * z
    middle = (hits + z * z / 2) / width
    half = z / width * sqrt(hits * (n - hits) / n + z * z / 4)
    return Interval(p, max(0.0, min(p, middle - half)), min(1.0, max(p, middle + half)))


def mean(n: int, total: float, squares: float, z: float) -> Interval:
    """Return a mean of n > 1 numbers, from their sum and their sum of squares, with its normal interval."""
    middle = total / n
    half = z * sqrt(max(0.0, squares / n - middle * middle) / (n - 1))
    return Interval(middle, middle - half, middle + half)


def quantile_ranks(n: int, p: float, z: float) -> tuple[int, int, int]:
    """Return the ranks, from 1, of the p-quantile of n numbers and of the ends of its interval.

    Conover, Practical Nonparametric Statistics (1999), section 3.2: it holds whatever the numbers' distribution. An end
    that would fall outside of them is the least or the largest number, which makes the interval of few a little narrow.
    """
    half = z * sqrt(n * p * (1 - p))
    ranks = (ceil(n * p), floor(n * p - half), ceil(n * p + half) + 1)
    middle, lower, upper = (min(n, max(1, rank)) for rank in ranks)
    return middle, lower, upper


def area(auc: float, positive: int, negative: int, z: float) -> Interval:
    """Return an area under the ROC curve with the interval of Hanley and McNeil (Radiology 143, 1982)."""
    one, two = auc / (2 - auc), 2 * auc * auc / (1 + auc)
    spread = auc * (1 - auc) + (positive - 1) * (one - auc * auc) + (negative - 1) * (two - auc * auc)
    half = z * sqrt(max(0.0, spread) / (positive * negative))
    return Interval(auc, max(0.0, auc - half), min(1.0, auc + half))


def difference(first: Interval, second: Interval) -> Interval:
    """Return second less first, of two separate samples, with the interval that theirs make.

    Zou and Donner, Construction of confidence intervals about effect measures, Statistics in Medicine 27 (2008); for
    two shares it is method 10 of Newcombe, Statistics in Medicine 17 (1998).
    """
    d = second.value - first.value
    below = sqrt((second.value - second.lower) ** 2 + (first.upper - first.value) ** 2)
    above = sqrt((second.upper - second.value) ** 2 + (first.value - first.lower) ** 2)
    return Interval(d, d - below, d + above)


def paired_shares(only_first: int, only_second: int, n: int, z: float) -> Interval:
    """Return the difference of two shares of the same n cases: hits of the second alone less those of the first alone.

    Agresti and Min, Simple improved confidence intervals for comparing matched proportions, Statistics in Medicine 24
    (2005): half a case more of each kind.
    """
    b, c = only_first + 0.5, only_second + 0.5
    middle = (c - b) / (n + 2)
    half = z * sqrt(b + c - (c - b) ** 2 / (n + 2)) / (n + 2)
    return Interval((only_second - only_first) / n, middle - half, middle + half)


def stability(first: Counts, second: Counts, alpha: float) -> Interval:
    """Return the population stability index of two vectors of counts, less its bias, with a bootstrap interval.

    Twice the index less the quantiles of redrawn counts ("basic" bootstrap: Davison and Hinkley, Bootstrap Methods and
    their Application, 1997, section 5.2), which takes the bias of few counts away; not below 0. The same counts give
    the same interval.
    """
    random, index = np.random.default_rng(0), statistics.psi(first, second)
    a, b = (random.multinomial(int(c.sum()), c / c.sum(), DRAWS) for c in (first, second))
    drawn = np.array([statistics.psi(x, y) for x, y in zip(a, b, strict=True)])
    low, high = np.quantile(drawn, [alpha / 2, 1 - alpha / 2])
    value = max(0.0, index - statistics.psi_bias(first, second))
    lower, upper = max(0.0, 2 * index - float(high)), max(0.0, 2 * index - float(low))
    return Interval(value, min(value, lower), max(value, upper))
