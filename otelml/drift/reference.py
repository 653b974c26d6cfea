"""A reference: counts in bins of what each feature was when all was well, and the counting of other data in them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from otelml._lazy import computed_once
from otelml.drift import schema, tables
from otelml.drift.faults import InvalidDataError
from otelml.drift.features import CHUNK, CategoryFeature, NumberFeature, Tally, number_cuts

if TYPE_CHECKING:
    import os
    from collections import Counter
    from collections.abc import Collection, Sequence

    from numpy.typing import NDArray

    from otelml.drift.features import Feature
    from otelml.drift.tables import Column, Table

BINS, TOP = 10, 20
MOST_BINS = 100


@dataclass(frozen=True)
class Window:
    """What was counted of some rows: for each feature a count for each of its bins, and the columns nobody asked for.

    Windows of one reference add up: the sum is what one window over all their rows would have counted.
    """

    counts: dict[str, NDArray[np.int64]]
    rows: int = 0
    unknown: tuple[str, ...] = ()

    def __add__(self, other: Window) -> Window:
        """Return the window of both.

        Raises:
            InvalidDataError: they were counted against different references.
        """
        mine, theirs = ({name: len(c) for name, c in window.counts.items()} for window in (self, other))
        if mine != theirs:
            raise InvalidDataError(["windows of different references don't add up"])
        counts = {name: count + other.counts[name] for name, count in self.counts.items()}
        return Window(counts, self.rows + other.rows, tuple(dict.fromkeys(self.unknown + other.unknown)))


@dataclass(frozen=True)
class Reference:
    """Features with their bins and counts, in the order of the columns."""

    features: tuple[Feature, ...]

    @classmethod
    def fit(
        cls,
        X: Any,  # noqa: N803 - the name that scikit-learn gave to what everybody passes here
        names: Sequence[str] | None = None,
        *,
        bins: int = BINS,
        categorical: Collection[str | int] | None = None,
        top: int = TOP,
    ) -> Reference:
        """Make a reference of a 2-D array, a pandas or polars frame, a dict of columns, or a list of dicts or lists.

        Args:
            X: Shape (rows, features). None, NaN, NaT, NA and, in columns of numbers, what is no number, are missing.
            names: Of the columns; those of the data, or ``x0``, ``x1``, ...
            bins: Of equal share for each feature of numbers, 2 to 100; less where values repeat, and two open ones
                outside the range.
            categorical: Names or positions of features whose values are categories though they may be numbers. Without,
                columns that hold anything but numbers are.
            top: Categories of their own, at least 1; all others are counted together.

        Raises:
            InvalidDataError: the data is no table, or ``names`` or ``categorical`` don't fit it.
            ValueError: ``bins`` or ``top`` are out of range.
        """
        check_sizes(bins, top)
        table = tables.read(X, names)
        called = table.names or tuple(f"x{i}" for i in range(len(table.columns)))
        chosen = chosen_names(called, categorical)
        features = [
            _category(name, column, top)
            if name in chosen or not tables.is_numeric(column)
            else _number(name, column, bins)
            for name, column in zip(called, table.columns, strict=True)
        ]
        return cls(tuple(features))

    @computed_once
    def by_name(self) -> dict[str, Feature]:
        """Features by their name."""
        return {feature.name: feature for feature in self.features}

    @property
    def rows(self) -> int:
        """Rows it was made of."""
        return self.features[0].n if self.features else 0

    def bin_index(self, feature: str, value: Any) -> int:
        """Return the bin of one value: an index into `labels`. KeyError: there is no such feature."""
        return self.by_name[feature].bin_index(value)

    def labels(self, feature: str) -> tuple[str, ...]:
        """Return the names of a feature's bins, each different; the last one is ``"missing"``."""
        return self.by_name[feature].labels

    def window(self) -> Window:
        """Return a window in which nothing has been counted."""
        return Window({feature.name: np.zeros(len(feature.counts), np.int64) for feature in self.features})

    def count(self, X: Any) -> Window:  # noqa: N803 - as in fit
        """Count rows in the bins of this reference.

        Columns are found by name where the data has names, else by position.

        Raises:
            InvalidDataError: columns are missing, or are more or less than the features, without names.
        """
        table = tables.read(X)
        columns, unknown = self._matched(table)
        counts = _count_numbers(self.features, columns, table.rows)
        for feature, column in zip(self.features, columns, strict=True):
            if isinstance(feature, CategoryFeature):
                counts[feature.name] = feature.count(column)
        return Window({feature.name: counts[feature.name] for feature in self.features}, table.rows, unknown)

    def _matched(self, table: Table) -> tuple[list[Column], tuple[str, ...]]:
        if table.names is None:
            if len(table.columns) != len(self.features) and table.rows:
                raise InvalidDataError([f"{len(table.columns)} columns, where the reference has {len(self.features)}"])
            return list(table.columns or [np.empty(0)] * len(self.features)), ()
        there = dict(zip(table.names, table.columns, strict=True))
        absent = [f"column {name!r} of the reference is missing" for name in self.by_name if name not in there]
        if absent:
            raise InvalidDataError(absent)
        return [there[name] for name in self.by_name], tuple(name for name in there if name not in self.by_name)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write it as JSON with a line for each field."""
        Path(path).write_text(schema.dump(self.features), "utf-8")

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Reference:
        """Read what `save` wrote.

        Raises:
            InvalidReferenceError: it is no reference, one of another version, or inconsistent; it lists every fault.
            OSError: it can't be read.
        """
        return cls(schema.parse(Path(path).read_bytes().decode("utf-8", "replace")))


def check_sizes(bins: int, top: int) -> None:
    """Raise ValueError unless there are 2 to 100 bins and at least one category."""
    if not 2 <= bins <= MOST_BINS:  # noqa: PLR2004 - one bin tells nothing
        raise ValueError(f"bins={bins}: from 2 to {MOST_BINS}")
    if top < 1:
        raise ValueError(f"top={top}: at least 1")


def chosen_names(names: Sequence[str], categorical: Collection[str | int] | None) -> set[str]:
    """Return the names of features said to be categories."""
    faults, chosen = [], set()
    for each in categorical or ():
        if isinstance(each, int) and 0 <= each < len(names):
            chosen.add(names[each])
        elif each in names:
            chosen.add(str(each))
        else:
            faults.append(f"categorical: there is no column {each!r}")
    if faults:
        raise InvalidDataError(faults)
    return chosen


def _number(name: str, column: Column, bins: int) -> Feature:
    values = tables.numbers(column)
    finite = np.sort(values[np.isfinite(values)])
    cuts = number_cuts(finite, bins, finite[0].item(), finite[-1].item()) if len(finite) else ()
    return counted(NumberFeature(name, cuts, ()), values)


def counted(feature: Feature, column: Column) -> Feature:
    """Return a feature with the counts of a column."""
    return replace(feature, counts=tuple(feature.count(column).tolist()))


def _category(name: str, column: Column, top: int) -> CategoryFeature:
    found = tables.categories(column)
    feature = CategoryFeature(name, top_categories(found, top), ())
    return replace(feature, counts=tuple(feature.of(found).tolist()))


def top_categories(found: Counter[str | None], top: int) -> tuple[str, ...]:
    """Return the most frequent categories; those equally frequent by name, so that the order of rows is irrelevant."""
    ranked = sorted(((-count, name) for name, count in found.items() if name is not None))
    return tuple(name for _, name in ranked[:top])


def _count_numbers(features: Sequence[Feature], columns: Sequence[Column], rows: int) -> dict[str, NDArray[np.int64]]:
    """Count columns of numbers block by block: the columns of a block of rows are in the cache together."""
    numeric = [
        (feature.name, column, Tally(feature.ends))
        for feature, column in zip(features, columns, strict=True)
        if isinstance(feature, NumberFeature)
    ]
    for start in range(0, rows, CHUNK):
        for _, column, tally in numeric:
            tally.add(tables.numbers(column[start : start + CHUNK]))
    return {name: tally.counts for name, _, tally in numeric}
