"""Intervals hold what they should as often as they say, and agree with SciPy where it has them."""

from math import sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from otelml.outcomes import intervals
from otelml.outcomes.intervals import Interval

Z = intervals.deviations(0.05)
RUNS = 1500
LEAST = 0.95 - 3 * sqrt(0.95 * 0.05 / RUNS)
"""95 % less three standard errors."""


def test_deviations():
    """1.96 for 95 %."""
    assert pytest.approx(1.959964, abs=1e-6) == Z


@given(st.integers(1, 500), st.floats(0, 1))
def test_share_is_wilson(n, part):
    """Wilson's interval is SciPy's."""
    hits = round(part * n)
    value, lower, upper = intervals.share(hits, n, Z)
    theirs = stats.binomtest(hits, n).proportion_ci(method="wilson")
    assert (value, lower, upper) == pytest.approx((hits / n, theirs.low, theirs.high), abs=1e-6)
    assert 0 <= lower <= value <= upper <= 1


def test_difference_of_shares_by_the_book():
    """Newcombe 1998, table II, example (a): 56 of 70 less 48 of 80 is 0.2, from 0.0524 to 0.3339."""
    d = intervals.difference(intervals.share(48, 80, Z), intervals.share(56, 70, Z))
    assert tuple(d) == pytest.approx((0.2, 0.0524, 0.3339), abs=1e-4)


@pytest.mark.parametrize(("n", "m", "p", "q"), [(40, 400, 0.9, 0.85), (200, 100, 0.5, 0.6), (60, 60, 0.97, 0.97)])
def test_difference_of_shares_holds(n, m, p, q):
    """The interval of a difference of two shares holds the real one in 95 % of runs."""
    random = np.random.default_rng(1)
    hits = 0
    for a, b in zip(random.binomial(n, p, RUNS).tolist(), random.binomial(m, q, RUNS).tolist(), strict=True):
        d = intervals.difference(intervals.share(a, n, Z), intervals.share(b, m, Z))
        hits += d.lower <= q - p <= d.upper
    assert hits / RUNS >= LEAST


@pytest.mark.parametrize("n", [40, 400])
def test_paired_shares_hold(n):
    """On the same cases the interval holds the real difference in 95 % of runs, and is narrower on average."""
    random = np.random.default_rng(2)
    counts = random.multinomial(n, [0.7, 0.12, 0.06, 0.12], RUNS).tolist()
    hits, saved = 0, 0.0
    for both, one, other, _ in counts:
        d = intervals.paired_shares(one, other, n, Z)
        hits += d.lower <= -0.06 <= d.upper
        apart = intervals.difference(intervals.share(both + one, n, Z), intervals.share(both + other, n, Z))
        saved += (apart.upper - apart.lower) - (d.upper - d.lower)
    assert hits / RUNS >= LEAST
    assert saved > 0


@pytest.mark.parametrize(("n", "p"), [(60, 0.5), (500, 0.95), (5000, 0.95)])
def test_quantiles_hold(n, p):
    """The ranks of a quantile's interval hold it in 95 % of runs, with latencies of a long tail."""
    random, hits = np.random.default_rng(3), 0
    real = float(stats.lognorm(1).ppf(p))
    middle, lower, upper = intervals.quantile_ranks(n, p, Z)
    for _ in range(RUNS):
        drawn = np.sort(random.lognormal(0, 1, n))
        assert drawn[lower - 1] <= drawn[middle - 1] <= drawn[upper - 1]
        hits += drawn[lower - 1] <= real <= drawn[upper - 1]
    assert hits / RUNS >= LEAST


def test_difference_of_quantiles_holds():
    """So does the interval of the difference of two 95th percentiles."""
    random, hits = np.random.default_rng(4), 0
    ranks = [intervals.quantile_ranks(n, 0.95, Z) for n in (800, 400)]
    real = float(stats.lognorm(1).ppf(0.95))
    for _ in range(RUNS):
        drawn = [np.sort(random.lognormal(0, 1, 800)), 1.5 * np.sort(random.lognormal(0, 1, 400))]
        d = intervals.difference(*(Interval(*x[np.array(r) - 1]) for x, r in zip(drawn, ranks, strict=True)))
        hits += d.lower <= 0.5 * real <= d.upper
    assert hits / RUNS >= LEAST


def test_mean():
    """The normal interval of a mean, by hand."""
    x = np.array([1.0, 2.0, 4.0, 5.0])
    value, lower, upper = intervals.mean(4, float(x.sum()), float((x**2).sum()), Z)
    half = Z * x.std(ddof=1) / 2
    assert (value, lower, upper) == pytest.approx((3, 3 - half, 3 + half))


def test_area_holds():
    """The interval of an area under the curve holds the real one in 95 % of runs."""
    random, hits = np.random.default_rng(5), 0
    real = float(stats.norm.cdf(1 / sqrt(2)))
    for _ in range(RUNS):
        good, bad = random.normal(1, 1, 80), random.normal(0, 1, 120)
        auc = stats.mannwhitneyu(good, bad).statistic / (80 * 120)
        found = intervals.area(auc, 80, 120, Z)
        hits += found.lower <= real <= found.upper
    assert hits / RUNS >= LEAST


def test_stability():
    """Of equal predictions the index is about 0 and so is its lower end; of others its interval holds the real one."""
    random, real = np.random.default_rng(6), 0.0
    shares = np.array([0.5, 0.3, 0.2]), np.array([0.35, 0.35, 0.3])
    real = float(np.sum((shares[0] - shares[1]) * np.log(shares[0] / shares[1])))
    hits = zeros = 0
    for _ in range(40):
        first, same, moved = (
            random.multinomial(n, p) for n, p in ((2000, shares[0]), (800, shares[0]), (800, shares[1]))
        )
        zeros += intervals.stability(first, same, 0.05).lower == 0
        found = intervals.stability(first, moved, 0.05)
        hits += found.lower <= real <= found.upper
        assert found.lower <= found.value <= found.upper
    assert zeros >= 36
    assert hits >= 34
    assert intervals.stability(first, moved, 0.05) == found
