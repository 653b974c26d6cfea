"""Which models are watched against which reference, and what of it is exported."""

from __future__ import annotations

import threading
from time import monotonic
from typing import TYPE_CHECKING, Any

from opentelemetry.metrics import Observation

from otelml import semconv
from otelml._guard import logger
from otelml.features.counting import Counted, faults
from otelml.features.taking import Room
from otelml.features.windows import Windows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from opentelemetry.metrics import CallbackOptions, Meter

    from otelml.columns import Columns
    from otelml.drift.reference import Reference
    from otelml.events import Events
    from otelml.series import Series

    Values = Iterable[tuple[float, dict[str, str]]]

EVERY_MODEL = ""


class Watched:
    """One model and version: what is counted of it, and its windows."""

    def __init__(self, counted: Counted, windows: Windows) -> None:
        self.counted, self.windows = counted, windows


class Watch:
    """Gives each model its reference, counts what predictions took, and observes it for the meter."""

    def __init__(
        self,
        references: Mapping[str, Reference],
        *,
        seconds: float,
        events: Events,
        drop: Callable[[str, str, int], None],
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._references = dict(references)
        self._seconds, self._events, self._clock = seconds, events, clock
        self.room = Room(drop)
        self._watched: dict[tuple[str, str | None], Watched] = {}
        self._fresh_locks()

    def _fresh_locks(self) -> None:
        self._counting = threading.RLock()
        self._attaching = threading.RLock()

    def attach(self, series: Series) -> None:
        """Watch a model and version, if it has a reference."""
        reference = self._references.get(series.model) or self._references.get(EVERY_MODEL)
        if reference is None:
            return
        key = series.model, series.version
        with self._attaching:  # threads that meet a model at once count in one place
            watched = self._watched.get(key)
            if watched is None or watched.counted.reference is not reference:
                counted = Counted(reference, series.attributes, self.room)
                watched = Watched(counted, Windows(counted, self._seconds, self._events.emit, self._clock()))
                self._watched = {**self._watched, key: watched}
            for one in (series, *list(series.slices.values())):
                one.take = None if watched.counted.taker is None else watched.counted.taker.take

    def use(self, model: str, reference: Reference, known: Iterable[Series]) -> None:
        """Take another reference for a model: its counts and windows begin anew. One with faults is only told of."""
        wrong = list(faults(reference))
        if wrong:
            logger.warning("otelml: the features of %s are not watched: %s", model, "; ".join(wrong))
            return
        self._references[model] = reference
        for series in known:
            if model in {series.model, EVERY_MODEL}:
                self.attach(series)

    def ended(self, columns: Columns) -> None:
        """Count ended predictions; on the recorder's thread."""
        watched = self._watched.get((columns.series.model, columns.series.version))
        if watched is None:
            return
        self.room.waiting = 0
        results = [result for result in (p.outcome() for p in columns.predictions) if result is not None]
        with self._counting:
            watched.counted.add(results, failed=columns.error is not None)
            watched.windows.turn(self._clock())

    def after_fork(self) -> None:
        """Start counting from zero with a new lock: what the parent counted is the parent's to send."""
        self._fresh_locks()
        self.room.waiting = 0
        for watched in self._watched.values():
            watched.counted.reset()
            watched.windows.reset(self._clock())

    # Observing ------------------------------------------------------------------------------------------------------

    def observe(self, meter: Meter) -> None:
        """Create the instruments."""
        for row, values in (
            (semconv.FEATURE_OBSERVATIONS, lambda w: w.counted.observed()),
            (semconv.FEATURE_ROWS, lambda w: [(w.counted.rows, w.counted.attributes)]),
            (semconv.FEATURE_VIOLATIONS, lambda w: w.counted.violated()),
        ):
            meter.create_observable_counter(row.name, [self._callback(values)], row.unit, row.help)
        for row, values in (
            (semconv.FEATURE_REFERENCE, lambda w: w.counted.expected()),
            (semconv.DRIFT_PSI_GAUGE, lambda w: w.windows.figures("psi")),
            (semconv.DRIFT_JS_GAUGE, lambda w: w.windows.figures("js")),
            (semconv.DRIFT_KS_GAUGE, lambda w: w.windows.figures("ks")),
            (semconv.DRIFT_DETECTED_GAUGE, lambda w: w.windows.raised()),
        ):
            meter.create_observable_gauge(row.name, [self._callback(values)], row.unit, row.help)

    def _callback(self, values: Callable[[Any], Values]) -> Callable[[CallbackOptions], Iterable[Observation]]:
        def observed(_: CallbackOptions) -> Iterable[Observation]:
            with self._counting:
                found = [pair for watched in self._watched.values() for pair in values(watched)]
            return [Observation(value, attributes) for value, attributes in found]

        return observed
