"""A load with what the demo's flights never do: values, business value, failures, streams, doubtful and odd results.

usage: python tests/stack/every_kind.py SECONDS     (OTEL_EXPORTER_OTLP_ENDPOINT says where telemetry goes)
"""

from __future__ import annotations

import contextlib
import itertools
import random
import sys
import time
from typing import TYPE_CHECKING

import otelml

if TYPE_CHECKING:
    from collections.abc import Iterator

PRICE, WORDS = "price", "words"


def main(seconds: float) -> None:
    """Send about 40 predictions a second."""
    otelml.auto_instrument("every-kind")
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
        time.sleep(0.05)


def priced(numbers: random.Random) -> None:
    """Predict a number that is worth money, with a missing input."""
    with otelml.prediction(PRICE, version=numbers.choice("12")) as p:
        with p.stage("inference"):
            value = numbers.lognormvariate(3, 1)
        p.result(values=value, inputs=[[1.0, None]], business_value=value / 10, business_value_unit="EUR")


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
    """Give a class too many, and a confidence that is none: both are counted."""
    with otelml.prediction(WORDS, version="1") as p:
        p.result(classes=f"class {turn}", confidence=1.7)


if __name__ == "__main__":
    main(float(sys.argv[1]))
