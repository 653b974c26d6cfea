"""What the database holds of one version of a model, and of two versions' predictions of the same cases."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

from otelml._lazy import computed_once
from otelml.outcomes.calls import counted
from otelml.outcomes.quality import BINS, Cell

if TYPE_CHECKING:
    from collections.abc import Sequence

    from otelml.outcomes.database import Database

_MINE = "FROM otelml_predictions WHERE model = :model AND version = :version AND time > :since"
_ABOUT = f"""SELECT COUNT(*), COUNT(duration), COUNT(confidence), SUM(confidence), SUM(confidence * confidence),
    COUNT(value) {_MINE}"""
_KNOWN = """SELECT version FROM otelml_predictions WHERE model = :model
    UNION SELECT version FROM otelml_calls WHERE model = :model"""
_LABELS = f"SELECT label, COUNT(*) {_MINE} AND label IS NOT NULL GROUP BY 1"
_VARIANTS = f"SELECT DISTINCT variant {_MINE} AND variant IS NOT NULL ORDER BY 1"
_CELLS = """SELECT label, actual, {bin}, COUNT(*), SUM(confidence) {mine}
    AND joined IS NOT NULL AND label IS NOT NULL GROUP BY 1, 2, 3"""
_ERRORS = f"""SELECT COUNT(*), SUM(ABS(value - actual_value)),
    SUM((value - actual_value) * (value - actual_value)) {_MINE}
    AND joined IS NOT NULL AND label IS NULL AND value IS NOT NULL AND actual_value IS NOT NULL"""
_RANKED = """SELECT place, found FROM (SELECT {column} AS found, ROW_NUMBER() OVER (ORDER BY {column}) AS place {mine}
    AND {column} IS NOT NULL) AS ranked WHERE place IN ({places})"""
_BELOW = "SELECT COUNT(*) {mine} AND value IS NOT NULL AND value <= :cut"
_SAME = """FROM otelml_predictions a JOIN otelml_predictions b ON a.id = b.id AND a.model = b.model
    WHERE a.model = :model AND a.version = :first AND b.version = :second AND a.time > :since AND b.time > :since
    AND a.joined IS NOT NULL AND b.joined IS NOT NULL"""
_SAME_CLASSES = f"""SELECT CASE WHEN a.label = a.actual THEN 1 ELSE 0 END,
    CASE WHEN b.label = b.actual THEN 1 ELSE 0 END, COUNT(*) {_SAME}
    AND a.label IS NOT NULL AND b.label IS NOT NULL GROUP BY 1, 2"""
_WORSE = "(ABS(b.value - b.actual_value) - ABS(a.value - a.actual_value))"
_SAME_VALUES = f"""SELECT COUNT(*), SUM({_WORSE}), SUM({_WORSE} * {_WORSE}) {_SAME}
    AND a.label IS NULL AND b.label IS NULL AND a.value IS NOT NULL AND b.value IS NOT NULL
    AND a.actual_value IS NOT NULL AND b.actual_value IS NOT NULL"""


class Sums(NamedTuple):
    """A number of values, their sum, and the sum of their squares."""

    n: int
    total: float
    squares: float


class Version:
    """Predictions of one version since a time (s since the epoch); every figure is counted by the database."""

    def __init__(self, database: Database, model: str, version: str, since: float) -> None:
        self._database, self.name = database, version
        self._key = {"model": model, "version": version, "since": since}
        row = self._select(_ABOUT)[0]
        self.predictions, self.timed = int(row[0]), int(row[1])
        self.confidence = _sums(*row[2:5])
        self.values = int(row[5])
        self.calls, self.failed = counted(database, model, version, since)

    @computed_once
    def labels(self) -> Counter[str]:
        """Predicted classes."""
        return Counter({label: int(n) for label, n in self._select(_LABELS)})

    @computed_once
    def cells(self) -> list[Cell]:
        """Predicted and true classes of those whose truth is known."""
        statement = _CELLS.format(bin=self._database.floor(f"confidence * {BINS}"), mine=_MINE)
        return [
            Cell(label, actual, place, int(n), sure or 0.0) for label, actual, place, n, sure in self._select(statement)
        ]

    @computed_once
    def errors(self) -> Sums:
        """Absolute errors of predicted values."""
        return _sums(*self._select(_ERRORS)[0])

    @computed_once
    def variants(self) -> list[str]:
        """The parts that it played."""
        return [row[0] for row in self._select(_VARIANTS)]

    def ranked(self, column: str, ranks: Sequence[int]) -> list[float]:
        """Return the numbers of a column at the given ranks, from 1 for the least one."""
        places = ", ".join(str(int(rank)) for rank in ranks)
        found = dict(self._select(_RANKED.format(column=column, mine=_MINE, places=places)))
        return [found[rank] for rank in ranks]

    def below(self, cut: float) -> int:
        """Return how many predicted values are not above a number."""
        return int(self._select(_BELOW.format(mine=_MINE), cut=cut)[0][0])

    def _select(self, statement: str, **more: Any) -> list[tuple[Any, ...]]:
        return self._database.select(statement, {**self._key, **more})


class Same:
    """Cases that both versions predicted under one id, as a shadow does, and whose truth is known."""

    def __init__(self, database: Database, model: str, first: str, second: str, since: float) -> None:
        key = {"model": model, "first": first, "second": second, "since": since}
        self.right = Counter({(bool(a), bool(b)): int(n) for a, b, n in database.select(_SAME_CLASSES, key)})
        """Numbers of cases by (first is right, second is right)."""
        self.errors = _sums(*database.select(_SAME_VALUES, key)[0])
        """Absolute error of the second less that of the first."""


def known(database: Database, model: str) -> list[str]:
    """Return the versions of a model that have predictions, or calls that all failed."""
    rows = database.select(_KNOWN, {"model": model})
    return sorted(row[0] for row in rows)


def _sums(n: Any, total: Any, squares: Any) -> Sums:
    return Sums(int(n), float(total or 0), float(squares or 0))
