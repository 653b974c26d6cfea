"""A FastAPI service around a scikit-learn model. Run: uvicorn app:app --port 8000."""

import logging
from typing import Annotated

import otelml

otelml.auto_instrument("iris-api", model_name="iris", model_version="2")

from fastapi import FastAPI, Query  # noqa: E402 - any order works; this one shows that imports may come after
from sklearn.datasets import load_iris  # noqa: E402 - the same
from sklearn.ensemble import RandomForestClassifier  # noqa: E402 - the same

from otelml import health  # noqa: E402 - the same

logging.basicConfig(level=logging.INFO)
iris = load_iris()
model = RandomForestClassifier(20, random_state=0).fit(iris.data, iris.target)
app = FastAPI()
app.mount("/health", health.asgi_app())
health.model("iris", model.predict_proba, iris.data[:1])
log = otelml.logger("iris-api")


@app.get("/predict")
def predict(x: Annotated[list[float], Query(min_length=4, max_length=4)]) -> dict[str, object]:
    probabilities = model.predict_proba([x])[0]
    species = iris.target_names[probabilities.argmax()]
    log.info("answered %s", species)
    return {"species": str(species), "confidence": float(probabilities.max())}
