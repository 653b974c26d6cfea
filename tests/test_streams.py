"""Generators that somebody else made become streaming predictions; what the decorator makes is in test_tracking.py."""

from functools import partial

import otelml
from otelml import streams
from otelml.off import NoPrediction


def numbers():
    """Give two numbers and answer what was sent last."""
    sent = yield 1
    sent = yield sent
    return sent


def test_a_generator_that_is_there_already(telemetry):
    """Items, what is sent in and what is returned pass through; it is one prediction of two items."""
    there = numbers()
    stream = streams.generator(lambda: there, partial(otelml.prediction, "counter"))()
    assert next(stream) == 1
    assert telemetry.total("ml.requests.active") == 1
    assert stream.send("again") == "again"
    assert next(stream, "end") == "end"
    assert telemetry.total("ml.requests", {"ml.model.name": "counter"}) == 1
    assert telemetry.total("ml.prediction.time_to_first_item") == 1


def test_without_a_prediction():
    """While otelml is off it is the same generator."""
    stream = streams.generator(numbers, NoPrediction)()
    assert (next(stream), stream.send(5)) == (1, 5)
