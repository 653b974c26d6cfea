"""Metric points folded into the latest one of their series: the newest for cumulative data, the sum for delta."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import zip_longest

from otelml.viewer.rows import Exponential, MetricPoint

_WIDEST = 320
"""Buckets a side may have before the resolution is halved; SDKs keep 160, and what was sent is not ours to trust."""


def fold(before: MetricPoint | None, point: MetricPoint) -> MetricPoint:
    """Return what is known of a series after ``point``, given what was known ``before``.

    A cumulative point or gauge replaces an older one, whatever the order of arrival; delta points add up.
    """
    if before is None:
        return point
    if point.temporality != "delta":
        return point if point.time_ns >= before.time_ns else before
    return added(before, point)


def added(before: MetricPoint, point: MetricPoint) -> MetricPoint:
    """Return two points added up; the rest (attributes, exemplars, resource) is the newer one's."""
    newest = point if point.time_ns >= before.time_ns else before
    same_bounds = before.bounds == point.bounds
    return replace(
        newest,
        start_ns=min(before.start_ns, point.start_ns),
        value=_plus(before.value, point.value),
        count=_whole(before.count, point.count),
        sum=_plus(before.sum, point.sum),
        min=_least(before, point),
        max=_most(before, point),
        # Counts under other bounds can't be added: what stays is the newest point's own buckets.
        bucket_counts=_each(before.bucket_counts, point.bucket_counts) if same_bounds else newest.bucket_counts,
        exponential=_merged(before.exponential, point.exponential),
    )


def _plus(a: float | None, b: float | None) -> float | None:
    return b if a is None else a if b is None else a + b


def _whole(a: int | None, b: int | None) -> int | None:
    return b if a is None else a if b is None else a + b


def _least(a: MetricPoint, b: MetricPoint) -> float | None:
    """Return the smallest value; None unless every point that has values says its own."""
    known = [point.min for point in (a, b) if point.count and point.min is not None]
    return min(known) if len(known) == bool(a.count) + bool(b.count) and known else None


def _most(a: MetricPoint, b: MetricPoint) -> float | None:
    known = [point.max for point in (a, b) if point.count and point.max is not None]
    return max(known) if len(known) == bool(a.count) + bool(b.count) and known else None


def _each(a: tuple[int, ...], b: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(x + y for x, y in zip_longest(a, b, fillvalue=0))


def _merged(a: Exponential | None, b: Exponential | None) -> Exponential | None:
    if a is None or b is None:
        return b if a is None else a
    scale = min(a.scale, b.scale)
    while True:
        positive = _counts(scale, a.scale, a.positive_offset, a.positive)
        positive.update(_counts(scale, b.scale, b.positive_offset, b.positive))
        negative = _counts(scale, a.scale, a.negative_offset, a.negative)
        negative.update(_counts(scale, b.scale, b.negative_offset, b.negative))
        if _width(positive) <= _WIDEST and _width(negative) <= _WIDEST:
            break
        scale -= 1
    threshold = max(a.zero_threshold, b.zero_threshold)
    return Exponential(scale, a.zero_count + b.zero_count, threshold, *_side(positive), *_side(negative))


def _counts(scale: int, from_scale: int, offset: int, counts: tuple[int, ...]) -> Counter[int]:
    """Return counts by bucket index at a coarser ``scale``: each step halves the resolution."""
    found: Counter[int] = Counter()
    for place, count in enumerate(counts, offset):
        found[place >> (from_scale - scale)] += count
    return found


def _width(counts: Counter[int]) -> int:
    return max(counts) - min(counts) + 1 if counts else 0


def _side(counts: Counter[int]) -> tuple[int, tuple[int, ...]]:
    if not counts:
        return 0, ()
    first, last = min(counts), max(counts)
    return first, tuple(counts[place] for place in range(first, last + 1))
