"""Counters, histograms and gauges over a window: increases that survive restarts, and levels.

A cumulative series is a curve that never falls: a new start time begins again from zero, and so does a value that is
lower than the one before. Between two points it rises evenly; what was counted before the first known point of a
series that began earlier than what is kept is not known, and is not shown.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from otelml.viewer.api import points as stored
from otelml.viewer.api.buckets import Layout, layout
from otelml.viewer.rows import NANOS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from otelml.viewer.api.parameters import Window
    from otelml.viewer.api.points import Point, Series, Wanted
    from otelml.viewer.store import Store

    Numbers = NDArray[np.float64]
    Times = NDArray[np.int64]

STALE_NS = 300 * NANOS
"""A gauge holds its value for so long after its last point."""


@dataclass(frozen=True, slots=True)
class Curve:
    """One series since its start: ``values`` float64[times, columns] never fall.

    Columns are the value of a counter; or count, sum and every bucket of a histogram, whose ``layout`` has the edges.
    """

    labels: tuple[str, ...]
    times: Times
    values: Numbers
    layout: Layout | None = None

    def at(self, times: Times) -> Numbers:
        """Return the values at times, evenly between points: float64[times, columns]."""
        return np.column_stack([np.interp(times, self.times, column) for column in self.values.T])

    def steps(self, times: Sequence[int]) -> Numbers:
        """Return the values of the last points at or before each time; of the first one where there is none."""
        places = np.searchsorted(self.times, np.asarray(times, np.int64), side="right") - 1
        return np.asarray(self.values[np.maximum(places, 0)])

    def total(self, window: Window) -> Numbers:
        """Return the increase over a window, from point to point: float64[columns]."""
        before, after = self.steps((window.from_ns, window.to_ns))
        return np.asarray(after - before)


def curves(store: Store, wanted: Wanted, window: Window) -> list[Curve]:
    """Return a curve for every start of every wanted counter or histogram."""
    return of_series(store, stored.series(store, wanted), window)


def of_series(store: Store, found: Mapping[int, Series], window: Window) -> list[Curve]:
    """Return a curve for every start of every counter or histogram among series."""
    counted = {key: each for key, each in found.items() if each.monotonic or each.kind not in ("sum", "gauge")}
    groups = stored.points(store, counted, window)
    places = layout([point for _, group in groups for point in group])
    made = [_curve(series, group, places, stored.lookback(window)) for series, group in groups]
    return [curve for curve in made if curve is not None]


def _curve(series: Series, group: list[Point], places: Callable[[Point], Layout], since: int) -> Curve | None:
    if series.kind == "sum":
        group = [point for point in group if point.value is not None]
    if not group:
        return None
    ends = None if series.kind == "sum" else places(group[-1])
    if ends is not None:  # a sender that changes its bounds begins anew
        group = [point for point in group if places(point).same(ends)]
        raw = np.array([[point.count or 0, point.sum or 0.0, *ends.counts(point)] for point in group], np.float64)
    else:
        raw = np.array([[point.value] for point in group], np.float64)
    times = np.array([point.time_ns for point in group], np.int64)
    start = group[0].start_ns
    if series.temporality == "delta":
        return _from_zero(series, times, np.cumsum(raw, axis=0), start or int(times[0]), ends)
    values = _rising(raw)
    if since <= start < times[0] and start:
        return _from_zero(series, times, values, start, ends)
    return Curve(series.labels, times, values, ends)


def _from_zero(series: Series, times: Times, values: Numbers, start: int, ends: Layout | None) -> Curve:
    """Return a curve whose beginning is known: nothing was counted then."""
    times = np.concatenate(([min(start, times[0] - 1)], times))
    return Curve(series.labels, times, np.vstack((np.zeros(values.shape[1]), values)), ends)


def _rising(raw: Numbers) -> Numbers:
    """Return values that never fall: what is lower than the value before has begun again from zero."""
    steps = np.diff(raw, axis=0)
    again = steps[:, :1] < 0
    steps = np.where(again, raw[1:], np.maximum(steps, 0.0))
    return np.vstack((raw[:1], raw[0] + np.cumsum(steps, axis=0)))


# Counters -------------------------------------------------------------------------------------------------------


def grouped(found: Iterable[Curve]) -> dict[tuple[str, ...], list[Curve]]:
    """Return curves by their labels, in order."""
    groups: dict[tuple[str, ...], list[Curve]] = {}
    for curve in sorted(found, key=lambda curve: curve.labels):
        groups.setdefault(curve.labels, []).append(curve)
    return groups


def total(found: Iterable[Curve], window: Window) -> float:
    """Return how much counters, or counts of histograms, increased over a window, summed up."""
    return float(sum(curve.total(window)[0] for curve in found))


def increases(found: Iterable[Curve], window: Window, column: int = 0) -> Numbers:
    """Return the increase in each bin of a window, summed over curves: float64[bins]."""
    edges = window.edges
    parts = [np.diff(curve.at(edges)[:, column]) for curve in found]
    return np.sum(parts, axis=0) if parts else np.zeros(len(edges) - 1)


def covered(found: Iterable[Curve], window: Window) -> Numbers:
    """Return the seconds of each bin that lie between the first and the last point of any curve: float64[bins]."""
    found = list(found)
    edges = window.edges
    if not found:
        return np.zeros(len(edges) - 1)
    first, last = min(curve.times[0] for curve in found), max(curve.times[-1] for curve in found)
    return np.asarray(np.diff(np.clip(edges, first, max(first, last))) / NANOS)


def rates(found: Iterable[Curve], window: Window, column: int = 0) -> Numbers:
    """Return the increase per second in each bin, summed over curves; NaN where there are no points."""
    found = list(found)
    return per(increases(found, window, column), covered(found, window))


def per(amounts: Numbers, of: Numbers) -> Numbers:
    """Return ``amounts / of``, NaN where ``of`` is 0."""
    return np.asarray(np.divide(amounts, of, out=np.full(len(amounts), np.nan), where=of > 0))


# Gauges ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Level:
    """One gauge, or the state of an up-down counter: its values at the ends of bins (NaN where stale), and the last."""

    labels: tuple[str, ...]
    values: Numbers
    last: float
    last_ns: int


def levels(store: Store, wanted: Wanted, window: Window) -> list[Level]:
    """Return the levels of every wanted gauge or up-down counter that has points in the window."""
    found = stored.series(store, wanted)
    kept = {key: each for key, each in found.items() if each.kind in ("gauge", "sum") and not each.monotonic}
    made: list[Level] = []
    for series, group in stored.points(store, kept, window):
        known = [(point.time_ns, point.value) for point in group if point.value is not None]
        if known and known[-1][0] > window.from_ns - STALE_NS:
            made.append(_level(series.labels, known, window))
    return made


def _level(labels: tuple[str, ...], known: list[tuple[int, float]], window: Window) -> Level:
    times = np.array([time for time, _ in known], np.int64)
    values = np.array([value for _, value in known], np.float64)
    ends = window.edges[1:]
    places = np.searchsorted(times, ends, side="right") - 1
    fresh = (places >= 0) & (ends - times[np.maximum(places, 0)] <= STALE_NS)
    return Level(labels, np.where(fresh, values[np.maximum(places, 0)], np.nan), float(values[-1]), int(times[-1]))


def merged(found: Iterable[Level], how: str = "mean") -> Numbers | None:
    """Return levels of several instances as one: ``mean``, ``sum`` or ``max`` of what each bin has; None of none."""
    stack = [level.values for level in found]
    if not stack:
        return None
    values = np.vstack(stack)
    known = ~np.isnan(values)
    if how == "max":
        return np.asarray(np.where(known.any(axis=0), np.max(np.where(known, values, -np.inf), axis=0), np.nan))
    sums = np.sum(np.where(known, values, 0.0), axis=0)
    counts = known.sum(axis=0).astype(np.float64)
    return per(sums, counts) if how == "mean" else np.where(counts > 0, sums, np.nan)
