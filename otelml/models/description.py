"""What can be told of a model by looking at it: a name, its library, its device. No library is imported for this."""

from __future__ import annotations

import sys
from itertools import islice
from typing import TYPE_CHECKING, Any

from otelml._guard import attempt
from otelml._text import kind_name

if TYPE_CHECKING:
    from collections.abc import Iterable

FRAMEWORKS = {
    "sklearn": "scikit-learn",
    "xgboost": "xgboost",
    "lightgbm": "lightgbm",
    "catboost": "catboost",
    "onnxruntime": "onnxruntime",
    "transformers": "transformers",
    "sentence_transformers": "sentence-transformers",
    "torch": "pytorch",
    "tensorflow": "tensorflow",
    "keras": "keras",
    "statsmodels": "statsmodels",
    "mlflow": "mlflow",
}
"""Libraries by the package of a model's class; the first one in the order of its base classes counts."""
CPU = "cpu"
MAX_LOADED = 32
"""Values of a loaded dict, list or tuple that are looked at."""
_MAX_WRAPPED = 16
_MLFLOW_HOLDS = "_PyFuncModel__model_impl"
_SUFFIX = "ExecutionProvider"


def framework(model: object) -> str | None:
    """Return the library that runs a model."""
    return framework_of(type(model))


def framework_of(owner: type) -> str | None:
    """Return the library that runs models of a class."""
    packages = (str(kind.__module__).partition(".")[0] for kind in owner.__mro__)
    return next((FRAMEWORKS[package] for package in packages if package in FRAMEWORKS), None)


def class_name(model: object) -> str:
    """Return the name of a model's class: that of the final estimator of a pipeline or a search."""
    for _ in range(_MAX_WRAPPED):
        inner, _error = attempt(_inner, model)
        if inner is None:
            break
        model = inner
    return kind_name(model)


def _inner(model: object) -> object:
    known = getattr(model, "__dict__", {})
    if _MLFLOW_HOLDS in known:
        return _adapted(known[_MLFLOW_HOLDS])
    steps = known.get("steps")
    if framework(model) == "scikit-learn" and isinstance(steps, list) and steps and isinstance(steps[-1], tuple):
        return None if isinstance(steps[-1][-1], str) else steps[-1][-1]
    return known.get("best_estimator_")


def _adapted(held: object) -> object:
    """Return the model that MLflow holds, out of what adapts it to MLflow."""
    if framework(held) != "mlflow":
        return held
    return next((value for value in getattr(held, "__dict__", {}).values() if can_predict(value)), None)


def models_in(loaded: object) -> list[Any]:
    """Return what can predict of something that was loaded: itself, or values of a plain dict, list or tuple.

    Classes are looked at, never the objects: no code of theirs runs.
    """
    values: Iterable[object] = (loaded,)
    if type(loaded) is dict:
        values = loaded.values()
    elif type(loaded) in {list, tuple}:
        values = loaded  # type: ignore[assignment] # it is one of them
    return [value for value in islice(values, MAX_LOADED) if can_predict(value)]


def can_predict(value: object) -> bool:
    """Return whether the class of a value has a ``predict``."""
    return any("predict" in vars(kind) for kind in type(value).__mro__)


def device(model: Any) -> str | None:
    """Return where a model runs, such as ``cuda``; None where there is no public way to tell."""
    session: Any = getattr(sys.modules.get("onnxruntime"), "InferenceSession", ())
    if isinstance(model, session):
        return next(iter(devices(model.get_providers())), None)
    module: Any = getattr(getattr(sys.modules.get("torch"), "nn", None), "Module", ())
    if isinstance(model, module):
        first = next(iter(model.parameters()), None)
        return None if first is None else str(first.device.type)
    return None


def devices(providers: Any) -> list[str]:
    """Return the devices of ONNX Runtime's execution providers: names, or pairs of a name and options."""
    names = (entry if isinstance(entry, str) else entry[0] for entry in providers or ())
    return [str(name).removesuffix(_SUFFIX).lower() for name in names]


def requested(providers: Any) -> str | None:
    """Return the first device but the CPU that ONNX Runtime was asked for."""
    return next((name for name in devices(providers) if name != CPU), None)
