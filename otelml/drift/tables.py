"""Whatever holds a table, as columns: arrays, pandas and polars frames, dicts of columns, lists of rows."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

import numpy as np

from otelml.drift.faults import InvalidDataError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    Column = NDArray[Any]

NUMERIC, TIMES, FLAGS = "iuf", "mM", "b"  # NumPy's kinds of dtype
_NUMBERS = (int, float, np.integer, np.floating, Decimal)
_FLAGS = (bool, np.bool_)
_TIMES = (date, timedelta, np.datetime64, np.timedelta64)
_NOTHING = {"NAType", "NaTType", "MaskedConstant"}  # pandas' and NumPy's own, told by name: we import no pandas
_WHOLE = frozenset((str, bytes, bool, int, float, type(None), datetime, date, timedelta, Decimal))
_DIMENSIONS = 2


@dataclass(frozen=True, slots=True)
class Table:
    """Columns of equal length, and their names where the data has some."""

    columns: tuple[Column, ...]
    names: tuple[str, ...] | None
    rows: int


def read(data: Any, names: Sequence[str] | None = None) -> Table:
    """Return the columns of ``data``: shape (rows, columns) where it is an array or a list of lists.

    Raises:
        InvalidDataError: it isn't a table, its columns differ in length or names, or ``names`` don't fit.
    """
    found = _found(data)
    lengths = {len(column) for column in found.columns}
    faults = [] if len(lengths) <= 1 else [f"columns of different lengths: {sorted(lengths)}"]
    if names is not None and len(names) != len(found.columns):
        faults.append(f"{len(names)} names for {len(found.columns)} columns")
    called = found.names if names is None else tuple(map(str, names))
    faults += [f"column {name!r} is there {n} times" for name, n in Counter(called or ()).items() if n > 1]
    if faults:
        raise InvalidDataError(faults)
    return Table(found.columns, called, found.rows)


def _found(data: Any) -> Table:
    if isinstance(data, dict):
        return _named(data, list(data))
    if hasattr(data, "__len__") and hasattr(data, "columns"):  # no lazy frame: reading it may cost anything
        return _named(data, list(data.columns))
    if isinstance(data, np.ndarray):
        return _array(data)
    if isinstance(data, (list, tuple)):
        return _rows(data)
    raise InvalidDataError([f"{type(data).__name__} is no 2-D array, data frame, dict of columns or list of rows"])


def _named(data: Mapping[Any, Any], names: list[Any]) -> Table:
    if len(set(names)) < len(names):  # a frame would give a frame for such a name
        raise InvalidDataError([f"column {n!r} is there {c} times" for n, c in Counter(names).items() if c > 1])
    columns = tuple(column(data[name]) for name in names)
    return Table(columns, tuple(map(str, names)), len(columns[0]) if columns else 0)


def _array(data: NDArray[Any]) -> Table:
    if data.ndim != _DIMENSIONS:
        raise InvalidDataError([f"an array of {data.ndim} dimensions, where rows and columns are needed"])
    return Table(tuple(column(data[:, i]) for i in range(data.shape[1])), None, len(data))


def _rows(rows: Sequence[Any]) -> Table:
    if rows and all(isinstance(row, dict) for row in rows):
        names = list(dict.fromkeys(name for row in rows for name in row))
        columns = tuple(objects([row.get(name) for row in rows]) for name in names)
        return Table(columns, tuple(map(str, names)), len(rows))
    lengths = {len(row) for row in rows if isinstance(row, (list, tuple, np.ndarray))}
    if len(lengths) > 1 or not all(isinstance(row, (list, tuple, np.ndarray)) for row in rows):
        what = (
            f"rows of different lengths: {sorted(lengths)}" if len(lengths) > 1 else "rows that are no lists or dicts"
        )
        raise InvalidDataError([what])
    return Table(tuple(objects(values) for values in zip_longest(*rows)), None, len(rows))


def column(values: Any) -> Column:
    """Return a column as an array of one dimension; masked values become None."""
    if isinstance(values, np.ma.MaskedArray):
        return objects(values.tolist())
    if isinstance(values, (list, tuple)):
        return objects(values)
    if str(getattr(values, "dtype", "")) == "category":  # pandas: said to be categories, whatever they are
        return objects([category(value) for value in values.tolist()])
    taken = values.to_numpy() if hasattr(values, "to_numpy") else np.asarray(values)
    if taken.ndim != 1:
        raise InvalidDataError([f"a column of {taken.ndim} dimensions"])
    return np.asarray(taken)


def objects(values: Sequence[Any]) -> Column:
    """Return a column of Python objects, none of them taken apart."""
    taken = np.empty(len(values), object)
    if _WHOLE.issuperset(map(type, values)):
        taken[:] = values
    else:  # one by one: NumPy would look into lists and whatever else has items, some of which have no end
        for i, value in enumerate(values):
            taken[i] = value
    return taken


def is_numeric(values: Column) -> bool:
    """Return whether a column holds numbers (or times) and missing values only; one with nothing in it does."""
    if values.dtype.kind in NUMERIC + TIMES:
        return True
    if values.dtype.kind != "O":
        return False
    kinds = {type(value) for value in values}
    return all((issubclass(k, (*_NUMBERS, *_TIMES)) and not issubclass(k, _FLAGS)) or _is_nothing(k) for k in kinds)


def _is_nothing(kind: type) -> bool:
    return kind is type(None) or kind.__name__ in _NOTHING


def numbers(values: Column) -> NDArray[np.float64]:
    """Return a column as float64; what is missing or no number is NaN. Times are seconds since 1970."""
    kind = values.dtype.kind
    if kind in NUMERIC + FLAGS:
        return values.astype(np.float64, copy=False)
    if kind in TIMES:
        unit = "datetime64[us]" if kind == "M" else "timedelta64[us]"
        micros: NDArray[np.float64] = values.astype(unit).astype(np.int64) / 1e6
        return np.where(np.isnat(values), np.nan, micros)
    return np.array([_number(value) for value in values], np.float64)


def _number(value: Any) -> float:
    if isinstance(value, _TIMES):
        return _seconds(value)
    if not isinstance(value, (*_NUMBERS, *_FLAGS)):
        return np.nan
    try:
        return float(value)
    except OverflowError:  # an int beyond 1e308
        return np.inf if value > 0 else -np.inf


def _seconds(value: Any) -> float:
    """Return a time as seconds since 1970, a duration as seconds; a time without a zone is taken as UTC."""
    if _is_nothing(type(value)):  # pandas' NaT says that it is a datetime
        return np.nan
    if isinstance(value, (np.datetime64, np.timedelta64)):
        return float(numbers(np.array([value]))[0])
    if isinstance(value, timedelta):
        return value.total_seconds()
    moment = value if isinstance(value, datetime) else datetime(value.year, value.month, value.day, tzinfo=UTC)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def categories(values: Column) -> Counter[str | None]:
    """Return how often each category is in a column; None is the missing value.

    3 and 3.0 are ``"3"``, truth values ``"true"`` and ``"false"``: a column is the same in whatever it is held.
    """
    counted: Counter[str | None] = Counter()
    for value, count in _counted(values):
        counted[category(value)] += count
    return counted


def _counted(values: Column) -> Iterable[tuple[Any, int]]:
    if values.dtype.kind in NUMERIC + FLAGS:
        distinct, counts = np.unique(values, return_counts=True)
        return zip(distinct.tolist(), counts.tolist(), strict=True)
    items = values.tolist()
    try:
        flags = [value for value in items if isinstance(value, _FLAGS)]  # True == 1: told apart before they are counted
        found = Counter(value for value in items if not isinstance(value, _FLAGS)) if flags else Counter(items)
        return [*found.items(), *Counter(map(category, flags)).items()]
    except TypeError:  # lists and other values that have no hash
        return Counter(category(value) for value in items).items()


def category(value: Any) -> str | None:
    """Return the name of a value as a category; None for a missing one."""
    if isinstance(value, str):
        return value
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, _FLAGS):
        return "true" if value else "false"
    if _is_nothing(type(value)):
        return None
    if isinstance(value, (float, np.floating)):
        return None if value != value else str(int(value)) if float(value).is_integer() else str(float(value))  # noqa: PLR0124 - NaN
    return str(value)
