"""The service under the soak: the demo's classifier behind FastAPI, observed by otelml. ``service.py PORT LEAKS``.

The demo's pipeline spends 6 of its 7 ms on one flight's columns, as any pipeline of pandas does; here they are made
once for a few hundred real flights, so that one core serves several hundred requests a second. Everything else is as
in the demo: the model's file, stages, result, a log line for a late flight.

``LEAKS`` (``memory``, ``files``, ``threads``, ``counts``, with commas) are what the soak must be able to see.
"""

from __future__ import annotations

import itertools
import logging
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any

import otelml

otelml.auto_instrument("soak")

import uvicorn  # noqa: E402 - otelml goes first, as in the demo
from fastapi import FastAPI  # noqa: E402 - the same
from pydantic import BaseModel  # noqa: E402 - the same

from otelml.demo import data, training  # noqa: E402 - the same
from otelml.demo.features import features  # noqa: E402 - the same

MODEL = "flight-delay"
FLIGHTS = 300
LEAKED_BYTES, LEAK_EVERY = 20_000, 25
"""Of memory with each request; requests between two leaked files, threads or uncounted predictions."""

app = FastAPI(title="soak")
log = otelml.logger("soak")
handler = logging.StreamHandler()
handler.addFilter(lambda record: record.name != "soak")  # as telemetry alone: the output is read for what is strange
logging.basicConfig(format="%(message)s", handlers=[handler])
leaked: list[Any] = []
number = itertools.count(1)


class Wanted(BaseModel):
    """Which of the flights."""

    flight: int


class Answer(BaseModel):
    """Whether to expect it late, and how likely that is."""

    late: bool
    probability: float


def prepared() -> tuple[Any, list[Any]]:
    """Return the model's classifier and what its columns make of each flight."""
    model = training.load()
    bodies = [flight.body for flight in data.flights_from(data.store_path(), data.REPLAY_FROM, FLIGHTS)]
    rows = [features(body, None, None) for body in bodies]
    columns = model[0].transform(training.frame(rows))
    return model[-1], [columns[i] for i in range(len(rows))]


classifier, flights = prepared()
otelml.watch(classifier, MODEL, training.MODEL_VERSION)
leaks = frozenset(filter(None, sys.argv[2].split(",")))


@app.post("/predict")
async def predict(wanted: Wanted) -> Answer:
    """Answer for one flight."""
    if leaks:
        leak(next(number))
    with otelml.prediction(MODEL, training.MODEL_VERSION) as p:
        with p.stage("feature_retrieval"):
            known = flights[wanted.flight % FLIGHTS]
        with p.stage("preprocessing"):
            inputs = known.copy()
        with p.stage("inference"):
            probability = float(classifier.predict_proba(inputs)[0, 1])
        with p.stage("postprocessing"):
            late = probability >= training.LATE_FROM
            answer = Answer(late=late, probability=probability)
        p.result(classes=training.ANSWERS[late], confidence=probability if late else 1 - probability)
        if late:
            log.warning("expect flight %d to be late", wanted.flight)
    return answer


@app.get("/healthz")
async def healthz() -> str:
    """Say that the service is up."""
    return "ok"


def leak(request: int) -> None:
    """Lose what was asked for."""
    if "memory" in leaks:
        leaked.append(bytearray(LEAKED_BYTES))
    if request % LEAK_EVERY:
        return
    if "files" in leaks:
        leaked.append(Path(__file__).open("rb"))  # noqa: SIM115 - that is the leak
    if "threads" in leaks:
        threading.Thread(target=threading.Event().wait, daemon=True).start()
    if "counts" in leaks:
        with otelml.prediction(MODEL, training.MODEL_VERSION):
            pass


def end_with_parent() -> None:
    """End when whoever started this has ended, however that was."""
    sys.stdin.read()
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    threading.Thread(target=end_with_parent, daemon=True).start()
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning", access_log=False)
