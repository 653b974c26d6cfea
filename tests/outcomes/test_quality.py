"""Figures of quality against scikit-learn, against counts by hand, and at their edges."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from otelml.outcomes.quality import BINS, Cell, Errors, Quality, auc, by_class, calibration_error, quality


def cells(predicted, actual, confidence=None):
    """Return one cell an outcome, as the database would count them."""
    sure = [None] * len(predicted) if confidence is None else confidence
    places = [None if c is None else int(c * BINS) for c in sure]
    return [Cell(p, a, b, 1, c or 0.0) for p, a, b, c in zip(predicted, actual, places, sure, strict=True)]


def test_counts_by_hand():
    """3 of 4 right; of class b: 2 predicted, 1 of them right, 1 in truth."""
    known = quality(cells(["a", "a", "b", "b"], ["a", "a", "a", "b"]))
    assert (known.n, known.accuracy) == (4, 0.75)
    b = known.classes["b"]
    assert (b.precision, b.recall, b.f1) == (0.5, 1.0, 2 / 3)
    assert (known.auc, known.calibration_error, known.mae, known.rmse) == (None,) * 4


@pytest.mark.parametrize("seed", range(5))
def test_against_scikit_learn(seed):
    """Accuracy, precision, recall, F1 and the area under the curve are scikit-learn's, to 1e-12."""
    random = np.random.default_rng(seed)
    n = 2000
    truth = random.integers(0, 2, n)
    # Centres of bins: only scores that the bins make equal would make a difference.
    score = (np.clip(np.floor(100 * (0.3 * truth + 0.7 * random.random(n))), 0, 99) + 0.5) / 100
    guess = (score > 0.5).astype(int)
    sure = np.where(guess == 1, score, 1 - score)
    known = quality(cells(guess.astype(str), truth.astype(str), sure.tolist()))
    assert known.accuracy == pytest.approx(metrics.accuracy_score(truth, guess), abs=1e-12)
    assert known.auc == pytest.approx(metrics.roc_auc_score(truth, score), abs=1e-12)
    each = metrics.precision_recall_fscore_support(truth, guess)
    for i, label in enumerate(["0", "1"]):
        ours = known.classes[label]
        assert (ours.precision, ours.recall, ours.f1) == pytest.approx([x[i] for x in each[:3]], abs=1e-12)


def test_auc_is_off_by_at_most_half_of_the_ties():
    """With scores of any value the binned area is within half the share of pairs in one bin."""
    random = np.random.default_rng(1)
    truth = random.integers(0, 2, 5000)
    score = np.clip(random.normal(0.45 + 0.1 * truth, 0.2), 0, 0.999)
    guess = (score > 0.5).astype(int)
    sure = np.where(guess == 1, score, 1 - score)
    ours = auc(cells(guess.astype(str), truth.astype(str), sure.tolist()))
    assert ours == pytest.approx(metrics.roc_auc_score(truth, score), abs=0.005)


def test_auc_does_not_depend_on_what_is_called_positive():
    """Swapping the two classes' names changes nothing."""
    known = [("a", "a", 0.9), ("a", "b", 0.6), ("b", "b", 0.8), ("b", "a", 0.55), ("a", "a", 0.7)]
    swap = {"a": "b", "b": "a"}
    swapped = [(swap[p], swap[a], c) for p, a, c in known]
    assert auc(cells(*zip(*known, strict=True))) == pytest.approx(auc(cells(*zip(*swapped, strict=True))))


@pytest.mark.parametrize("labels", [["a"], ["a", "b", "c"]])
def test_auc_needs_two_classes(labels):
    """With one class, or three, there is no area."""
    assert auc(cells(labels, labels, [0.9] * len(labels))) is None


def test_calibration_error_by_hand():
    """Two bins: 4 at 0.95 of which 2 are right, 6 at 0.65 of which 3 are: (4*0.45 + 6*0.15)/10."""
    known = cells(["a"] * 10, ["a", "a", "b", "b", "a", "a", "a", "b", "b", "b"], [0.95] * 4 + [0.65] * 6)
    assert calibration_error(known) == pytest.approx((4 * 0.45 + 6 * 0.15) / 10)


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from("abc"), st.sampled_from("abc"), st.floats(0, 1) | st.none()), min_size=1, max_size=50
    )
)
def test_bounds(known):
    """Every figure is in [0, 1] or None, and outcomes that are counted together say the same as one by one."""
    single = cells(*zip(*known, strict=True))
    groups = {}
    for cell in single:
        key = cell[:3]
        n, confidence = groups.get(key, (0, 0.0))
        groups[key] = n + 1, confidence + cell.confidence
    grouped = [Cell(*key, *sums) for key, sums in groups.items()]
    one, many = quality(single), quality(grouped)
    figures = [(one.accuracy, many.accuracy), (one.auc, many.auc), (one.calibration_error, many.calibration_error)]
    figures += [
        (getattr(one.classes[c], f), getattr(many.classes[c], f))
        for c in one.classes
        for f in ("precision", "recall", "f1")
    ]
    for a, b in figures:
        assert (a is None) == (b is None)
        assert a is None or (0 <= a <= 1 + 1e-12 and math.isclose(a, b, abs_tol=1e-9))


def test_errors():
    """Mean absolute and root mean squared error from their sums."""
    known = quality([], Errors(4, 8.0, 36.0))
    assert (known.n, known.mae, known.rmse, known.accuracy) == (4, 2.0, 3.0, None)


def test_nothing():
    """Without outcomes nothing is known."""
    assert quality([]) == Quality(0)
    assert by_class([]) == {}
