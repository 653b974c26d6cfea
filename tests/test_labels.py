"""Labels: the first values keep their name, later ones are `other`, and no thread gets around the limit."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from otelml import _labels, semconv

CLASS, STAGE = semconv.PREDICTION_CLASS, semconv.STAGE


def test_first_values_keep_their_name():
    """Up to the limit a value is itself, then `other`, which is counted; known ones stay known."""
    labels = [_labels.bounded(CLASS, f"c{i}") for i in range(30)]
    assert labels == [*(f"c{i}" for i in range(20)), *["other"] * 10]
    assert _labels.folded() == {CLASS: 10}
    assert _labels.bounded(CLASS, "c3") == "c3"
    assert _labels.bounded(STAGE, "c29") == "c29"


TEXTS = [
    *((True, "true"), (3, "3"), (3.0, "3"), (3.5, "3.5"), (float("nan"), "nan"), (float("inf"), "inf")),
    *((b"x\xff", "x\ufffd"), (None, "None"), ("", ""), ("\xfc\ud800", "\xfc?")),
]


@pytest.mark.parametrize(("value", "label"), TEXTS)
def test_text_of_values(value, label):
    """One value has one text, whatever its type: 3 and 3.0 are the same class."""
    assert _labels.bounded(CLASS, value) == label


def test_long_values_stay_one_label():
    """A long text is cut, and is the same label before and after the limit is reached."""
    first = _labels.bounded(CLASS, "x" * 500)
    for i in range(50):
        _labels.bounded(CLASS, i)
    assert first == "x" * 128 == _labels.bounded(CLASS, "x" * 500)


def test_threads_stay_within_the_limit():
    """Eight threads that bring thousands of new values at once keep exactly the limit, and count every fold."""

    def bring(thread):
        return [_labels.bounded(STAGE, f"{thread} {i}") for i in range(2000)]

    with ThreadPoolExecutor(8) as pool:
        labels = [label for found in pool.map(bring, range(8)) for label in found]
    assert len(set(labels) - {"other"}) == 20
    assert _labels.folded() == {STAGE: labels.count("other")}


def test_values_that_raise_are_named_by_their_class():
    """A value whose text raises is its class."""

    class Odd:
        def __str__(self):
            raise RuntimeError

    assert _labels.bounded(CLASS, Odd()) == "Odd"
    assert _labels.name(["a"]) == "list"


def test_unknown_attributes_are_refused():
    """An attribute without a row in semconv is a mistake of ours, and said."""
    with pytest.raises(KeyError):
        _labels.bounded("ml.nonsense", "x")


def test_after_fork_counts_start_from_zero():
    """A forked child counts its own folds and keeps its labels."""
    for i in range(25):
        _labels.bounded(CLASS, i)
    _labels.after_fork()
    assert _labels.folded() == {}
    assert _labels.bounded(CLASS, 3) == "3"
    assert _labels.bounded(CLASS, 99) == "other"
    assert _labels.folded() == {CLASS: 1}
