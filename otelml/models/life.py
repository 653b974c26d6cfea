"""The models that are loaded in this process: gauges while they are, events when one comes and goes.

A model is held weakly. A weak reference's callback may run anywhere, inside a lock of the SDK too, so all it does is
to leave a mark; the recorder's thread finds it at its next turn and tells. A model that was discovered is told of a
second after it was loaded, so that ``watch()`` can give it its name first, and when the hash of its file is known.
"""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from time import monotonic, time_ns
from typing import TYPE_CHECKING, Any, NamedTuple
from weakref import ref

from opentelemetry.metrics import CallbackOptions, Observation

from otelml import _labels, _sdk, semconv
from otelml._guard import attempt, guard
from otelml.models import description
from otelml.models.artifact import Artifact, artifact

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from os import PathLike

    from opentelemetry.context.context import Context
    from opentelemetry.metrics import Meter

    from otelml.config import Config
    from otelml.events import Events

SETTLED_AFTER = 1.0
"""Seconds after which a discovered model keeps the name that was found for it."""
MAX_MODELS = 1000


class Load(NamedTuple):
    """What was seen of a model while it loaded."""

    seconds: float | None = None
    memory: int | None = None
    """Bytes by which the resident memory of the process grew; None where it did not."""
    artifact: Artifact | None = None
    device: str | None = None
    """The device that was asked for."""


NOT_SEEN = Load()


class Watched:
    """One model under one name."""

    def __init__(self, model: object, name: str, version: str | None, load: Load) -> None:
        self.name, self.load, self.since, self.at = name, load, monotonic(), time_ns()
        self.said = self.silent = self.told = self.dropped = False
        self.attributes: dict[str, str] = {semconv.MODEL_NAME: name}
        if version is not None:
            self.attributes[semconv.MODEL_VERSION] = version
        self.framework = description.framework(model)
        self.device = attempt(description.device, model)[0]  # the error would hold our frames, and they the model
        self.where: Context | None = _sdk.get_current()
        self._ref = ref(model, self._forget) if type(model).__weakrefoffset__ else None
        self._id = id(model)

    def _forget(self, _: object) -> None:
        self.dropped = True

    def is_of(self, model: object) -> bool:
        """Return whether this is of that very object."""
        return (self._id == id(model) if self._ref is None else self._ref() is model) and not self.dropped

    def ready(self, now: float) -> bool:
        """Return whether it can be told of: its name is settled and its file is read."""
        settled = self.said or now - self.since >= SETTLED_AFTER
        return settled and (self.load.artifact is None or self.load.artifact.done.is_set())

    def described(self) -> dict[str, str]:
        """Return the attributes of its events."""
        digest = None if self.load.artifact is None else self.load.artifact.digest
        more = ((semconv.MODEL_FRAMEWORK, self.framework), (semconv.MODEL_ARTIFACT_HASH, digest))
        return {**self.attributes, **{name: value for name, value in more if value is not None}}

    def facts(self) -> dict[str, Any]:
        """Return what is known of it; what is not is left out."""
        load, described = self.load, self.described()
        found = {
            "name": self.name,
            "version": described.get(semconv.MODEL_VERSION),
            "framework": self.framework,
            "hash": described.get(semconv.MODEL_ARTIFACT_HASH),
            "loaded_at": datetime.fromtimestamp(self.at / 1e9, UTC).isoformat(timespec="milliseconds"),
            "load_seconds": load.seconds,
            "memory": load.memory,
            "device": self.device,
            "device_requested": load.device,
        }
        return {name: value for name, value in found.items() if value is not None}

    def labels(self) -> dict[str, str]:
        """Return the attributes of the gauge that it is loaded."""
        found = self.described()
        bounded = {semconv.MODEL_FRAMEWORK, semconv.MODEL_ARTIFACT_HASH} & found.keys()
        return {**found, **{name: _labels.bounded(name, found[name]) for name in bounded}}

    def fell_back(self) -> dict[str, str]:
        """Return the attributes of a fall-back to the CPU; empty where there is none, or nobody can tell."""
        asked = self.load.device
        if asked in {None, description.CPU} or self.device != description.CPU:
            return {}
        labels = ((semconv.DEVICE_REQUESTED, asked), (semconv.DEVICE_USED, self.device))
        return {**self.attributes, **{name: _labels.bounded(name, value) for name, value in labels}}


class Models:
    """Every model of this process that was watched or discovered."""

    def __init__(self, meter: Meter, events: Events, config: Config, drop: Callable[[str, str, int], None]) -> None:
        self._events, self._config, self._drop = events, config, drop
        self._lock = threading.RLock()
        self._models: list[Watched] = []
        self._expected: dict[str, int] = {}
        if config.model_name is not None:
            self._expected[_labels.bounded(semconv.MODEL_NAME, config.model_name)] = 1
        self._observe(meter)

    # On the application's thread ----------------------------------------------------------------------------

    def watch(
        self,
        model: object,
        name: str | None = None,
        version: str | None = None,
        *,
        device: str | None = None,
        artifact: str | PathLike[str] | None = None,
    ) -> None:
        """Take a model under the name that the application gives it."""
        before = self._find(model)
        load = NOT_SEEN if before is None else before.load
        if artifact is not None:
            load = load._replace(artifact=_artifact(artifact))
        if device is not None:
            load = load._replace(device=_labels.text(device).partition(":")[0])
        made = self._make(model, name, version, load)
        made.said = True
        if before is not None and before.attributes == made.attributes:
            made.at, made.silent = before.at, before.told and not made.fell_back()
        self._put(made, before)

    def discovered(self, model: object, load: Load, name: str | None = None, version: str | None = None) -> None:
        """Take a model that was loaded, unless it is known."""
        if self._find(model) is None:
            self._put(self._make(model, name, version, load), None)

    def name_of(self, model: object) -> tuple[str | None, str | None]:
        """Return the name and version under which a model is known here; None for what is not known."""
        known = self._find(model)
        attributes: Mapping[str, str] = {} if known is None else known.attributes
        return attributes.get(semconv.MODEL_NAME), attributes.get(semconv.MODEL_VERSION)

    def unwatch(self, model: object) -> None:
        """Report a model as unloaded, and expect none of its name unless there is another one."""
        with self._lock:
            found = self._find(model)
            if found is None:
                return
            found.dropped = True
            if not any(other.said and other.name == found.name for other in self._alive()):
                self._expected[found.name] = 0

    def _make(self, model: object, name: Any, version: Any, load: Load) -> Watched:
        config = self._config
        if name is None:
            name = config.model_name or description.class_name(model)
        elif type(name) is not str:
            name = _labels.name(name)
        if version is None and name == config.model_name:
            version = config.model_version
        elif version is not None and type(version) is not str:
            version = _labels.name(version)
        known = None if version is None else _labels.bounded(semconv.MODEL_VERSION, version)
        return Watched(model, _labels.bounded(semconv.MODEL_NAME, name), known, load)

    def _put(self, made: Watched, before: Watched | None) -> None:
        with self._lock:
            if before is not None:
                before.dropped = True
                before.silent = made.silent or not before.told
            if len(self._models) >= MAX_MODELS:
                self._drop("model", "limit", 1)
                return
            self._models.append(made)
            if made.said:
                self._expected[made.name] = 1

    def _find(self, model: object) -> Watched | None:
        return next((known for known in list(self._models) if known.is_of(model)), None)

    def _alive(self) -> list[Watched]:
        return [known for known in list(self._models) if not known.dropped]

    def loaded(self) -> list[dict[str, Any]]:
        """Return name, version, framework, hash, device, memory, load time and duration of every loaded model."""
        return [known.facts() for known in self._alive()]

    # On the recorder's thread -------------------------------------------------------------------------------

    def turn(self, *, final: bool = False) -> None:
        """Tell of models that came and went since the last time; ``final`` waits for nothing."""
        if all(known.told and not known.dropped for known in list(self._models)):
            return
        now = monotonic()
        with self._lock:
            gone = [known for known in self._models if known.dropped]
            self._models = [known for known in self._models if known not in gone]
            waiting = [known for known in self._models if not known.told]
            came = [known for known in waiting if final or known.ready(now)]
            for known in came:
                known.told = True
        for known in waiting:
            if known.load.artifact is not None:
                known.load.artifact.start()
        for known in gone:
            if known.told and not known.silent:
                self._events.emit(semconv.EVENT_MODEL_UNLOADED.name, "info", _body(known, "un"), known.described())
        for known in came:
            self._tell(known)

    def _tell(self, known: Watched) -> None:
        silent, known.silent = known.silent, False
        where, known.where = known.where, None  # a context holds its spans
        if silent:
            return
        load = known.load
        more = (
            (semconv.MODEL_LOAD_SECONDS, load.seconds),
            (semconv.MODEL_MEMORY_GROWTH, load.memory),
            (semconv.DEVICE_USED, known.device),
        )
        attributes = {**known.described(), **{name: value for name, value in more if value is not None}}
        event = semconv.EVENT_MODEL_LOADED.name
        self._events.emit(event, "info", _body(known), attributes, at=known.at, where=where)
        fell_back = known.fell_back()
        if fell_back:
            body = f"{known.name} was to run on {load.device} and runs on {known.device}"
            event = semconv.EVENT_DEVICE_FALLBACK.name
            self._events.emit(event, "warning", body, fell_back, at=known.at, where=where)

    def settle(self, timeout: float) -> None:
        """Tell of every model now; waits up to ``timeout`` seconds for the hashes of files."""
        with guard("models.settle"):
            self.turn()
            deadline = monotonic() + timeout
            for known in self._alive():
                if not known.told and known.load.artifact is not None:
                    known.load.artifact.done.wait(max(0.0, deadline - monotonic()))
            self.turn(final=True)

    def after_fork(self) -> None:
        """Report the models that a child inherits: it has them, but neither loaded them nor holds memory of its own."""
        self._lock = threading.RLock()
        self._models = self._alive()
        for known in self._models:
            known.silent = not known.told
            known.load = known.load._replace(memory=None)
            if known.load.artifact is not None:
                known.load.artifact.after_fork()

    # On the thread of a metric reader -----------------------------------------------------------------------

    def _observe(self, meter: Meter) -> None:
        rows: tuple[tuple[semconv.Metric, Callable[[Watched], tuple[float | None, dict[str, str]]]], ...] = (
            (semconv.MODEL_LOADED, lambda known: (1, known.labels())),
            (semconv.MODEL_LOAD_DURATION, lambda known: (known.load.seconds, known.attributes)),
            (semconv.MODEL_LOAD_TIME, lambda known: (known.at / 1e9, known.attributes)),
            (semconv.MODEL_MEMORY, lambda known: (known.load.memory, known.attributes)),
            (semconv.MODEL_DEVICE_FALLBACK, lambda known: (1 if known.fell_back() else None, known.fell_back())),
        )
        for row, point in rows:
            meter.create_observable_gauge(row.name, [self._callback(point)], row.unit, row.help)
        row = semconv.MODEL_EXPECTED
        meter.create_observable_gauge(row.name, [self._expectations], row.unit, row.help)

    def _callback(
        self, point: Callable[[Watched], tuple[float | None, dict[str, str]]]
    ) -> Callable[[CallbackOptions], Iterable[Observation]]:
        def observe(_: CallbackOptions) -> Iterable[Observation]:
            found = {}
            with guard("models.observe"):
                for known in self._alive():
                    value, attributes = point(known) if known.told else (None, {})
                    if value is not None:  # of two models of one name and version, the later one
                        found[tuple(attributes.items())] = Observation(value, attributes)
            return found.values()

        return observe

    def _expectations(self, _: CallbackOptions) -> Iterator[Observation]:
        for name, value in list(self._expected.items()):
            yield Observation(value, {semconv.MODEL_NAME: name})


def _artifact(path: str | PathLike[str]) -> Artifact | None:
    return artifact(path)


def _body(known: Watched, how: str = "") -> str:
    version = known.attributes.get(semconv.MODEL_VERSION)
    return f"{known.name}{'' if version is None else f' {version}'} {how}loaded"
