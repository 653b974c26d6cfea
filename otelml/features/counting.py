"""What is counted of one model's features: each value in a bin of the reference, on the recorder's thread."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any

import numpy as np

from otelml import _labels, semconv
from otelml.drift import tables
from otelml.drift.features import MISSING, CategoryFeature
from otelml.drift.reference import Window
from otelml.features.taking import CODED, Taker

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from numpy.typing import NDArray

    from otelml.drift.features import Feature
    from otelml.drift.reference import Reference
    from otelml.features.taking import Order, Room, Taken
    from otelml.result import Result

    Counts = NDArray[np.int64]

PREDICTION = "prediction"
"""The feature of a reference that is not an input but what the model predicts."""
FEW = 512
"""Up to so many values are found by a search; more are compared with every end, which does not pay off before."""


class Counted:
    """The counts of one model and version since the process began, and since its window did."""

    def __init__(self, reference: Reference, attributes: Mapping[str, str], room: Room) -> None:
        self.reference, self.attributes = reference, attributes
        self.features = {feature.name: Labels(feature, attributes) for feature in reference.features}
        inputs = [feature for feature in reference.features if feature.name != PREDICTION]
        self.taker = Taker(inputs, room) if inputs else None
        self._inputs, self._room = inputs, room
        self._output = reference.by_name.get(PREDICTION)
        self.reset()

    def reset(self) -> None:
        """Start from zero (also in the child after a fork)."""
        self.rows = 0
        self.counts = self.reference.window().counts
        self.violations: Counter[tuple[str, str]] = Counter()
        """By feature (empty where it has no name that we know) and kind."""
        self._before = {name: counts.copy() for name, counts in self.counts.items()}

    def window(self) -> Window:
        """Return what was counted since `turn` was called."""
        counts = {name: counts - self._before[name] for name, counts in self.counts.items()}
        return Window(counts, max((int(c.sum()) for c in counts.values()), default=0))

    def turn(self) -> None:
        """Begin a new window."""
        self._before = {name: counts.copy() for name, counts in self.counts.items()}

    # Adding ---------------------------------------------------------------------------------------------------------

    def add(self, results: Iterable[Result], *, failed: bool) -> None:
        """Count what was taken of predictions; one that failed has inputs, but has predicted nothing."""
        alike: dict[tuple[str, int, Order], list[bytes]] = defaultdict(list)
        outputs: list[Any] = []
        for result in results:
            taken: Taken | None = result.features
            if taken is not None and taken.taker is not self.taker:
                self._room.drop("features", "replaced", taken.rows)
            elif taken is not None:
                self.rows += taken.rows
                for kind, i, count in taken.violations:
                    self.violations["" if i < 0 else self._inputs[i].name, kind] += count
                if taken.data:
                    alike[taken.code, taken.columns, taken.order].append(taken.data)
            if self._output is not None and not failed:
                outputs.append(_output_of(result, self._output))
        for (code, columns, order), data in alike.items():
            if code == CODED:
                self._add_coded(np.frombuffer(b"".join(data)).reshape(-1, columns))
            else:
                self._add_columns(np.frombuffer(b"".join(data), code).reshape(-1, columns), order)
        if self._output is not None:
            self._add_outputs(self._output, outputs)

    def _add_coded(self, matrix: NDArray[np.float64]) -> None:
        taker = self.taker
        for at, i in enumerate(() if taker is None else taker.coded):
            feature, column = self._inputs[i], matrix[:, at]
            if isinstance(feature, CategoryFeature):
                bins = column.astype(np.int64)
                bins[bins < 0] = len(feature.categories)
                self._count(feature, np.bincount(bins, minlength=len(feature.counts)))
            else:
                self._count(feature, number_counts(feature, column))

    def _add_columns(self, matrix: NDArray[Any], order: Order) -> None:
        for i, feature in enumerate(self._inputs):
            at = i if order is None else order[i]
            if at < 0:
                counts = np.zeros(len(feature.counts), np.int64)
                counts[-1] = len(matrix)
                self._count(feature, counts)
                continue
            column = matrix[:, at]
            if isinstance(feature, CategoryFeature):
                self._count(feature, feature.count(column))
                continue
            if column.dtype.kind in "US":
                self.violations[feature.name, "wrong_type"] += len(column)
            self._count(feature, number_counts(feature, tables.numbers(column)))

    def _add_outputs(self, output: Feature, outputs: list[Any]) -> None:
        """Count what was predicted: a label or a number for each row, or an array of them."""
        single = [kept for kept in outputs if not isinstance(kept, np.ndarray) and kept is not None]
        for column in (tables.objects(single), *(kept for kept in outputs if isinstance(kept, np.ndarray))):
            if len(column):
                self._count(output, output.count(column))

    def _count(self, feature: Feature, counts: Counts) -> None:
        self.counts[feature.name] += counts
        for kind, bins in self.features[feature.name].outside.items():
            number = int(counts[bins].sum())
            if number:
                self.violations[feature.name, kind] += number

    # Telling --------------------------------------------------------------------------------------------------------

    def observed(self) -> Iterator[tuple[int, dict[str, str]]]:
        """Return (values, attributes) of every bin."""
        for name, labels in self.features.items():
            yield from zip(self.counts[name].tolist(), labels.bins, strict=True)

    def expected(self) -> Iterator[tuple[int, dict[str, str]]]:
        """Return (values of the reference, attributes) of every bin."""
        for labels in self.features.values():
            yield from zip(labels.feature.counts, labels.reference_bins, strict=True)

    def violated(self) -> Iterator[tuple[int, dict[str, str]]]:
        """Return (values, attributes) of every violation that there can be."""
        yield self.violations["", "extra"], {**self.attributes, semconv.VIOLATION: "extra"}
        yield self.violations["", "missing"], {**self.attributes, semconv.VIOLATION: "missing"}
        for name, labels in self.features.items():
            for kind in labels.possible:
                yield self.violations[name, kind], {**labels.attributes, semconv.VIOLATION: kind}


class Labels:
    """A feature as metrics name it; every text in it is the reference's."""

    def __init__(self, feature: Feature, attributes: Mapping[str, str]) -> None:
        self.feature = feature
        self.attributes = {**attributes, semconv.FEATURE_NAME: _labels.text(feature.name)}
        self.bins = [{**self.attributes, semconv.FEATURE_BIN: label} for label in bin_labels(feature)]
        self.reference_bins = [{**bin_, semconv.FEATURE_KIND: feature.kind} for bin_ in self.bins]
        self.outside = _outside(feature)
        """Bins that are violations in themselves."""
        input_kinds = () if feature.name == PREDICTION else ("missing", "wrong_type")
        self.possible = (*input_kinds, *self.outside)


def _outside(feature: Feature) -> dict[str, list[int]]:
    if isinstance(feature, CategoryFeature):
        # Where the reference has others itself, one of them is no new one.
        return {} if feature.counts[-2] else {"new_category": [-2]}
    return {"out_of_range": [0, -2]} if feature.cuts else {}


def bin_labels(feature: Feature) -> list[str]:
    """Return the name of each bin as metrics have it, all different: numbers' with their position, in two digits.

    By the position, bins sort in their order, and a query can add them up.
    """
    if isinstance(feature, CategoryFeature):
        labels = [_labels.text(label) or "''" for label in feature.labels]
        found: Counter[str] = Counter()
        for i, label in enumerate(labels):  # cut to the same text
            found[label] += 1
            if found[label] > 1:
                labels[i] = f"{label[:100]} #{i}"
        return labels
    return [*(f"{i:02} {label}" for i, label in enumerate(feature.labels[:-1])), MISSING]


def _output_of(result: Result, output: Feature) -> Any:
    """Return what was predicted, of the kind that the reference has: whole numbers may be either."""
    both = (result.values, result.classes)
    first, second = both if output.kind == "number" else both[::-1]
    return second if first is None else first


def number_counts(feature: Any, column: NDArray[np.float64]) -> Counts:
    """Return how many numbers fall into each bin."""
    if len(column) > FEW:
        counts: Counts = feature.count(column)
        return counts
    found = np.bincount(np.searchsorted(feature.ends, column), minlength=len(feature.counts))
    return found.astype(np.int64, copy=False)


def faults(reference: Reference) -> Iterator[str]:
    """Return why a reference can't be watched, if so."""
    names = Counter(_labels.text(feature.name) for feature in reference.features)
    if not reference.features:
        yield "it has no features"
    bins = sum(len(feature.counts) for feature in reference.features)
    if bins > semconv.MOST_BINS:
        yield f"its features have {bins} bins in all, at most {semconv.MOST_BINS} can be watched"
    for feature in reference.features:
        if feature.kind == "number" and len(feature.counts) > 101:  # noqa: PLR2004 - positions of two digits, and missing
            yield f"feature {feature.name!r} has {len(feature.counts)} bins, at most 101 can be watched"
    yield from (
        f"{n} features are called {name!r} once they are cut to 128 characters" for name, n in names.items() if n > 1
    )
