"""Distances, tests and tails, against SciPy where it is installed and against what must hold for any counts."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otelml.drift import statistics, tails

COUNT = st.integers(0, 10**6)


@st.composite
def two(draw):
    """Two vectors of counts over the same bins, any of them empty."""
    bins = draw(st.integers(1, 14))
    vectors = [draw(st.lists(COUNT, min_size=bins, max_size=bins)) for _ in range(2)]
    return tuple(np.array(v, np.int64) for v in vectors)


TESTS = (
    statistics.ks_test,
    statistics.rank_test,
    statistics.spread_test,
    lambda p, q: statistics.homogeneity_test(p, q, ordered=True),
    lambda p, q: statistics.homogeneity_test(p, q, ordered=False),
)


@given(two())
def test_distances_are_at_least_zero_and_symmetric(counts):
    """PSI and JS are 0 or more, the same both ways; JS and KS at most 1; equal counts are at distance 0."""
    p, q = counts
    for distance in (statistics.psi, statistics.js_distance, statistics.ks):
        assert 0 <= distance(p, q) == pytest.approx(distance(q, p), rel=1e-9, abs=1e-12)
        assert distance(p, p) == pytest.approx(0, abs=1e-7)
    assert max(statistics.js_distance(p, q), statistics.ks(p, q)) <= 1


@given(two())
def test_p_values_are_probabilities(counts):
    """Every test says something between 0 and 1 of any counts, both ways, and 1 of equal ones."""
    p, q = counts
    for test in TESTS:
        assert 0 <= test(p, q) <= 1
        assert test(p, q) == pytest.approx(test(q, p), rel=1e-6, abs=1e-12)
        assert test(p, p) == pytest.approx(1)


@given(two(), st.randoms())
def test_order_of_bins_is_irrelevant_without_order(counts, random):
    """PSI, JS and the test for categories don't depend on the order of bins."""
    order = list(range(len(counts[0])))
    random.shuffle(order)
    p, q = counts
    for distance in (statistics.psi, statistics.js_distance):
        assert distance(p[order], q[order]) == pytest.approx(distance(p, q), abs=1e-12)


@given(st.lists(st.floats(0, 1), max_size=40))
def test_holm_only_raises(p_values):
    """Corrected values are no smaller, in the same order, and the smallest is the number of tests times itself."""
    corrected = statistics.holm(p_values)
    assert all(p <= q <= 1 for p, q in zip(p_values, corrected, strict=True))
    assert sorted(corrected) == [q for _, q in sorted(zip(p_values, corrected, strict=True))]
    if p_values:
        assert min(corrected) == min(1.0, min(p_values) * len(p_values))


def test_psi_bias_is_what_psi_is_on_average():
    """Over 2,000 draws without change the mean PSI is the bias, within 3 %."""
    rng = np.random.default_rng(1)
    draws = [(rng.multinomial(1000, [0.1] * 10), rng.multinomial(3000, [0.1] * 10)) for _ in range(2000)]
    mean = np.mean([statistics.psi(*draw) for draw in draws])
    assert mean == pytest.approx(statistics.psi_bias(*draws[0]), rel=0.03)


@pytest.mark.parametrize("test", range(len(TESTS)))
@pytest.mark.parametrize("rows", [(200, 200), (200, 100_000), (100_000, 200)])
def test_p_values_are_not_too_small(test, rows):
    """Without change, 5 % of p-values at most are below 5 %, and 0.5 % below 0.5 %, also for unequal samples."""
    rng = np.random.default_rng(test)
    p_values = []
    for _ in range(2000):
        parts = np.full(10, rows[0] // 10)
        q = rng.multinomial(rows[1], rng.dirichlet(parts))  # bins between quantiles of the reference
        p_values.append(TESTS[test](parts.astype(np.int64), q))
    for alpha in (0.05, 0.005):
        assert np.mean(np.array(p_values) <= alpha) <= alpha + 3.5 * math.sqrt(alpha / 2000)


# Against SciPy ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def scipy_stats():
    """SciPy's statistics; the development environment has them through scikit-learn."""
    return pytest.importorskip("scipy.stats")


def test_tails_equal_scipy(scipy_stats):
    """Chi-square, Kolmogorov and hypergeometric tails, far out as well."""
    for x in (0.1, 1.0, 9.5, 60.0, 400.0):
        for freedom in (1, 2, 3, 9, 20, 31):
            assert tails.chi_square(x, freedom) == pytest.approx(scipy_stats.chi2.sf(x, freedom), rel=1e-10)
    for x in (0.3, 0.8, 1.4, 2.5, 4.0):
        assert tails.kolmogorov(x) == pytest.approx(scipy_stats.kstwobign.sf(x), rel=1e-8)
    for a, n, b, m in (
        (3, 10, 1, 12),
        (0, 5, 9, 90),
        (40, 200, 10, 100_000),
        (1500, 4000, 400, 9000),
        (195, 200, 3, 9),
    ):
        expected = scipy_stats.hypergeom.sf(a - 1, n + m, a + b, n)
        assert tails.hypergeometric(a, n, b, m) == pytest.approx(expected, rel=1e-7)


@settings(max_examples=40)
@given(st.integers(0, 2**32), st.integers(30, 400), st.integers(30, 400))
def test_tests_equal_scipy(scipy_stats, seed, m, n):
    """Rank, spread, chi-square, KS statistic, JS and Fisher's test agree with SciPy's over values that are bins."""
    rng = np.random.default_rng(seed)
    x, y = rng.integers(0, 5, m), rng.integers(0, 5, n)
    p, q = np.bincount(x, minlength=5), np.bincount(y, minlength=5)
    rank = scipy_stats.mannwhitneyu(x, y, use_continuity=False, method="asymptotic")
    assert statistics.rank_test(p, q) == pytest.approx(rank.pvalue, rel=1e-6)
    assert statistics.ks(p, q) == pytest.approx(scipy_stats.ks_2samp(x, y).statistic)
    js = pytest.importorskip("scipy.spatial.distance").jensenshannon(p, q, base=2)
    assert statistics.js_distance(p, q) == pytest.approx(js)
    if np.min(scipy_stats.contingency.expected_freq([p, q])) >= 5:
        pearson = scipy_stats.chi2_contingency([p, q]).pvalue
        tukey = 4 * m * n / (m + n) * np.sum((np.sqrt(p / m) - np.sqrt(q / n)) ** 2)
        expected = max(pearson, scipy_stats.chi2.sf(tukey, 4))
        assert statistics.homogeneity_test(p, q, ordered=True) == pytest.approx(expected, rel=1e-6)
    less, more = (scipy_stats.fisher_exact([[q[0], n - q[0]], [p[0], m - p[0]]], s).pvalue for s in ("less", "greater"))
    assert statistics.share_test(p[0], m, q[0], n) == pytest.approx(min(1, 2 * min(less, more)), rel=1e-6)


def test_spread_test_equals_scipy_without_ties(scipy_stats):
    """Mood's test over bins of one value each."""
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=80), 1.5 * rng.normal(size=120)
    order = np.argsort(np.concatenate([x, y]))
    p, q = (order < 80).astype(np.int64), (order >= 80).astype(np.int64)
    assert statistics.spread_test(p, q) == pytest.approx(scipy_stats.mood(x, y).pvalue, rel=1e-6)
