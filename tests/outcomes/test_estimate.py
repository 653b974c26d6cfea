"""Accuracy before the truths arrive: within its stated error while confidence means what it meant, wrong when not."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from recorded_outcomes import recorded, sums, written

import otelml
from otelml.outcomes.estimate import ENOUGH, Known, estimate
from otelml.outcomes.quality import BINS

RUNS = 400


def world(random, n, *, overconfident=1.0, hard=(4.0, 1.5), share=0.5):
    """Return classes, bins of confidence, and whether each was right, of n predictions.

    Class a is right as often as its confidence to the power of ``overconfident`` says, class b less often.
    """
    label = np.where(random.random(n) < share, "a", "b")
    confidence = 0.5 + 0.5 * random.beta(*hard, n)
    right = random.random(n) < np.where(label == "a", confidence, confidence - 0.1) ** overconfident
    return label, np.minimum((confidence * BINS).astype(int), BINS - 1), right


def known(label, place, right):
    """Count known outcomes as the database does."""
    n, good = Counter(), Counter()
    for key, is_right in zip(zip(label.tolist(), place.tolist(), strict=True), right.tolist(), strict=True):
        n[key] += 1
        good[key] += is_right
    return [Known(*key, n[key], good[key]) for key in n]


def predicted(label, place, _):
    """Count predictions without their truths."""
    return Counter(zip(label.tolist(), place.tolist(), strict=True))


def within(seed, sizes, before, after):
    """Return the share of runs whose interval holds the accuracy that the truths showed, and the mean half-width."""
    random, hits, width = np.random.default_rng(seed), 0, 0.0
    for _ in range(RUNS):
        now = world(random, sizes[1], **after)
        found = estimate(known(*world(random, sizes[0], **before)), predicted(*now))
        hits += found.lower <= now[2].mean() <= found.upper
        width += (found.upper - found.lower) / 2
    return hits / RUNS, width / RUNS


@pytest.mark.parametrize("overconfident", [1.0, 2.0], ids=["calibrated", "overconfident"])
@pytest.mark.parametrize("sizes", [(500, 300), (5000, 1000), (2000, 20000)], ids="known {0[0]} new {0[1]}".format)
def test_within_its_error(sizes, overconfident):
    """On data like before the interval holds the real accuracy in at least 92 of 100 runs, and is not too wide.

    92: 95 less three standard errors of 400 runs. However wrong the model's own confidence is, only its meaning counts.
    """
    same = {"overconfident": overconfident}
    share, width = within(1, sizes, same, same)
    assert share >= 0.917
    n, m = sizes
    assert width < 1.5 * 1.96 * (0.25 / n + 0.25 / m) ** 0.5


@pytest.mark.parametrize(
    "after", [{"hard": (1.5, 3.0)}, {"share": 0.9}, {"hard": (8.0, 1.5), "share": 0.2}], ids=["harder", "mix", "easier"]
)
def test_other_inputs(after):
    """Where harder or easier cases come, or another mix of classes, the estimate follows before any truth is known."""
    share, _ = within(2, (5000, 1000), {}, after)
    assert share >= 0.917
    random = np.random.default_rng(3)
    before, now = world(random, 20000), world(random, 20000, **after)
    found = estimate(known(*before), predicted(*now))
    real = now[2].mean()
    assert abs(found.accuracy - real) < abs(before[2].mean() - real) / 5  # the old accuracy would have been wrong
    assert abs(found.accuracy - real) < 0.015


def test_concept_drift_is_not_seen():
    """Negative control, as documented: where the same input has another truth, the estimate stays and is wrong."""
    random = np.random.default_rng(4)
    before, now = world(random, 5000), world(random, 5000, overconfident=3.0)
    found = estimate(known(*before), predicted(*now))
    assert abs(found.accuracy - before[2].mean()) < 0.03
    assert found.lower > now[2].mean() + 0.2
    share, _ = within(5, (2000, 1000), {}, {"overconfident": 3.0})
    assert share == 0.0


def test_own_confidence_is_not_believed():
    """A model that is always sure and right in 6 of 10 cases is expected to be right in 6 of 10."""
    found = estimate([Known("a", 99, 1000, 600)], {("a", 99): 500})
    assert found.accuracy == 0.6
    assert (found.n, found.known) == (500, 1000)


def test_classes_by_themselves():
    """At one and the same confidence a class that is right less often counts for less."""
    outcomes = [Known("a", 90, 500, 450), Known("b", 90, 500, 100)]
    assert estimate(outcomes, {("a", 90): 10, ("b", 90): 30}).accuracy == pytest.approx((0.9 + 3 * 0.2) / 4)


def test_unseen_is_left_open():
    """Predictions of a class or a confidence without known outcomes may turn out any way, and the interval says so."""
    outcomes = [Known("a", place, 500, 400) for place in (80, 90)]
    seen = estimate(outcomes, {("a", 85): 1000})
    for other in [("new", 85), ("a", 60), ("a", 95)]:
        found = estimate(outcomes, {("a", 85): 500, other: 500})
        assert (found.lower, found.upper) == pytest.approx((seen.lower - 0.5, 1.0), abs=0.01)


def test_too_little_is_known():
    """With fewer known outcomes than are enough, or without predictions, nothing is said."""
    assert estimate([Known("a", 90, ENOUGH - 1, 100)], {("a", 90): 10}) is None
    assert estimate([Known("a", 90, ENOUGH, 100)], {}) is None
    assert estimate([Known("a", 90, ENOUGH, 100)], {("a", 90): 1}) is not None


CELLS = st.lists(
    st.tuples(st.sampled_from("abc"), st.integers(0, 99), st.integers(1, 400), st.floats(0, 1)), min_size=1, max_size=40
)


@settings(deadline=None)
@given(CELLS, CELLS)
def test_bounds(before, now):
    """Whatever is counted: lower end, estimate and upper end stand in this order in [0, 1], all predictions counted."""
    outcomes = [Known(label, place, n, int(n * share)) for label, place, n, share in before]
    made = Counter()
    for label, place, n, _ in now:
        made[label, place] += n
    found = estimate(outcomes, made)
    if sum(cell.n for cell in outcomes) < ENOUGH:
        assert found is None
    else:
        assert 0 <= found.lower <= found.accuracy <= found.upper <= 1
        assert found.n == made.total()


def test_gauges(settings):
    """The estimate stands beside the real accuracy as gauges with its interval, by model and version."""
    model = {"ml.model.name": "delay", "ml.model.version": "3"}
    random = np.random.default_rng(6)
    with recorded(**settings) as telemetry:
        for i, (label, place, right) in enumerate(zip(*world(random, 1500), strict=True)):
            with otelml.prediction("delay", "3", prediction_id=f"p{i}") as p:
                p.result(classes=str(label), confidence=(place + 0.5) / BINS)
            if i % 3:
                otelml.record_outcome(f"p{i}", str(label) if right else "other")
        assert written(telemetry)
        names = ("accuracy", "estimated_accuracy", "estimated_accuracy_lower", "estimated_accuracy_upper")
        real, expected, lower, upper = [
            sums(telemetry, f"ml.quality.{name}", *model)[tuple(model.values())] for name in names
        ]
    assert lower < expected < upper
    assert lower < real < upper
    assert upper - lower < 0.12
