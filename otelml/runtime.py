"""Wires everything, top to bottom, and holds the one global: the runtime that is active."""

from __future__ import annotations

import os
import threading
from importlib.metadata import distribution, version
from time import monotonic
from typing import TYPE_CHECKING, Any

from opentelemetry.metrics import CallbackOptions, Observation

from otelml import _guard, _labels, _sdk, _sdk_metrics, children, pipeline, semconv, ways
from otelml._drops import Drops
from otelml._guard import guard
from otelml._imports import undisturbed
from otelml.config import SIGNALS
from otelml.events import Events
from otelml.exits import Ending, at_exit
from otelml.garbage import Room
from otelml.instruments import Instruments
from otelml.models.life import Models
from otelml.probes.gpu import GpuProbe
from otelml.probes.host import HostProbe
from otelml.processors import SpanQueueProcessor
from otelml.profiling.profiles import Profiles
from otelml.recorder import Recorder
from otelml.servers import Tell, Worker, tell
from otelml.spans import RandomIds
from otelml.tracers import ChosenSpans
from otelml.windows.models import windows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from importlib.metadata import EntryPoint

    from opentelemetry.metrics import Meter

    from otelml.config import Config
    from otelml.export import BatchQueue
    from otelml.features.watch import Watch
    from otelml.outcomes.writer import Outcomes
    from otelml.ways import Way
    from otelml.windows.models import Windows

INSTRUMENTORS = "opentelemetry_instrumentor"
PREFIX = "otelml_"
SERVERS = ("aiohttp", "django", "fastapi", "flask", "litestar", "starlette")
"""Integrations of web frameworks, which are told what to leave out of their requests."""

active: Runtime | None = None
"""The runtime that predictions go to; None before ``auto_instrument()`` and after ``shutdown()``."""
_ended = False
"""Providers of ours were shut down: OpenTelemetry takes no others in this process."""
_start_lock = threading.RLock()


class Runtime:
    """otelml at work in this process. Made by ``auto_instrument()``."""

    def __init__(
        self, config: Config, made: pipeline.Pipeline, recorder: Recorder, events: Events, models: Models
    ) -> None:
        self.config, self.recorder, self.events, self.models = config, recorder, events, models
        self.pipeline = made
        self.probes: list[GpuProbe | HostProbe] = []
        self.instrumentors: list[Any] = []
        self.outcomes: Outcomes | None = None
        """Takes the truths of predictions; None where there is no ``OTELML_OUTCOMES_DATABASE``."""
        self.windows: Windows | None = None
        """The sliding windows of models; None where ``OTELML_WINDOW`` is 0."""
        self.profiles = Profiles(config, events)
        self.room = Room(config.gc_room)
        self.before_flush: list[Callable[[], object]] = []
        """What integrations do before everything is exported: they record what they have held back."""
        self.flushes_at_end_of = 0
        """The process that flushes when multiprocessing ends it."""
        self._told = False
        self.begin()

    def begin(self) -> None:
        """Have the whole of ``OTELML_SHUTDOWN_TIMEOUT`` for the end (also in the child after a fork)."""
        self.ending = Ending(self.config.shutdown_timeout)

    @property
    def closing(self) -> bool:
        """Return whether ``shutdown()`` was called."""
        return self.ending.begun

    @property
    def meter_provider(self) -> Any:
        """Return the meter provider metrics go to."""
        return self.pipeline.meter_provider

    def queues(self, signal: str) -> list[BatchQueue[Any]]:
        """Return the queues of ours that export ``traces``, ``metrics`` or ``logs``."""
        return self.pipeline.queues[signal]

    def ways(self) -> list[Way]:
        """Return which way traces, logs and metrics go out: encoded, or as the SDK's objects, and why."""
        made = self.pipeline
        batches = self.recorder.instruments.takes_batches
        return ways.ways(made.tracer_provider, made.logger_provider, made.meter_provider, batches=batches)

    def workers(self) -> list[Worker]:
        """Return what has a thread of ours."""
        own: list[Worker] = [*self.pipeline.workers(), self.recorder]
        return own if self.outcomes is None else [*own, self.outcomes]

    def outcome_without_database(self) -> None:
        """Count a truth that nobody can keep; say so once."""
        if not self._told:
            self._told = True
            _guard.logger.warning("otelml: record_outcome() does nothing until OTELML_OUTCOMES_DATABASE is set")
        self.recorder.drop("outcome", "off", 1)

    def watch_features(self) -> Watch:
        """Return what counts features against references, made of the settings at the first call."""
        from otelml.drift.reference import Reference  # noqa: PLC0415 - it costs nothing while it is off
        from otelml.features.watch import Watch  # noqa: PLC0415 - the same

        recorder, config = self.recorder, self.config
        with _start_lock:
            if recorder.watch is None:
                references = {model: Reference.load(path) for model, path in config.drift_reference.items()}
                watch = Watch(references, seconds=config.drift_window, events=self.events, drop=recorder.drop)
                watch.observe(_meter(self.pipeline))
                recorder.watch = watch
                if config.model_name in references:  # so that its bins are there from the start
                    recorder.series(config.model_name, config.model_version)
            return recorder.watch

    def force_flush(self, timeout: float = 5.0) -> bool:
        """Export everything recorded so far; False when that failed or took longer than ``timeout`` seconds."""
        if self.closing or self.ending.elsewhere():
            return True  # shutdown() has flushed or is about to
        with guard("runtime.force_flush"):
            deadline = monotonic() + timeout
            for record in self.before_flush:
                record()
            self.models.settle(timeout / 4)
            self.recorder.drain()
            written = self.outcomes is None or self.outcomes.flush(timeout)
            return self.pipeline.force_flush(max(0.0, deadline - monotonic())) and written
        return False

    def flush_at_end(self) -> None:
        """Flush because the process ends; all such flushes and ``shutdown()`` share ``OTELML_SHUTDOWN_TIMEOUT``."""
        self.ending.take(self.force_flush)

    def shutdown(self, timeout: float | None = None) -> bool:
        """Flush and stop within ``timeout`` seconds (``OTELML_SHUTDOWN_TIMEOUT`` by default). Calling it again is fine.

        Integrations are taken off again. Providers that the application made are flushed and left open.
        """
        if not self.ending.begin():
            return True
        done = self._shut(self.ending.left if timeout is None else timeout)
        self.ending.finish()
        return done

    def _shut(self, limit: float) -> bool:
        global active, _ended  # noqa: PLW0603 - the state of this module
        with guard("runtime.shutdown"):
            if active is self:
                active = None
                children.withdraw()
            self._uninstrument()
            self.room.give_back()
            deadline = monotonic() + limit
            self.models.settle(limit / 4)
            self.recorder.stop()
            if self.windows is not None:
                self.windows.stop(limit / 4)
            if self.outcomes is not None:
                self.outcomes.stop(limit / 2)
            flushed = self.pipeline.owned >= set(SIGNALS) or self.pipeline.force_flush(deadline - monotonic())
            closed = self.pipeline.shutdown(max(0.0, deadline - monotonic()))
            _ended = _ended or bool(self.pipeline.owned)
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
        Profiles.check(config)
        drops = Drops()
        ids = RandomIds()
        assembled: list[Runtime] = []
        _after_fork(assembled, drops, ids)  # before the SDK's own hooks, which start a thread that collects
        # Exponential histograms are the SDK's own business: they take one value at a time.
        batches = (_sdk_metrics.BATCH_VIEW,) if config.histogram_aggregation == "explicit_bucket_histogram" else ()
        made = pipeline.build(config, views=(*batches, _sdk_metrics.FEATURES_VIEW), on_drop=drops.add, ids=ids)
        runtime = _assemble(config, made, drops, ids)
        if config.sdk_disabled:
            return runtime  # not the active one: predictions go on doing nothing
        runtime.recorder.start()
        if runtime.outcomes is not None:
            runtime.outcomes.start()
        tell(Tell(runtime.flush_at_end, runtime.workers()))
        _start_probes(runtime, _meter(made))
        _instrument(runtime)
        runtime.room.make()
        at_exit(runtime.shutdown, lambda: runtime.ending)
        assembled.append(runtime)
        _name_after_fork(runtime)
        active = runtime
        children.offer(runtime)
        children.flush_at_end(runtime)
        return runtime


def _meter(made: pipeline.Pipeline) -> Meter:
    return made.meter_provider.get_meter(semconv.SCOPE, version("otelml"), semconv.SCHEMA_URL)


def _assemble(config: Config, made: pipeline.Pipeline, drops: Drops, ids: RandomIds | None = None) -> Runtime:
    release = version("otelml")
    _sdk.keep_random_apart()
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
            slices=config.slices,
        )
    )
    models = Models(meter, events, config, drops.add)
    recorder[0].on_turn = models.turn
    runtime = Runtime(config, made, recorder[0], events, models)
    if config.outcomes_database and not config.sdk_disabled:
        runtime.outcomes = _outcomes(runtime, meter, drops)
        recorder[0].on_ended = runtime.outcomes.put
    _keep_windows(runtime, meter, drops)
    if config.drift_reference and not config.sdk_disabled:
        runtime.watch_features()
    return runtime


def _keep_windows(runtime: Runtime, meter: Meter, drops: Drops) -> None:
    """Keep a window of each model, where the settings ask for it."""
    found = runtime.recorder.windows = runtime.windows = windows(runtime.config, runtime.events, drops.add)
    if found is not None:
        row = semconv.THRESHOLD_ACTIVE
        meter.create_observable_up_down_counter(row.name, [found.observe], row.unit, row.help)


def _outcomes(runtime: Runtime, meter: Meter, drops: Drops) -> Outcomes:
    from otelml.outcomes.reports import Reports  # noqa: PLC0415 - they cost nothing while they are off
    from otelml.outcomes.writer import Outcomes  # noqa: PLC0415 - the same

    recorder = runtime.recorder
    reports = Reports(
        *(meter, runtime.meter_provider),
        events=runtime.events,
        spans=recorder.spans,
        number=recorder.number,
        buckets=runtime.config.buckets,
        slices=recorder.slices,
        drop=drops.add,
    )
    outcomes = Outcomes(runtime.config, reports, drops.add)
    row = semconv.OUTCOMES_UNWRITTEN
    meter.create_observable_up_down_counter(row.name, [lambda _: [Observation(outcomes.unwritten)]], row.unit, row.help)
    row = semconv.OUTCOMES_FAILURES
    meter.create_observable_counter(row.name, [lambda _: [Observation(outcomes.failures)]], row.unit, row.help)
    return outcomes


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

    for row, callback in ((semconv.DROPPED, dropped), (semconv.ERRORS, errors), (semconv.LABELS_FOLDED, folded)):
        meter.create_observable_counter(row.name, [callback], row.unit, row.help)


def _start_probes(runtime: Runtime, meter: Meter) -> None:
    config = runtime.config
    rows = ((config.gpu, GpuProbe), (config.host, HostProbe))
    runtime.probes += [kind(meter, interval=config.probe_interval) for wanted, kind in rows if wanted]
    for probe in runtime.probes:
        with guard("runtime.probe"):
            probe.start()


def integrations() -> dict[str, EntryPoint]:
    """Return our integrations by name, sorted."""
    found = sorted(distribution("otelml").entry_points.select(group=INSTRUMENTORS), key=lambda e: e.name)
    return {entry.name.removeprefix(PREFIX): entry for entry in found if entry.name.startswith(PREFIX)}


def is_left_off(name: str, config: Config) -> bool:
    """Return whether the settings leave an integration off."""
    return bool(config.disabled & {name, PREFIX + name, "*"})


def _instrument(runtime: Runtime) -> None:
    """Switch on our integrations, each on its own: one that fails leaves the others on."""
    config = runtime.config
    requests = {
        "excluded_urls": config.excluded_urls or None,
        "buckets": config.buckets,
        "on_shutdown": runtime.flush_at_end,
        "profiles": runtime.profiles if runtime.profiles.asked else None,
    }
    options: dict[str, dict[str, Any]] = {
        **dict.fromkeys(SERVERS, requests),
        "sklearn": {"model_name": config.model_name, "model_version": config.model_version},
        "logging": {"level": config.log_level.upper(), "values": config.log_values},
    }
    for name, entry in integrations().items():
        if is_left_off(name, config):
            continue
        with guard(f"integration.{name}"):
            instrumentor = entry.load()()
            if not instrumentor.is_instrumented_by_opentelemetry:
                instrumentor.instrument(skip_dep_check=True, **options.get(name, {}))
                runtime.instrumentors.append(instrumentor)


def _after_fork(assembled: list[Runtime], drops: Drops, ids: RandomIds) -> None:
    """Give a forked child its own ids, locks, counts and thread: what the parent counted is the parent's to send."""
    if not hasattr(os, "register_at_fork"):
        return

    def in_child() -> None:
        global _start_lock  # noqa: PLW0603 - a lock held across a fork is never released in the child
        if active in assembled:
            _start_lock = threading.RLock()
            children.begin_again(assembled[0], drops, ids)

    os.register_at_fork(after_in_child=in_child)


def _name_after_fork(runtime: Runtime) -> None:
    """Name a forked child once the SDK has given it an id of its own making."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=lambda: children.name_child(runtime) if active is runtime else None)
