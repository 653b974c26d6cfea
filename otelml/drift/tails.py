"""Tail probabilities of the distributions that the tests need, in plain Python: no SciPy at run time."""

from __future__ import annotations

import math

_KOLMOGOROV_ONE = 0.2  # below, the probability is 1 to double precision
_MOST_EXACT = 2000  # successes up to which a hypergeometric tail is summed; above, the normal tail is close enough


def normal(z: float) -> float:
    """Return P(|Z| >= |z|) of a standard normal variable: the two-sided p-value."""
    return math.erfc(abs(z) / math.sqrt(2))


def chi_square(x: float, freedom: int) -> float:
    """Return P(X >= x) of a chi-square variable with ``freedom`` >= 1 degrees of freedom.

    The finite sums for whole degrees: Abramowitz and Stegun, Handbook of Mathematical Functions, 26.4.4 and 26.4.5.
    """
    if x <= 0:
        return 1.0
    half = x / 2
    if freedom % 2:
        total, term, first = math.erfc(math.sqrt(half)), math.exp(-half) * math.sqrt(half) / math.gamma(1.5), 1.5
    else:
        total, term, first = 0.0, math.exp(-half), 1.0
    for i in range(freedom // 2):
        total += term
        term *= half / (first + i)
    return min(1.0, total)


def kolmogorov(x: float) -> float:
    """Return P(K >= x) of Kolmogorov's distribution, the limit of sqrt(nm/(n+m)) times the KS statistic.

    Smirnov, Table for estimating the goodness of fit of empirical distributions, Ann. Math. Stat. 19 (1948).
    """
    if x <= _KOLMOGOROV_ONE:
        return 1.0
    total = 0.0
    for j in range(1, 101):
        term = math.exp(-2 * (j * x) ** 2)
        total += term if j % 2 else -term
        if term < 1e-17 * total:
            break
    return min(1.0, max(0.0, 2 * total))


def hypergeometric(a: int, n: int, b: int, m: int) -> float:
    """Return P(A >= a) when ``a + b`` successes fall at random on samples of ``n`` and ``m``: Fisher's exact test.

    One-sided: are there more among the ``n`` than chance puts there? Fisher, Statistical Methods for Research Workers
    (1934), section 21.02. Above two thousand successes and as many failures, the normal limit.
    """
    hits, total = a + b, n + m
    if hits == 0 or a == 0:
        return 1.0
    if min(hits, total - hits) > _MOST_EXACT:
        mean = n * hits / total
        variance = mean * (1 - hits / total) * m / (total - 1)
        return 0.5 * math.erfc((a - 0.5 - mean) / math.sqrt(2 * variance)) if variance else 1.0
    if hits > total - hits:  # as well count the failures: the sum is shorter
        return _tail(m - b, m, n - a, n)
    return _tail(a, n, b, m)


def _tail(a: int, n: int, b: int, m: int) -> float:
    hits = a + b
    log = _log_choose(n, a) + _log_choose(m, b) - _log_choose(n + m, hits)
    if a * (n + m) >= n * hits:  # above the mean terms only fall
        return min(1.0, math.exp(log) * _falling(a, n, b, m))
    below = math.exp(log) * _falling(b, m, a, n)  # P(A <= a)
    return min(1.0, max(0.0, 1 - below + math.exp(log)))


def _falling(a: int, n: int, b: int, m: int) -> float:
    """Return the sum of probabilities from ``a`` upwards as a multiple of the first one."""
    total = term = 1.0
    while b > 0 and a < n and term > 1e-17 * total:
        term *= (n - a) * b / ((a + 1) * (m - b + 1))
        a, b, total = a + 1, b - 1, total + term
    return total


def _log_choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
