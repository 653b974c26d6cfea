"""Has a feature moved? Tests, an effect size less its bias, and a correction for the number of features.

Each feature gets several tests, each good at one kind of change. Their p-values are joined by weighted Bonferroni (the
smallest of p / weight): it assumes nothing about how they depend on one another, and its price is known beforehand.
The rank test gets most of the weight, because most drift moves the whole. Over features, Holm's correction.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from otelml.drift import statistics
from otelml.drift.features import NumberFeature
from otelml.drift.reference import Reference, Window
from otelml.drift.report import DriftReport, FeatureDrift, Thresholds

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from otelml.drift.features import Feature

    Counts = NDArray[np.int64]

WEIGHTS = {
    "number": {"rank": 0.7, "spread": 0.06, "shape": 0.06, "ks": 0.06, "range": 0.06, "missing": 0.06},
    "category": {"shape": 0.5, "other": 0.25, "missing": 0.25},
}
"""What each test gets of a feature's error rate; each kind's add up to 1."""


def compare(
    reference: Reference,
    X: Any,  # noqa: N803 - as in Reference.fit
    *,
    alpha: float = 0.01,
    effect: float = 0.005,
    missing: float = 0.005,
    minimum_rows: int = 100,
) -> DriftReport:
    """Compare data, or a `Window` of counts, with a reference.

    A feature has drifted when, with at least ``minimum_rows`` on both sides, its q-value is at most ``alpha`` and its
    PSI less the bias is at least ``effect``, or its share of missing values has changed by at least ``missing``.

    Args:
        reference: What to compare with; a sample as well, whose own error is accounted for.
        X: Rows as for `Reference.fit`, or a window.
        alpha: How often, of all comparisons without any change, at least one feature may be called drifted.
        effect: Changes with a smaller PSI (0.005 is a shift by 0.07 standard deviations) never count.
        missing: Changes in the share of missing values, from 0 to 1, that never count if smaller.
        minimum_rows: With fewer, in the reference or in ``X``, nothing is called drifted.

    Raises:
        InvalidDataError: columns of the reference are missing, or are more or less than its features, without names.
        ValueError: ``alpha`` is not between 0 and 1, or another limit is negative.
    """
    if not (0 < alpha < 1 and effect >= 0 and missing >= 0 and minimum_rows >= 1):
        raise ValueError(f"{alpha=}, {effect=}, {missing=}, {minimum_rows=}: alpha from 0 to 1, none negative")
    window = X if isinstance(X, Window) else reference.count(X)
    reference.window() + window  # says so when they don't belong together
    thresholds = Thresholds(alpha, effect, missing, minimum_rows)
    tested = [_p_values(feature, window.counts[feature.name]) for feature in reference.features]
    q_values = statistics.holm([_joint(p_values, f)[0] for p_values, f in zip(tested, reference.features, strict=True)])
    features = [
        _judged(feature, window.counts[feature.name], thresholds, p_values, q)
        for feature, p_values, q in zip(reference.features, tested, q_values, strict=True)
    ]
    return DriftReport(tuple(features), window.rows, reference.rows, thresholds, window.unknown)


def _p_values(feature: Feature, current: Counts) -> dict[str, float]:
    """Return the p-value of each test of a feature."""
    before = np.array(feature.counts, np.int64)
    found = _number_tests(before, current) if isinstance(feature, NumberFeature) else _category_tests(before, current)
    m, n = int(before.sum()), int(current.sum())
    found["missing"] = statistics.share_test(int(before[-1]), m, int(current[-1]), n)
    return found


def _joint(p_values: dict[str, float], feature: Feature) -> tuple[float, str]:
    """Return the p-value of all tests together, and the test that it is from."""
    weights = WEIGHTS[feature.kind]
    p, test = min((p / weights[test], test) for test, p in p_values.items())
    return min(1.0, p), test


def _number_tests(before: Counts, current: Counts) -> dict[str, float]:
    p, q = before[:-1], current[:-1]  # those that have a value
    m, n = int(p.sum()), int(q.sum())
    below, above = (statistics.more_test(int(p[end]), m, int(q[end]), n) for end in (0, -1))
    return {
        "rank": statistics.rank_test(p, q),
        "spread": statistics.spread_test(p, q),
        "shape": statistics.homogeneity_test(p, q, ordered=True),
        "ks": statistics.ks_test(p, q),
        "range": min(1.0, 2 * min(below, above)),
    }


def _category_tests(before: Counts, current: Counts) -> dict[str, float]:
    p, q = before[:-1], current[:-1]
    return {
        "shape": statistics.homogeneity_test(p, q, ordered=False),
        "other": statistics.share_test(int(p[-1]), int(p.sum()), int(q[-1]), int(q.sum())),
    }


def _judged(feature: Feature, current: Counts, marks: Thresholds, p_values: dict[str, float], q: float) -> FeatureDrift:
    p, test = _joint(p_values, feature)
    before = np.array(feature.counts, np.int64)
    m, n = int(before.sum()), int(current.sum())
    missing, missing_before = (int(c[-1]) / total if total else 0.0 for c, total in ((current, n), (before, m)))
    psi = statistics.psi(before, current) if n else 0.0
    bias = statistics.psi_bias(before, current)
    large = psi - bias >= marks.effect or abs(missing - missing_before) >= marks.missing
    return FeatureDrift(
        name=feature.name,
        kind=feature.kind,
        n=n,
        psi=psi,
        psi_bias=bias,
        js=statistics.js_distance(before, current),
        ks=statistics.ks(before[:-1], current[:-1]) if feature.kind == "number" else None,
        p_value=p,
        q_value=q,
        test=test,
        p_values=p_values,
        missing=missing,
        missing_change=missing - missing_before if n else 0.0,
        drifted=min(m, n) >= marks.minimum_rows and q <= marks.alpha and large,
        labels=feature.labels,
        shares_before=_shares(before),
        shares=_shares(current),
    )


def _shares(counts: Counts) -> tuple[float, ...]:
    total = int(counts.sum())
    return tuple((counts / total).tolist()) if total else (0.0,) * len(counts)
