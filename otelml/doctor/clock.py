"""How far this machine's clock is from the receiver's: from the ``Date`` of an answer, which counts whole seconds.

The receiver read its clock between the sending (ours: ``t0``) and the answer (``t1``), and cut it to the second: theirs
minus ours lies from ``Date - t1`` to ``Date + 1 - t0``. Within these bounds nothing more can be said.
"""

from __future__ import annotations

from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, NamedTuple

from otelml._guard import attempt
from otelml.doctor.findings import FAULT, NOTE, OK, Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

TOLERATED = 2.0
"""Seconds of difference that harm nobody: spans of one trace may seem to begin before their parents."""
_FIX = "let both machines keep time by NTP (here: timedatectl, chronyc tracking)"


class Window(NamedTuple):
    """The receiver's clock is ahead of ours by ``low`` to ``high`` seconds."""

    low: float
    high: float


def window(date: str | None, sent: float, answered: float) -> Window | None:
    """Return the bounds from one answer; times are seconds since the epoch. None where there is no readable date."""
    parsed, _ = attempt(parsedate_to_datetime, date or "")
    if parsed is None:
        return None
    stamp = parsed.timestamp()
    return Window(stamp - answered, stamp + 1 - sent)


def skew(windows: list[Window]) -> Iterator[Finding]:
    """Compare clocks by the answer with the narrowest bounds."""
    if not windows:
        yield Finding("clock", NOTE, "not compared: no answer carried a date (gRPC's never do)", _FIX)
        return
    low, high = min(windows, key=lambda each: each.high - each.low)
    ahead, exact = (low + high) / 2, (high - low) / 2
    said = f"{abs(ahead):.1f} s {'behind' if ahead > 0 else 'ahead of'} the receiver's, ±{exact:.1f} s"
    if low <= TOLERATED and high >= -TOLERATED:
        yield Finding("clock", OK, f"as the receiver's, as far as whole seconds tell (±{exact:.1f} s)")
    else:
        yield Finding("clock", FAULT, said, _FIX)
