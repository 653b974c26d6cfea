"""What a scikit-learn prediction call says about itself: classes, confidence and values, read from its result alone.

Nothing here calls the model. Whatever is not certain is left out: probabilities that do not sum to one (multilabel),
several outputs, sparse results.
"""

from __future__ import annotations

import sys
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

PROBABILITIES = ("predict_proba", "predict_log_proba")
SMALL = 128
"""Most entries of an array that is copied on the application's thread and read on another."""
SUM_TOLERANCE = 1e-3
"""Rows of float32 probabilities sum to one within this; the rows of a multilabel model do not."""
_KIND_BY_MIXIN: dict[str, Kind] = {
    "ClassifierMixin": "classes",
    "ClusterMixin": "classes",
    "OutlierMixin": "classes",
    "RegressorMixin": "values",
}


def small(inputs: object) -> bool:
    """Whether ``inputs`` is an array or a frame that costs less to copy than to read (a frame: a third)."""
    if type(inputs) is np.ndarray:
        return inputs.size <= SMALL and not inputs.dtype.hasobject
    if type(inputs) is not getattr(sys.modules.get("pandas"), "DataFrame", None):
        return False
    rows, columns = inputs.shape  # type: ignore[attr-defined] # a frame
    return bool(rows * columns <= SMALL)


def facts(method: str, result: object, labels: object, kind: Kind) -> Facts:
    """Return the keyword arguments of ``Prediction.observe`` for ``result``.

    Args:
        method: ``predict``, ``predict_proba``, ``predict_log_proba``, ``decision_function`` or ``score_samples``.
        result: What the call returned; read, never kept or changed.
        labels: The label of each column of probabilities, where it is one array of them.
        kind: Whether ``predict`` of the estimator gives labels or numbers; ``ask`` where that is not known.
    """
    if method in PROBABILITIES:
        return _probabilities(result, labels, logarithmic=method == "predict_log_proba")
    if method == "predict":
        return _predicted(result, kind)
    return _scores(result)


def _probabilities(result: object, labels: object, *, logarithmic: bool) -> Facts:
    if isinstance(result, list):  # one array for each output: no single class or confidence; its rows still count
        return {"predictions": result[0]} if result and isinstance(result[0], np.ndarray) else {}
    if not isinstance(result, np.ndarray):
        return {}
    found: Facts = {"predictions": result}
    if result.ndim == 2 and result.size and result.dtype.kind == "f":  # noqa: PLR2004 - rows by classes
        known = labels if isinstance(labels, np.ndarray) and labels.shape == (result.shape[1],) else None
        read = _one_row if len(result) == 1 else _rows
        found.update(read(result, known, logarithmic))
    return found


def _one_row(result: NDArray[Any], labels: NDArray[Any] | None, logarithmic: bool) -> Facts:
    row = result[0].tolist()
    if logarithmic:
        row = [exp(value) for value in row]
    if not abs(sum(row) - 1.0) <= SUM_TOLERANCE:  # written so that NaN fails
        return {}
    confidence = max(row)
    found: Facts = {"confidence": confidence}
    if labels is not None:
        found["classes"] = labels.item(row.index(confidence))
    return found


def _rows(result: NDArray[Any], labels: NDArray[Any] | None, logarithmic: bool) -> Facts:
    shares = np.exp(result) if logarithmic else result
    if not (np.abs(shares.sum(axis=1) - 1.0) <= SUM_TOLERANCE).all():
        return {}
    found: Facts = {"confidence": shares.max(axis=1)}
    if labels is not None:
        found["classes"] = labels.take(shares.argmax(axis=1))
    return found


def _predicted(result: object, kind: Kind) -> Facts:
    if isinstance(result, tuple) and result:  # predict(X, return_std=True) gives the mean first
        result = result[0]
    if not isinstance(result, np.ndarray):
        return {"predictions": result} if hasattr(result, "shape") else {}
    found: Facts = {"predictions": result}
    if kind != "ask" and (column := _column(result)) is not None:
        found[kind] = column.item(0) if len(column) == 1 else column
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


def kind_of_class(owner: type) -> Kind:
    """Return whether ``predict`` of this estimator class gives labels or numbers, by the mixin that comes first."""
    names = (base.__name__ for base in owner.__mro__)
    return next((_KIND_BY_MIXIN[name] for name in names if name in _KIND_BY_MIXIN), "ask")


def asked(final: object) -> Kind:
    """Ask a meta-estimator that is no fixed kind of estimator; only scikit-learn's own know how to answer."""
    if hasattr(final, "classes_"):
        return "classes"
    base = sys.modules["sklearn.base"]
    if isinstance(final, base.BaseEstimator) and base.is_regressor(final):
        return "values"
    return "ask"
