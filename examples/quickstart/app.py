"""Ten lines: a scikit-learn pipeline whose predictions are observed."""

from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import otelml

otelml.auto_instrument("quickstart", model_name="iris", model_version="1")

X, y = load_iris(return_X_y=True)
model = make_pipeline(StandardScaler(), LogisticRegression()).fit(X, y)
for row in X[::10]:
    model.predict_proba([row])
print("15 predictions made")
