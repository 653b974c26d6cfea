"""References from files, in passes over chunks: what columns hold and where their quantiles are, then exact counts."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from otelml.drift import files, tables
from otelml.drift.features import CategoryFeature, NumberFeature, number_cuts
from otelml.drift.reference import BINS, TOP, Reference, Window, check_sizes, chosen_names, top_categories

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from numpy.typing import NDArray

    from otelml.drift.features import Feature
    from otelml.drift.tables import Column

    Progress = Callable[[int, float], None]

SAMPLE = 100_000  # rows whose values give the quantiles: their error is a third of a percent of the rows
MOST_CATEGORIES = 100_000  # kept at once while looking for the most frequent ones
SEED = 0


@dataclass
class _Column:
    """What the first pass has found of a column."""

    categorical: bool
    low: float = math.inf
    high: float = -math.inf
    sample: list[NDArray[np.float64]] = field(default_factory=list)
    found: Counter[str | None] = field(default_factory=Counter)

    def numbers(self, values: NDArray[np.float64], kept: NDArray[np.bool_]) -> None:
        finite = values[np.isfinite(values)]
        if len(finite):
            self.low, self.high = min(self.low, finite.min().item()), max(self.high, finite.max().item())
        self.sample.append(values[kept])

    def categories(self, values: Column) -> None:
        self.found.update(tables.categories(values))
        if len(self.found) > MOST_CATEGORIES:
            self.found = Counter(dict(self.found.most_common(MOST_CATEGORIES // 2)))

    def feature(self, name: str, bins: int, top: int) -> Feature:
        if self.categorical:
            return CategoryFeature(name, top_categories(self.found, top), ())
        values = np.concatenate([np.empty(0), *self.sample])
        finite = np.sort(values[np.isfinite(values)])
        if self.low > self.high:
            return NumberFeature(name, (), ())
        ends = np.array([self.low, self.high])
        return NumberFeature(name, number_cuts(finite if len(finite) else ends, bins, self.low, self.high), ())


def profile(
    path: str,
    *,
    bins: int = BINS,
    categorical: Collection[str | int] | None = None,
    top: int = TOP,
    progress: Progress | None = None,
) -> Reference:
    """Return the reference of a CSV or Parquet file of any size; counts, smallest and largest values are exact.

    Up to 100,000 rows it is that of `Reference.fit`; of more, a sample of about so many gives the quantiles.

    Args:
        path: The file; a CSV file has a header. Parquet needs the ``parquet`` extra.
        bins: As for `Reference.fit`.
        categorical: As for `Reference.fit`.
        top: As for `Reference.fit`.
        progress: Called after each chunk with the rows read in this pass and the share of the file, from 0 to 1.

    Raises:
        InvalidDataError: the file is no table.
        OSError: it can't be read.
    """
    check_sizes(bins, top)
    rows, names = files.size(path)
    chosen = chosen_names(names, categorical)
    while (columns := _scan(path, names, chosen, min(1.0, SAMPLE / max(1, rows)), progress)) is None:
        pass  # a column turned out to hold categories: it is in `chosen` now
    empty = Reference(tuple(column.feature(name, bins, top) for name, column in columns.items()))
    empty = Reference(tuple(replace(f, counts=(0,) * _bins(f)) for f in empty.features))
    window = count(empty, path, progress)
    features = (replace(f, counts=tuple(window.counts[f.name].tolist())) for f in empty.features)
    return Reference(tuple(features))


def _bins(feature: Feature) -> int:
    return len(feature.categories if isinstance(feature, CategoryFeature) else feature.cuts) + 2


def _scan(
    path: str, names: tuple[str, ...], chosen: set[str], share: float, progress: Progress | None
) -> dict[str, _Column] | None:
    """Return what each column holds, or None when one that was read as numbers was found to hold others."""
    rng, rows = np.random.default_rng(SEED), 0
    columns = {name: _Column(name in chosen) for name in names}
    for chunk, done in files.chunks(path):
        size = len(next(iter(chunk.values())))
        kept = rng.random(size) < share
        for name, values in chunk.items():
            if name in chosen:
                columns[name].categories(values)
            elif (numbers := files.parsed(values, typed=files.is_parquet(path))) is None:
                chosen.add(name)
            else:
                columns[name].numbers(tables.numbers(numbers), kept)
        rows += size
        if progress is not None:
            progress(rows, done)
    return columns if all(column.categorical == (name in chosen) for name, column in columns.items()) else None


def count(reference: Reference, path: str, progress: Progress | None = None) -> Window:
    """Return the counts of a file in the bins of a reference.

    Raises:
        InvalidDataError: the file is no table, or misses columns of the reference.
        OSError: it can't be read.
    """
    window = reference.window()
    numeric = {feature.name for feature in reference.features if isinstance(feature, NumberFeature)}
    typed = files.is_parquet(path)
    for chunk, done in files.chunks(path):
        columns = {n: values if typed or n not in numeric else _numbers(values) for n, values in chunk.items()}
        window += reference.count(columns)
        if progress is not None:
            progress(window.rows, done)
    return window


def _numbers(values: Column) -> Column:
    whole = files.parsed(values)
    if whole is not None:
        return whole
    single = (files.parsed(tables.objects([value])) for value in values)
    return np.array([np.nan if one is None else tables.numbers(one)[0] for one in single])
