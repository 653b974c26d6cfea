"""A load with what flights never do: values, business value, failures, streams, a fall-back, odd results and truths.

usage: python tests/stack/every_kind.py SECONDS     (OTEL_EXPORTER_OTLP_ENDPOINT says where telemetry goes)
"""

from __future__ import annotations

import contextlib
import itertools
import random
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import onnxruntime

import otelml
from otelml import drift

sys.path.append(str(Path(__file__).parents[1]))
from onnx_models import IDENTITY

if TYPE_CHECKING:
    from collections.abc import Iterator

PRICE, WORDS = "price", "words"
KEPT = {"outcomes_age": 5, "outcomes_wait": 1, "outcomes_interval": 1}
"""Seconds: so that predictions and truths end alone within a short load."""
TOLD = 0.8
"""Share of prices whose truth comes."""
TIDIED = 50
"""Turns between two flushes, which forget what is too old."""


def main(seconds: float) -> None:
    """Send about 40 predictions a second."""
    with tempfile.TemporaryDirectory() as place:
        database = {"outcomes_database": str(Path(place) / "outcomes.db"), "outcomes_spool": str(Path(place) / "spool")}
        running = otelml.auto_instrument("every-kind", config={**database, **KEPT})
        reference = drift.Reference.fit({"size": [1.0, 2.0] * 200, "rooms": [1.0, 2.0, 3.0, 4.0] * 100})
        for model in (PRICE, WORDS):
            otelml.watch_drift(model, reference)
        kept = onnxruntime.InferenceSession(IDENTITY, providers=["CUDAExecutionProvider", "CPUExecutionProvider"])
        otelml.watch(kept, WORDS, "1")  # falls back to the CPU: the installed ONNX Runtime has no CUDA
        send(running, seconds)
        running.shutdown()


def send(running: otelml.Runtime, seconds: float) -> None:
    """Send until the time is over."""
    numbers, end = random.Random(1), time.monotonic() + seconds  # noqa: S311 - a load, no secret
    for turn in itertools.count():
        if time.monotonic() > end:
            break
        priced(numbers)
        for _ in words():
            pass
        if turn % 5 == 0:
            with contextlib.suppress(ValueError):
                failing()
        if turn % 10 == 0:
            odd(turn)
        if turn % TIDIED == TIDIED - 1:
            running.force_flush(5)
        time.sleep(0.05)


def priced(numbers: random.Random) -> None:
    """Predict a number that is worth money, with a missing input."""
    with otelml.prediction(PRICE, version=numbers.choice("12")) as p:
        with p.stage("inference"):
            value = numbers.lognormvariate(3, 1)
        p.result(values=value, inputs=[[1.0, None]], business_value=value / 10, business_value_unit="EUR")
    if numbers.random() < TOLD:
        otelml.record_outcome(p.id, value + numbers.gauss(0, 1))


@otelml.track_prediction(model=WORDS, version="1")
def words() -> Iterator[str]:
    """Stream, as a language model does."""
    yield "late"
    yield "today"


def failing() -> None:
    """Fail within a stage."""
    with otelml.prediction(PRICE, version="2") as p, p.stage("preprocessing"):
        raise ValueError("no wind")


def odd(turn: int) -> None:
    """Give a class too many, a confidence that is none, a row of another kind, and truths that fit nothing."""
    with otelml.prediction(WORDS, version="1") as p:
        p.result(classes=f"class {turn}", confidence=1.7, inputs={"size": "large", "garden": 1.0})
    otelml.record_outcome(p.id, "class 1")
    otelml.record_outcome(p.id, "class 1")
    otelml.record_outcome(f"nobody {turn}", "class 1")


if __name__ == "__main__":
    main(float(sys.argv[1]))
