"""Tells the prediction service how each flight ended, once the clock of the replay has come to its landing."""

from __future__ import annotations

import heapq
import threading
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import requests

if TYPE_CHECKING:
    from collections.abc import Callable

    from otelml.demo.data import Departure

PAUSE = 0.25
"""Seconds between two looks at the clock."""
MOST = 5000
"""Truths in one request."""


class Landings:
    """Flights in the air, the next to land first. ``told`` may be read at any time.

    Args:
        url: Where to post how flights ended.
        clock: Returns the time of the replay, in seconds since the epoch.
    """

    def __init__(self, url: str, clock: Callable[[], int]) -> None:
        self._url, self._clock = url, clock
        self._flying: list[tuple[int, int, dict[str, Any]]] = []
        self._number = 0
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._teller = threading.Thread(target=self._tell_all, daemon=True)
        self.told = 0
        """Truths that the service took."""

    def start(self) -> None:
        """Start telling."""
        self._teller.start()

    def stop(self) -> None:
        """Tell of those that have landed by now, and end; the others stay in the air."""
        self._stop.set()
        if self._teller.ident is not None:
            self._teller.join(30)

    def predicted(self, flight: Departure, prediction_id: str) -> None:
        """Take a flight that was predicted just now. The truth of one that was cancelled never comes."""
        if flight.lands is None:
            return
        # As long after the prediction as it was in 2013, so that delays of truths are hours.
        known = datetime.fromtimestamp(time.time() + flight.lands - flight.departs, UTC).isoformat()
        truth = {"prediction_id": prediction_id, "actual": "late" if flight.late else "on time", "at": known}
        with self._lock:
            self._number += 1
            heapq.heappush(self._flying, (flight.lands, self._number, truth))

    def _tell_all(self) -> None:
        with requests.Session() as session:
            while not self._stop.wait(PAUSE):
                self._tell(session)
            while self._tell(session):
                pass

    def _tell(self, session: requests.Session) -> int:
        """Tell of what has landed; return how many truths the service took. What it does not take is told again."""
        landed = self._landed()
        if not landed:
            return 0
        try:
            answer = session.post(self._url, json=[truth for *_, truth in landed], timeout=10)
            accepted = int(answer.json()["accepted"]) if answer.ok else 0
        except requests.RequestException:
            accepted = 0
        if accepted == len(landed):
            self.told += accepted
            return accepted
        with self._lock:  # telling twice does no harm: the second is ignored
            for one in landed:
                heapq.heappush(self._flying, one)
        return 0

    def _landed(self) -> list[tuple[int, int, dict[str, Any]]]:
        now = self._clock()
        landed: list[tuple[int, int, dict[str, Any]]] = []
        with self._lock:
            while self._flying and self._flying[0][0] <= now and len(landed) < MOST:
                landed.append(heapq.heappop(self._flying))
        return landed
