"""XGBoost: predictions of a ``Booster``; those of its scikit-learn classes are measured where scikit-learn's are."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from otelml.integrations._answers import Answer, facts_of
from otelml.integrations._library_calls import Facts, LibraryInstrumentor, Method
from otelml.values import rows_of

if TYPE_CHECKING:
    from collections.abc import Mapping

_RAW = ("pred_leaf", "pred_contribs", "approx_contribs", "pred_interactions")
_ANSWERS = {
    "binary:logistic": Answer.PROBABILITY,
    "binary:hinge": Answer.CLASS,
    "multi:softprob": Answer.PROBABILITIES,
    "multi:softmax": Answer.CLASS,
    "binary:logitraw": Answer.SCORE,
}
_objectives: WeakKeyDictionary[Any, str] = WeakKeyDictionary()


def _read(booster: Any, given: Mapping[str, Any], result: Any) -> Facts:
    # The rows of a DMatrix are not read: that would copy them.
    data = given.get("data")
    inputs = None if hasattr(data, "num_row") else data
    if any(given.get(name) for name in _RAW):
        return {"rows": rows_of(result), "inputs": inputs}
    margin = given.get("output_margin") or given.get("predict_type") == "margin"
    answer = Answer.SCORE if margin else _ANSWERS.get(_objective(booster), Answer.VALUE)
    return {**facts_of(answer, result), "inputs": inputs}


def _objective(booster: Any) -> str:
    """Return the objective that a booster was trained for; asked for once, as it takes longer than a prediction."""
    known = _objectives.get(booster)
    if known is None:
        known = _objectives[booster] = str(json.loads(booster.save_config())["learner"]["objective"]["name"])
    return known


class XGBoostInstrumentor(LibraryInstrumentor):
    """Measures ``Booster.predict`` and ``Booster.inplace_predict``."""

    framework = "xgboost"
    requirement = "xgboost >= 2.0"
    methods = (
        Method("xgboost.core", "Booster.predict", _read),
        Method("xgboost.core", "Booster.inplace_predict", _read),
    )
