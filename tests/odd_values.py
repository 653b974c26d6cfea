"""Values that applications should not have, for several tests."""

import enum
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from functools import partial
from itertools import count
from unittest.mock import MagicMock, Mock

import numpy as np

SPECIAL = (
    *("__array__", "__bool__", "__bytes__", "__call__", "__contains__", "__eq__", "__float__", "__format__"),
    *("__fspath__", "__getattr__", "__getitem__", "__hash__", "__index__", "__int__", "__iter__", "__len__"),
    *("__lt__", "__mro_entries__", "__next__", "__repr__", "__str__"),
)
"""What Python and libraries ask objects."""


def name_of(value):
    """Return the name of a value's class, whatever the class says."""
    return type.__dict__["__name__"].__get__(type(value))


class Hostile:
    """An object everything of which raises."""

    def __getattr__(self, name):
        raise RuntimeError(name)

    def _raise(self, *_):
        raise RuntimeError("John Smith")

    __array__ = __len__ = __iter__ = __repr__ = __str__ = __float__ = __eq__ = __lt__ = __bool__ = _raise
    __hash__ = object.__hash__


class Untouchable(Hostile):
    """Hostile in every other way as well: its class and hash can't be asked for either."""

    def __getattribute__(self, name):
        raise RuntimeError(name)

    __hash__ = Hostile._raise
    __class__ = property(Hostile._raise)


class Liar:
    """Says that it is a text."""

    __class__ = str


class Chain:
    """Every attribute, call and item of it is itself, without end."""

    def _self(self, *_, **__):
        return self

    __getattr__ = __call__ = __getitem__ = __iter__ = _self

    def __len__(self):
        return 3


class Endless:
    """A sequence that says it has three items, and never stops giving more."""

    def __len__(self):
        return 3

    def __getitem__(self, i):
        return 1.0


class EndlessText(str):
    """A text whose methods give something else."""

    __slots__ = ()

    def _wrong(self, *_, **__):
        return 7

    __getitem__ = encode = isascii = lower = strip = split = __len__ = __hash__ = _wrong

    def __str__(self):
        return self


def raising(base, *arguments):
    """Return an object of a class of its own that is a ``base``, whose every method of its own raises."""
    names = {name: Hostile._raise for name in SPECIAL if name not in {"__getattr__", "__mro_entries__"}}
    own = {name: Hostile._raise for name in vars(base) if not name.startswith("_")}
    return type(f"Raising{base.__name__}", (base,), {**names, **own})(*arguments)


def wrong(name, answer):
    """Return an object one special method of which gives ``answer``."""
    return type("Wrong", (), {name: lambda *_: answer})()


def deep(levels, kind=list):
    """Return lists or dicts inside one another."""
    value = 1
    for _ in range(levels):
        value = [value] if kind is list else {"x": value}
    return value


def wide(levels=4, width=128):
    """Return few lists that would be millions of values if they were written out."""
    value = [1.5] * width
    for _ in range(levels):
        value = [value] * width
    return value


def itself(kind=list):
    """Return a list or dict that holds itself."""
    value = kind()
    if kind is list:
        value.append(value)
    else:
        value["x"] = value
    return value


def objects(*cells):
    """Return an array of Python objects, none of them asked anything."""
    found = np.empty(len(cells), dtype=object)
    for i, cell in enumerate(cells):
        found[i] = cell
    return found


class Colour(enum.Enum):
    """An enumeration of texts."""

    RED = "red"


class Level(enum.IntEnum):
    """An enumeration of numbers."""

    LOW = 1


def made():
    """Return what makes each of them, by name."""
    return {
        **{kind.__name__.lower(): kind for kind in (Hostile, Untouchable, Liar, Chain, Endless)},
        **{f"mock of {kind.__name__}": partial(Mock, spec=kind) for kind in (str, dict, float, list, datetime)},
        **{f"raising {kind.__name__}": partial(raising, kind, *given) for kind, *given in RAISING},
        **{f"{name} raises": partial(raising_one, name) for name in SPECIAL},
        **{f"{name} is {answer!r}": partial(wrong, name, answer) for name in SPECIAL for answer in (None, "x", -1)},
        **{name: partial(lambda value: value, value) for name, value in CONSTANT.items()},
        **FRESH,
    }


def raising_one(name):
    """Return an object one special method of which raises."""
    return type("RaisingOne", (), {name: Hostile._raise})()


RAISING = ((str, "a"), (bytes, b"a"), (int, 3), (float, 3.5), (list, [1, 2]), (tuple, (1, 2)), (dict, {"a": 1}))

CONSTANT = {
    "huge int": 10**5000,
    "decimal": Decimal("NaN"),
    "fraction": Fraction(1, 3),
    "complex": 1j,
    "first moment": datetime.min,  # noqa: DTZ901 - it has no time zone on purpose
    "last moment": datetime.max.replace(tzinfo=UTC),
    "span": timedelta.max,
    "enum": Colour.RED,
    "int enum": Level.LOW,
    "class": Hostile,
    "module": enum,
    "function": deep,
    "ellipsis": ...,
    "not implemented": NotImplemented,
    "masked cell": np.ma.masked,
    "long double": np.longdouble(1),
    "read only": np.broadcast_to(np.float32(1.0), (3, 2)),
    "larger than memory": np.broadcast_to(np.float32(1.0), (1 << 20, 1 << 20)),
    "range": range(5),
    "long range": range(1 << 60),
    "bytes": b"\xff\x00",
    "surrogate": "\ud800",
    "nul": "a\0b",
    "long text": "x" * 100_000,
}
FRESH = {
    "endless in a list": lambda: [Endless(), Endless()],
    "endless text": lambda: EndlessText("abc"),
    "count": count,
    "mock": Mock,
    "magic mock": MagicMock,
    "mock of an array": lambda: Mock(spec=np.ndarray),
    "raising array": lambda: np.zeros((2, 2)).view(type("Array", (np.ndarray,), {"astype": Hostile._raise})),
    "deep list": lambda: deep(5000),
    "deep dict": lambda: deep(5000, dict),
    "wide list": wide,
    "list of itself": itself,
    "dict of itself": lambda: itself(dict),
    "generator": lambda: (x for x in (1, 2)),
    "error": lambda: ValueError(Hostile()),
    "masked": lambda: np.ma.masked_array([1.0, 2.0], mask=[True, False]),
    "no dimension": lambda: np.array(3.0),
    "objects": lambda: objects(Hostile(), None, "x", 1),
    "structured": lambda: np.zeros(2, dtype=[("a", "i4"), ("b", "U3")]),
    "void": lambda: np.zeros(2, dtype="V4"),
    "times": lambda: np.array(["2020", "NaT"], dtype="datetime64[s]"),
    "empty": lambda: np.zeros((0, 3)),
    "memory": lambda: memoryview(b"\xff\x00"),
}
