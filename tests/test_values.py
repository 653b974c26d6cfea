"""What is read of inputs and outputs, one function at a time."""

import subprocess
import sys
import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from otelml import values


@given(arrays.arrays(np.float64, arrays.array_shapes(max_dims=2, max_side=5)))
def test_numbers_are_a_copy(array):
    """Any float array comes back as its numbers in row order, in memory of its own."""
    kept = values.numbers(array)
    assert kept.shape == (array.size,)
    np.testing.assert_array_equal(kept, array.ravel())
    assert not np.shares_memory(kept, array)


@given(st.one_of(st.floats(), st.integers(), st.booleans(), st.text(), st.binary(), st.none(), st.complex_numbers()))
def test_scalars_are_a_number_or_none(value):
    """A scalar is a float, or None where it is no number; never an error."""
    kept = values.numbers(value)
    assert kept is None or type(kept) is float


@given(st.recursive(st.one_of(st.none(), st.text(max_size=3), st.floats(), st.integers()), st.lists, max_leaves=8))
def test_nothing_raises(value):
    """Whatever nested lists are given, every reader returns."""
    for read in (values.numbers, values.row_maximum, values.labels, values.shape_of, values.dtype_of, values.rows_of):
        read(value)
    assert values.missing_in(value) is None or values.missing_in(value) >= 0
    assert len(values.payload(value)) <= values.MAX_PAYLOAD


@pytest.mark.parametrize(
    ("value", "shape", "dtype", "rows"),
    [
        (1.5, None, "float", 1),
        ("x", None, "str", 1),
        (np.float32(1), None, "float32", 1),
        (np.array(1.0), None, "float64", 1),
        ([1, 2], (2,), "list", 2),
        (np.zeros((3, 2), "f4"), (3, 2), "float32", 3),
        (np.broadcast_to(np.int8(1), (2**60,)), None, "int8", 1),  # a view of one byte: more rows than anybody has
        (pd.DataFrame({"a": [1, 2]}), (2, 1), "DataFrame", 2),
        (pd.Series([1, 2]), (2,), "int64", 2),
        (pl.Series([1, 2]), (2,), "Int64", 2),
        ({"a": 1}, None, "dict", 1),
        (iter([1]), None, "list_iterator", 1),
    ],
    ids=lambda x: type(x).__name__,
)
def test_shapes(value, shape, dtype, rows):
    """Shape, type and rows of what people pass."""
    assert (values.shape_of(value), values.dtype_of(value), values.rows_of(value)) == (shape, dtype, rows)


def test_iterators_are_not_consumed():
    """Reading a generator takes nothing from it."""
    stream = iter([1, 2, 3])
    for read in (values.numbers, values.row_maximum, values.labels, values.missing_in, values.rows_of, values.shape_of):
        read(stream)
    assert list(stream) == [1, 2, 3]


def test_long_texts_do_not_widen_every_row():
    """One long text among many labels does not make an array of its width for all rows."""
    kept = values.labels(["x" * 1_000_000, *["a"] * 1000])
    assert kept.nbytes < 100_000
    assert kept[1] == "a"


def test_no_warning_reaches_the_application():
    """Complex numbers, overflowing casts and empty rows are read without a warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert values.numbers(np.array([1j])) is None
        assert values.numbers(np.zeros(0)).size == 0
        assert values.row_maximum(np.zeros((2, 0))).size == 0
        assert values.missing_in(np.zeros((0, 3))) == 0


def test_importing_otelml_imports_no_numpy():
    """An application that does not use numpy does not pay for it: plain results are read without."""
    code = (
        "import sys, otelml.values as v; v.numbers(1.5), v.labels('a'), v.rows_of([1]), v.missing_in([None]);"
        "sys.exit('numpy' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
