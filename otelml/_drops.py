"""What was dropped, and where: every buffer, queue and exporter counts here."""

from __future__ import annotations

import threading
from collections import Counter


class Drops:
    """A count per (what, where), such as (``span``, ``queue``). Safe to use from any thread."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Start from zero with a new lock (also in the child after a fork)."""
        # Re-entrant: a finaliser that runs inside may count as well.
        self._lock = threading.RLock()
        self._counts: Counter[tuple[str, str]] = Counter()

    def add(self, what: str, where: str, count: int = 1) -> None:
        """Count ``count`` dropped items."""
        if count > 0:
            with self._lock:
                self._counts[what, where] += count

    def counts(self) -> dict[tuple[str, str], int]:
        """Return the counts so far."""
        with self._lock:
            return dict(self._counts)
