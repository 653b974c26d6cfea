"""Minimal FastAPI applications: one that answers at once, one that predicts a row with scikit-learn."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from fastapi import FastAPI

if TYPE_CHECKING:
    from collections.abc import Callable

MODEL = "LogisticRegression"
handled = itertools.count()
"""Every request takes one; ``next`` is atomic, handlers run in threads."""
Observe = "Callable[[Callable[[], float]], float]"


def make(name: str, observe: Callable[[Callable[[], float]], float]) -> FastAPI:
    """Return the application ``plain``, ``predict`` or ``predict-async``; ``observe`` runs each prediction."""
    app = FastAPI()
    predict = _constant if name == "plain" else _row()

    def endpoint() -> dict[str, float]:
        next(handled)
        return {"probability": observe(predict) if name != "plain" else predict()}

    async def coroutine() -> dict[str, float]:
        return endpoint()

    app.get("/predict")(coroutine if name.endswith("async") else endpoint)
    return app


def _constant() -> float:
    return 0.5


def _row() -> Callable[[], float]:
    from sklearn.datasets import make_classification  # noqa: PLC0415 - the plain application does without
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415

    rows, classes = make_classification(400, 8, random_state=0)
    model, row = LogisticRegression().fit(rows, classes), rows[:1]
    return lambda: float(model.predict_proba(row)[0, 1])
