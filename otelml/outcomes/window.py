"""Quality of each model and version over the last while, as seen and as estimated, counted by the database."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING

from otelml.outcomes.estimate import ENOUGH, Estimate, Known, estimate
from otelml.outcomes.quality import BINS, Cell, Errors, Quality, quality

if TYPE_CHECKING:
    from otelml.outcomes.database import Database

_CELLS = """SELECT model, version, label, actual, {bin}, COUNT(*), SUM(confidence) FROM otelml_predictions
    WHERE joined > :since AND label IS NOT NULL GROUP BY 1, 2, 3, 4, 5"""
_ERRORS = """SELECT model, version, COUNT(*), SUM(ABS(value - actual_value)),
    SUM((value - actual_value) * (value - actual_value)) FROM otelml_predictions
    WHERE joined > :since AND label IS NULL AND value IS NOT NULL AND actual_value IS NOT NULL GROUP BY 1, 2"""
_KNOWN = """SELECT model, version, label, {bin}, CASE WHEN time > :since THEN 1 ELSE 0 END, COUNT(*),
    SUM(CASE WHEN label = actual THEN 1 ELSE 0 END) FROM otelml_predictions
    WHERE joined IS NOT NULL AND label IS NOT NULL AND confidence IS NOT NULL GROUP BY 1, 2, 3, 4, 5"""
_PREDICTED = """SELECT model, version, label, {bin}, COUNT(*) FROM otelml_predictions
    WHERE time > :since AND label IS NOT NULL AND confidence IS NOT NULL GROUP BY 1, 2, 3, 4"""


def qualities(database: Database, since: float) -> dict[tuple[str, str], Quality]:
    """Return the quality by (model, version; empty where unknown) over truths that arrived after ``since`` (s)."""
    cells: dict[tuple[str, str], list[Cell]] = defaultdict(list)
    errors: dict[tuple[str, str], Errors] = {}
    statement = _CELLS.format(bin=database.floor(f"confidence * {BINS}"))
    for model, version, label, actual, place, n, confidence in database.select(statement, {"since": since}):
        cells[model, version].append(Cell(label, actual, place, n, confidence or 0.0))
    for model, version, *sums in database.select(_ERRORS, {"since": since}):
        errors[model, version] = Errors(*sums)
    nothing = Errors(0, 0.0, 0.0)
    return {key: quality(cells.get(key, []), errors.get(key, nothing)) for key in sorted({*cells, *errors})}


def estimates(database: Database, since: float) -> dict[tuple[str, str], Estimate]:
    """Return the accuracy to expect by (model, version) of all predictions made after ``since`` (s).

    Learnt from outcomes of earlier predictions; where those are too few, from all that are known.
    """
    place = database.floor(f"confidence * {BINS}")
    early: dict[tuple[str, str], list[Known]] = defaultdict(list)
    known: dict[tuple[str, str], list[Known]] = defaultdict(list)
    for model, version, label, bin_, is_new, n, right in database.select(_KNOWN.format(bin=place), {"since": since}):
        for cells in (known,) if is_new else (known, early):
            cells[model, version].append(Known(label, min(bin_, BINS - 1), n, right))
    made: dict[tuple[str, str], Counter[tuple[str, int]]] = defaultdict(Counter)
    for model, version, label, bin_, n in database.select(_PREDICTED.format(bin=place), {"since": since}):
        made[model, version][label, min(bin_, BINS - 1)] += n
    found = {}
    for key, predicted in sorted(made.items()):
        learnt = early[key] if sum(cell.n for cell in early[key]) >= ENOUGH else known[key]
        found[key] = estimate(learnt, predicted)
    return {key: one for key, one in found.items() if one is not None}
