"""When the receiver is killed, and how long it stays down."""

from __future__ import annotations

from dataclasses import dataclass

CALM = 2.0
"""Seconds before a kill at which no request is being sent again."""
RECOVERY = 8.0
"""Seconds after a start of the receiver in which it is not killed again, and those before the end."""


@dataclass(frozen=True, slots=True)
class Outage:
    """One kill: seconds after the load began."""

    at: float
    down: float
    """0: started again at once."""


def plan(seconds: float, every: float, nth: int, down: float) -> list[Outage]:
    """Return the kills of a run, one each ``every`` seconds; the second, and then each ``nth``, is followed by silence.

    A kill that would come within the recovery of the one before, or just before the end, is left out.
    """
    kills: list[Outage] = []
    free = 0.0
    number = 1
    while (at := number * every) < seconds - RECOVERY:
        long = number % nth == 2 % nth
        length = down if long and at + down < seconds - RECOVERY else 0.0
        if at >= free:
            kills.append(Outage(at, length))
            free = at + length + RECOVERY
        number += 1
    return kills
