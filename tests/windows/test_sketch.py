"""Quantiles from log-spaced counts: within their stated error of numpy's, mergeable, bounded."""

import numpy as np
import pytest

from otelml.windows.sketch import ACCURACY, BINS, HIGHEST, LOWEST, Sketch

SHARES = (0.0, 0.01, 0.25, 0.5, 0.9, 0.95, 0.99, 0.999, 1.0)
RANDOM = np.random.default_rng(0)
SAMPLES = {
    "lognormal": RANDOM.lognormal(-4, 1, 10_000),
    "bimodal": np.concatenate([RANDOM.normal(0.01, 0.001, 5000), RANDOM.normal(2, 0.1, 500)]),
    "heavy tail": 1e-3 * (1 + RANDOM.pareto(0.5, 10_000)),
    "constant": np.full(1000, 0.25),
    "two": np.array([0.1, 0.2]),
    "one": np.array([0.0123]),
    "log-uniform": 10 ** RANDOM.uniform(-6, 4, 20_000),
    "integers": RANDOM.integers(1, 50, 3000).astype(float),
}


def sketch(values):
    """Return a sketch of values."""
    made = Sketch()
    made.add(values)
    return made


def within(found, values, share):
    """Say whether a quantile is as near to the sample's own as is promised; the last 1e-9 are rounding."""
    true = float(np.clip(np.quantile(values, share, method="lower"), LOWEST, HIGHEST))
    return abs(found - true) <= (ACCURACY + 1e-9) * true


@pytest.mark.parametrize("values", SAMPLES.values(), ids=list(SAMPLES))
def test_quantiles_against_numpy(values):
    """Every quantile is within 1 % of that of the raw values."""
    made = sketch(values)
    assert [share for share in SHARES if not within(made.quantile(share), values, share)] == []


@pytest.mark.parametrize("seed", range(20))
def test_quantiles_of_random_samples(seed):
    """So it is for samples of any size, place and width."""
    random = np.random.default_rng(seed)
    values = random.lognormal(random.uniform(-10, 5), random.uniform(0, 3), random.integers(1, 5000))
    made = sketch(values)
    assert [share for share in random.uniform(size=50) if not within(made.quantile(share), values, share)] == []


@pytest.mark.parametrize("parts", [2, 7, 100])
def test_merging_is_the_same_as_one(parts):
    """Sketches of parts, merged in any order, are the sketch of all."""
    values = SAMPLES["log-uniform"]
    pieces = [sketch(part) for part in np.array_split(values, parts)]
    RANDOM.shuffle(pieces)
    merged = Sketch()
    for piece in pieces:
        merged.merge(piece)
    assert [merged.quantile(share) for share in SHARES] == [sketch(values).quantile(share) for share in SHARES]


def test_merging_leaves_the_other_alone():
    """What is merged stays as it was."""
    one, other = sketch(np.array([0.1])), sketch(np.array([5.0, 7.0]))
    one.merge(other)
    one.add(np.array([6.0]))
    assert other.quantile(1.0) == sketch(np.array([7.0])).quantile(1.0)
    into = Sketch()
    into.merge(other)
    into.add(np.array([5.0] * 10))
    assert within(other.quantile(0.5), np.array([5.0, 7.0]), 0.5)


def test_outside_of_the_range():
    """What is shorter than 1 µs or longer than 10,000 s counts as the nearest of these."""
    made = sketch(np.array([0.0, -1.0, 1e-9, 1e9]))
    assert made.quantile(0) == pytest.approx(LOWEST, rel=0.011)
    assert made.quantile(1) == pytest.approx(HIGHEST, rel=0.011)


def test_empty():
    """Without values there is no quantile."""
    empty = Sketch()
    empty.merge(Sketch())
    assert empty.quantile(0.5) is None


def test_bounded():
    """However wide the values are spread, a sketch has so many bins at most, of four bytes."""
    made = sketch(10 ** RANDOM.uniform(-12, 12, 100_000))
    assert made._counts.size <= BINS < 1200
    assert made._counts.itemsize == 4
