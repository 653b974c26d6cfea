"""What all probes share: one poll per interval, whatever number of instruments and metric readers asks for it."""

from __future__ import annotations

import os
import threading
import time
from typing import TYPE_CHECKING, ClassVar, Protocol

from opentelemetry.metrics import CallbackOptions, Meter, Observation

from otelml._guard import guard
from otelml.semconv import Metric

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

Point = tuple[Metric, float | None, dict[str, str]]
"""A row, its value (None when unknown: the point is left out) and the attributes of the point."""
Points = dict[str, list[Observation]]

LOCK_WAIT = 1.0
"""Seconds a metric reader waits for a poll that another one started; a hung driver must not hang them all."""


class Source(Protocol):
    """Reads the machine for one process; never used by two threads at once."""

    def groups(self) -> Sequence[Callable[[], Iterable[Point]]]:
        """Return the groups of points; a fault in one of them leaves the others alone."""

    def close(self) -> None:
        """Give back what the source holds open."""


class _Reading:
    """The state of a probe in one process: a forked child makes its own."""

    def __init__(self, inherited: _Reading | None) -> None:
        self.inherited = inherited
        # Decided now, once: a lock held at the fork belongs to a thread that the child does not have.
        self.busy_at_fork = inherited is not None and inherited.lock.locked()
        self.lock: threading.Lock = threading.Lock()
        self.source: Source | None = None
        self.opened = False
        self.points: Points = {}
        self.taken = float("-inf")

    def age(self) -> float:
        return time.monotonic() - self.taken


class Probe:
    """Observable instruments over one cached poll of the machine.

    Nothing is opened or read before a metric reader asks for values; nothing runs between two of its collections.
    """

    rows: ClassVar[tuple[Metric, ...]]
    site: ClassVar[str]

    def __init__(self, meter: Meter, *, interval: float = 5.0) -> None:
        """Prepare a probe.

        Args:
            meter: The meter that makes the instruments.
            interval: Seconds for which a poll answers all instruments and all metric readers.
        """
        self._meter = meter
        self._interval = interval
        self._running = False
        self._registered = False
        self._readings: dict[int, _Reading] = {}

    def start(self) -> None:
        """Register the instruments; the first values appear when a metric reader collects."""
        self._running = True
        if not self._registered:
            self._registered = True
            for row in self.rows:
                self._register(row)

    def stop(self) -> None:
        """Let all points vanish and give back what the probe holds open; ``start`` begins anew."""
        self._running = False
        reading = self._readings.pop(os.getpid(), None)
        if reading is None or not reading.lock.acquire(timeout=LOCK_WAIT):
            return
        with guard(self.site):
            if reading.source is not None:
                reading.source.close()
        reading.points = {}
        reading.lock.release()

    def values(self) -> Points:
        """Return the points by the names of their rows, from a poll that is younger than the interval."""
        return self._points()

    def last(self) -> Points:
        """Return what the last poll of this process found, without another one."""
        reading = self._readings.get(os.getpid())
        return {} if reading is None else reading.points

    def _open(self, inherited: Source | None, *, busy: bool) -> Source | None:
        """Open the source of this process.

        Args:
            inherited: The source of the parent, in a forked child; None elsewhere.
            busy: The parent was polling when it forked.

        Returns:
            The source, or None to leave this process without values.
        """
        raise NotImplementedError

    def _register(self, row: Metric) -> None:
        create = {
            "observable_counter": self._meter.create_observable_counter,
            "observable_updown": self._meter.create_observable_up_down_counter,
            "observable_gauge": self._meter.create_observable_gauge,
        }[row.kind]

        def callback(_options: CallbackOptions) -> Iterable[Observation]:
            with guard(self.site):
                return self._points().get(row.name, ())
            return ()

        create(row.name, callbacks=[callback], unit=row.unit, description=row.help)

    def _points(self) -> Points:
        if not self._running:
            return {}
        reading = self._reading()
        if reading.age() < self._interval:
            return reading.points
        if not reading.lock.acquire(timeout=LOCK_WAIT):
            return reading.points if reading.age() < 2 * self._interval else {}
        try:
            if reading.age() >= self._interval:
                self._poll(reading)
            return reading.points
        finally:
            reading.lock.release()

    def _reading(self) -> _Reading:
        """Return the state of this process; the pid is compared because some servers fork without Python's hooks."""
        pid = os.getpid()
        reading = self._readings.get(pid)
        if reading is None:
            parents = list(self._readings.values())
            reading = self._readings.setdefault(pid, _Reading(parents[-1] if parents else None))
            for other in [known for known in self._readings if known != pid]:
                self._readings.pop(other, None)
        return reading

    def _poll(self, reading: _Reading) -> None:
        points: Points = {}
        with guard(self.site):
            if not reading.opened:
                reading.opened = True
                parent, reading.inherited = reading.inherited, None
                reading.source = self._open(parent.source if parent else None, busy=reading.busy_at_fork)
            for group in reading.source.groups() if reading.source else ():
                self._add(points, group)
        reading.points, reading.taken = points, time.monotonic()

    def _add(self, points: Points, group: Callable[[], Iterable[Point]]) -> None:
        with guard(self.site):
            for row, value, attributes in group():
                if value is not None:
                    points.setdefault(row.name, []).append(Observation(value, attributes))
