"""The public calls. Before ``auto_instrument()`` all others do nothing, so that instrumented code runs anywhere."""

from __future__ import annotations

from itertools import islice
from os import fspath
from typing import TYPE_CHECKING, Any, TypeVar

from otelml._imports import undisturbed

with undisturbed():
    from otelml import _labels, _sdk, events, runtime, semconv
    from otelml import config as settings
    from otelml._guard import attempt, guard, logger
    from otelml.errors import ConfigError
    from otelml.members import TOGETHER, Member, waiting
    from otelml.off import NO_STAGE, SUPPRESS, NoPrediction, NoStage, suppressed
    from otelml.prediction import Prediction
    from otelml.prediction import current as current_prediction
    from otelml.profiling.profile import Profile
    from otelml.stage import Stage
    from otelml.windows.alerts import Alert, on_alert
    from otelml.windows.sliding import Window, window_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime
    from os import PathLike

    from opentelemetry.context.context import Context

    from otelml.config import Config
    from otelml.drift import Reference
    from otelml.runtime import Runtime

__all__ = [
    "Alert",
    "NoPrediction",
    "Prediction",
    "Profile",
    "Stage",
    "Window",
    "auto_instrument",
    "batch_member",
    "current_prediction",
    "event",
    "force_flush",
    "on_alert",
    "prediction",
    "profile",
    "record_outcome",
    "stage",
    "unwatch",
    "watch",
    "watch_drift",
    "window",
]

DEFAULT_MODEL = "model"
MAX_MEMBERS = 100_000
"""Requests in one batch; more are left out."""
MOST_NAMES = 1000
"""Integrations to leave off; who gives more gives something else."""
_NO_MEMBERS: tuple[Member, ...] = ()
M = TypeVar("M")
_get_current = _sdk.get_current


def auto_instrument(
    service_name: str | None = None,
    *,
    model_name: str | None = None,
    model_version: str | None = None,
    disabled: Iterable[str] = (),
    capture: str | None = None,
    config: Mapping[str, object] | str | PathLike[str] | None = None,
) -> Runtime:
    """Start otelml in this process: metrics, logs and traces of every prediction, exported as ``OTEL_*`` says.

    Called again it returns the runtime that is active already.

    Args:
        service_name: Name of the service; ``OTEL_SERVICE_NAME`` by default.
        model_name: Model of predictions that name none; ``OTELML_MODEL_NAME`` by default.
        model_version: Version of that model; ``OTELML_MODEL_VERSION`` by default.
        disabled: Integrations to leave off, such as ``"requests"``.
        capture: ``none``, ``stats`` (the default) or ``payload``: what is kept of inputs and outputs.
        config: Path of a YAML file of settings, or a mapping of them; ``otelml config`` lists all.

    Raises:
        ConfigError: When settings are wrong; the message lists every fault. Nothing is started.
        MissingExtraError: When a setting needs an extra that is not installed.
    """
    if runtime.active is not None:
        return runtime.active
    overrides = _given(config)
    given = {"service_name": service_name, "model_name": model_name, "model_version": model_version, "capture": capture}
    overrides.update((name, value) for name, value in given.items() if value is not None)
    names, error = attempt(_joined, disabled)
    if error is not None:
        raise ConfigError(["disabled: must be names of integrations, such as ['requests']"])
    if names:
        overrides["disabled"] = names
    return runtime.start(settings.load(overrides))


def _joined(names: Iterable[str]) -> str:
    if issubclass(type(names), str):
        return str.__str__(names)
    few = list(islice(names, MOST_NAMES + 1))
    if len(few) > MOST_NAMES:
        raise ValueError("too many")
    return ",".join(few)


def _given(config: Mapping[str, object] | str | PathLike[str] | None) -> dict[str, object]:
    """Return settings given in code: a mapping of them, or the path of their file."""
    if config is None:
        return {}
    read: Any = dict if attempt(hasattr, config, "keys")[0] else lambda path: {"config_file": fspath(path)}
    found, error = attempt(read, config)
    if found is None or error is not None:
        raise ConfigError(["config: must be the path of a YAML file, or a mapping of settings"])
    return dict(found)


def prediction(
    model: str | None = None,
    version: str | None = None,
    *,
    request_id: str | None = None,
    prediction_id: str | None = None,
    members: Iterable[Member] = _NO_MEMBERS,
    variant: str | None = None,
    operation: str | None = None,
    framework: str | None = None,
    fallback: str = DEFAULT_MODEL,
) -> Prediction | NoPrediction:
    """Return a prediction to enter, with ``with`` or ``async with``.

    Where OpenTelemetry's instrumentation is suppressed (``suppress_instrumentation()``) it records nothing.

    Args:
        model: Name of the model; the configured one by default, else ``fallback``.
        version: Version of the model; the configured one where the model is the configured one.
        request_id: Id of the request; that of the current request by default. An invalid one is replaced.
        prediction_id: Id of this prediction, for outcomes that arrive later; made when None.
        members: Requests that are predicted together, each from ``batch_member()``; in the order of the rows.
        variant: Part that this version plays where several predict, such as ``canary`` or ``shadow``: span and event
            say it as ``feature_flag.result.variant``, with the model as ``feature_flag.key``. The first 20 are kept.
        operation: Method that was called, such as ``predict_proba`` (set by integrations).
        framework: Library that runs the model (set by integrations).
        fallback: Name of the model where neither code nor settings name one.
    """
    active = runtime.active
    around = _get_current()
    if active is None or around.get(SUPPRESS):  # suppressed(), without a call
        return NoPrediction(request_id, prediction_id)
    joined = _members(members, around) if members is not _NO_MEMBERS or TOGETHER in around else ()
    if joined and all(member.silent for member in joined):
        return NoPrediction(request_id, prediction_id)
    recorder = active.recorder
    if type(model) is not str or type(version) is not str:
        model, version = _names(active.config, model, version, fallback)
    made = Prediction(recorder, recorder.series(model, version))
    if request_id is not None:
        made.request_id = request_id
    if prediction_id is not None:
        made.give_id(prediction_id)
    if joined:
        made.give_members(joined)
    if variant is not None:
        made.variant = _labels.bounded(semconv.FEATURE_FLAG_VARIANT, variant)
    if operation is not None:
        made.operation = operation if type(operation) is str else _labels.name(operation)
    if framework is not None:
        made.framework = framework if type(framework) is str else _labels.name(framework)
    return made


def _members(given: Any, around: Context) -> Sequence[Member]:
    """Return the members among what was given; what is none is left out, and a list without end is cut."""
    if given is _NO_MEMBERS:
        return waiting(around)
    found, _ = attempt(lambda: [each for each in islice(given, MAX_MEMBERS) if type(each) is Member])
    return found or []


def _names(config: Config, model: Any, version: Any, fallback: str) -> tuple[str, Any]:
    """Return a model's name and version, from the settings where the code does not give them."""
    if model is None:
        model = config.model_name or fallback
    if type(model) is not str:
        model = _labels.name(model)
    if version is None:
        version = config.model_version if model == config.model_name else None
    elif type(version) is not str:
        version = _labels.name(version)
    return model, version


def batch_member() -> Member:
    """Return the place of the current request in a batch: hand it over with the row, to be given as ``members``.

    The prediction made for many requests at once then links to the span of each, and each request's own trace holds a
    span of its share: how long it waited, the batch's duration, and what was predicted for its row.
    """
    return Member()


def stage(name: str) -> Stage | NoStage:
    """Return a stage of the current prediction to enter; outside of a prediction it does nothing."""
    current = current_prediction()
    return NO_STAGE if current is None else current.stage(name)


def event(name: str, /, severity: str = "info", body: str | None = None, **attributes: Any) -> None:
    """Emit an event: an OpenTelemetry log record with ``event_name``, correlated with the trace and the prediction.

    ``severity`` is trace, debug, info, warning, error or critical. Attributes are copied and bounded: text to 4,096
    characters, 128 items, 64 attributes.
    """
    active = runtime.active
    if active is None or suppressed():
        return
    with guard("api.event"):
        words = None if body is None else events.text(body)
        active.events.emit(events.text(name)[:256], events.text(severity).lower(), words, events.with_ids(attributes))


def force_flush(timeout: float = 5.0) -> bool:
    """Export what this process has recorded; False when that failed or took longer than ``timeout`` seconds.

    Needed only where nothing can run afterwards: before ``os._exit()``, or a kill. Without otelml it does nothing.
    """
    active = runtime.active
    return active is None or active.force_flush(timeout)


def record_outcome(prediction_id: str, actual: Any, *, at: float | datetime | None = None) -> None:
    """Say what turned out to be true, from any process or machine that uses the same ``OTELML_OUTCOMES_DATABASE``.

    It may come before the prediction is written, and is joined with it once, by whoever brings the later one. The first
    truth of a prediction counts. Never blocks: it is written by a thread of otelml's own.

    Args:
        prediction_id: The prediction's ``id``; ``{id}#{row}`` for one of several rows.
        actual: The true class or number; a sequence with one for each row of a prediction of several.
        at: When it was known, as seconds since the epoch or a datetime (local time without a zone); now by default.
    """
    active = runtime.active
    if active is None or suppressed():
        return
    with guard("api.record_outcome"):
        if active.outcomes is not None:
            active.outcomes.record(prediction_id, actual, at)
        else:
            active.outcome_without_database()


def profile(name: str | None = None) -> Profile:
    """Return a profile to enter, with ``with`` or ``async with``: which functions the time in it was spent in.

    It ends as an event in the trace, and as a file in ``OTELML_PROFILE_DIRECTORY``. One is taken at a time in a
    process: inside or beside another one it does nothing, and so it does before ``auto_instrument()``.

    Args:
        name: What the event calls it.

    Raises:
        MissingExtraError: pyinstrument is not installed (``pip install 'otelml[profile]'``).
    """
    active = runtime.active
    return Profile(None) if active is None else active.profiles.open(name)


def window(model: str | None = None, version: str | None = None) -> Window:
    """Return what a model did in the last ``OTELML_WINDOW`` seconds (five minutes by default), in this process.

    It is what otelml's thread has taken so far: behind by ``OTELML_FLUSH_INTERVAL`` (0.2 s) at most. Empty where there
    were no calls, and before ``auto_instrument()``.

    Args:
        model: Name of the model; the configured one by default.
        version: One version of it; all of them together by default.
    """
    active = runtime.active
    name = (active and active.config.model_name) or DEFAULT_MODEL
    if model is not None:
        name = _labels.name(model) or name
    version = None if version is None else _labels.name(version)
    if active is None or active.windows is None:
        return window_of(name, version, [])
    return active.windows.read(name, version)


def watch(
    model: M,
    name: str | None = None,
    version: str | None = None,
    *,
    device: str | None = None,
    artifact: str | PathLike[str] | None = None,
) -> M:
    """Report a model as loaded until it is dropped, and say that this process serves it; returns the model itself.

    The model is held weakly. One that can't be (a dict, an object with slots) counts as loaded until ``unwatch()``.
    Give the name that its predictions have. What was found when the model was loaded (duration, memory, file) is kept.

    Args:
        model: The model, of any type.
        name: Name of the model; the configured one by default, else that of its class.
        version: Version of the model; the configured one where the model is the configured one.
        device: Device that was asked for, such as ``cuda``: a model that is on the CPU instead is reported. Where it
            is can be told of ONNX Runtime sessions and PyTorch modules.
        artifact: File that it was loaded from, to report its hash.
    """
    active = runtime.active
    if active is not None:
        with guard("api.watch"):
            active.models.watch(model, name, version, device=device, artifact=artifact)
    return model


def unwatch(model: object) -> None:
    """Report a watched model as unloaded, on purpose: from now on nobody expects it to be loaded here."""
    active = runtime.active
    if active is not None:
        with guard("api.unwatch"):
            active.models.unwatch(model)


def watch_drift(model: str, reference: Reference) -> None:
    """Count the features of a model's predictions in the bins of a reference, from now on.

    ``OTELML_DRIFT_REFERENCE`` does the same at the start; this is for models that come later. Counts and windows of the
    model begin anew.

    Args:
        model: Name of the model.
        reference: Its features in the order of the columns, and, called ``prediction``, what it predicts.
    """
    active = runtime.active
    if active is None:
        return
    with guard("api.watch_drift"):
        if not hasattr(type(reference), "by_name"):
            logger.warning("otelml: watch_drift() needs a Reference, as otelml.drift.Reference.load() gives one")
            return
        active.recorder.drain()
        active.watch_features().use(_labels.name(model), reference, active.recorder.known_series())
