"""What the numbers that a model returns stand for, where its objective or the name of an output tells."""

from __future__ import annotations

from enum import Enum, auto
from typing import TYPE_CHECKING, Any

from otelml._lazy import LazyModule
from otelml.integrations._sklearn_outputs import SUM_TOLERANCE, facts

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
else:
    np = LazyModule("numpy")

_MATRIX = 2
_PLAIN = frozenset((str, bool, int, float))


class Answer(Enum):
    """What a model answers for each row."""

    PROBABILITY = auto()
    """That of the second of two classes."""
    PROBABILITIES = auto()
    """One for each class."""
    LOGARITHMS = auto()
    """Of probabilities, one for each class."""
    CLASS = auto()
    VALUE = auto()
    SCORE = auto()
    """A number on a scale of the model's own."""


def of_network(result: Any, last: Callable[[], str | None]) -> dict[str, Any]:
    """Return the keyword arguments of ``Prediction.observe`` for what a network returned.

    Probabilities are told by themselves: rows that are not negative and sum to one. Logits and embeddings say nothing.

    Args:
        result: An array; the first axis is that of rows.
        last: Returns the class of the last layer, or the name of the function at its end: ``Sigmoid``, ``LogSoftmax``.
    """
    if not isinstance(result, np.ndarray) or not result.size or result.ndim > _MATRIX:
        return {"predictions": result}
    if result.ndim <= 1 or result.shape[1] == 1 or result.dtype.kind != "f":
        return facts_of(_of_column(result, last), result)
    row = result[0].tolist()  # of few numbers this costs a quarter of what NumPy does
    if max(row) <= 0 and _end(last) == "logsoftmax":
        return facts_of(Answer.LOGARITHMS, result)
    if not (min(row) >= 0 and abs(sum(row) - 1) <= SUM_TOLERANCE):
        return {"predictions": result}
    if len(result) == 1:
        best = max(row)
        return {"predictions": result, "classes": row.index(best), "confidence": best}
    return facts_of(Answer.PROBABILITIES, result) if result.min() >= 0 else {"predictions": result}


def _of_column(result: Any, last: Callable[[], str | None]) -> Answer:
    if result.dtype.kind != "f":
        return Answer.CLASS
    sure = _end(last) == "sigmoid" and result.min() >= 0 and result.max() <= 1
    return Answer.PROBABILITY if sure else Answer.VALUE


def _end(last: Callable[[], str | None]) -> str:
    return (last() or "").lower().replace("_", "")


def facts_of(answer: Answer, result: Any, labels: Any = None) -> dict[str, Any]:
    """Return the keyword arguments of ``Prediction.observe`` for a result.

    Args:
        answer: What its numbers stand for.
        result: An array of shape (rows,), (rows, 1) or (rows, classes); anything else is not looked into.
        labels: The classes, shape (classes,); their numbers where they are not known.
    """
    if not isinstance(result, np.ndarray) or not result.ndim or not result.size:
        return {}
    if answer in {Answer.PROBABILITIES, Answer.LOGARITHMS}:
        known = labels if labels is not None or result.ndim != _MATRIX else np.arange(result.shape[1])
        return facts(
            "predict_proba" if answer is Answer.PROBABILITIES else "predict_log_proba", result, known, "classes"
        )
    column = result[:, 0] if result.ndim == _MATRIX and result.shape[1] == 1 else result
    if column.ndim != 1:
        return {"predictions": result}
    only = column.item(0) if len(column) == 1 else None
    found = _of_one(answer, only, labels) if type(only) in _PLAIN else _of_rows(answer, column, labels)
    return {"predictions": result, **found}


def _of_rows(answer: Answer, column: Any, labels: Any) -> dict[str, Any]:
    if answer is Answer.PROBABILITY:
        second = column > 0.5  # noqa: PLR2004 - the more probable of two
        classes = second.astype(int) if labels is None else np.asarray(labels)[second.astype(int)]
        return {"classes": classes, "confidence": np.maximum(column, 1 - column)}
    if answer is Answer.CLASS:
        whole = column.dtype.kind == "f" and bool((column == np.floor(column)).all())
        return {"classes": column.astype(int) if whole else column}
    return {"values": column}


def _of_one(answer: Answer, number: Any, labels: Any) -> dict[str, Any]:
    """Return the same for the one row there is, in plain values: arrays of one cost ten times as much."""
    if answer is Answer.PROBABILITY:
        second = int(number > 0.5)  # noqa: PLR2004 - the more probable of two
        known = second if labels is None else np.asarray(labels).item(second)
        return {"classes": known, "confidence": max(number, 1 - number)}
    if answer is Answer.CLASS:
        return {"classes": int(number) if type(number) is float and number.is_integer() else number}
    return {"values": number}
