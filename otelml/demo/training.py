"""Trains the demo's model: will this flight arrive more than 15 minutes late? Real flights, January to March 2013."""

from __future__ import annotations

import warnings
from contextlib import closing
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import joblib
import pandas as pd
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import brier_score_loss, roc_auc_score
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from otelml import drift
from otelml.demo import data
from otelml.demo.features import CATEGORIES, FEATURES, NUMBERS, features

if TYPE_CHECKING:
    import sqlite3
    from pathlib import Path

MODEL_VERSION = "2013-03"
LAYOUT = 2
"""Raise it when the pipeline changes: older files in the cache are then left alone and a new one is made."""
REFERENCE_LAYOUT = 1
LATE_FROM = 0.3
"""Probability from which the answer is "late": missing a late flight costs more than a needless warning."""
ANSWERS = {True: "late", False: "on time"}
LAST_FITTED_DAY = "2013-03-15"
"""The model is judged on the second half of March, which it has not seen, then fitted on all three months."""

_JOIN = f"""
SELECT f.*, w.origin IS NOT NULL AS has_weather, {", ".join(f"w.{name}" for name in data.WEATHER)},
  p.tailnum IS NOT NULL AS has_plane, p.year, p.model, p.engines, p.seats
FROM flights f LEFT JOIN weather w ON w.origin = f.origin AND w.time_hour = f.time_hour
  LEFT JOIN planes p ON p.tailnum = f.tailnum
WHERE f.date BETWEEN ? AND ? AND f.arrival_delay IS NOT NULL ORDER BY f.id
"""  # noqa: S608 - our own names


@dataclass(frozen=True, slots=True)
class Quality:
    """How good the model is on flights it has not seen: area under the ROC curve and Brier score, and on how many."""

    auc: float
    brier: float
    base_rate: float
    flights: int


def model_path() -> Path:
    """Return where the trained model lies, made or not; the name holds what it depends on."""
    return data.cache_directory() / f"delay-{MODEL_VERSION}-{LAYOUT}-sklearn-{version('scikit-learn')}.joblib"


def reference_path() -> Path:
    """Return where the model's reference for drift lies, made or not."""
    return model_path().with_suffix(f".reference-{REFERENCE_LAYOUT}.json")


def ensure_reference(store: Path) -> Path:
    """Return the reference: inputs and answers of January to March, counted if it is not there (about 3 s)."""
    path = reference_path()
    if not path.exists():
        inputs, _ = examples(store, data.FIRST_DAY, data.LAST_TRAINING_DAY)
        late = load().predict_proba(inputs)[:, 1] >= LATE_FROM
        inputs["prediction"] = [ANSWERS[is_late] for is_late in late.tolist()]
        with data.replacing(path) as unfinished:
            drift.Reference.fit(inputs).save(unfinished)
    return path


def load() -> Pipeline:
    """Return the trained model; FileNotFoundError where there is none yet."""
    model: Pipeline = joblib.load(model_path())
    return model


def ensure_model(store: Path) -> Quality | None:
    """Train and save the model if it is not there (about 15 s); returns its quality, None when it was there."""
    path = model_path()
    if path.exists():
        return None
    seen, labels = examples(store, data.FIRST_DAY, LAST_FITTED_DAY)
    unseen, truth = examples(store, "2013-03-16", data.LAST_TRAINING_DAY)
    quality = judge(fit(seen, labels), unseen, truth)
    model = fit(pd.concat([seen, unseen], ignore_index=True), labels + truth)
    with data.replacing(path) as unfinished:
        joblib.dump(model, unfinished)
    return quality


def examples(store: Path, first_day: str, last_day: str) -> tuple[pd.DataFrame, list[int]]:
    """Return features and labels (1: late) of the flights of these days that arrived."""
    with closing(data.open_store(store)) as connection:
        rows = connection.execute(_JOIN, (first_day, last_day)).fetchall()
    labels = [label for row in rows if (label := data.is_late(row["arrival_delay"])) is not None]
    return frame([_features(row) for row in rows]), labels


def frame(rows: list[dict[str, float | str]]) -> pd.DataFrame:
    """Return feature rows as the frame the model takes."""
    return pd.DataFrame(rows, columns=list(FEATURES))


def fit(inputs: pd.DataFrame, labels: list[int]) -> Pipeline:
    """Return a fitted pipeline whose probabilities are calibrated; missing numbers and unknown categories are fine."""
    numbers = Pipeline([("impute", SimpleImputer(strategy="median", add_indicator=True)), ("scale", StandardScaler())])
    categories = OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=200)
    columns = ColumnTransformer([("numbers", numbers, list(NUMBERS)), ("categories", categories, list(CATEGORIES))])
    linear = LogisticRegression(C=0.3, max_iter=200, tol=1e-3)
    folds = StratifiedKFold(3, shuffle=True, random_state=0)
    # One model and one calibration map, from out-of-fold predictions: quick to ask for a single flight.
    calibrated = CalibratedClassifierCV(linear, method="isotonic", cv=folds, ensemble=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", category=UserWarning)  # an indicator column can be constant in one fold
        return Pipeline([("columns", columns), ("classifier", calibrated)]).fit(inputs, labels)


def judge(model: Pipeline, inputs: pd.DataFrame, labels: list[int]) -> Quality:
    """Return the quality of a model on these flights."""
    late = model.predict_proba(inputs)[:, 1]
    base_rate = sum(labels) / len(labels)
    return Quality(roc_auc_score(labels, late), brier_score_loss(labels, late), base_rate, len(labels))


def _features(row: sqlite3.Row) -> dict[str, Any]:
    found = dict(row)
    return features(found, found if row["has_weather"] else None, found if row["has_plane"] else None)
