"""What a request asks for: parameters read with their limits, every fault of them told at once."""

from __future__ import annotations

import math
import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from otelml.errors import OtelmlError
from otelml.viewer.rows import NANOS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

DEFAULT_SECONDS = 900
MOST_BINS = 90
"""Bins of a chart at most."""
LONGEST = 4096
"""Characters of a parameter at most."""
_LATEST = 2**63 - 1
_MINUTE, _HOUR, _DAY = 60, 3600, 86_400
_STEPS = (
    *(1, 2, 5, 10, 15, 30, _MINUTE, 2 * _MINUTE, 5 * _MINUTE, 10 * _MINUTE, 15 * _MINUTE, 30 * _MINUTE),
    *(_HOUR, 2 * _HOUR, 3 * _HOUR, 6 * _HOUR, 12 * _HOUR, _DAY, 7 * _DAY, 30 * _DAY),
)
_ALWAYS = ("from", "to", "format")
_SURROGATE = re.compile(r"[\ud800-\udfff]")
_HEX = re.compile(r"[0-9a-f]{32}")


class BadRequestError(OtelmlError):
    """Parameters are wrong: ``faults`` has a line for each, with the value, and ``fix`` says what to write."""

    def __init__(self, faults: Sequence[str], fix: str) -> None:
        self.faults = tuple(faults)
        self.fix = fix
        super().__init__("; ".join(faults))


class NotFoundError(OtelmlError):
    """What was asked for by name or id is not in the store."""

    def __init__(self, message: str, fix: str) -> None:
        self.fix = fix
        super().__init__(message)


@dataclass(frozen=True, slots=True)
class Window:
    """A range of time, parted in bins of ``step_ns`` that begin at its multiples; the outer ones may be cut."""

    from_ns: int
    to_ns: int
    step_ns: int
    marks: tuple[int, ...] = ()
    """Times of their own that are asked for: the last points before them are kept as well."""

    @property
    def seconds(self) -> float:
        """Length in seconds."""
        return (self.to_ns - self.from_ns) / NANOS

    @property
    def edges(self) -> NDArray[np.int64]:
        """Return the ends of all bins, one more than there are bins."""
        first = (self.from_ns // self.step_ns + 1) * self.step_ns
        inner = np.arange(first, self.to_ns, self.step_ns, dtype=np.int64)
        return np.concatenate(([self.from_ns], inner, [self.to_ns])).astype(np.int64)

    @property
    def starts(self) -> list[int]:
        """Return when each bin begins."""
        return [int(edge) for edge in self.edges[:-1]]


def window(from_ns: int, to_ns: int, most: int = MOST_BINS) -> Window:
    """Return a range in at most ``most`` + 1 bins of a round length."""
    wanted = (to_ns - from_ns) / NANOS / most
    step = next((step for step in _STEPS if step >= wanted), math.ceil(wanted / _DAY) * _DAY)
    return Window(from_ns, to_ns, step * NANOS)


class Asked:
    """The parameters of one request. Read all of them, then call ``check``, which raises what was wrong.

    Args:
        given: Parameters by name.
        now_ns: What to take for now; the clock's when None.
    """

    def __init__(self, given: Mapping[str, str], now_ns: int | None = None) -> None:
        self._given = given
        self._faults: list[str] = []
        self._fixes: list[str] = []
        self._known: list[str] = list(_ALWAYS)
        self.now_ns = time.time_ns() if now_ns is None else now_ns

    def text(self, name: str, default: str = "") -> str:
        """Return a text."""
        self._known.append(name)
        value = self._given.get(name, default)
        if len(value) > LONGEST:
            self._fault(name, value[:20] + "...", f"at most {LONGEST} characters")
            return default
        if _SURROGATE.search(value):
            self._fault(name, _SURROGATE.sub("?", value), "text in Unicode")
            return default
        return value

    def given(self, name: str) -> str | None:
        """Return a text; None where the parameter is absent (an empty one asks for the absence of a value)."""
        self._known.append(name)
        return self.text(name) if name in self._given else None

    def required(self, name: str, example: str) -> str:
        """Return a text that has to be there."""
        value = self.text(name)
        if not value:
            self._fault(name, value, f"a value, such as {name}={example}")
        return value

    def trace_id(self, name: str = "id") -> str:
        """Return the id of a trace: 32 hexadecimal digits."""
        value = self.text(name).lower()
        if not _HEX.fullmatch(value):
            self._fault(name, value, "the id of a trace: 32 hexadecimal digits")
        return value

    def whole(self, name: str, default: int, low: int, high: int) -> int:
        """Return a whole number from ``low`` to ``high``."""
        value = self.text(name)
        if not value:
            return default
        if not re.fullmatch(r"-?\d{1,19}", value) or not low <= int(value) <= high:
            self._fault(name, value, f"a whole number from {low} to {high}")
            return default
        return int(value)

    def number(self, name: str, most: float = 1e9) -> float | None:
        """Return a number from 0 to ``most``; None where the parameter is absent."""
        value = self.text(name)
        if not value:
            return None
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        if not 0 <= number <= most:
            self._fault(name, value, f"a number from 0 to {most:g}")
            return None
        return number

    def choice(self, name: str, default: str, choices: Sequence[str]) -> str:
        """Return one of ``choices``."""
        value = self.text(name, default)
        if value not in choices:
            self._fault(name, value, f"one of {', '.join(choices)}")
            return default
        return value

    def flag(self, name: str) -> bool:
        """Return whether a flag is set: 1 or 0, true or false."""
        return self.choice(name, "0", ("0", "1", "false", "true")) in ("1", "true")

    def window(self, most: int = MOST_BINS) -> Window:
        """Return the range of time: ``from`` and ``to`` in nanoseconds; a negative ``from`` counts back from ``to``."""
        to_ns = self.whole("to", self.now_ns, 1, _LATEST)
        from_ns = self.whole("from", -DEFAULT_SECONDS * NANOS, -_LATEST, _LATEST)
        from_ns = max(0, to_ns + from_ns) if from_ns < 0 else from_ns
        if from_ns >= to_ns:
            self._fault("from", str(from_ns), f"a time before to, which is {to_ns}")
            from_ns = to_ns - 1
        return window(from_ns, to_ns, most)

    @property
    def faulty(self) -> bool:
        """Whether something that was read so far is wrong."""
        return bool(self._faults)

    def fault(self, name: str, value: str, wanted: str) -> None:
        """Add a fault that a reader of the value found."""
        self._fault(name, value, wanted)

    def check(self) -> None:
        """Raise BadRequestError with every fault, unknown parameters included."""
        for name in self._given.keys() - set(self._known):
            self._faults.append(f"{name[:100]}: there is no such parameter here")
            self._fixes.append(f"leave {name[:100]} out; there are {', '.join(sorted(set(self._known)))}")
        if self._faults:
            raise BadRequestError(self._faults, "; ".join(self._fixes))

    def _fault(self, name: str, value: str, wanted: str) -> None:
        self._faults.append(f"{name}={value[:200]!r} is not {wanted}")
        self._fixes.append(f"give {name} as {wanted}")
