"""Sends real flights to the prediction service in time order, at a steady rate, and counts the answers."""

from __future__ import annotations

import threading
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import requests

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from otelml.demo.data import Departure

CLIENTS = 4
"""Connections that send side by side; one slow answer does not hold up the others."""
NO_ANSWER = "no answer"


class Replay:
    """The flights being sent. ``sent`` and ``answered`` may be read at any time.

    Args:
        url: Where to post each flight.
        flights: What to send, in this order.
        rate: Flights a second; 0 sends as fast as the service answers.
        seconds: When to stop; None goes on until the flights end.
        predicted: Called with each flight that was predicted and the prediction's id.
    """

    def __init__(
        self,
        url: str,
        flights: Iterator[Departure],
        *,
        rate: float,
        seconds: float | None,
        predicted: Callable[[Departure, str], None] | None = None,
    ) -> None:
        self._url, self._flights, self._rate, self._seconds = url, flights, rate, seconds
        self.predicted = predicted
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._clients = [threading.Thread(target=self._send_all, daemon=True) for _ in range(CLIENTS)]
        self.sent = 0
        self.answered: Counter[str] = Counter()
        self.day = ""
        self.clock = 0
        """When the flight that was sent last departs, in seconds since the epoch."""

    def start(self) -> None:
        """Start sending."""
        self._started = time.monotonic()
        for client in self._clients:
            client.start()

    def stop(self) -> None:
        """Send no more, and wait for the answers that are under way."""
        self._stop.set()
        for client in self._clients:
            client.join(10)

    @property
    def elapsed(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._started

    @property
    def done(self) -> bool:
        """Whether everything is sent and answered."""
        return not any(client.is_alive() for client in self._clients)

    def _send_all(self) -> None:
        with requests.Session() as session:
            while (flight := self._next()) is not None:
                status, answer = self._ask(session, flight)
                if answer is not None and self.predicted is not None:
                    self.predicted(flight, answer["prediction_id"])
                with self._lock:
                    self.answered[status] += 1

    def _ask(self, session: requests.Session, flight: Departure) -> tuple[str, dict[str, Any] | None]:
        """Return the status of the answer, and the answer where it is one."""
        try:
            answer = session.post(self._url, json=flight.body, timeout=10)
            return str(answer.status_code), answer.json() if answer.ok else None
        except requests.RequestException:
            return NO_ANSWER, None

    def _next(self) -> Departure | None:
        """Return the next flight when it is due, None when it is time to stop."""
        with self._lock:
            if self._stop.is_set() or (self._seconds is not None and self.elapsed >= self._seconds):
                return None
            flight = next(self._flights, None)
            if flight is None:
                return None
            due = self._started + self.sent / self._rate if self._rate else 0.0
            self.sent += 1
            self.day, self.clock = flight.body["date"], flight.departs
        # A flight that was taken is always sent, so that what is counted as sent has been sent.
        time.sleep(max(0.0, due - time.monotonic()))
        return flight
