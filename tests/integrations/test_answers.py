"""What a model's numbers stand for: one row alone says what it says among others."""

import numpy as np
import pytest

from otelml import result as reading
from otelml.integrations._answers import Answer, facts_of

COLUMNS = {
    Answer.PROBABILITY: [np.array([0.2, 0.5, 0.75]), np.array([0.25, 0.5], np.float32), np.array([[0.1], [0.9]])],
    Answer.CLASS: [np.array([0.0, 2.0]), np.array([1.5, 2.0]), np.array([True, False]), np.array(["a", "b"], object)],
    Answer.VALUE: [np.array([1.5, -2.0]), np.array([3, 4]), np.array([[7.0], [8.0]], np.float32)],
    Answer.SCORE: [np.array([np.inf, np.nan])],
}
CASES = [(answer, column, labels) for answer in COLUMNS for column in COLUMNS[answer] for labels in (None, "xy")]


class Sink:
    """Takes everything, drops nothing."""

    capture = "stats"

    def drop(self, what, where, number):
        """Fail."""
        raise AssertionError((what, where, number))


def seen(answer, rows, labels):
    """Return the label, the confidence and the value of one row, as they are exported."""
    given = facts_of(answer, rows, None if labels is None else np.array(list(labels)))
    names = ("predictions", "classes", "confidence", "values")
    found = reading.read(Sink(), *(given.get(name) for name in names), inputs=np.zeros((len(rows), 2)))
    numbers = [None if kept is None else float(np.ravel(kept)[0]) for kept in (found.confidence, found.values)]
    return found.label, *numbers, found.dtype, found.missing


@pytest.mark.parametrize(("answer", "column", "labels"), CASES, ids=lambda each: repr(each)[:30])
def test_one_row_alone(answer, column, labels):
    """Read in plain values, as one row is, or as an array of one: class, confidence and value are the same."""
    for row in range(len(column)):
        one = column[row : row + 1]
        alone = seen(answer, one, labels)
        long = seen(answer, one.view(Long), labels)
        np.testing.assert_equal(alone, long)


class Long(np.ndarray):
    """An array whose single items are arrays: it is read the long way."""

    def item(self, *_):
        """Return no plain value."""
        return self
