"""What a scikit-learn prediction call says about itself: classes, confidence and values, read from its result alone.

Nothing here calls the model. Whatever is not certain is left out: probabilities that do not sum to one (multilabel),
several outputs, sparse results.
"""

from __future__ import annotations

import sys
from functools import lru_cache
from math import exp
from typing import TYPE_CHECKING, Any, Literal

from otelml._lazy import LazyModule

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
else:
    np = LazyModule("numpy")

Kind = Literal["classes", "values", "ask"]
Facts = dict[str, Any]

SUM_TOLERANCE = 1e-3
"""Rows of float32 probabilities sum to one within this; the rows of a multilabel model do not."""
_KIND_BY_MIXIN: dict[str, Kind] = {
    "ClassifierMixin": "classes",
    "ClusterMixin": "classes",
    "OutlierMixin": "classes",
    "RegressorMixin": "values",
}


def facts(method: str, result: object, final: object) -> Facts:
    """Return the keyword arguments of ``Prediction.observe`` for ``result``, which ``final.method(...)`` gave.

    Args:
        method: ``predict``, ``predict_proba``, ``predict_log_proba``, ``decision_function`` or ``score_samples``.
        result: What the call returned; read, never kept or changed.
        final: The estimator that made it: the last step of a pipeline, the best one of a search.
    """
    if method in {"predict_proba", "predict_log_proba"}:
        return _probabilities(result, final, logarithmic=method == "predict_log_proba")
    if method == "predict":
        return _predicted(result, final)
    return _scores(result)


def _probabilities(result: object, final: object, *, logarithmic: bool) -> Facts:
    if isinstance(result, list):  # one array for each output: no single class or confidence; its rows still count
        return {"predictions": result[0]} if result and isinstance(result[0], np.ndarray) else {}
    if not isinstance(result, np.ndarray):
        return {}
    found: Facts = {"predictions": result}
    if result.ndim == 2 and result.size and result.dtype.kind == "f":  # noqa: PLR2004 - rows by classes
        read = _one_row if len(result) == 1 else _rows
        found.update(read(result, getattr(final, "classes_", None), logarithmic))
    return found


def _one_row(result: NDArray[Any], classes: object, logarithmic: bool) -> Facts:
    row = result[0].tolist()
    if logarithmic:
        row = [exp(value) for value in row]
    if not abs(sum(row) - 1.0) <= SUM_TOLERANCE:  # written so that NaN fails
        return {}
    confidence = max(row)
    found: Facts = {"confidence": confidence}
    if _labels(classes, len(row)):
        best = row.index(confidence)
        found["classes"] = classes.item(best)  # type: ignore[attr-defined] # an array, see _labels
    return found


def _rows(result: NDArray[Any], classes: object, logarithmic: bool) -> Facts:
    shares = np.exp(result) if logarithmic else result
    if not (np.abs(shares.sum(axis=1) - 1.0) <= SUM_TOLERANCE).all():
        return {}
    found: Facts = {"confidence": shares.max(axis=1)}
    if _labels(classes, result.shape[1]):
        found["classes"] = classes.take(shares.argmax(axis=1))  # type: ignore[attr-defined] # an array, see _labels
    return found


def _labels(classes: object, columns: int) -> bool:
    """Whether ``classes`` is one array with a label for each column."""
    return isinstance(classes, np.ndarray) and classes.shape == (columns,)


def _predicted(result: object, final: object) -> Facts:
    if isinstance(result, tuple) and result:  # predict(X, return_std=True) gives the mean first
        result = result[0]
    if not isinstance(result, np.ndarray):
        return {"predictions": result} if hasattr(result, "shape") else {}
    found: Facts = {"predictions": result}
    if (column := _column(result)) is not None:
        found[_kind(final)] = column.item(0) if len(column) == 1 else column
    found.pop("ask", None)
    return found


def _scores(result: object) -> Facts:
    if not isinstance(result, np.ndarray):
        return {}
    if result.ndim == 1 and result.dtype.kind == "f":
        return {"predictions": result, "values": result.item(0) if len(result) == 1 else result}
    return {"predictions": result}


def _column(result: NDArray[Any]) -> NDArray[Any] | None:
    if result.ndim == 1:
        return result
    return result[:, 0] if result.ndim == 2 and result.shape[1] == 1 else None  # noqa: PLR2004 - rows by outputs


def _kind(final: object) -> Kind:
    """Whether ``predict`` of this estimator gives labels or numbers."""
    kind = _kind_of_class(type(final))  # type: ignore[arg-type] # a class is hashable, mypy takes its instances'
    return _asked(final) if kind == "ask" else kind


@lru_cache(maxsize=256)
def _kind_of_class(kind: type) -> Kind:
    """Decide by the mixin that comes first; bounded, as classes can be made without end."""
    names = (base.__name__ for base in kind.__mro__)
    return next((_KIND_BY_MIXIN[name] for name in names if name in _KIND_BY_MIXIN), "ask")


def _asked(final: object) -> Kind:
    """Ask a meta-estimator that is no fixed kind of estimator; only scikit-learn's own know how to answer."""
    if hasattr(final, "classes_"):
        return "classes"
    base = sys.modules["sklearn.base"]
    if isinstance(final, base.BaseEstimator) and base.is_regressor(final):
        return "values"
    return "ask"
