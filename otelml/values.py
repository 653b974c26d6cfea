"""What is kept of a prediction's inputs and outputs: copies of numbers and labels, shapes, counts. Never the objects.

Everything here runs on the caller's thread, so each function looks at plain scalars first. Objects of unknown
classes are read with ``attempt``: what they raise is theirs, and means that they can't be read. What a value is, its
type tells, never ``isinstance``, which asks the value itself (a mock says that it is a float).
"""

from __future__ import annotations

import math
from array import array
from collections import deque
from functools import lru_cache
from itertools import chain
from typing import TYPE_CHECKING, Any, TypeAlias

from otelml._guard import attempt
from otelml._lazy import LazyModule, is_array, is_numpy
from otelml._text import encodable, kind_name, plain

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    import numpy as np
    from numpy.typing import NDArray
else:
    np = LazyModule("numpy")

Numbers: TypeAlias = "float | NDArray[np.float64]"
Labels: TypeAlias = "str | float | NDArray[Any]"

_SCALARS = (str, bytes, bool, int, float)
_SEQUENCES = (*_SCALARS, list, tuple, dict, range, deque, array, bytearray, memoryview)
_PLAIN = frozenset((str, bytes, bool, int, float))
_NUMERIC_KINDS, _NO_NUMBERS = "fiub", "cmM"
_MATRIX = 2
MAX_PAYLOAD = 4096
MAX_CELLS = 20_000_000
"""Values of one array or of lists inside lists; more of them are not read."""
_NESTED = (list, tuple, dict, set, frozenset)
_DEEPEST, _MAX_WRITTEN = 8, 1_000_000
_FEW = 64
_MAX_SIZE = 2**53


class Outline:
    """Shape and data type of something whose values are not to be read, as they are on a device, or too many."""

    __slots__ = ("dtype", "shape")

    def __init__(self, shape: tuple[int, ...], dtype: str) -> None:
        self.shape, self.dtype = shape, dtype

    def __repr__(self) -> str:
        return f"{self.dtype} of shape {self.shape}"

    def isna(self) -> None:
        """Do not tell how many values are missing."""
        raise TypeError("not read")


def numbers(value: Any) -> Numbers | None:
    """Return ``value`` as a float, or as a float64 array of shape (n,) that is a copy; None where it holds no numbers.

    None inside a list becomes NaN. Accepts scalars, sequences, arrays, series and anything with ``__array__``.
    """
    if type(value) is float:
        return value
    kind = type(value)
    if issubclass(kind, (bool, int, float)) or is_numpy(value, "generic"):
        return _scalar(value)
    if value is None or issubclass(kind, (str, bytes)):
        return None
    return attempt(_float_array, value)[0]


def row_maximum(value: Any) -> Numbers | None:
    """Return ``value`` as `numbers` does, but the largest of each row where it is two-dimensional."""
    if issubclass(type(value), (float, int)) or is_numpy(value, "generic"):
        return numbers(value)
    return attempt(_row_maximum, value)[0]


def labels(value: Any) -> Labels | None:
    """Return ``value`` as one label, or as an array of labels of shape (n,) that is a copy; None for anything else."""
    kind = type(value)
    if value is None or kind is str or kind is int or kind is bool or kind is float:
        return value  # type: ignore[no-any-return]
    if is_numpy(value, "generic"):
        item = attempt(lambda: value.item())[0]  # noqa: PLW0108 - its lookup may raise as well
        return labels(item) if type(item) in _PLAIN else plain(value)
    if issubclass(kind, _SCALARS):  # of a class of the application's: as it stands now, without the object
        return float.__pos__(value) if issubclass(kind, float) else plain(value)
    return attempt(_label_array, value)[0]


def array_of(value: Any) -> Any:
    """Return an array view of ``value`` where it has a cheap one, else ``value`` itself.

    A tensor that is not in host memory is refused (TypeError): copying it would wait for the device.
    """
    if is_array(value):
        return value
    device = getattr(value, "device", None)
    if device is not None and str(getattr(device, "type", device)) not in {"cpu", "None"}:
        raise TypeError("not in host memory")
    if hasattr(value, "detach"):
        value = value.detach()
    to_numpy = getattr(value, "to_numpy", None)
    found = to_numpy() if to_numpy is not None else value
    if not _ends(type(found)):
        raise TypeError("may have no end")
    if type(found) in {list, tuple}:
        _check_nested(found, MAX_CELLS)
    return found


def _check_nested(level: Sequence[Any], limit: int) -> None:
    """Raise TypeError for lists that are too deep, too many or hold what may have no end: numpy would look at all."""
    for _ in range(_DEEPEST):
        kinds = set(map(type, level))
        if not all(map(_ends, kinds)):
            raise TypeError("may have no end")
        if not any(issubclass(kind, _NESTED) for kind in kinds):
            return
        inner = [each for each in level if issubclass(type(each), _NESTED)]
        if sum(map(len, inner)) > limit:
            raise TypeError("too many values")
        level = list(chain.from_iterable(each.values() if isinstance(each, dict) else each for each in inner))
    raise TypeError("too many dimensions")


def _array(value: Any) -> NDArray[Any]:
    array = np.asarray(array_of(value))
    if array.size > MAX_CELLS:  # a view may have more elements than there is memory
        raise TypeError("too many values")
    return array


def _ends(kind: type) -> bool:
    """Return whether numpy reads objects of a class in bounded time.

    It asks whatever has ``__len__`` and ``__getitem__`` for one item after the other: a data set would be read whole,
    and a sequence that never says that it is over would hang the application.
    """
    if issubclass(kind, _SEQUENCES):
        return True
    arrays = any(hasattr(kind, name) for name in ("__array__", "__array_interface__", "__array_struct__"))
    return arrays or not (hasattr(kind, "__getitem__") and hasattr(kind, "__len__"))


def shape_of(value: Any) -> tuple[int, ...] | None:
    """Return the shape of an array, frame or sequence; None for a scalar."""
    if issubclass(type(value), _SCALARS):
        return None
    return attempt(_shape, value)[0]


def dtype_of(value: Any) -> str | None:
    """Return the data type of an array or the class of a frame or sequence."""
    known = None if issubclass(type(value), _SCALARS) else attempt(_dtype, value)[0]
    return kind_name(value)[:64] if known is None else known


def _dtype(value: Any) -> str | None:
    dtype = getattr(value, "dtype", None)
    return None if dtype is None else dtype_name(dtype)


@lru_cache(maxsize=256)
def dtype_name(dtype: Hashable) -> str:
    """Return the name of a data type."""
    return plain(dtype)[:64]


def rows_of(value: Any) -> int:
    """Return the number of rows: the length of the first axis, 1 for a scalar."""
    if value is None or issubclass(type(value), _SCALARS) or is_numpy(value, "generic"):
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
    if not is_array(value) and hasattr(value, "isna"):  # pandas, whose NA is no number
        return np.array(value.to_numpy(dtype=np.float64, na_value=np.nan), dtype=np.float64).ravel()
    array = _array(value)
    if array.dtype.kind in _NO_NUMBERS:
        raise TypeError("complex, or times")
    return np.array(array, dtype=np.float64).ravel()


def _row_maximum(value: Any) -> Numbers | None:
    array = _array(value)
    if array.ndim != _MATRIX or array.dtype.kind not in _NUMERIC_KINDS or not array.shape[1]:
        return numbers(array)
    return np.array(array.max(axis=1), dtype=np.float64)


def _label_array(value: Any) -> NDArray[Any] | None:
    given = array_of(value)
    # Text in a list stays as it is: an array of fixed width would take the longest text's size for every row.
    text = type(given) in {list, tuple} and any(issubclass(kind, (str, bytes)) for kind in set(map(type, given)))
    if is_numpy(given, "ndarray") and given.size > MAX_CELLS:
        return None
    array = np.array(given, dtype=object if text else None)
    return array.ravel() if array.ndim == 1 or (array.ndim == _MATRIX and array.shape[1] == 1) else None


def _shape(value: Any) -> tuple[int, ...] | None:
    if isinstance(value, (list, tuple)):
        return (len(value),)
    shape = getattr(value, "shape", None)
    sizes = () if shape is None else tuple(map(int, shape))
    return sizes if sizes and min(sizes) >= 0 and max(sizes) <= _MAX_SIZE else None


def _missing(value: Any) -> int:
    if is_numpy(value, "ndarray"):
        kind = value.dtype.kind
        if value.size > MAX_CELLS:
            raise TypeError("too many values")
        if kind == "f":
            # A sum in Python costs a third of what numpy does for few numbers; it is NaN where one of them is.
            few = value.size <= _FEW and not math.isnan(sum(value.ravel().tolist()))
            return 0 if few else int(np.count_nonzero(np.isnan(value)))
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
            found = method()  # NumPy's own way of reading a frame is five times as slow as the frame's
            return int((found.to_numpy() if hasattr(found, "to_numpy") else np.asarray(found)).sum())
    return 0


def _payload(value: Any) -> str:
    if is_numpy(value, "ndarray") or type(value) in {list, tuple}:
        value = value[:MAX_PAYLOAD]  # a row is a character at least
    if is_numpy(value, "ndarray"):
        value = value.tolist() if value.size <= _MAX_WRITTEN else value
    elif type(value) in _NESTED:
        _check_nested([value], _MAX_WRITTEN)
    text = encodable(str.__str__(repr(value)))
    return text if len(text) <= MAX_PAYLOAD else text[: MAX_PAYLOAD - 1] + "…"


def _scalar(value: Any) -> float | None:
    return attempt(float, value)[0]


def _missing_objects(row: Any) -> int:
    return sum(1 for x in row if x is None or ((isinstance(x, float) or is_numpy(x, "floating")) and math.isnan(x)))
