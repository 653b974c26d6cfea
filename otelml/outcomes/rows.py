"""What is kept: a prediction, a truth, and the two joined."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from otelml import _labels, values
from otelml._guard import attempt
from otelml._lazy import is_numpy

MAX_ROWS = 100_000
"""Rows of one prediction that are kept one by one."""
MAX_NUMBER = 1e100
_WHOLE = re.compile(r"[+-]?\d{1,15}(\.0*)?")
_WORDS = {"false": "0", "true": "1"}
_NUMBERS = {"0": "false", "1": "true"}


class Predicted(NamedTuple):
    """One predicted row; ``time`` in seconds since the epoch, ids in hex and empty where its span is not exported."""

    id: str
    model: str
    version: str
    time: float
    label: str | None
    value: float | None
    confidence: float | None
    trace_id: str = ""
    span_id: str = ""
    duration: float | None = None
    """Seconds that the call took which predicted it."""
    variant: str | None = None
    slice: str | None = None
    """Its slice as JSON, such as ``{"carrier":"AA"}``."""


class Actual(NamedTuple):
    """The truth of one prediction: its text, its number where it is one, and when it was known (s since the epoch)."""

    id: str
    label: str
    value: float | None
    time: float


class Joined(NamedTuple):
    """A prediction and its truth; ``label`` is spelled as the model spells its classes."""

    prediction: Predicted
    label: str
    value: float | None
    time: float

    @property
    def correct(self) -> bool | None:
        """Whether the predicted class was right; None where no class was predicted."""
        predicted = self.prediction.label
        return None if predicted is None else predicted == self.label

    @property
    def error(self) -> float | None:
        """Predicted less true value; None for classes."""
        predicted = self.prediction
        if predicted.label is not None or predicted.value is None or self.value is None:
            return None
        return predicted.value - self.value


def row_id(prediction_id: str, row: int, rows: int) -> str:
    """Return the id of one row: that of the prediction where it is the only one, else with ``#row`` behind it."""
    return prediction_id if rows == 1 else f"{prediction_id}#{row}"


def name(value: object) -> str:
    """Return an id or a class as text of at most 128 characters that every database takes."""
    return _labels.text(value).replace("\0", "\ufffd")


def actuals(prediction_id: object, actual: Any, time: float) -> list[Actual]:
    """Return the truths of a prediction: one, or one a row where ``actual`` is a sequence. Empty: it can't be read.

    Text, booleans and finite numbers are read, and lists, arrays and series of them.
    """
    key = name(prediction_id)
    if is_numpy(actual, "ndarray") and not actual.ndim:
        actual = actual.item()
    known = None if not key else values.labels(actual)
    if not is_numpy(known, "ndarray"):
        read = _read(known)
        return [] if read is None else [Actual(key, *read, time)]
    rows: list[Any] = known.tolist()  # type: ignore[union-attr] # an array, as was just seen
    each = [_read(one) for one in rows]
    if len(rows) > MAX_ROWS or None in each:
        return []
    return [Actual(row_id(key, i, len(rows)), *read, time) for i, read in enumerate(each) if read is not None]


def _read(value: Any) -> tuple[str, float | None] | None:
    """Return a truth as text and, where it is one, as a finite number; None where it can't be read."""
    kind = type(value)
    if not issubclass(kind, (str, bytes, bool, int, float)):
        return None
    text = name(value)
    number = number_of(value)
    if not text or (number is None and not issubclass(kind, (str, bytes))):
        return None
    return text, number


def number_of(value: Any) -> float | None:
    """Return a number whose square is finite in every database, or None."""
    found, _ = attempt(float, value)
    return found if found is not None and abs(found) <= MAX_NUMBER else None


def moment(value: Any) -> float | None:
    """Return a number of seconds since the epoch, or a datetime (local time without a zone), in seconds; or None."""
    timestamp = attempt(getattr, value, "timestamp", None)[0]
    return number_of(value if timestamp is None else attempt(timestamp)[0])


def spelled(predicted: str | None, actual: str) -> str:
    """Return the true class as the model spells its own: ``True``, ``1`` and ``1.0`` are the same class.

    Only the spellings of booleans and whole numbers are reconciled; any other text counts as it is.
    """
    if predicted is None or predicted == actual:
        return actual
    mine, theirs = _plain(predicted), _plain(actual)
    if mine == theirs:
        return predicted
    if predicted.lower() in _WORDS and theirs in _NUMBERS:
        other = _NUMBERS[theirs]
        return other if predicted.islower() else other.capitalize()
    return theirs if _WHOLE.fullmatch(predicted) else actual


def _plain(label: str) -> str:
    if _WHOLE.fullmatch(label):
        return str(int(label.partition(".")[0]))
    return _WORDS.get(label.lower(), label)
