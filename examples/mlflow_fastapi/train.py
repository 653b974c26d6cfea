"""Trains a churn model and saves it as MLflow does. Run: python train.py model."""

import sys

import mlflow.sklearn
import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

rng = np.random.default_rng(0)
months, tickets, price = rng.integers(1, 60, 2000), rng.poisson(1.5, 2000), rng.normal(40, 12, 2000)
rows = np.column_stack([months, tickets, price])
left = rng.random(2000) < 1 / (1 + np.exp(0.06 * months - 0.7 * tickets - 0.02 * price + 1.5))
model = make_pipeline(StandardScaler(), LogisticRegression()).fit(rows, left)
mlflow.sklearn.save_model(
    model,
    sys.argv[1],
    pyfunc_predict_fn="predict_proba",  # so that answers say how sure they are
    serialization_format="cloudpickle",
    pip_requirements=["scikit-learn"],
)
