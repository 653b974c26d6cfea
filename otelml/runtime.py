"""Wires everything, top to bottom, and holds the one global: the runtime that is active."""

from __future__ import annotations

import atexit
import os
import signal
import threading
from importlib.metadata import distribution, version
from time import monotonic
from typing import TYPE_CHECKING, Any

from opentelemetry.metrics import CallbackOptions, Observation

from otelml import _guard, _labels, _sdk_metrics, pipeline, semconv, ways
from otelml._drops import Drops
from otelml._guard import guard
from otelml._imports import undisturbed
from otelml.config import SIGNALS
from otelml.events import Events
from otelml.instruments import Instruments
from otelml.probes.gpu import GpuProbe
from otelml.probes.host import HostProbe
from otelml.processors import SpanQueueProcessor
from otelml.recorder import Recorder
from otelml.spans import RandomIds
from otelml.tracers import ChosenSpans

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import FrameType

    from opentelemetry.metrics import Meter

    from otelml.config import Config
    from otelml.ways import Way

INSTRUMENTORS = "opentelemetry_instrumentor"
PREFIX = "otelml_"

active: Runtime | None = None
"""The runtime that predictions go to; None before ``auto_instrument()`` and after ``shutdown()``."""
_ended = False
"""Providers of ours were shut down: OpenTelemetry takes no others in this process."""
_start_lock = threading.Lock()


class Runtime:
    """otelml at work in this process. Made by ``auto_instrument()``."""

    def __init__(self, config: Config, made: pipeline.Pipeline, recorder: Recorder, events: Events) -> None:
        self.config, self.recorder, self.events = config, recorder, events
        self._pipeline = made
        self.probes: list[GpuProbe | HostProbe] = []
        self.instrumentors: list[Any] = []
        self._closing = threading.Lock()

    @property
    def meter_provider(self) -> Any:
        """Return the meter provider metrics go to."""
        return self._pipeline.meter_provider

    def ways(self) -> list[Way]:
        """Return which way traces, logs and metrics go out: encoded, or as the SDK's objects, and why."""
        made = self._pipeline
        batches = self.recorder.instruments.takes_batches
        return ways.ways(made.tracer_provider, made.logger_provider, made.meter_provider, batches=batches)

    def force_flush(self, timeout: float = 5.0) -> bool:
        """Export everything recorded so far; False when that failed or took longer than ``timeout`` seconds."""
        if self._closing.locked():
            return True  # shutdown() has flushed or is about to
        with guard("runtime.force_flush"):
            self.recorder.drain()
            return self._pipeline.force_flush(timeout)
        return False

    def shutdown(self, timeout: float | None = None) -> bool:
        """Flush and stop within ``timeout`` seconds (``OTELML_SHUTDOWN_TIMEOUT`` by default). Calling it again is fine.

        Integrations are taken off again. Providers that the application made are flushed and left open.
        """
        global active, _ended  # noqa: PLW0603 - the state of this module
        if not self._closing.acquire(blocking=False):
            return True
        limit = self.config.shutdown_timeout if timeout is None else timeout
        with guard("runtime.shutdown"):
            if active is self:
                active = None
            self._uninstrument()
            self.recorder.stop()
            deadline = monotonic() + limit
            flushed = self._pipeline.owned >= set(SIGNALS) or self._pipeline.force_flush(limit)
            closed = self._pipeline.shutdown(max(0.0, deadline - monotonic()))
            _ended = _ended or bool(self._pipeline.owned)
            for probe in self.probes:
                probe.stop()
            return flushed and closed
        return False

    def _uninstrument(self) -> None:
        for instrumentor in self.instrumentors:
            with guard("runtime.uninstrument"):
                instrumentor.uninstrument()
        self.instrumentors.clear()


def start(config: Config) -> Runtime:
    """Start otelml, or return the runtime that is active already.

    Raises:
        ConfigError: When a setting is wrong or a port is taken. Nothing is left running.
        MissingExtraError: When a setting needs an extra that is not installed.
    """
    global active  # noqa: PLW0603 - the one global
    with _start_lock, undisturbed():
        if active is not None:
            return active
        if _ended:
            _guard.logger.warning(
                "otelml was shut down in this process, and OpenTelemetry takes providers only once: telemetry from "
                "here on goes nowhere. Call shutdown() at the end of the program only."
            )
        drops = Drops()
        ids = RandomIds()
        # Exponential histograms are the SDK's own business: they take one value at a time.
        views = (_sdk_metrics.BATCH_VIEW,) if config.histogram_aggregation == "explicit_bucket_histogram" else ()
        made = pipeline.build(config, views=views, on_drop=drops.add, ids=ids)
        runtime = _assemble(config, made, drops, ids)
        if config.sdk_disabled:
            return runtime  # not the active one: predictions go on doing nothing
        runtime.recorder.start()
        _start_probes(runtime, _meter(made))
        _instrument(runtime)
        _at_exit(runtime)
        _after_fork(runtime, drops, ids)
        active = runtime
        return runtime


def _meter(made: pipeline.Pipeline) -> Meter:
    return made.meter_provider.get_meter(semconv.SCOPE, version("otelml"), semconv.SCHEMA_URL)


def _assemble(config: Config, made: pipeline.Pipeline, drops: Drops, ids: RandomIds | None = None) -> Runtime:
    release = version("otelml")
    meter = _meter(made)
    logger = made.logger_provider.get_logger(semconv.SCOPE, release, semconv.SCHEMA_URL)
    tracer = made.tracer_provider.get_tracer(semconv.SCOPE, release, semconv.SCHEMA_URL)
    recorder: list[Recorder] = []
    # Callbacks run in the order of registration: the first one drains, so that a collection holds all there is.
    _observe_predictions(meter, recorder)
    _observe_ourselves(meter, drops)
    events = Events(logger)
    instruments = Instruments(
        meter, made.meter_provider, buckets=config.buckets, low_confidence=config.low_confidence, drop=drops.add
    )
    recorder.append(
        Recorder(
            instruments=instruments,
            drops=drops,
            events=events,
            spans=ChosenSpans(tracer, (SpanQueueProcessor,)),
            number=(ids or RandomIds()).number,
            capture=config.capture,
            buffer_size=config.buffer_size,
            flush_interval=config.flush_interval,
            event_started=config.event_started,
        )
    )
    return Runtime(config, made, recorder[0], events)


def _observe_predictions(meter: Meter, recorder: list[Recorder]) -> None:
    def in_flight(_: CallbackOptions) -> Iterable[Observation]:
        for r in recorder:
            with guard("runtime.drain"):
                r.drain()
            for attributes, count in r.in_flight():
                yield Observation(count, attributes)

    row = semconv.REQUESTS_ACTIVE
    meter.create_observable_up_down_counter(row.name, [in_flight], row.unit, row.help)


def _observe_ourselves(meter: Meter, drops: Drops) -> None:
    def dropped(_: CallbackOptions) -> Iterable[Observation]:
        for (what, where), count in drops.counts().items():
            yield Observation(count, {semconv.DROPPED_WHAT: what, semconv.DROPPED_WHERE: where})

    def errors(_: CallbackOptions) -> Iterable[Observation]:
        for where, count in _guard.errors().items():
            yield Observation(count, {semconv.DROPPED_WHERE: where})

    def folded(_: CallbackOptions) -> Iterable[Observation]:
        for what, count in _labels.folded().items():
            yield Observation(count, {semconv.DROPPED_WHAT: what})

    rows: tuple[tuple[semconv.Metric, Callable[[CallbackOptions], Iterable[Observation]]], ...] = (
        (semconv.DROPPED, dropped),
        (semconv.ERRORS, errors),
        (semconv.LABELS_FOLDED, folded),
    )
    for row, callback in rows:
        meter.create_observable_counter(row.name, [callback], row.unit, row.help)


def _start_probes(runtime: Runtime, meter: Meter) -> None:
    config = runtime.config
    if config.gpu:
        runtime.probes.append(GpuProbe(meter, interval=config.probe_interval))
    if config.host:
        runtime.probes.append(HostProbe(meter, interval=config.probe_interval))
    for probe in runtime.probes:
        with guard("runtime.probe"):
            probe.start()


def _instrument(runtime: Runtime) -> None:
    """Switch on our integrations, each on its own: one that fails leaves the others on."""
    config = runtime.config
    options: dict[str, dict[str, Any]] = {
        "sklearn": {"model_name": config.model_name, "model_version": config.model_version},
        "logging": {"level": config.log_level.upper()},
        "fastapi": {
            "excluded_urls": config.excluded_urls or None,
            "buckets": config.buckets,
            "on_shutdown": runtime.force_flush,
        },
    }
    for entry in sorted(distribution("otelml").entry_points.select(group=INSTRUMENTORS), key=lambda e: e.name):
        name = entry.name.removeprefix(PREFIX)
        if not entry.name.startswith(PREFIX) or config.disabled & {name, entry.name, "*"}:
            continue
        with guard(f"integration.{name}"):
            instrumentor = entry.load()()
            if not instrumentor.is_instrumented_by_opentelemetry:
                instrumentor.instrument(skip_dep_check=True, **options.get(name, {}))
                runtime.instrumentors.append(instrumentor)


def _at_exit(runtime: Runtime) -> None:
    atexit.register(runtime.shutdown)
    if threading.current_thread() is not threading.main_thread() or signal.getsignal(signal.SIGTERM) != signal.SIG_DFL:
        return  # the application handles SIGTERM itself and ends normally

    def flush_and_end(number: int, _: FrameType | None) -> None:
        # In a thread: the interrupted code may hold a lock that flushing needs, and then only the deadline helps.
        limit = runtime.config.shutdown_timeout
        thread = threading.Thread(target=runtime.shutdown, args=(limit,), daemon=True)
        thread.start()
        thread.join(limit + 0.5)
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)

    signal.signal(signal.SIGTERM, flush_and_end)


def _after_fork(runtime: Runtime, drops: Drops, ids: RandomIds) -> None:
    """Give a forked child its own ids, locks, counts and thread: what the parent counted is the parent's to send."""
    if not hasattr(os, "register_at_fork"):
        return

    def in_child() -> None:
        if active is not runtime:
            return
        _guard.reset()
        _labels.after_fork()
        drops.reset()
        ids.reseed()
        with guard("runtime.fork"):
            _sdk_metrics.forget_measurements(runtime.meter_provider)
            runtime.recorder.after_fork()

    os.register_at_fork(after_in_child=in_child)
