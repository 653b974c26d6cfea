"""The models that are asked for one row at a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

if TYPE_CHECKING:
    from collections.abc import Callable

ROWS, DISTINCT = 400, 100
"""Rows a model is fitted on, and how many of them are asked for in turn."""
MISSING = 0.1
"""Share of missing numbers in the frame."""


@dataclass(frozen=True)
class Case:
    """A fitted model, the method that is called and the rows it is called with, one at a time."""

    name: str
    model: Any
    method: str
    rows: list[Any]

    @property
    def predict(self) -> Callable[[Any], Any]:
        """Return the call without telemetry."""
        predict: Callable[[Any], Any] = getattr(self.model, self.method)
        return predict


def case(name: str) -> Case:
    """Return a case by its name."""
    made = {"scaler": _scaler, "columns": _columns, "forest": _forest}[name]()
    return Case(name, *made)


def _numbers() -> tuple[Any, Any]:
    random = np.random.default_rng(0)
    inputs = random.normal(size=(ROWS, 8))
    return inputs, (inputs[:, 0] + random.normal(size=ROWS) > 0).astype(int)


def _scaler() -> tuple[Any, str, list[Any]]:
    """Scale eight numbers, then a logistic regression: about the least that a pipeline can do."""
    inputs, labels = _numbers()
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(inputs, labels)
    return model, "predict_proba", [inputs[i : i + 1] for i in range(DISTINCT)]


def _columns() -> tuple[Any, str, list[Any]]:
    """Take a frame with missing numbers and with categories, as the demo's model does."""
    inputs, labels = _numbers()
    random = np.random.default_rng(1)
    frame = pd.DataFrame(np.where(random.random(inputs.shape) < MISSING, np.nan, inputs)).add_prefix("n")
    for name, values in {"carrier": ["AA", "DL", "UA"], "origin": ["EWR", "JFK", "LGA"], "hour": ["08", "12"]}.items():
        frame[name] = random.choice(values, ROWS)
    numbers = Pipeline([("impute", SimpleImputer(strategy="median")), ("scale", StandardScaler())])
    columns = ColumnTransformer(
        [
            ("numbers", numbers, [f"n{i}" for i in range(8)]),
            ("categories", OneHotEncoder(handle_unknown="ignore"), ["carrier", "origin", "hour"]),
        ]
    )
    model = Pipeline([("columns", columns), ("classifier", LogisticRegression())]).fit(frame, labels)
    return model, "predict_proba", [frame.iloc[i : i + 1] for i in range(DISTINCT)]


def _forest() -> tuple[Any, str, list[Any]]:
    """Ask a hundred trees, each of which copies every entry of ``warnings.filters``."""
    inputs, labels = _numbers()
    model = RandomForestClassifier(n_estimators=100, random_state=0).fit(inputs, labels)
    return model, "predict", [inputs[i : i + 1] for i in range(DISTINCT)]
