"""What is taken of a prediction's inputs on the caller's thread: a copy of their numbers as bytes, nothing else.

An array's bytes are copied as they are; the recorder's thread finds the bins. Cells of Python objects (dicts, lists,
mixed frames) are turned into numbers here, categories into the number of their bin, so that no object of the
application's outlives the call. At most 64 such rows of a call are observed, evenly spaced; of arrays, 8 MiB. Frames
of several types, which are slow to read, are observed 50 times a second at most.
"""

from __future__ import annotations

import struct
import sys
from operator import itemgetter
from time import monotonic
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np

from otelml import values
from otelml._guard import attempt
from otelml.drift import tables
from otelml.drift.features import CategoryFeature

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from otelml.drift.features import Feature

MAX_OBJECT_ROWS = 64
MAX_CALL_BYTES = 8 << 20
MAX_WAITING_BYTES = 32 << 20
"""Bytes taken of calls since the recorder last looked; what is more is counted as dropped."""
MAX_ORDERS = 16
MIXED_PAUSE = 0.02
"""Seconds between two frames of several types that are observed: reading one takes 0.2 ms, so a hundredth of a core."""
CODED = "coded"
"""Rows of doubles: numbers first, then categories as the number of their bin, -1 for one without."""
OTHER = -1.0
_NUMBERS = frozenset((float, int, np.float64, np.float32, np.int64, np.int32))
_TEXTS, _STRINGS = frozenset((str, type(None))), frozenset((str,))
_PLAIN_CHARS = frozenset("?bBhHiIlLqQefdg")
_BYTES_KINDS = "mMUS"
_CONTAINERS = (list, tuple, dict, set, frozenset, np.ndarray)
_MATRIX = 2
_MISSING, _EXTRA, _WRONG = "missing", "extra", "wrong_type"

Violations: TypeAlias = "tuple[tuple[str, int, int], ...]"
"""What the reference does not allow: (kind, position of the feature or -1, number)."""
Order: TypeAlias = "tuple[int, ...] | None"
"""For each feature the column that holds it, -1 for none; None where columns are as the features."""


class Taken(NamedTuple):
    """What was taken of one call."""

    rows: int
    """Rows seen, more than those in ``data`` where they are sampled or dropped."""
    code: str
    """NumPy's type of the numbers in ``data``, or `CODED`."""
    columns: int
    order: Order
    data: bytes
    """The numbers, row by row."""
    violations: Violations
    taker: Taker
    """Whose features they are."""


class Room:
    """How much waits for the recorder, in bytes, over all models; not exact where threads race, and soon zero again."""

    __slots__ = ("drop", "waiting")

    def __init__(self, drop: Callable[[str, str, int], None]) -> None:
        self.drop, self.waiting = drop, 0

    def holds(self, size: int, rows: int) -> bool:
        """Return whether so many bytes may wait; where not, their rows are counted as dropped."""
        if self.waiting + size > MAX_WAITING_BYTES:
            self.drop("features", "buffer", rows)
            return False
        self.waiting += size
        return True


class Taker:
    """Takes the inputs of predictions of one model, whose features are known: at least one."""

    def __init__(self, features: Sequence[Feature], room: Room) -> None:
        self.features = tuple(features)
        self.names = tuple(feature.name for feature in features)
        self.width = len(self.features)
        self._room = room
        self._orders: dict[tuple[str, ...], tuple[Order, Violations]] = {}
        self._mixed: set[tuple[str, ...]] = set()
        """Columns of frames that have several types."""
        self._last: tuple[Any, tuple[str, ...]] | None = None
        """The columns of the last pandas frame, of our own making, and their names."""
        self._next_mixed = 0.0
        is_category = [isinstance(feature, CategoryFeature) for feature in features]
        self.coded = tuple(sorted(range(self.width), key=is_category.__getitem__))
        """The features in the order of `CODED` rows."""
        self.numbers = is_category.count(False)
        self._bins = [_bins(self.features[i]).get for i in self.coded[self.numbers :]]
        self._by_name = _getter([self.names[i] for i in self.coded])
        self._by_position = _getter(self.coded)
        self._pack = struct.Struct(f"{self.width}d").pack

    def take(self, inputs: Any) -> Taken:
        """Return what may be kept of a call's inputs. Never raises for what the application gave."""
        kind = type(inputs)
        if kind is np.ndarray and not inputs.dtype.hasobject:
            return self._array(inputs, None, ())
        if (kind is dict or kind is list or kind is tuple) and len(inputs) == self.width:
            row = self._plain_row(inputs, named=kind is dict)
            if row is not None:
                return Taken(1, CODED, self.width, None, row if self._room.holds(len(row), 1) else b"", (), self)
        taken, _ = attempt(self._foreign, inputs)
        return taken or self._unreadable(inputs)

    def _plain_row(self, row: Any, *, named: bool) -> bytes | None:
        """Return one row of plain numbers and texts; None for any other."""
        try:
            cells = (self._by_name if named else self._by_position)(row)
            if not self._bins:
                return self._pack(*_numbers(cells))
            texts = cells[self.numbers :]
            if not _TEXTS.issuperset(map(type, texts)):  # before they are looked up: an object's hash is its own
                return None
            bins = [bin_of(text, OTHER) for bin_of, text in zip(self._bins, texts, strict=True)]
            return self._pack(*_numbers(cells[: self.numbers]), *bins)
        except (KeyError, OverflowError, TypeError):  # of another kind, or without a hash
            return None

    def _unreadable(self, inputs: Any) -> Taken:
        return self._lost(values.rows_of(inputs), ())

    def _lost(self, rows: int, violations: Violations) -> Taken:
        self._room.drop("features", "unreadable", rows)
        return Taken(rows, CODED, self.width, None, b"", violations, self)

    def _misfit(self, rows: int, columns: int) -> Taken:
        """Return nothing but that there are too few columns, or too many, of no name: nobody knows which is which."""
        return self._lost(rows, ((_MISSING if columns < self.width else _EXTRA, -1, rows),))

    # Arrays ---------------------------------------------------------------------------------------------------------

    def _array(self, array: Any, order: Order, violations: Violations) -> Taken:
        """Take an array of shape (rows, columns), or of one row, or of one feature."""
        shape = array.shape
        if len(shape) == _MATRIX:
            rows, columns = shape
        elif len(shape) == 1 and self.width in {1, shape[0]}:
            columns = self.width
            rows = shape[0] // columns
        else:
            return self._unreadable(array)
        if columns != self.width and order is None:
            return self._misfit(rows, columns)
        dtype = array.dtype
        code = dtype.char
        if code not in _PLAIN_CHARS or not dtype.isnative:
            if dtype.kind == "O":
                return self._objects(array.reshape(rows, columns), order, violations)
            if dtype.kind not in _BYTES_KINDS and code not in _PLAIN_CHARS:
                return self._lost(rows, violations)
            code = dtype.str
        size = array.nbytes
        if size > MAX_CALL_BYTES:
            array = array[:: -(-size // MAX_CALL_BYTES)]
            size = array.nbytes
        data = array.tobytes() if self._room.holds(size, rows) else b""
        return Taken(rows, code, columns, order, data, violations, self)

    def _objects(self, array: Any, order: Order, violations: Violations) -> Taken:
        cells = array[:: _step(len(array))].tolist()
        if order is not None:
            cells = [[None if i < 0 else row[i] for i in order] for row in cells]
        return self._coded(len(array), cells, violations)

    # Whatever else holds rows ---------------------------------------------------------------------------------------

    def _foreign(self, inputs: Any) -> Taken:
        if isinstance(inputs, dict):
            return self._named(inputs)
        if isinstance(inputs, np.ma.MaskedArray):
            inputs = inputs.tolist()
        if isinstance(inputs, (list, tuple)):
            return self._listed(inputs)
        columns = getattr(inputs, "columns", None)
        if columns is not None and hasattr(inputs, "to_numpy"):
            return self._frame(inputs, self._names(columns))
        index = getattr(inputs, "index", None)
        if hasattr(inputs, "to_numpy") and index is not None and hasattr(index, "tolist"):  # a row of a pandas frame
            return self._named(dict(zip(index.tolist(), inputs.to_numpy().tolist(), strict=True)))
        return self._array(np.asarray(values.array_of(inputs)), None, ())

    def _frame(self, frame: Any, names: tuple[str, ...]) -> Taken:
        rows = len(frame)
        order, violations = self._order(names)
        violations = violations and tuple((kind, at, count * rows) for kind, at, count in violations)
        if names in self._mixed:
            now = monotonic()
            if now < self._next_mixed:
                return Taken(rows, CODED, self.width, None, b"", violations, self)
            self._next_mixed = now + MIXED_PAUSE
        mixed = rows > MAX_OBJECT_ROWS and frame[:1].to_numpy().dtype.kind == "O"
        array = (frame[:: _step(rows)] if mixed else frame).to_numpy()
        if array.dtype.kind == "O" and len(self._mixed) < MAX_ORDERS:
            self._mixed.add(names)
        taken = self._array(array, order, violations)
        return taken._replace(rows=rows) if mixed else taken

    def _names(self, columns: Any) -> tuple[str, ...]:
        """Return the names of a frame's columns: read one by one only where they are not those of the last frame."""
        array, last = getattr(columns, "array", None), self._last
        if array is not None and last is not None and type(array) is type(last[0]) and last[0].equals(array):
            return last[1]
        names = tuple(columns.tolist() if hasattr(columns, "tolist") else columns)
        if not _STRINGS.issuperset(map(type, names)):
            return tuple(map(str, names))
        if type(columns) is getattr(sys.modules.get("pandas"), "Index", None):
            self._last = type(columns)(names, dtype=columns.dtype).array, names
        return names

    def _order(self, names: tuple[str, ...]) -> tuple[Order, Violations]:
        """Return where the features are among named columns, and which are missing or too many, for each row."""
        known = self._orders.get(names)
        if known is None:
            at = {name: i for i, name in enumerate(names)}
            order: Order = tuple(at.get(name, -1) for name in self.names)
            extra = len(set(names) - set(self.names))
            violations = [(_MISSING, i, 1) for i, name in enumerate(self.names) if name not in at]
            violations += [(_EXTRA, -1, extra)] if extra else []
            known = (None if names == self.names else order), tuple(violations)
            if len(self._orders) < MAX_ORDERS:
                self._orders[names] = known
        return known

    def _named(self, named: dict[Any, Any]) -> Taken:
        """Take one row by name, or columns by name."""
        if not all(isinstance(value, (list, np.ndarray)) or hasattr(value, "to_numpy") for value in named.values()):
            return self._dicts(1, [named])
        columns = {name: tables.column(column) for name, column in named.items()}
        rows = min(map(len, columns.values()))
        some = zip(*(column[: rows : _step(rows)].tolist() for column in columns.values()), strict=True)
        return self._dicts(rows, [dict(zip(columns, row, strict=True)) for row in some])

    def _listed(self, given: Sequence[Any]) -> Taken:
        """Take a list of rows, or of the cells of one row, or of the values of one feature."""
        if not any(isinstance(row, _CONTAINERS) for row in given[:MAX_OBJECT_ROWS]):
            given = [[cell] for cell in given] if self.width == 1 else [given]
        some = given[:: _step(len(given))]
        if some and all(isinstance(row, dict) for row in some):
            return self._dicts(len(given), some)
        wrong = next((len(row) for row in some if len(row) != self.width), None)
        if wrong is not None:
            return self._misfit(len(given), wrong)
        return self._coded(len(given), [row.tolist() if isinstance(row, np.ndarray) else row for row in some], ())

    def _dicts(self, rows: int, some: Sequence[dict[Any, Any]]) -> Taken:
        violations: list[tuple[str, int, int]] = []
        cells = []
        for row in some:
            named = {str(name): cell for name, cell in row.items()}
            violations += self._order(tuple(named))[1]
            cells.append([named.get(name) for name in self.names])
        return self._coded(rows, cells, tuple(violations))

    def _coded(self, rows: int, cells: Sequence[Sequence[Any]], violations: Violations) -> Taken:
        """Take rows of cells, each in the order of the features."""
        wrong: list[tuple[str, int, int]] = []
        data = b"".join(self._pack(*(self._code(i, row[i], wrong) for i in self.coded)) for row in cells)
        found = (*violations, *wrong)
        return Taken(rows, CODED, self.width, None, data if self._room.holds(len(data), rows) else b"", found, self)

    def _code(self, i: int, cell: Any, wrong: list[tuple[str, int, int]]) -> float:
        """Return a number, NaN for none; of a category the number of its bin."""
        kind, feature = type(cell), self.features[i]
        if isinstance(feature, CategoryFeature):
            at = None if isinstance(cell, _CONTAINERS) else attempt(feature.bin_index, cell)[0]
            if at is None:
                wrong.append((_WRONG, i, 1))
            return OTHER if at is None else float(at)
        if kind is float or cell is None:
            return np.nan if cell is None else cell
        if isinstance(cell, _CONTAINERS):
            wrong.append((_WRONG, i, 1))
            return np.nan
        number: float = tables.numbers(tables.objects([cell])).item()
        if number != number and attempt(tables.category, cell) != (None, None):  # noqa: PLR0124 - NaN
            wrong.append((_WRONG, i, 1))
        return number


def _numbers(cells: Sequence[Any]) -> Sequence[float]:
    """Return cells as numbers, None as NaN; TypeError for any other."""
    if _NUMBERS.issuperset(map(type, cells)):
        return cells
    plain = [np.nan if cell is None else cell for cell in cells]
    if not _NUMBERS.issuperset(map(type, plain)):
        raise TypeError
    return plain


def _bins(feature: Feature) -> dict[str | None, float]:
    """Return the bins of categories by name, and of what is missing."""
    names = feature.categories if isinstance(feature, CategoryFeature) else ()
    return {**{name: float(i) for i, name in enumerate(names)}, None: float(len(names) + 1)}


def _getter(keys: Sequence[Any]) -> Callable[[Any], tuple[Any, ...]]:
    """Return what gets these items as a tuple, of however many."""
    return itemgetter(*keys) if len(keys) > 1 else lambda row: (row[keys[0]],)


def _step(rows: int) -> int:
    return max(1, -(-rows // MAX_OBJECT_ROWS))
