"""CatBoost: predictions of its classifiers, regressors, rankers and of ``CatBoost`` itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from otelml._lazy import LazyModule
from otelml.integrations._answers import Answer, facts_of
from otelml.integrations._library_calls import Facts, LibraryInstrumentor, Method
from otelml.integrations._sklearn_outputs import facts

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
else:
    np = LazyModule("numpy")

_BY_TYPE = {"Class": "predict", "Probability": "predict_proba", "LogProbability": "predict_log_proba"}
_CLASSIFIER, _REGRESSOR = "CatBoostClassifier", "CatBoostRegressor"


def _inputs(given: Mapping[str, Any]) -> Any:
    """Return what was given, but a Pool or a file: rows of a Pool would have to be copied."""
    data = given.get("data", given.get("X"))
    return data if isinstance(data, (list, np.ndarray)) or hasattr(data, "to_numpy") else None


def _rows(result: Any, inputs: Any) -> Any:
    """Return a result with an axis of rows: one object gives a single row, or one number, without."""
    array = np.asarray(result)
    single = getattr(inputs, "ndim", 2) == 1 or (isinstance(inputs, list) and not isinstance(inputs[0], (list, tuple)))
    return array[None] if array.ndim == 0 or single else array


def _asked(kind: str, model: Any, given: Mapping[str, Any], result: Any) -> Facts:
    """Return the facts of an answer of a kind that CatBoost names."""
    inputs = _inputs(given)
    answer = _rows(result, inputs)
    found: Facts = {"inputs": inputs, "predictions": answer}
    method = _BY_TYPE.get(kind)
    if method is not None:
        labels = getattr(model, "classes_", None)
        return found | facts(method, answer, labels if isinstance(labels, np.ndarray) else None, "classes")
    return found | facts_of(Answer.VALUE if kind == "Exponent" else Answer.SCORE, answer)


def _default(model: Any) -> str:
    names = {kind.__name__ for kind in type(model).__mro__}
    return "Class" if _CLASSIFIER in names else "Exponent" if _REGRESSOR in names else "RawFormulaVal"


def _predicted(model: Any, given: Mapping[str, Any], result: Any) -> Facts:
    return _asked(given.get("prediction_type") or _default(model), model, given, result)


def _probable(model: Any, given: Mapping[str, Any], result: Any) -> Facts:
    return _asked("Probability", model, given, result)


def _log_probable(model: Any, given: Mapping[str, Any], result: Any) -> Facts:
    return _asked("LogProbability", model, given, result)


class CatBoostInstrumentor(LibraryInstrumentor):
    """Measures ``predict``, ``predict_proba`` and ``predict_log_proba``."""

    framework = "catboost"
    requirement = "catboost >= 1.2"
    methods = (
        Method("catboost.core", "CatBoost.predict", _predicted),
        Method("catboost.core", f"{_CLASSIFIER}.predict", _predicted),
        Method("catboost.core", f"{_CLASSIFIER}.predict_proba", _probable),
        Method("catboost.core", f"{_CLASSIFIER}.predict_log_proba", _log_probable),
        Method("catboost.core", f"{_REGRESSOR}.predict", _predicted),
        Method("catboost.core", "CatBoostRanker.predict", _predicted),
    )
