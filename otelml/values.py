"""What is kept of a prediction's inputs and outputs: copies of numbers and labels, shapes, counts. Never the objects.

Everything here runs on the caller's thread, so each function looks at plain scalars first. Objects of unknown
classes are read with ``attempt``: what they raise is theirs, and means that they can't be read.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeAlias

from otelml._guard import attempt
from otelml._lazy import LazyModule, is_numpy

if TYPE_CHECKING:
    from collections.abc import Hashable

    import numpy as np
    from numpy.typing import NDArray
else:
    np = LazyModule("numpy")

Numbers: TypeAlias = "float | NDArray[np.float64]"
Labels: TypeAlias = "str | float | NDArray[Any]"

_SCALARS = (str, bytes, bool, int, float)
_NUMERIC_KINDS = "fiub"
_MATRIX = 2
MAX_PAYLOAD = 4096
_MAX_SIZE = 2**53


def numbers(value: Any) -> Numbers | None:
    """Return ``value`` as a float, or as a float64 array of shape (n,) that is a copy; None where it holds no numbers.

    None inside a list becomes NaN. Accepts scalars, sequences, arrays, series and anything with ``__array__``.
    """
    if type(value) is float:
        return value
    if isinstance(value, (bool, int, float)) or is_numpy(value, "generic"):
        return _scalar(value)
    if value is None or isinstance(value, (str, bytes)):
        return None
    return attempt(_float_array, value)[0]


def row_maximum(value: Any) -> Numbers | None:
    """Return ``value`` as `numbers` does, but the largest of each row where it is two-dimensional."""
    if isinstance(value, (float, int)) or is_numpy(value, "generic"):
        return numbers(value)
    return attempt(_row_maximum, value)[0]


def labels(value: Any) -> Labels | None:
    """Return ``value`` as one label, or as an array of labels of shape (n,) that is a copy; None for anything else."""
    if is_numpy(value, "generic"):
        return value.item()  # type: ignore[no-any-return]
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, (str, bool, int, float)):
        return value
    if value is None:
        return None
    return attempt(_label_array, value)[0]


def array_of(value: Any) -> Any:
    """Return an array view of ``value`` where it has a cheap one, else ``value`` itself.

    A tensor that is not in host memory is refused (TypeError): copying it would wait for the device.
    """
    device = getattr(value, "device", None)
    if device is not None and str(getattr(device, "type", device)) not in {"cpu", "None"}:
        raise TypeError("not in host memory")
    if hasattr(value, "detach"):
        value = value.detach()
    to_numpy = getattr(value, "to_numpy", None)
    return to_numpy() if to_numpy is not None else value


def shape_of(value: Any) -> tuple[int, ...] | None:
    """Return the shape of an array, frame or sequence; None for a scalar."""
    if isinstance(value, _SCALARS):
        return None
    return attempt(_shape, value)[0]


def dtype_of(value: Any) -> str | None:
    """Return the data type of an array or the class of a frame or sequence."""
    known = None if isinstance(value, _SCALARS) else attempt(_dtype, value)[0]
    return type(value).__name__[:64] if known is None else known


def _dtype(value: Any) -> str | None:
    dtype = getattr(value, "dtype", None)
    return None if dtype is None else _dtype_name(dtype)


@lru_cache(maxsize=256)
def _dtype_name(dtype: Hashable) -> str:
    return str(dtype)[:64]


def rows_of(value: Any) -> int:
    """Return the number of rows: the length of the first axis, 1 for a scalar."""
    if value is None or isinstance(value, _SCALARS) or is_numpy(value, "generic"):
        return 1
    shape = shape_of(value)
    return shape[0] if shape else 1


def missing_in(value: Any) -> int | None:
    """Return how many values are NaN or None; None where that can't be told."""
    return attempt(_missing, value)[0]


def payload(value: Any) -> str | None:
    """Return the text of ``value``, at most 4,096 characters; only called with ``OTELML_CAPTURE=payload``."""
    return attempt(_payload, value)[0]


def _float_array(value: Any) -> NDArray[np.float64]:
    if hasattr(value, "isna"):  # pandas, whose NA is no number
        return np.array(value.to_numpy(dtype=np.float64, na_value=np.nan)).ravel()
    array = np.asarray(array_of(value))
    if array.dtype.kind == "c":
        raise TypeError("complex")
    return np.array(array, dtype=np.float64).ravel()


def _row_maximum(value: Any) -> Numbers | None:
    array = np.asarray(array_of(value))
    if array.ndim != _MATRIX or array.dtype.kind not in _NUMERIC_KINDS or not array.shape[1]:
        return numbers(array)
    return np.array(array.max(axis=1), dtype=np.float64)


def _label_array(value: Any) -> NDArray[Any] | None:
    given = array_of(value)
    # Text in a list stays as it is: an array of fixed width would take the longest text's size for every row.
    text = isinstance(given, (list, tuple)) and any(isinstance(x, (str, bytes)) for x in given)
    array = np.array(given, dtype=object if text else None)
    return array.ravel() if array.ndim == 1 or (array.ndim == _MATRIX and array.shape[1] == 1) else None


def _shape(value: Any) -> tuple[int, ...] | None:
    if isinstance(value, (list, tuple)):
        return (len(value),)
    shape = getattr(value, "shape", None)
    sizes = () if shape is None else tuple(int(n) for n in shape)
    return sizes if sizes and all(0 <= n <= _MAX_SIZE for n in sizes) else None


def _missing(value: Any) -> int:
    if is_numpy(value, "ndarray"):
        kind = value.dtype.kind
        if kind == "f":
            return int(np.isnan(value).sum())
        return _missing_objects(value.ravel().tolist()) if kind == "O" else 0
    if isinstance(value, dict):
        return _missing_objects(value.values())
    if isinstance(value, (list, tuple)):
        return sum(
            _missing_objects(row) if isinstance(row, (list, tuple)) else _missing_objects((row,)) for row in value
        )
    for name in ("isna", "null_count"):  # pandas, polars
        method = getattr(value, name, None)
        if method is not None:
            return int(np.asarray(method()).sum())
    return 0


def _payload(value: Any) -> str:
    text = repr(value.tolist() if is_numpy(value, "ndarray") else value)
    return text if len(text) <= MAX_PAYLOAD else text[: MAX_PAYLOAD - 1] + "…"


def _scalar(value: Any) -> float | None:
    return attempt(float, value)[0]


def _missing_objects(row: Any) -> int:
    return sum(1 for x in row if x is None or ((isinstance(x, float) or is_numpy(x, "floating")) and math.isnan(x)))
