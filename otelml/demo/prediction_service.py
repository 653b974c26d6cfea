"""The prediction service: a FastAPI application around a scikit-learn pipeline, as one would write it without otelml.

otelml's part is one call at the top, and the stages and the result of each prediction.
"""

from __future__ import annotations

import os
from datetime import date  # noqa: TC003 - pydantic reads the annotation at run time
from typing import Any

import otelml

otelml.auto_instrument("flights-predictions")

import requests  # noqa: E402 - otelml goes first here to show that the order is free
from fastapi import FastAPI  # noqa: E402 - the same
from pydantic import BaseModel  # noqa: E402 - the same

from otelml import health, outcomes  # noqa: E402 - the same
from otelml.demo import training  # noqa: E402 - the same
from otelml.demo.features import features  # noqa: E402 - the same

app = FastAPI(title="flights: will it be late?")
app.include_router(outcomes.router(prefix="/internal"))  # flights that have landed
model = training.load()
otelml.watch(model, "flight-delay", training.MODEL_VERSION)
session = requests.Session()
log = otelml.logger("flights")
FLIGHT = {"date": "2013-03-01", "carrier": "UA", "origin": "EWR", "dest": "IAH", "distance": 1400}
FLIGHT |= {"sched_dep_time": 515, "sched_arr_time": 830}
health.check("features", lambda: session.get(f"{os.environ['FEATURES_URL']}/health/livez", timeout=1).ok)
health.model("flight-delay", model.predict_proba, training.frame([features(FLIGHT, None, None)]), limit_seconds=5)
app.mount("/health", health.asgi_app())


class Flight(BaseModel):
    """What is known of a flight before it departs; times are local, as HHMM."""

    date: date
    time_hour: str
    sched_dep_time: int
    sched_arr_time: int
    carrier: str
    flight: int
    tailnum: str
    origin: str
    dest: str
    distance: float


class Answer(BaseModel):
    """Whether to expect the flight more than 15 minutes late, how likely that is, and the prediction's id."""

    late: bool
    probability: float
    prediction_id: str


def look_up(path: str) -> dict[str, Any] | None:
    """Return a record of the feature service, None when it has none."""
    response = session.get(os.environ["FEATURES_URL"] + path, timeout=5)
    if response.status_code == requests.codes.not_found:
        return None
    response.raise_for_status()
    found: dict[str, Any] = response.json()
    return found


@app.post("/predict")
def predict(flight: Flight) -> Answer:
    """Answer for one flight."""
    with otelml.prediction("flight-delay", training.MODEL_VERSION) as p:
        with p.stage("feature_retrieval"):
            weather = look_up(f"/weather/{flight.origin}/{flight.time_hour}")
            plane = look_up(f"/planes/{flight.tailnum}")
        with p.stage("preprocessing"):
            inputs = training.frame([features(flight.model_dump(), weather, plane)])
        with p.stage("inference"):
            probability = float(model.predict_proba(inputs)[0, 1])
        with p.stage("postprocessing"):
            late = probability >= training.LATE_FROM
            confidence = probability if late else 1 - probability
            answer = Answer(late=late, probability=probability, prediction_id=p.id)
        p.result(classes=training.ANSWERS[late], confidence=confidence, inputs=inputs)
        if late:
            log.warning("expect %s %s to %s late", flight.carrier, flight.flight, flight.dest)
    return answer
