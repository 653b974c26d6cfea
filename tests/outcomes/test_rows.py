"""Truths are read from whatever the application has, and compared as the model spells its classes."""

import math
from datetime import UTC, datetime
from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pytest

from otelml.outcomes.rows import Actual, actuals, number_of, spelled


@pytest.mark.parametrize(
    ("given", "label", "value"),
    [
        ("late", "late", None),
        (b"late", "late", None),
        ("12.5", "12.5", 12.5),
        (True, "true", 1.0),
        (np.array([0, 1], bool)[0], "false", 0.0),
        (3, "3", 3.0),
        (np.int64(3), "3", 3.0),
        (3.0, "3", 3.0),
        (np.float32(0.5), "0.5", 0.5),
        (np.array([7]), "7", 7.0),
        (np.array(7.5), "7.5", 7.5),
        ([1], "1", 1.0),
        (pd.Series(["late"]), "late", None),
        (pl.Series([2]), "2", 2.0),
    ],
    ids=repr,
)
def test_read(given, label, value):
    """Text, booleans, numbers, and one-row arrays and series are read."""
    assert actuals("a", given, 9.0) == [Actual("a", label, value, 9.0)]


@pytest.mark.parametrize(
    "given",
    [
        None,
        math.nan,
        math.inf,
        np.nan,
        "",
        {},
        {"a": 1},
        object(),
        [],
        [None],
        [1, None],
        [[1, 2]],
        1e200,
        np.zeros((2, 2)),
        1j,
        Decimal("NaN"),
    ],
    ids=lambda given: type(given).__name__,
)
def test_unreadable(given):
    """What is no class and no number is refused whole, as is a list with one such entry."""
    assert actuals("a", given, 9.0) == []


@pytest.mark.parametrize(
    "given",
    [[1, 0], (1, 0), np.array([1, 0]), pd.Series([1, 0]), pl.Series([1, 0])],
    ids=["list", "tuple", "numpy", "pandas", "polars"],
)
def test_rows(given):
    """A sequence says one truth for each row of the prediction."""
    assert actuals("a", given, 9.0) == [Actual("a#0", "1", 1.0, 9.0), Actual("a#1", "0", 0.0, 9.0)]


def test_texts_are_bounded_and_clean():
    """Ids and classes hold what every database and exporter takes: 128 characters, no zero byte, no surrogate."""
    (read,) = actuals("i" * 500, "a\0b\ud800" + "c" * 500, 9.0)
    assert read.id == "i" * 128
    assert read.label.startswith("a\ufffdb?")
    assert len(read.label) == 128
    assert actuals("", "x", 9.0) == []


@pytest.mark.parametrize(
    ("predicted", "actual", "expected"),
    [
        ("late", "late", "late"),
        ("late", "on_time", "on_time"),
        ("1", "true", "1"),
        ("0", "False", "0"),
        ("1", "1.0", "1"),
        ("1", "0.0", "0"),
        ("1", "2", "2"),
        ("true", "1", "true"),
        ("true", "0", "false"),
        ("True", "0", "False"),
        ("false", "True", "true"),
        ("late", "1", "1"),
        ("1", "late", "late"),
        ("Late", "late", "late"),
        ("1.5", "1.50", "1.50"),
        (None, "x", "x"),
        ("01", "1", "01"),
    ],
)
def test_spelled(predicted, actual, expected):
    """Booleans and whole numbers are the same class however they are written; other text counts as it is."""
    assert spelled(predicted, actual) == expected


def test_numbers():
    """A number is finite and small enough to be squared."""
    assert number_of("1e3") == 1000.0
    assert [number_of(x) for x in ("x", math.nan, -math.inf, 1e101, None, datetime.now(UTC))] == [None] * 6
