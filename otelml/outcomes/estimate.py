"""How right a model probably is before its truths arrive: accuracy estimated from calibrated confidence.

Plain arithmetic that knows nothing of telemetry. The idea is NannyML's confidence-based performance estimation (CBPE,
https://nannyml.readthedocs.io/en/stable/how_it_works/performance_estimation.html): how often a prediction of a given
confidence was right where the truth is known says how often it will be right where it is not. The calibration is by
bins (Zadrozny and Elkan, ICML 2001), for each predicted class by itself, so that neither other confidences nor another
mix of predicted classes mislead it. It holds while a prediction of that class and confidence is right as often as
before. Where the world changes so that the same input has another truth (concept drift), it can't know, and is wrong.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from math import sqrt
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

ENOUGH = 200
"""Known outcomes without which nothing is estimated."""
IN_GROUP = 30
"""Known outcomes in a group of confidences, at least."""
Z = 1.959964
"""Standard deviations on both sides that hold 95 % of a normal distribution."""


class Known(NamedTuple):
    """Predictions alike whose truth is known: predicted class, bin of confidence, how many, how many of them right."""

    predicted: str
    bin: int
    n: int
    right: int


class Estimate(NamedTuple):
    """Estimated accuracy, the 95 % interval of the accuracy that the truths will show, and of what it is made."""

    accuracy: float
    lower: float
    upper: float
    n: int
    """Predictions that it is about."""
    known: int
    """Outcomes that it was learnt from."""


class _Group(NamedTuple):
    """Neighbouring bins of one predicted class, counted together."""

    first: int
    last: int
    n: int
    right: int


def estimate(known: Sequence[Known], predicted: Mapping[tuple[str, int], int]) -> Estimate | None:
    """Return the accuracy to expect of predictions, or None where too few outcomes are known.

    With w_g the share of the predictions in group g, p_g = right_g/n_g of the known outcomes there, and m predictions,
    the estimate is the sum of w_g·p_g. Its variance about the accuracy that will be seen has two parts: what is not
    known of the groups, sum of w_g²·p_g(1-p_g)/n_g, and the chance in m predictions, sum of w_g·p_g(1-p_g)/m
    (post-stratification; Cochran, Sampling Techniques, 3rd edition, 1977, 5A.9). In the variance p_g is taken with one
    more right and one more wrong, so that a group of only right ones has some. Predictions of a class or a confidence
    that no known outcome has may turn out any way: the interval leaves both open.

    Args:
        known: Known outcomes.
        predicted: Numbers of predictions by (class, bin of confidence), their truth known or not.
    """
    total, m = sum(cell.n for cell in known), sum(predicted.values())
    if total < ENOUGH or not m:
        return None
    groups = _groups(known)
    shares: Counter[_Group] = Counter()
    unseen = 0.0
    for (label, place), n in predicted.items():
        of = groups.get(label) or groups[None]
        shares[_nearest(of, place)] += n
        unseen += 0 if label in groups and of[0].first <= place <= of[-1].last else n / m
    accuracy = sum(n / m * group.right / group.n for group, n in shares.items())
    error = Z * sqrt(sum(_variance(group, n / m, m) for group, n in shares.items()))
    return Estimate(accuracy, max(0.0, accuracy - error - unseen), min(1.0, accuracy + error + unseen), m, total)


def _variance(group: _Group, share: float, m: int) -> float:
    p = (group.right + 1) / (group.n + 2)
    return p * (1 - p) * (share * share / group.n + share / m)


def _groups(known: Iterable[Known]) -> dict[str | None, list[_Group]]:
    """Return the groups of each predicted class that has enough outcomes, and, as None, those of all together."""
    cells: dict[str | None, Counter[int]] = defaultdict(Counter)
    right: dict[str | None, Counter[int]] = defaultdict(Counter)
    for cell in known:
        for label in (cell.predicted, None):
            cells[label][cell.bin] += cell.n
            right[label][cell.bin] += cell.right
    return {label: _cut(n, right[label]) for label, n in cells.items() if n.total() >= IN_GROUP}


def _cut(cells: Counter[int], right: Counter[int]) -> list[_Group]:
    """Return neighbouring bins put together until each group has enough outcomes."""
    found: list[_Group] = []
    waiting: list[int] = []
    for place in sorted(cells):
        waiting.append(place)
        if sum(cells[k] for k in waiting) >= IN_GROUP:
            found.append(_group(waiting, cells, right))
            waiting = []
    if waiting:  # too few at the upper end join the group below
        below = [k for k in sorted(cells) if found and k >= found[-1].first]
        found[-1:] = [_group(below or waiting, cells, right)]
    return found


def _group(places: Sequence[int], cells: Counter[int], right: Counter[int]) -> _Group:
    return _Group(places[0], places[-1], sum(cells[k] for k in places), sum(right[k] for k in places))


def _nearest(groups: Sequence[_Group], place: int) -> _Group:
    return min(groups, key=lambda group: max(group.first - place, place - group.last, 0))
