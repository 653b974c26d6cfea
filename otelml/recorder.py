"""The Recorder: ended predictions in, metrics, one event and spans out, on a thread of its own.

The buffer is bounded in three steps, so that counts stay exact whatever happens: from ``buffer_size`` records on a
new record keeps its metrics and loses its spans and event (counted as dropped); from twice that on the caller
empties the buffer itself.
"""

from __future__ import annotations

import threading
from collections import deque
from time import perf_counter, perf_counter_ns, process_time, sleep
from typing import TYPE_CHECKING, Any

from otelml import _labels, _sdk, members, semconv
from otelml._guard import guard
from otelml._lazy import LazyModule
from otelml.columns import columns_of, forget_stages
from otelml.descriptions import Descriptions
from otelml.encoding import Unusual
from otelml.facts import facts_of
from otelml.series import Series
from otelml.servers import REST
from otelml.slices import Slices
from otelml.tracers import Ended

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    import numpy as np

    from otelml._drops import Drops
    from otelml.columns import Columns
    from otelml.descriptions import Description
    from otelml.events import Events
    from otelml.features.watch import Watch
    from otelml.instruments import Instruments
    from otelml.prediction import Prediction
    from otelml.stage import Stage
    from otelml.tracers import ChosenSpans
    from otelml.windows.models import Windows
else:
    np = LazyModule("numpy")

MAX_SERIES = 1000
TOGETHER = 64 if _sdk.native is None else 256
"""Predictions that are encoded at once: less than a millisecond in which no other thread gets the interpreter."""
UNDISTURBED = max(128, TOGETHER)
"""The same where no other thread works: each step has its own price."""
WAKE_AT = 256
"""Predictions that wait before the worker is woken, where the buffer is large enough: each turn has its own price."""
STEP = 0.0003
"""Seconds of work between two pauses, at least: a request waits for one step of a turn, not for all."""
PAUSE = 0.002
"""Seconds of a pause, on the worker's thread, where other threads work."""
GLANCE = 0.1
"""Part of a pause that shows whether they do: a longer sleep cools the caches, for nothing where nobody works."""
MANY = 4 * WAKE_AT
"""Predictions that wait so that the worker's pauses are short."""
MAX_PENDING_ROWS = 2_000_000
"""Rows of arrays waiting in the buffer (16 bytes each at most) before the caller empties it itself."""


class Recorder:
    """Takes ended predictions from any thread; ``drain`` turns them into telemetry."""

    __slots__ = ("__dict__", "__weakref__", "_buffer", "_since", "_wake_at", "capture",
        "event_started", "number", "spans")  # fmt: skip

    def __init__(
        self,
        *,
        instruments: Instruments,
        drops: Drops,
        events: Events,
        spans: ChosenSpans,
        number: Callable[[], int],
        capture: str = "stats",
        buffer_size: int = 16_384,
        flush_interval: float = 0.2,
        event_started: bool = False,
        slices: Iterable[str] = (),
    ) -> None:
        self.capture = capture
        self._events, self.spans, self.number = events, spans, number
        self._limit, self._interval = buffer_size, flush_interval
        self._wake_at = max(1, min(WAKE_AT, buffer_size // 4))
        self.event_started = event_started
        self._series: dict[tuple[Any, Any], Series] = {}
        self._drops, self.instruments = drops, instruments
        self.drop = drops.add
        self.slices = Slices(slices, drops.add)
        self.watch: Watch | None = None
        """Counts features against references, where there are some."""
        self.on_ended: Callable[[Columns], None] | None = None
        """Given every batch of ended predictions, on the worker's thread; where their truth is awaited, say."""
        self.windows: Windows | None = None
        self._since = 0
        self.on_turn: Callable[[], None] | None = None
        """Called at the end of every drain: at each turn of the worker, before each collection of metrics."""
        self._fresh()

    def _fresh(self) -> None:
        """Start with an empty buffer, new locks and no thread (also in the child after a fork)."""
        self._buffer: deque[Prediction] = deque()
        self._pending_rows = 0
        self._stopped = False
        self._idle()

    def _idle(self) -> None:
        # Re-entrant: a prediction may end inside a drain, from a signal handler or a finaliser.
        self._drain_lock = threading.RLock()
        self._draining = False
        self._resumed, self._others_work = 0.0, True
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None

    # On the caller's thread ---------------------------------------------------------------------------------

    def series(self, model: Any, version: Any) -> Series:
        """Return the series of a model and version; both are bounded labels."""
        try:
            found = self._series.get((model, version))
        except TypeError:  # not hashable: somebody passed the model itself, say
            model, version, found = type(model).__name__, None, None
        if found is None:
            name = _labels.bounded(semconv.MODEL_NAME, model)
            known = None if version is None else _labels.bounded(semconv.MODEL_VERSION, version)
            found = self._series.get((name, known)) or self._new_series(name, known)
            if len(self._series) < MAX_SERIES:
                found = self._series.setdefault((name, known), found)
                self._series[model, version] = found
        return found

    def _new_series(self, model: str, version: str | None) -> Series:
        made = Series(model, version)
        if self.watch is not None:
            with guard("recorder.watch"):
                self.watch.attach(made)
        return made

    def known_series(self) -> list[Series]:
        """Return every series seen."""
        return list({id(s): s for s in list(self._series.values())}.values())

    def started(self, prediction: Prediction) -> None:
        """Emit the event that a prediction started."""
        attributes = {**prediction.series.attributes, semconv.PREDICTION_ID: prediction.id}
        if prediction.request_id is not None:
            attributes[semconv.REQUEST_ID] = prediction.request_id
        self._events.emit(semconv.EVENT_REQUEST_STARTED.name, attributes=attributes)

    def put(self, prediction: Prediction) -> None:
        """Take an ended prediction. Never blocks, but where the buffer is twice over its size."""
        if prediction.started < self._since:
            return  # it was open when this process was forked: the parent ends it too, and counts it
        buffer = self._buffer
        if prediction.kept:
            self._pending_rows += prediction.kept
        waiting = len(buffer)
        if waiting >= self._limit:
            prediction.special = prediction.dropped = True
        buffer.append(prediction)
        if waiting >= 2 * self._limit or self._pending_rows > MAX_PENDING_ROWS:
            self.drain()
        elif waiting >= self._wake_at and not self._wake.is_set():
            self._wake.set()

    def load(self) -> dict[str, int]:
        """Return how many predictions wait for the worker, and how many may before their spans are dropped."""
        return {"waiting": len(self._buffer), "capacity": self._limit}

    def dropped(self) -> dict[tuple[str, str], int]:
        """Return how much was dropped so far, by (what, where)."""
        return self._drops.counts()

    def in_flight(self) -> list[tuple[dict[str, str], int]]:
        """Return (attributes, predictions in flight) of every model and version seen."""
        return [(s.attributes, len(s.active)) for s in self.known_series()]

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
        self._since = perf_counter_ns()
        for series in self._series.values():
            series.active.clear()
        self._drops.reset()
        self.slices.after_fork()
        if self.watch is not None:
            self.watch.after_fork()
        self._fresh()
        self.start()

    def rest(self) -> None:
        """End the thread, and keep what waits, until ``renew()``: threads are about to change (``servers``)."""
        before, thread = self._wake, self._thread
        self._idle()
        before.set()
        if thread is not None:
            thread.join(REST)

    def renew(self) -> None:
        """Go on after ``rest()``."""
        self._idle()
        if not self._stopped:
            self.start()

    def _run(self) -> None:
        wake = self._wake
        # numpy is imported here by the first prediction, not at the start; a fork waits for that (`_lazy`).
        while not self._stopped and wake is self._wake:
            wake.wait(self._interval)
            wake.clear()
            if wake is self._wake:
                self.drain(pause=PAUSE)

    def drain(self, *, pause: float | None = None) -> None:
        """Turn everything in the buffer into metrics, events and spans. Callable from any thread.

        What is put in meanwhile is left for the next time, so that it ends however fast predictions come. With
        ``pause`` (seconds) other threads get the interpreter after each ``STEP`` of it.
        """
        with self._drain_lock:
            if self._draining:
                return  # inside a drain of this very thread, whose locks in the SDK are not re-entrant
            self._draining = True
            try:
                waiting = len(self._buffer)
                while waiting > 0:
                    self._drain_batch(min(waiting, self._limit), pause)
                    waiting -= self._limit
                if self.windows is not None:
                    with guard("recorder.windows"):
                        self.windows.turn(pause)
                if self.on_turn is not None:
                    with guard("recorder.on_turn"):
                        self.on_turn()
            finally:
                self._draining = False

    def _drain_batch(self, size: int, pause: float | None) -> None:
        started = self._resumed = perf_counter()
        self._pending_rows = 0
        # Only a drain takes from the buffer, and drains exclude one another: what was counted is there.
        self._fold([self._buffer.popleft() for _ in range(size)], pause)
        with guard("recorder.flush_duration"):
            took = perf_counter() - started
            self.instruments.flush_duration.record(np.array([took]), {})

    def _fold(self, batch: list[Prediction], pause: float | None) -> None:
        for columns in columns_of(batch):
            self._read(columns.predictions, pause)
            self._let_others(pause)
            if not columns.special:
                with guard("recorder.facts"):
                    columns.facts = facts_of(columns.predictions)
            with guard("recorder.metrics"):
                self.instruments.record_calls(columns)
            self._let_others(pause)
            with guard("recorder.metrics"):
                tally = self.instruments.record_rows(columns)
                if self.windows is not None:
                    self.windows.put(columns, tally)
            if self.watch is not None:
                with guard("recorder.watch"):
                    self.watch.ended(columns)
            if self.on_ended is not None:
                with guard("recorder.on_ended"):
                    self.on_ended(columns)
            for part in columns.parts(TOGETHER if self._others_work else UNDISTURBED):
                self._let_others(pause)
                with guard("recorder.export"):
                    self._export(part)
        forget_stages(batch)

    def _read(self, predictions: list[Prediction], pause: float | None) -> None:
        """Read what was predicted, where that was left to this thread."""
        unread = [p for p in predictions if p.seen is not None]
        kinds: set[type[Prediction]] = set(map(type, unread))
        for kind in kinds:
            some = [p for p in unread if type(p) is kind]
            for i in range(0, len(some), TOGETHER):
                self._let_others(pause)
                with guard("recorder.read"):
                    kind.read_all(some[i : i + TOGETHER])

    def _let_others(self, pause: float | None) -> None:
        """Let other threads have the interpreter, where there was enough work since they last had it."""
        if pause is None or self._stopped or perf_counter() - self._resumed < STEP:
            return
        before, short = process_time(), pause * GLANCE
        sleep(short)
        self._others_work = process_time() - before > short / 2
        if self._others_work and len(self._buffer) < MANY:
            sleep(pause - short)
        self._resumed = perf_counter()

    def _export(self, columns: Columns) -> None:
        p = columns.predictions[0]
        if p.dropped:
            self.drop("log", "buffer", len(columns.predictions))
            self.drop("span", "buffer", (1 + len(columns.names)) * len(columns.predictions) if p.sampled else 0)
            self.drop("span", "buffer", sum(m.sampled for p in columns.predictions for m in p.members))
            return
        described = Descriptions(columns)
        self._events.predictions(columns, described)
        if p.sampled and (columns.special or not self._encoded(columns, described)):
            for description, stages in zip(described.each, columns.stages, strict=True):
                description.prediction.way.finish(_ended(description, stages))
        for description in described.each if columns.special else ():
            description.prediction.way.finish(members.shares(description.prediction, description.result))

    @staticmethod
    def _encoded(columns: Columns, described: Descriptions) -> bool:
        """Export spans encoded together; False where some have to go one by one."""
        try:
            attributes = described.of_spans()
        except (Unusual, UnicodeEncodeError):
            return False
        return columns.predictions[-1].way.put_all(columns, attributes)


if _sdk.native is not None:
    _sdk.native.use_recorder(Recorder)


def _ended(description: Description, stages: tuple[Stage, ...]) -> Iterator[Ended]:
    """Return the spans of one prediction, in the order of their end."""
    p = description.prediction
    for stage in stages:
        if stage.span_id or stage.other is not None:
            known: Mapping[str, Any] = stage.known.attributes
            if stage.error is not None:
                known = {**known, semconv.ERROR_TYPE: stage.error.type}
            times = (stage.started + p.offset, (stage.ended or p.ended) + p.offset)
            parent = (stage.above or p).get_span_context()
            yield Ended(stage, parent, times, known, stage.error)
    times = (p.started + p.offset, p.ended + p.offset)
    yield Ended(p, p.parent, times, description.attributes(), p.error, members.links(p))
