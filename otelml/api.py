"""The public calls. Before ``auto_instrument()`` all others do nothing, so that instrumented code runs anywhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from otelml._imports import undisturbed

with undisturbed():
    from otelml import _labels, events, runtime
    from otelml import config as settings
    from otelml._guard import guard
    from otelml.members import Member
    from otelml.off import NO_STAGE, NoPrediction, NoStage
    from otelml.prediction import Prediction
    from otelml.prediction import current as current_prediction
    from otelml.stage import Stage

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from os import PathLike

    from otelml.config import Config
    from otelml.runtime import Runtime

__all__ = [
    "NoPrediction",
    "Prediction",
    "Stage",
    "auto_instrument",
    "batch_member",
    "current_prediction",
    "event",
    "prediction",
    "stage",
]

DEFAULT_MODEL = "model"


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
    overrides: dict[str, object] = {}
    if config is not None and not hasattr(config, "keys"):
        overrides["config_file"] = str(config)
    elif config is not None:
        overrides.update(config)  # type: ignore[arg-type] # it has keys()
    names = tuple(disabled)
    given = {"service_name": service_name, "model_name": model_name, "model_version": model_version, "capture": capture}
    overrides.update((name, value) for name, value in given.items() if value is not None)
    if names:
        overrides["disabled"] = ",".join(names)
    return runtime.start(settings.load(overrides))


def prediction(
    model: str | None = None,
    version: str | None = None,
    *,
    request_id: str | None = None,
    prediction_id: str | None = None,
    members: Iterable[Member] = (),
    operation: str | None = None,
    framework: str | None = None,
    fallback: str = DEFAULT_MODEL,
) -> Prediction | NoPrediction:
    """Return a prediction to enter, with ``with`` or ``async with``.

    Args:
        model: Name of the model; the configured one by default, else ``fallback``.
        version: Version of the model; the configured one where the model is the configured one.
        request_id: Id of the request; that of the current request by default. An invalid one is replaced.
        prediction_id: Id of this prediction, for outcomes that arrive later; made when None.
        members: Requests that are predicted together, each from ``batch_member()``; in the order of the rows.
        operation: Method that was called, such as ``predict_proba`` (set by integrations).
        framework: Library that runs the model (set by integrations).
        fallback: Name of the model where neither code nor settings name one.
    """
    active = runtime.active
    if active is None:
        return NoPrediction(request_id, prediction_id)
    recorder = active.recorder
    if type(model) is not str or type(version) is not str:
        model, version = _names(active.config, model, version, fallback)
    made = Prediction(recorder, recorder.series(model, version))
    if request_id is not None:
        made.request_id = request_id
    if prediction_id is not None:
        made.give_id(prediction_id)
    if members:
        made.give_members(members)
    made.operation, made.framework = operation, framework
    return made


def _names(config: Config, model: Any, version: Any, fallback: str) -> tuple[str, Any]:
    """Return a model's name and version, from the settings where the code does not give them."""
    if model is None:
        model = config.model_name or fallback
    elif type(model) is not str:
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
    if active is None:
        return
    with guard("api.event"):
        words = None if body is None else events.text(str(body))
        active.events.emit(events.text(str(name)[:256]), str(severity).lower(), words, events.with_ids(attributes))
