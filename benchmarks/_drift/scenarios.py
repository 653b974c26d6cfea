"""The tables of the truth tests: columns of four kinds, without and with a change. NumPy only: peers import it.

40 % normal, 20 % lognormal, 20 % Student t with two degrees of freedom, 20 % categories (2 to 20 of them, as integers).
Reference and current data are new in every run, so the reference's own sampling error counts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

KINDS = ("normal", "normal", "lognormal", "t2", "category")
NEW = 99.0  # a category that the reference doesn't have


@dataclass(frozen=True)
class Change:
    """What is done to one column of the current data; nothing if ``size`` is 0."""

    title: str
    column: int = 0
    shift: float = 0.0
    scale: float = 1.0
    missing: float = 0.0
    new: float = 0.0


CHANGES = {
    "none": Change("nothing"),
    "shift-0.1": Change("0.1 sigma", shift=0.1),
    "shift-0.2": Change("0.2 sigma", shift=0.2),
    "shift-0.3": Change("0.3 sigma", shift=0.3),
    "shift-0.5": Change("0.5 sigma", shift=0.5),
    "shift-1": Change("1 sigma", shift=1.0),
    "scale-1.2": Change("sigma x 1.2", scale=1.2),
    "scale-1.5": Change("sigma x 1.5", scale=1.5),
    "new-2": Change("new category, 2 %", column=4, new=0.02),
    "new-5": Change("new category, 5 %", column=4, new=0.05),
    "missing-5": Change("5 % missing", missing=0.05),
    "missing-20": Change("20 % missing", missing=0.2),
}


def is_category(column: int) -> bool:
    """Return whether a column holds categories."""
    return KINDS[column % len(KINDS)] == "category"


def levels(column: int) -> int:
    """Return the number of categories in a column."""
    return 2 + column % 19


def tables(seed: int, rows: int, columns: int, change: Change, reference_rows: int = 0) -> tuple[Array, Array]:
    """Return the reference and the current table: shapes (rows, columns)."""
    rng = np.random.default_rng((seed, rows, columns))
    shares = [rng.dirichlet(np.full(levels(j), 2.0)) if is_category(j) else None for j in range(columns)]
    before, now = (
        np.column_stack([_column(rng, size, j, shares[j]) for j in range(columns)])
        for size in (reference_rows or rows, rows)
    )
    apply(rng, now[:, change.column], change)
    return before, now


def _column(rng: Generator, rows: int, column: int, shares: Array | None) -> Array:
    if shares is not None:
        return rng.choice(len(shares), rows, p=shares).astype(np.float64)
    kind = KINDS[column % len(KINDS)]
    values = rng.standard_t(2, rows) if kind == "t2" else rng.normal(size=rows)
    return np.exp(values) if kind == "lognormal" else values


def apply(rng: Generator, values: Array, change: Change) -> None:
    """Change a column in place."""
    values *= change.scale
    values += change.shift
    if change.new:
        values[rng.random(len(values)) < change.new] = NEW
    if change.missing:
        values[rng.random(len(values)) < change.missing] = np.nan
