"""A churn model that MLflow has saved, behind FastAPI. Run: uvicorn app:app --port 8000."""

import logging
import os

import mlflow.pyfunc
import numpy as np
from fastapi import FastAPI
from pydantic import BaseModel

import otelml
from otelml import health

otelml.auto_instrument("churn-api", model_name="churn", model_version="2026-11")
logging.basicConfig(level=logging.INFO)
log = otelml.logger("churn-api")
model = mlflow.pyfunc.load_model(os.environ.get("MODEL", "model"))  # models:/churn/3, with a registry


class Customer(BaseModel):
    """What is known of a customer."""

    months: int
    tickets: int
    price: float


app = FastAPI()
app.mount("/health", health.asgi_app())
health.model("churn", model.predict, np.array([[12.0, 1.0, 40.0]]))


@app.post("/churn")
def churn(customers: list[Customer]) -> list[float]:
    rows = np.array([[each.months, each.tickets, each.price] for each in customers])
    chances = model.predict(rows)[:, 1]
    log.info("answered %d customers", len(chances))
    return [round(float(chance), 3) for chance in chances]
