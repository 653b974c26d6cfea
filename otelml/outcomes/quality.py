"""How right a model was: figures from counts of predicted and true classes, and from sums of errors.

Plain arithmetic that knows nothing of telemetry. A figure that the counts don't allow is None.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from math import sqrt
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

BINS = 100
"""Bins of confidence, each 0.01 wide."""
CALIBRATION_BINS = 10
_PAIR = 2


class Cell(NamedTuple):
    """Outcomes alike: predicted and true class, bin of confidence (None: unknown), how many, sum of confidences."""

    predicted: str
    actual: str
    bin: int | None
    n: int
    confidence: float = 0.0


class Errors(NamedTuple):
    """Errors of predicted values, summed up."""

    n: int
    absolute: float
    squared: float


@dataclass(frozen=True)
class OfClass:
    """Figures of one class; None where nothing was predicted as it, or nothing is of it."""

    precision: float | None
    recall: float | None
    f1: float | None


@dataclass(frozen=True)
class Quality:
    """Figures of one model and version."""

    n: int
    accuracy: float | None = None
    auc: float | None = None
    calibration_error: float | None = None
    mae: float | None = None
    rmse: float | None = None
    classes: Mapping[str, OfClass] = field(default_factory=dict)


def quality(cells: Sequence[Cell], errors: Errors = Errors(0, 0.0, 0.0)) -> Quality:  # noqa: B008 - immutable
    """Return every figure that the counts allow."""
    n = sum(cell.n for cell in cells)
    return Quality(
        n=n + errors.n,
        accuracy=_share(sum(cell.n for cell in cells if cell.predicted == cell.actual), n),
        auc=auc(cells),
        calibration_error=calibration_error(cells),
        mae=_share(errors.absolute, errors.n),
        rmse=sqrt(errors.squared / errors.n) if errors.n else None,
        classes=by_class(cells),
    )


def by_class(cells: Iterable[Cell]) -> dict[str, OfClass]:
    """Return precision TP/(TP+FP), recall TP/(TP+FN) and their harmonic mean 2TP/(2TP+FP+FN) of every class.

    C. J. van Rijsbergen, Information Retrieval, 2nd edition, 1979, chapter 7. Their mean over the classes is what
    scikit-learn calls ``average="macro"``.
    """
    right: dict[str, int] = defaultdict(int)
    predicted: dict[str, int] = defaultdict(int)
    actual: dict[str, int] = defaultdict(int)
    for cell in cells:
        predicted[cell.predicted] += cell.n
        actual[cell.actual] += cell.n
        right[cell.actual] += cell.n if cell.predicted == cell.actual else 0
    return {
        label: OfClass(
            _share(right[label], predicted[label]),
            _share(right[label], actual[label]),
            _share(2 * right[label], predicted[label] + actual[label]),
        )
        for label in sorted({*predicted, *actual})
    }


def auc(cells: Sequence[Cell]) -> float | None:
    """Return the area under the ROC curve of two classes; None for any other number of classes or without confidence.

    It is the chance that a case of one class gets a higher score than one of the other, half for equal scores
    (Hanley and McNeil, Radiology 143, 1982; T. Fawcett, Pattern Recognition Letters 27, 2006). The score is the
    confidence, or 1 less it where the other class was predicted; which class is called positive does not matter.
    Scores in one bin of 0.01 count as equal, so that the area is off by at most half the share of pairs in one bin.
    """
    classes = sorted({name for cell in cells for name in (cell.predicted, cell.actual)})
    known = [cell for cell in cells if cell.bin is not None]
    if len(classes) != _PAIR or not known:
        return None
    counts = {label: [0] * BINS for label in classes}
    for cell in known:
        place = min(cell.bin or 0, BINS - 1)
        counts[cell.actual][place if cell.predicted == classes[1] else BINS - 1 - place] += cell.n
    negative, positive = counts[classes[0]], counts[classes[1]]
    below, area = 0, 0.0
    for n, p in zip(negative, positive, strict=True):
        area += p * (below + n / 2)
        below += n
    pairs = sum(negative) * sum(positive)
    return area / pairs if pairs else None


def calibration_error(cells: Iterable[Cell], bins: int = CALIBRATION_BINS) -> float | None:
    """Return the expected calibration error: the mean gap between confidence and accuracy, over bins of confidence.

    Sum over bins of n_b/n · |accuracy_b - mean confidence_b| (Naeini, Cooper and Hauskrecht, AAAI 2015; Guo et al.,
    ICML 2017), in equal-width bins. None where no confidence is known.
    """
    n, gaps = 0, [0.0] * bins
    for cell in cells:
        if cell.bin is not None:
            place = min(cell.bin, BINS - 1) * bins // BINS
            n += cell.n
            gaps[place] += (cell.n if cell.predicted == cell.actual else 0) - cell.confidence
    return sum(map(abs, gaps)) / n if n else None


def _share(part: float, whole: float) -> float | None:
    return part / whole if whole else None
