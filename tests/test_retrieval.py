"""Feature retrieval: the stage of a prediction, or a span of its own; counted, never recorded."""

import asyncio
import math
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from opentelemetry.instrumentation.utils import suppress_instrumentation

import otelml

CANARY = "canary7f3a"
SHARE = "ml.feature_retrieval.missing.share"
ROW = {"speed": 3.0, "gust": None, "visibility": math.nan, "airport": CANARY}


def facts(span):
    """Return what a span says of a retrieval."""
    head = "ml.feature_retrieval."
    return {name.removeprefix(head): value for name, value in span.attributes.items() if name.startswith(head)}


@otelml.feature_retrieval
def weather(_airport):
    """Fetch one row."""
    return ROW


@otelml.feature_retrieval(source="planes")
async def planes(_key):
    """Fetch two rows."""
    await asyncio.sleep(0)
    return np.array([[1.0, np.nan], [2.0, 3.0]])


def test_a_function_is_the_stage_of_its_prediction(telemetry):
    """The stage is there once, with counts on its span and in metrics; the function's answer is the very object."""
    with otelml.prediction("delay", "1"):
        assert weather(CANARY) is ROW
    stage, prediction = telemetry.spans()
    assert (stage.name, stage.parent_id) == ("feature_retrieval", prediction.span_id)
    assert facts(stage) == {"rows": 1, "values": 4, "missing.share": 0.5}
    known = {"ml.model.name": "delay", "ml.model.version": "1"}
    assert telemetry.total("ml.stage.duration", {"ml.stage": "feature_retrieval"}) == 1
    assert telemetry.total("ml.feature_retrieval.values", known) == 4
    assert telemetry.total("ml.feature_retrieval.missing_values", known) == 2
    assert CANARY not in str([telemetry.spans(), telemetry.logs(), telemetry.metrics()])


def test_a_coroutine_function(telemetry):
    """It is measured until it has answered, under the name of its store."""

    async def main():
        async with otelml.prediction("delay"):
            return await planes(CANARY)

    assert asyncio.run(main()).shape == (2, 2)
    stage = telemetry.spans()[0]
    assert facts(stage) == {"source": "planes", "rows": 2, "values": 4, "missing.share": 0.25}
    assert telemetry.total("ml.feature_retrieval.values", {"ml.feature_retrieval.source": "planes"}) == 4


def test_outside_of_a_prediction_it_is_a_span(telemetry):
    """Features that are fetched before the model is called are seen too; an exception is, without its values."""
    weather("LGA")
    with pytest.raises(KeyError, match=CANARY), otelml.feature_retrieval(source="planes"):
        raise KeyError(CANARY)
    fine, failed = telemetry.spans()
    assert (fine.name, fine.parent_id, fine.status) == ("feature_retrieval", None, "UNSET")
    assert facts(fine)["rows"] == 1
    assert (failed.status, failed.attributes["error.type"]) == ("ERROR", "KeyError")
    assert failed.events[0][0] == "exception"
    assert CANARY not in str(telemetry.spans())
    assert telemetry.total("ml.feature_retrieval.values") == 4


def test_a_block_says_what_it_knows(telemetry):
    """What is told goes before what is seen; the age is that of the oldest feature."""
    with otelml.prediction("delay"), otelml.feature_retrieval(source="planes") as retrieval:
        retrieval.observe([{"a": 1}, {"a": None}], values=10)
        retrieval.observe(missing=5, updated=datetime.now(UTC) - timedelta(minutes=1))
    said = facts(telemetry.spans()[0])
    assert 60 <= said.pop("age") < 70
    assert said == {"source": "planes", "rows": 2, "values": 10, "missing.share": 0.5}
    (age,) = telemetry.points("ml.feature_retrieval.age")
    assert (age.count, age.attributes["ml.model.name"]) == (1, "delay")


def test_inside_its_own_stage_it_is_that_stage(telemetry):
    """A stage that the application has marked, or another retrieval, is not doubled."""
    with otelml.prediction("delay") as p, p.stage("feature_retrieval"), otelml.feature_retrieval():
        weather("LGA")
    assert [span.name for span in telemetry.spans()] == ["feature_retrieval", "predict delay"]
    assert facts(telemetry.spans()[0])["rows"] == 1


def test_what_is_made_of_others_counts_once(telemetry):
    """A function that fetches by another one leaves the counting to it."""

    @otelml.feature_retrieval
    def both():
        return {**weather("LGA"), "more": 1}

    with otelml.prediction("delay"):
        both()
    assert telemetry.total("ml.feature_retrieval.values") == 4
    assert facts(telemetry.spans()[0])["values"] == 5


def test_methods_of_classes(telemetry):
    """Static and class methods are decorated as they are, in either order."""

    class Store:
        @otelml.feature_retrieval
        @staticmethod
        def one():
            return [[1]]

        @otelml.feature_retrieval()
        @classmethod
        def two(cls):
            return [[1], [2]]

    assert (Store.one(), Store().two()) == ([[1]], [[1], [2]])
    assert [facts(span)["rows"] for span in telemetry.spans()] == [1, 2]


def test_a_failure_in_a_prediction(telemetry):
    """The stage fails, and the exception is the application's own."""
    with pytest.raises(ZeroDivisionError), otelml.prediction("delay"), otelml.feature_retrieval():
        1 / 0  # noqa: B018 - it fails
    assert telemetry.total("ml.stage.duration", {"error.type": "ZeroDivisionError"}) == 1


@pytest.mark.parametrize(
    ("features", "counted"),
    [
        ({"a": [1, None], "b": [2, 3]}, {"rows": 2, "values": 4, "missing.share": 0.25}),
        ([[1, None], [2, 3]], {"rows": 2, "values": 4, "missing.share": 0.25}),
        ([], {"rows": 0, "values": 0}),
        ([object()], {"rows": 1}),
        ({}, {"rows": 1, "values": 0}),
        (None, {}),
        ("text", {}),
        (object(), {}),
        (iter([1]), {}),
    ],
)
def test_what_is_counted(telemetry, features, counted):
    """Rows, values and missing ones, of whatever tells them; anything else is left alone."""
    with otelml.feature_retrieval() as retrieval:
        retrieval.observe(features)
    assert facts(telemetry.spans()[0]) == counted


def test_odd_arguments_raise_nothing(telemetry):
    """Wrong kinds of counts and times are left out."""
    with otelml.feature_retrieval(source=object()) as retrieval:
        retrieval.observe(rows="x", values=-1, missing=1.5, updated="yesterday")
        retrieval.observe(updated=math.nan)
        retrieval.observe(updated=2e11)
    assert facts(telemetry.spans()[0]) == {"source": "object", "age": 0.0}
    odd = object()
    assert otelml.feature_retrieval(odd) is odd


def test_off_it_does_nothing():
    """Before ``auto_instrument()`` functions and blocks run as they are."""
    assert weather("LGA") is ROW
    with otelml.feature_retrieval() as retrieval:
        retrieval.observe(rows=3)


def test_suppressed_it_does_nothing(telemetry):
    """Where instrumentation is suppressed nothing is recorded."""
    with suppress_instrumentation():
        weather("LGA")
    assert telemetry.spans() == []
    assert telemetry.points("ml.feature_retrieval.values") == []
