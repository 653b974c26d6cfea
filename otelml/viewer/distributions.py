"""Counts, means and quantiles: exact from sorted durations, interpolated from histogram buckets."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from otelml.viewer.folding import added

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from otelml.viewer.rows import Exponential, MetricPoint

    Buckets = NDArray[np.float64]

QUANTILES = (0.05, 0.5, 0.95, 0.99)
Source = Literal["spans", "histogram"]


@dataclass(frozen=True, slots=True)
class Distribution:
    """How a quantity is spread; every number is NaN when ``count`` is 0.

    ``source`` says where the quantiles come from: ``spans`` are exact (the smallest value that at least this share
    does not exceed), ``histogram`` is interpolated linearly within a bucket.
    """

    count: int
    mean: float
    p05: float
    p50: float
    p95: float
    p99: float
    source: Source


def nothing(source: Source) -> Distribution:
    """Return the distribution of no values."""
    return Distribution(0, math.nan, math.nan, math.nan, math.nan, math.nan, source)


def of_histogram(points: Iterable[MetricPoint]) -> Distribution:
    """Return the distribution over histogram points, whatever their bounds; explicit and exponential ones may mix."""
    points = _combined(points)
    buckets = np.array([bucket for point in points for bucket in _buckets(point)], dtype=np.float64)
    count = sum(point.count or 0 for point in points)
    if not count or not buckets.size:
        return nothing("histogram")
    mean = sum(point.sum or 0.0 for point in points) / count
    p05, p50, p95, p99 = of_buckets(buckets)
    return Distribution(count, mean, p05, p50, p95, p99, source="histogram")


def of_buckets(buckets: Buckets, shares: Sequence[float] = QUANTILES) -> list[float]:
    """Return the quantiles of rows (lower, upper, count), float64[n, 3] with finite edges; NaN where all are empty."""
    buckets = buckets[buckets[:, 2] > 0]
    if not buckets.size:
        return [math.nan] * len(shares)
    lower, upper, counts = buckets.T
    edges = np.unique(np.concatenate((lower, upper)))[:, None]
    width = upper - lower
    inside = np.clip((edges - lower) / np.where(width > 0, width, 1.0), 0.0, 1.0)
    # A bucket without width is a step: its values lie right of the edge's left limit, left of its right one.
    before = np.where(width > 0, inside, edges > upper) @ counts
    after = np.where(width > 0, inside, edges >= upper) @ counts
    places = np.repeat(edges[:, 0], 2)
    below = np.column_stack((before, after)).ravel()
    return [_inverse(places, below, share * counts.sum()) for share in shares]


def narrowed(lower: float, upper: float, least: float | None, most: float | None) -> tuple[float, float]:
    """Return the edges of a filled bucket, narrowed by the smallest and largest value where they are known."""
    low = -math.inf if least is None else least
    high = math.inf if most is None else most
    left, right = max(lower, low), min(upper, high)
    if math.isinf(left):  # nothing says how far an open bucket reaches: its values count as lying on its edge
        left = min(0.0, right) if lower == -math.inf and right > 0 else right
    if math.isinf(right):
        right = left
    return left, max(left, right)


def _combined(points: Iterable[MetricPoint]) -> list[MetricPoint]:
    """Return the filled points, those of the same bounds added up: there may be hundreds of series."""
    found: dict[tuple[bool, tuple[float, ...]], MetricPoint] = {}
    for point in points:
        if point.count:
            key = (point.exponential is None, point.bounds)
            found[key] = added(found[key], point) if key in found else point
    return list(found.values())


def _inverse(places: Buckets, below: Buckets, target: float) -> float:
    """Return the first place below which ``target`` values lie."""
    right = min(int(np.searchsorted(below, target * (1 - 1e-12))), len(below) - 1)
    if right == 0 or below[right] <= below[right - 1]:
        return float(places[right])
    part = (target - below[right - 1]) / (below[right] - below[right - 1])
    return float(places[right - 1] + min(part, 1.0) * (places[right] - places[right - 1]))


def _buckets(point: MetricPoint) -> Iterator[tuple[float, float, int]]:
    """Yield (lower, upper, count) of the filled buckets; the smallest and largest value narrow the outer ones."""
    for lower, upper, count in _edges(point):
        if count:
            yield *narrowed(lower, upper, point.min, point.max), count


def _edges(point: MetricPoint) -> Iterator[tuple[float, float, int]]:
    if point.exponential is not None:
        yield from _exponential_edges(point.exponential)
    elif point.bucket_counts:
        edges = (-math.inf, *point.bounds, math.inf)
        yield from zip(edges[:-1], edges[1:], point.bucket_counts, strict=False)
    else:  # a histogram without buckets: all that is known is its range
        yield -math.inf, math.inf, point.count or 0


def _exponential_edges(sent: Exponential) -> Iterator[tuple[float, float, int]]:
    for place, count in enumerate(sent.negative, sent.negative_offset):
        yield -power(sent.scale, place + 1), -power(sent.scale, place), count
    yield -sent.zero_threshold, sent.zero_threshold, sent.zero_count
    for place, count in enumerate(sent.positive, sent.positive_offset):
        yield power(sent.scale, place), power(sent.scale, place + 1), count


def power(scale: int, place: int) -> float:
    """Return ``base ** place``, where ``base`` is ``2 ** (2 ** -scale)``, kept within a float's range."""
    exponent = math.ldexp(place, max(-1000, min(-scale, 900)))
    return math.ldexp(2.0 ** (exponent % 1.0), max(-1074, min(math.floor(exponent), 1023)))
