"""Distances and tests between two vectors of counts over the same bins. They know nothing of rows, features or windows.

Counts add up: those of two windows, or of every process of a fleet, give what one process would have found that saw all
of it. Each function takes the reference's counts first, then the current ones: whole numbers of one length.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from otelml.drift import tails

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Counts = NDArray[np.int64]
    Numbers = NDArray[np.float64]

PSEUDO_COUNT = 0.5
ROUNDING = 1e-9  # of a score: sums of squares of ranks of a million rows are exact to 1e-12
LEAST_EXPECTED = 5.0  # Cochran, Some methods for strengthening the common chi-square tests, Biometrics 10 (1954)


def psi(reference: Counts, current: Counts) -> float:
    """Return the population stability index: 0 for equal shares, above without limit.

    The sum of (p - q) ln(p / q): Jeffreys' divergence, symmetric. Half a pseudo-count in each bin (Krichevsky and
    Trofimov, IEEE Trans. Inf. Theory 27, 1981) keeps an empty bin from deciding alone; bins empty on both sides don't
    count. Siddiqi, Credit Risk Scorecards (2006), has the marks of 0.1 and 0.25 that it is usually read by.
    """
    kept = (reference + current) > 0
    if not kept.any():
        return 0.0
    p, q = _smoothed(reference[kept]), _smoothed(current[kept])
    return float(max(0.0, np.sum((p - q) * np.log(p / q))))


def psi_bias(reference: Counts, current: Counts) -> float:
    """Return what `psi` is on average when nothing changed: (bins - 1)(1/n + 1/m), over bins that aren't empty.

    Yurdakul, Statistical Properties of Population Stability Index (2018): PSI / (1/n + 1/m) is chi-square distributed
    with bins - 1 degrees of freedom.
    """
    m, n = int(reference.sum()), int(current.sum())
    bins = int(np.count_nonzero(reference + current))
    return (bins - 1) * (1 / m + 1 / n) if m and n and bins else 0.0


def _smoothed(counts: Counts) -> Numbers:
    shares: Numbers = (counts + PSEUDO_COUNT) / (counts.sum() + PSEUDO_COUNT * len(counts))
    return shares


def js_distance(reference: Counts, current: Counts) -> float:
    """Return the Jensen-Shannon distance, from 0 (equal shares) to 1 (no bin in common); a metric.

    The root of the divergence in bits: Endres and Schindelin, A new metric for probability distributions, IEEE Trans.
    Inf. Theory 49 (2003). With no counts on one side, 0.
    """
    p, q = _shares(reference), _shares(current)
    if not (p.any() and q.any()):
        return 0.0
    mean = (p + q) / 2
    bits = _bits(p, mean) / 2 + _bits(q, mean) / 2
    return math.sqrt(min(1.0, max(0.0, bits)))


def _bits(p: Numbers, q: Numbers) -> float:
    some = p > 0
    return float(np.sum(p[some] * np.log2(p[some] / q[some])))


def _shares(counts: Counts) -> Numbers:
    total = counts.sum()
    return counts / total if total else np.zeros(len(counts))


def ks(reference: Counts, current: Counts) -> float:
    """Return the Kolmogorov-Smirnov statistic at the bins' edges, 0 to 1: the largest difference in cumulated shares.

    Bins must be in order. Between edges the difference may be larger: this is a lower bound of that of the raw values.
    """
    if not (reference.any() and current.any()):
        return 0.0
    difference = np.cumsum(_shares(reference)) - np.cumsum(_shares(current))
    return float(min(1.0, np.max(np.abs(difference))))


# Tests: each returns a p-value, 1.0 where there is nothing to test -------------------------------------------------


def ks_test(reference: Counts, current: Counts) -> float:
    """Return the p-value of the two-sample Kolmogorov-Smirnov test; over bins it errs on the side of no change.

    Conover, Practical Nonparametric Statistics (1999), section 6.3; the limiting distribution.
    """
    m, n = int(reference.sum()), int(current.sum())
    return tails.kolmogorov(math.sqrt(m * n / (m + n)) * ks(reference, current)) if m and n else 1.0


def rank_test(reference: Counts, current: Counts) -> float:
    """Return the two-sided p-value of Wilcoxon's rank-sum test over ordered bins: has the whole moved up or down?

    Values of one bin are ties with their mean rank: Lehmann, Nonparametrics (1975), section 1.4. Over ten equal bins it
    keeps 99 % of the efficiency of the raw ranks.
    """
    return _score_test(reference, current, _middle_ranks(reference + current))


def spread_test(reference: Counts, current: Counts) -> float:
    """Return the two-sided p-value of Mood's test over ordered bins: are values further from the middle, or nearer?

    Mood, On the asymptotic efficiency of certain nonparametric two-sample tests, Ann. Math. Stat. 25 (1954).
    """
    both = reference + current
    return _score_test(reference, current, (_middle_ranks(both) - (both.sum() + 1) / 2) ** 2)


def _middle_ranks(both: Counts) -> Numbers:
    ranks: Numbers = np.cumsum(both) - (both - 1) / 2
    return ranks


def _score_test(reference: Counts, current: Counts, scores: Numbers) -> float:
    """Return the p-value of a linear rank statistic, by its mean and variance over all ways to part the rows."""
    both = reference + current
    m, n, total = int(reference.sum()), int(current.sum()), int(both.sum())
    if not (m and n):
        return 1.0
    if np.ptp(scores[both > 0]) <= ROUNDING * np.max(np.abs(scores)):  # what is left is rounding, not variance
        return 1.0
    scores = scores - float(both @ scores) / total
    variance = float(both @ scores**2) * m / (total * (total - 1)) * n
    return tails.normal(float(current @ scores) / math.sqrt(variance))


def homogeneity_test(reference: Counts, current: Counts, *, ordered: bool) -> float:
    """Return the p-value of the chi-square test that both samples have the same shares.

    Neighbours (``ordered``), or the rarest, are put together until at least 5 are expected on both sides (Cochran).
    The statistic is the smaller of Pearson's and of Freeman and Tukey's (Cressie and Read, Multinomial goodness-of-fit
    tests, J. R. Stat. Soc. B 46, 1984): far out, where corrections for many features look, Pearson's has too many large
    values when one sample is small, and the other's has when an expected count is.
    """
    m, n = int(reference.sum()), int(current.sum())
    if not (m and n):
        return 1.0
    if not ordered:
        order = np.argsort(reference + current, kind="stable")
        reference, current = reference[order], current[order]
    reference, current = _pooled(reference, current, LEAST_EXPECTED * (m + n) / min(m, n))
    if len(reference) <= 1:
        return 1.0
    p, q = reference / m, current / n
    scale = m / (m + n) * n
    pearson = scale * float(np.sum((p - q) ** 2 / ((reference + current) / (m + n))))
    tukey = 4 * scale * float(np.sum((np.sqrt(p) - np.sqrt(q)) ** 2))
    return tails.chi_square(min(pearson, tukey), len(reference) - 1)


def _pooled(reference: Counts, current: Counts, least: float) -> tuple[Counts, Counts]:
    """Put neighbouring bins together until each has ``least`` counts of both samples; what is left joins the last."""
    groups, filled = [0], 0
    for i, count in enumerate((reference + current).tolist(), 1):
        filled += count
        if filled >= least:
            groups.append(i)
            filled = 0
    if len(groups) > 1:
        groups.pop()
    return np.add.reduceat(reference, groups), np.add.reduceat(current, groups)


def share_test(hits: int, m: int, current_hits: int, n: int) -> float:
    """Return the two-sided p-value of Fisher's exact test that both samples have the same share of hits."""
    if not (m and n):
        return 1.0
    more = tails.hypergeometric(current_hits, n, hits, m)
    fewer = tails.hypergeometric(hits, m, current_hits, n)
    return min(1.0, 2 * min(more, fewer))


def more_test(hits: int, m: int, current_hits: int, n: int) -> float:
    """Return the one-sided p-value of Fisher's exact test that the current sample has a larger share of hits."""
    return tails.hypergeometric(current_hits, n, hits, m) if m and n else 1.0


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values corrected for their number: to reject those below alpha errs anywhere at most alpha of the time.

    Holm, A simple sequentially rejective multiple test procedure, Scand. J. Stat. 6 (1979). It holds however features
    depend on one another, which false discovery rates (Benjamini and Hochberg) don't, and when one feature did move
    the others are still judged as strictly: an alarm that names a feature that didn't move costs trust.
    """
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    corrected, highest = [1.0] * len(p_values), 0.0
    for i, at in enumerate(order):
        highest = max(highest, min(1.0, p_values[at] * (len(p_values) - i)))
        corrected[at] = highest
    return corrected
