"""The Recorder: ended predictions in, metrics, one event and spans out, on a thread of its own.

The buffer is bounded in three steps, so that counts stay exact whatever happens: from ``buffer_size`` records on a
new record keeps its metrics and loses its spans and event (counted as dropped); from twice that on the caller
empties the buffer itself.
"""

from __future__ import annotations

import threading
from collections import deque
from time import perf_counter
from typing import TYPE_CHECKING, Any

from otelml import _labels, semconv
from otelml._guard import guard
from otelml._lazy import LazyModule
from otelml.events import describe
from otelml.prediction import Series

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np

    from otelml._drops import Drops
    from otelml.events import Events
    from otelml.instruments import Instruments
    from otelml.prediction import Prediction
    from otelml.spans import ChosenSpans, Ended, Spans
else:
    np = LazyModule("numpy")

MAX_SERIES = 1000
MAX_PENDING_ROWS = 2_000_000
"""Rows of arrays waiting in the buffer (16 bytes each at most) before the caller empties it itself."""


class Recorder:
    """Takes ended predictions from any thread; ``drain`` turns them into telemetry."""

    def __init__(
        self,
        *,
        instruments: Instruments,
        drops: Drops,
        events: Events,
        spans: ChosenSpans,
        capture: str = "stats",
        buffer_size: int = 16_384,
        flush_interval: float = 0.2,
        event_started: bool = False,
    ) -> None:
        self.capture = capture
        self._events, self._spans = events, spans
        self._limit, self._interval = buffer_size, flush_interval
        self._wake_at = max(1, min(512, buffer_size // 4))
        self._event_started = event_started
        self._series: dict[tuple[Any, Any], Series] = {}
        self._drops, self._instruments = drops, instruments
        self.drop = drops.add
        self._fresh()

    def _fresh(self) -> None:
        """Start with an empty buffer, new locks and no thread (also in the child after a fork)."""
        self._buffer: deque[Prediction] = deque()
        self._pending_rows = 0
        # Re-entrant: a prediction may end inside a drain, from a signal handler or a finaliser.
        self._drain_lock = threading.RLock()
        self._draining = False
        self.id_lock = threading.RLock()
        self._wake = threading.Event()
        self._stopped = False
        self._thread: threading.Thread | None = None

    # On the caller's thread ---------------------------------------------------------------------------------

    @property
    def spans(self) -> Spans:
        """Return the maker of spans."""
        return self._spans.current

    def series(self, model: Any, version: Any) -> Series:
        """Return the series of a model and version; both are bounded labels."""
        try:
            found = self._series.get((model, version))
        except TypeError:  # not hashable: somebody passed the model itself, say
            model, version, found = type(model).__name__, None, None
        if found is None:
            name = _labels.bounded(semconv.MODEL_NAME, model)
            known = None if version is None else _labels.bounded(semconv.MODEL_VERSION, version)
            found = self._series.get((name, known)) or Series(name, known)
            if len(self._series) < MAX_SERIES:
                found = self._series.setdefault((name, known), found)
                self._series[model, version] = found
        return found

    def started(self, prediction: Prediction) -> None:
        """Emit the start event where it is switched on."""
        if self._event_started:
            attributes = {**prediction.series.attributes, semconv.PREDICTION_ID: prediction.id}
            if prediction.request_id is not None:
                attributes[semconv.REQUEST_ID] = prediction.request_id
            self._events.emit(semconv.EVENT_REQUEST_STARTED.name, attributes=attributes)

    def put(self, prediction: Prediction) -> None:
        """Take an ended prediction. Never blocks, but where the buffer is twice over its size."""
        buffer = self._buffer
        self._pending_rows += prediction.rows_kept
        waiting = len(buffer)
        if waiting >= self._limit:
            prediction.spans_dropped = True
        buffer.append(prediction)
        if waiting >= 2 * self._limit or self._pending_rows > MAX_PENDING_ROWS:
            self.drain()
        elif waiting >= self._wake_at and not self._wake.is_set():
            self._wake.set()

    def in_flight(self) -> list[tuple[dict[str, str], int]]:
        """Return (attributes, predictions in flight) of every model and version seen."""
        return [(s.attributes, len(s.active)) for s in {id(s): s for s in list(self._series.values())}.values()]

    # On the worker's thread ---------------------------------------------------------------------------------

    def start(self) -> None:
        """Start the thread that drains the buffer."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="otelml-recorder", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Drain once more and let the thread end."""
        self._stopped = True
        self._wake.set()
        self.drain()

    def after_fork(self) -> None:
        """Forget what belongs to the parent and start a thread of our own."""
        for series in self._series.values():
            series.active.clear()
        self._drops.reset()
        self._fresh()
        self.start()

    def _run(self) -> None:
        wake = self._wake
        # numpy is imported here by the first prediction, not at the start: a child forked while this thread is in
        # the middle of the import would wait for ever when it imports numpy itself.
        while not self._stopped and wake is self._wake:
            wake.wait(self._interval)
            wake.clear()
            self.drain()

    def drain(self) -> None:
        """Turn everything in the buffer into metrics, events and spans. Callable from any thread.

        What is put in meanwhile is left for the next time, so that it ends however fast predictions come.
        """
        with self._drain_lock:
            if self._draining:
                return  # inside a drain of this very thread, whose locks in the SDK are not re-entrant
            self._draining = True
            try:
                waiting = len(self._buffer)
                while waiting > 0:
                    self._drain_batch(min(waiting, self._limit))
                    waiting -= self._limit
            finally:
                self._draining = False

    def _drain_batch(self, size: int) -> None:
        started = perf_counter()
        self._pending_rows = 0
        # Only a drain takes from the buffer, and drains exclude one another: what was counted is there.
        self._fold([self._buffer.popleft() for _ in range(size)])
        with guard("recorder.flush_duration"):
            took = perf_counter() - started
            self._instruments.flush_duration.record(np.array([took]), {}, [])

    def _fold(self, batch: list[Prediction]) -> None:
        by_series: dict[int, list[Prediction]] = {}
        for p in batch:
            by_series.setdefault(id(p.series), []).append(p)
        for predictions in by_series.values():
            with guard("recorder.metrics"):
                self._instruments.record(predictions[0].series, predictions)
        for p in batch:
            if p.spans_dropped:
                self.drop("log", "buffer")
                self.drop("span", "buffer", (1 + len(p.stages)) if p.sampled else 0)
                continue
            with guard("recorder.export"):
                self._export(p)

    def _export(self, p: Prediction) -> None:
        attributes = describe(p)
        end = p.wall_at(p.end)
        self._events.prediction(p, attributes, at=end)
        if not p.sampled:
            return
        ended: list[Ended] = []
        for stage in p.stages:
            if stage.span is not None:
                known: Mapping[str, Any] = p.series.of_stage(stage.name)
                if stage.error is not None:
                    known = {**known, semconv.ERROR_TYPE: stage.error.type}
                ended.append((stage.span, known, stage.error, p.wall_at(stage.end)))
        ended.append((p.span, attributes, p.error, end))
        p.spans.finish_all(ended)
