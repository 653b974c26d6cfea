"""Alarms that don't flutter: raised when a feature drifts several windows in a row, cleared after as many without."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from otelml.drift.report import DriftReport


@dataclass(frozen=True, slots=True)
class Change:
    """An alarm that was raised (``raised``) or cleared, for one feature."""

    feature: str
    raised: bool


class Alarm:
    """Takes the report of each window in turn, and says whose alarm changes.

    Args:
        raise_after: Windows in a row in which a feature must have drifted, at least 1.
        clear_after: Windows in a row in which it must not have, at least 1.

    A window with too few rows says nothing: it neither counts nor starts the counting anew.
    """

    def __init__(self, raise_after: int = 3, clear_after: int = 3) -> None:
        if min(raise_after, clear_after) < 1:
            raise ValueError(f"raise_after={raise_after}, clear_after={clear_after}: at least 1")
        self._needed = {True: raise_after, False: clear_after}
        self._against: Counter[str] = Counter()  # windows in a row that contradict the state of a feature
        self._raised: set[str] = set()

    @property
    def raised(self) -> frozenset[str]:
        """Features whose alarm is raised now."""
        return frozenset(self._raised)

    def update(self, report: DriftReport) -> list[Change]:
        """Take the report of the next window; return the alarms that it raises or clears."""
        if not report.enough:
            return []
        changes = [Change(f.name, f.drifted) for f in report.features if self._turns(f.name, drifted=f.drifted)]
        self._raised |= {change.feature for change in changes if change.raised}
        self._raised -= {change.feature for change in changes if not change.raised}
        return changes

    def _turns(self, name: str, *, drifted: bool) -> bool:
        if drifted == (name in self._raised):
            self._against[name] = 0
            return False
        self._against[name] += 1
        if self._against[name] < self._needed[drifted]:
            return False
        self._against[name] = 0
        return True
