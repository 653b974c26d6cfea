"""Two versions of a model beside each other: quality, latency, confidence and predictions, with intervals."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from otelml.drift import statistics
from otelml.outcomes import intervals
from otelml.outcomes.quality import auc
from otelml.outcomes.versions import Same, Version

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from otelml.outcomes.database import Database
    from otelml.outcomes.intervals import Interval

ENOUGH = 30
"""Cases of each version without which nothing is compared."""
ALPHA = 0.05
"""Chance that any of the intervals of a comparison misses."""
SHARES = 5
"""Classes, the most frequent ones, whose shares are compared."""
BETTER, WORSE, ALIKE, FEW = "better", "worse", "not told apart", "too few"
WORDS = {"more": (BETTER, WORSE), "less": (WORSE, BETTER), "": ("higher", "lower")}
"""Verdicts where the second version is higher, and lower, by what is wanted."""


@dataclass(frozen=True)
class Row:
    """One figure of both versions, and the second less the first with its interval; None where it is not known."""

    what: str
    cases: tuple[int, int]
    first: float | None = None
    second: float | None = None
    difference: float | None = None
    lower: float | None = None
    upper: float | None = None
    verdict: str = FEW


@dataclass(frozen=True)
class Comparison:
    """All rows; ``variants`` are the parts that each version played."""

    model: str
    versions: tuple[str, str]
    predictions: tuple[int, int]
    variants: tuple[list[str], list[str]]
    rows: list[Row]

    @property
    def worse(self) -> bool:
        """Whether the second version is worse in anything."""
        return any(row.verdict == WORSE for row in self.rows)

    def to_dict(self) -> dict[str, Any]:
        """Return all of it as plain values."""
        return {**asdict(self), "confidence_level": 1 - ALPHA, "worse": self.worse}

    def __str__(self) -> str:
        """Return a table for people."""
        head = ["", *(name or "no version" for name in self.versions), "difference", "95 %, together", "cases", ""]
        lines = [head, *(_cells(row) for row in self.rows)]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        text = [f"{self.model}: {self._side(0)} against {self._side(1)[:-1]}", ""]
        for what, *numbers, verdict in lines:
            middle = [cell.rjust(width) for cell, width in zip(numbers, widths[1:-1], strict=True)]
            text.append("  ".join([what.ljust(widths[0]), *middle, verdict]).rstrip())
        return "\n".join(text)

    def _side(self, i: int) -> str:
        played = f" ({', '.join(self.variants[i])})" if self.variants[i] else ""
        return f"{self.versions[i] or 'no version'}{played}, {self.predictions[i]:,} predictions,"


def _cells(row: Row) -> list[str]:
    known = [_number(value) for value in (row.first, row.second)]
    change = ["", ""]
    if row.difference is not None and row.lower is not None and row.upper is not None:
        change = [f"{row.difference:+.4g}", f"{row.lower:+.4g} to {row.upper:+.4g}"]
    return [row.what, *known, *change, " / ".join(f"{n:,}" for n in row.cases), row.verdict]


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"


Figure = tuple[str, tuple[int, int], "Callable[[float], Row]"]
"""What is compared, of how many cases, and what makes its row at a chance to miss."""


def compare(database: Database, model: str, names: tuple[str, str], since: float) -> Comparison:
    """Return the comparison of two versions by their predictions since a time (s since the epoch).

    The intervals of all differences hold together with 95 %: each misses with a chance of 5 % over their number
    (Bonferroni), so that many figures make no false verdict likely.
    """
    versions = (Version(database, model, names[0], since), Version(database, model, names[1], since))
    figures = list(_figures(*versions, Same(database, model, *names, since)))
    alpha = ALPHA / max(1, sum(min(cases) >= ENOUGH for _, cases, _ in figures))
    rows = [make(alpha) if min(cases) >= ENOUGH else Row(what, cases) for what, cases, make in figures]
    a, b = versions
    return Comparison(model, names, (a.predictions, b.predictions), (a.variants, b.variants), rows)


def _figures(a: Version, b: Version, same: Same) -> Iterator[Figure]:
    yield from _accuracy(a, b, same)
    yield from _area(a, b)
    yield from _errors(a, b, same)
    if a.calls or b.calls:
        yield _figure("error rate", (a.calls, b.calls), "less", _failed(a), _failed(b))
    for p, what in ((0.5, "median latency (ms)"), (0.95, "95th percentile of latency (ms)")):
        if a.timed or b.timed:
            yield _figure(what, (a.timed, b.timed), "less", _latency(a, p), _latency(b, p))
    if a.confidence.n or b.confidence.n:
        yield _figure("mean confidence", (a.confidence.n, b.confidence.n), "", _mean(a), _mean(b))
    yield from _predictions(a, b)


def _figure(
    what: str,
    cases: tuple[int, int],
    wanted: str,
    first: Callable[[float], Interval],
    second: Callable[[float], Interval],
) -> Figure:
    """Return the figure of two separate samples, each given as what makes its interval of standard deviations."""

    def row(alpha: float) -> Row:
        z = intervals.deviations(alpha)
        x, y = first(z), second(z)
        return _row(what, cases, wanted, (x.value, y.value), intervals.difference(x, y))

    return what, cases, row


def _row(what: str, cases: tuple[int, int], wanted: str, values: tuple[float | None, float | None], d: Interval) -> Row:
    higher, lower = WORDS[wanted]
    verdict = higher if d.lower > 0 else lower if d.upper < 0 else ALIKE
    return Row(what, cases, *values, *d, verdict)


def _accuracy(a: Version, b: Version, same: Same) -> Iterator[Figure]:
    counts = [(sum(c.n for c in v.cells if c.predicted == c.actual), sum(c.n for c in v.cells)) for v in (a, b)]
    (right, n), (others, m) = counts
    if n or m:
        of = (lambda z: intervals.share(right, n, z), lambda z: intervals.share(others, m, z))
        yield _figure("accuracy", (n, m), "more", *of)
    cases = (same.right.total(),) * 2
    if cases[0]:
        both, one, other = (same.right[key] for key in ((True, True), (True, False), (False, True)))
        shares = ((both + one) / cases[0], (both + other) / cases[0])
        what = "accuracy, same cases"

        def row(alpha: float) -> Row:
            d = intervals.paired_shares(one, other, cases[0], intervals.deviations(alpha))
            return _row(what, cases, "more", shares, d)

        yield what, cases, row


def _area(a: Version, b: Version) -> Iterator[Figure]:
    areas = auc(a.cells), auc(b.cells)
    if areas[0] is None or areas[1] is None:
        return
    sides = [_sides(v) for v in (a, b)]
    first, second = areas[0], areas[1]
    of = (lambda z: intervals.area(first, *sides[0], z), lambda z: intervals.area(second, *sides[1], z))
    yield _figure("AUC", (sum(sides[0]), sum(sides[1])), "more", *of)


def _sides(version: Version) -> tuple[int, int]:
    """Return how many cases of either class have a confidence."""
    known = [cell for cell in version.cells if cell.bin is not None]
    one = min(cell.actual for cell in known)
    n = sum(cell.n for cell in known if cell.actual == one)
    return n, sum(cell.n for cell in known) - n


def _errors(a: Version, b: Version, same: Same) -> Iterator[Figure]:
    if a.errors.n or b.errors.n:
        of = (lambda z: intervals.mean(*a.errors, z), lambda z: intervals.mean(*b.errors, z))
        yield _figure("mean absolute error", (a.errors.n, b.errors.n), "less", *of)
    cases, what = (same.errors.n, same.errors.n), "mean absolute error, same cases"
    if same.errors.n:

        def row(alpha: float) -> Row:
            d = intervals.mean(*same.errors, intervals.deviations(alpha))
            return _row(what, cases, "less", (None, None), d)

        yield what, cases, row


def _failed(version: Version) -> Callable[[float], Interval]:
    return lambda z: intervals.share(version.failed, version.calls, z)


def _latency(version: Version, p: float) -> Callable[[float], Interval]:
    def made(z: float) -> Interval:
        found = version.ranked("duration", intervals.quantile_ranks(version.timed, p, z))
        return intervals.Interval(*(1e3 * seconds for seconds in found))

    return made


def _mean(version: Version) -> Callable[[float], Interval]:
    return lambda z: intervals.mean(*version.confidence, z)


def _predictions(a: Version, b: Version) -> Iterator[Figure]:
    """Compare what is predicted: shares of the most frequent classes, and the whole distribution."""
    n, m = a.labels.total(), b.labels.total()
    both = a.labels + b.labels
    shown = SHARES if len(both) > 2 else 1  # noqa: PLR2004 - the share of one of two classes says that of the other
    for label, _ in both.most_common(shown) if n and m else ():
        yield _figure(f"share of {label}", (n, m), "", _share(a, label), _share(b, label))
    if n and m:
        names = sorted(both)
        counts = [np.array([v.labels[name] for name in names], np.int64) for v in (a, b)]
        yield _drift((n, m), lambda: (counts[0], counts[1]), ordered=False)
    if min(a.values, b.values) >= ENOUGH:
        yield _drift((a.values, b.values), lambda: _binned(a, b), ordered=True)


def _share(version: Version, label: str) -> Callable[[float], Interval]:
    return lambda z: intervals.share(version.labels[label], version.labels.total(), z)


def _drift(cases: tuple[int, int], count: Callable[[], tuple[Any, Any]], *, ordered: bool) -> Figure:
    """Return how far the predictions are apart: PSI with its interval, judged by a test that both are of one kind."""
    what = "drift of predictions (PSI)"

    def row(alpha: float) -> Row:
        first, second = count()
        d = intervals.stability(first, second, alpha)
        moved = statistics.homogeneity_test(first, second, ordered=ordered) < alpha
        return Row(what, cases, None, None, *d, "differ" if moved else ALIKE)

    return what, cases, row


def _binned(a: Version, b: Version) -> tuple[Any, Any]:
    """Return numbers of predicted values between the deciles of the first version's."""
    ranks = sorted({max(1, a.values * k // 10) for k in range(1, 10)})
    cuts = sorted(set(a.ranked("value", ranks)))
    below = [[0, *(v.below(cut) for cut in cuts), v.values] for v in (a, b)]
    first, second = (np.diff(np.array(counts, np.int64)) for counts in below)
    return first, second
