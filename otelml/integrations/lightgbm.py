"""LightGBM: predictions of a ``Booster``; those of its scikit-learn classes are measured where scikit-learn's are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from otelml.integrations._answers import Answer, facts_of
from otelml.integrations._library_calls import Facts, LibraryInstrumentor, Method
from otelml.values import rows_of

if TYPE_CHECKING:
    from collections.abc import Mapping

_NAMES = ("objective", "objective_type", "app", "application", "loss")
"""Under which the parameters of a booster may hold its objective."""
_ANSWERS = {
    **dict.fromkeys(("binary",), Answer.PROBABILITY),
    **dict.fromkeys(("multiclass", "softmax", "multiclassova", "multiclass_ova", "ova", "ovr"), Answer.PROBABILITIES),
    **dict.fromkeys(("lambdarank", "rank_xendcg", "xendcg", "xe_ndcg", "xe_ndcg_mart", "xendcg_mart"), Answer.SCORE),
}


def _read(booster: Any, given: Mapping[str, Any], result: Any) -> Facts:
    data = given.get("data")
    inputs = data if hasattr(data, "shape") else None  # not the path of a file
    if given.get("pred_leaf") or given.get("pred_contrib"):
        return {"rows": rows_of(result), "inputs": inputs}
    params = getattr(booster, "params", None) or {}
    objective = next((params[name] for name in _NAMES if name in params), None)
    told = isinstance(objective, str)
    if given.get("raw_score") or not told:  # the numbers of an objective of the application's own are raw as well
        return {**facts_of(Answer.SCORE, result), "inputs": inputs}
    return {**facts_of(_ANSWERS.get(str(objective).partition(" ")[0], Answer.VALUE), result), "inputs": inputs}


class LightGBMInstrumentor(LibraryInstrumentor):
    """Measures ``Booster.predict``."""

    framework = "lightgbm"
    requirement = "lightgbm >= 4.0"
    methods = (Method("lightgbm.basic", "Booster.predict", _read),)
