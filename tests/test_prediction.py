"""Predictions: exceptions, nesting, threads and tasks, and results of every kind."""

import asyncio
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from contextvars import copy_context

import numpy as np
import pytest
from odd_values import Hostile
from opentelemetry import trace

import otelml
from otelml.testing import recording

PRIVATE = "John Smith, 4111 1111 1111 1111"


def dropped(telemetry):
    """Return what was dropped: {(what, where): count}."""
    points = telemetry.points("otelml.dropped")
    return {(p.attributes["otelml.what"], p.attributes["otelml.where"]): p.value for p in points}


def everything(telemetry):
    """Return all that was exported as one text."""
    return f"{telemetry.spans()} {telemetry.logs()} {telemetry.metrics()}"


# Exceptions ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "kind", [ValueError, asyncio.CancelledError, KeyboardInterrupt, SystemExit, GeneratorExit, BaseExceptionGroup]
)
def test_exceptions_pass_unchanged(telemetry, kind):
    """The very exception object comes out, its traceback ends where it was raised, and the call is counted."""
    error = kind("several", [ValueError(PRIVATE)]) if kind is BaseExceptionGroup else kind(PRIVATE)
    context = trace.get_current_span()
    with pytest.raises(kind) as caught, otelml.prediction("m") as p, p.stage("inference"):
        raise error
    assert caught.value is error
    assert caught.value.__context__ is None
    assert caught.traceback[-1].name == "test_exceptions_pass_unchanged"
    assert trace.get_current_span() is context
    failed = {} if kind is GeneratorExit else {"error.type": kind.__name__.replace("Cancelled", "asyncio.exceptions.C")}
    if kind is asyncio.CancelledError:
        failed = {"error.type": "asyncio.exceptions.CancelledError"}
    if kind is BaseExceptionGroup:  # made of Exceptions only, it becomes an ExceptionGroup
        failed = {"error.type": "ExceptionGroup"}
    assert telemetry.total("ml.requests", failed) == 1
    assert telemetry.total("ml.predictions") == (1 if kind is GeneratorExit else 0)
    assert telemetry.total("ml.requests.active") == 0


def quote():
    """Raise two exceptions that quote a private value."""
    try:
        float(f"'{PRIVATE}'")
    except ValueError as cause:
        raise RuntimeError(f"bad row: {PRIVATE!r}") from cause


@pytest.mark.parametrize("capture", ["none", "stats", "payload"])
def test_secrets_of_exceptions_are_exported_nowhere(capture):
    """What an exception quotes is in no span, event or metric, whatever may be captured."""
    with recording(capture=capture) as seen, suppress(RuntimeError), otelml.prediction("m") as p, p.stage("inference"):
        quote()
    text = everything(seen)
    assert "RuntimeError" in text
    assert not any(part in text for part in ("John", "Smith", "4111"))


def test_error_is_on_span_event_and_metrics(telemetry):
    """A failure sets error.type on metrics, status and exception event on both spans, and an ERROR event."""
    with pytest.raises(ZeroDivisionError), otelml.prediction("m") as p, p.stage("inference"):
        _ = 1 / 0
    stage, root = telemetry.spans()
    assert stage.status == root.status == "ERROR"
    assert root.description == "division by zero"
    assert root.attributes["error.type"] == stage.attributes["error.type"] == "ZeroDivisionError"
    ((name, attributes),) = root.events
    assert (name, attributes["exception.type"]) == ("exception", "ZeroDivisionError")
    assert "test_error_is_on_span_event_and_metrics" in attributes["exception.stacktrace"]
    (log,) = telemetry.logs()
    assert (log.severity, log.attributes["exception.message"]) == ("ERROR", "division by zero")
    assert telemetry.total("ml.stage.duration", {"error.type": "ZeroDivisionError", "ml.stage": "inference"}) == 1
    assert telemetry.total("ml.prediction.duration", {"error.type": "ZeroDivisionError"}) == 1


def test_a_caught_failure_of_a_stage_is_the_stages_alone(telemetry):
    """A stage whose exception the application handles fails; its prediction does not."""
    with otelml.prediction("m") as p, suppress(LookupError), p.stage("feature_retrieval"):
        raise LookupError
    stage, root = telemetry.spans()
    assert (stage.status, root.status) == ("ERROR", "UNSET")
    assert "error.type" not in root.attributes


# Context ------------------------------------------------------------------------------------------------------------


def test_nested_predictions_of_two_models(telemetry):
    """An inner prediction nests below the stage that made it, and each model counts its own."""
    with otelml.prediction("ensemble") as outer, outer.stage("inference"):
        with otelml.prediction("member", "2") as inner:
            assert otelml.current_prediction() is inner
        assert otelml.current_prediction() is outer
    member, stage, root = telemetry.spans()
    assert (member.name, member.parent_id, stage.parent_id) == ("predict member", stage.span_id, root.span_id)
    assert telemetry.total("ml.requests", {"ml.model.name": "ensemble"}) == 1
    assert telemetry.total("ml.requests", {"ml.model.name": "member", "ml.model.version": "2"}) == 1


def test_current_prediction_is_none_outside(telemetry):
    """Before and after a prediction there is none, and no span is current."""
    assert otelml.current_prediction() is None
    with otelml.prediction("m"):
        pass
    assert otelml.current_prediction() is None
    assert trace.get_current_span() is trace.INVALID_SPAN


def test_nested_and_repeated_stages(telemetry):
    """Stages nest below each other, and one that is entered twice is two spans and two measurements."""
    with otelml.prediction("m") as p:
        with p.stage("preprocessing"), otelml.stage("scaling"):
            assert p.stage_open
        with p.stage("preprocessing"):
            pass
        assert not p.stage_open
    names = {s.span_id: s.name for s in telemetry.spans()}
    pairs = sorted((s.name, str(names.get(s.parent_id))) for s in telemetry.spans())
    assert pairs == [
        ("predict m", "None"),
        ("preprocessing", "predict m"),
        ("preprocessing", "predict m"),
        ("scaling", "preprocessing"),
    ]
    assert telemetry.total("ml.stage.duration", {"ml.stage": "preprocessing"}) == 2


def test_stage_names_are_bounded(telemetry):
    """Of a thousand stage names 20 are kept, the others are `other` and counted as folded; spans say so too."""
    with otelml.prediction("m") as p:
        for i in range(1000):
            with p.stage(f"step {i}"):
                pass
    names = {point.attributes["ml.stage"] for point in telemetry.points("ml.stage.duration")}
    assert len(names) == 21
    assert telemetry.total("ml.stage.duration", {"ml.stage": "other"}) == 980
    assert telemetry.total("otelml.labels.folded", {"otelml.what": "ml.stage"}) == 980
    assert {s.name for s in telemetry.spans()} == {*names, "predict m"}


def test_stage_in_worker_threads(telemetry):
    """A stage in a thread is the prediction's, with its context or without; otelml.stage() needs the context."""

    def with_p(p):
        with p.stage("inference"):
            return otelml.current_prediction() is p

    def without_p():
        with otelml.stage("feature_retrieval"):
            return otelml.current_prediction() is not None

    with ThreadPoolExecutor(1) as pool, otelml.prediction("m") as p:
        assert pool.submit(with_p, p).result()
        assert not pool.submit(without_p).result()
        assert pool.submit(copy_context().run, without_p).result()
        # Nothing stays behind in the pool's thread.
        assert pool.submit(trace.get_current_span).result() is trace.INVALID_SPAN
    inference, features, root = telemetry.spans()
    assert (inference.name, features.name) == ("inference", "feature_retrieval")
    assert inference.parent_id == features.parent_id == root.span_id
    assert inference.trace_id == root.trace_id


def test_stage_that_outlives_its_prediction(telemetry):
    """A stage still running in a thread is ended with its prediction, and its thread's context is put back."""
    running, release, left = threading.Event(), threading.Event(), []

    def work(p):
        with p.stage("inference"):
            running.set()
            release.wait(10)
        left.append(trace.get_current_span())

    with otelml.prediction("m") as p:
        thread = threading.Thread(target=work, args=(p,))
        thread.start()
        assert running.wait(10)
    release.set()
    thread.join(10)
    assert left == [trace.INVALID_SPAN]
    stage, root = telemetry.spans()
    assert (stage.name, stage.parent_id, stage.status) == ("inference", root.span_id, "UNSET")
    assert telemetry.total("ml.stage.duration") == 1


def test_forgotten_stage_leaves_nothing_current(telemetry):
    """A stage that was begun and never ended does not make an ended span current after the prediction."""
    with otelml.prediction("m") as p:
        forgotten = p.stage("inference").begin()
    assert trace.get_current_span() is trace.INVALID_SPAN
    forgotten.finish()
    assert trace.get_current_span() is trace.INVALID_SPAN
    assert [s.name for s in telemetry.spans()] == ["inference", "predict m"]


def test_stage_after_the_end_is_dropped(telemetry):
    """A stage that starts after its prediction's end is counted as dropped and makes no span."""
    with otelml.prediction("m") as p:
        pass
    with p.stage("inference"):
        assert trace.get_current_span() is trace.INVALID_SPAN
    assert [s.name for s in telemetry.spans()] == ["predict m"]
    assert dropped(telemetry) == {("stage", "late"): 1}


def test_asyncio_tasks_keep_apart(telemetry):
    """A hundred tasks at once each have their own prediction, and their stages nest in it."""

    async def one(i):
        async with otelml.prediction(f"m{i % 3}") as p, p.stage("inference"):
            await asyncio.sleep(0.001 * (i % 7))
            assert otelml.current_prediction() is p
            async with otelml.stage("postprocessing"):
                await asyncio.sleep(0)

    async def main():
        await asyncio.gather(*(one(i) for i in range(100)))

    asyncio.run(main())
    spans = telemetry.spans()
    by_id = {s.span_id: s for s in spans}
    assert len(spans) == 300
    assert all(by_id[s.parent_id].name == "inference" for s in spans if s.name == "postprocessing")
    assert len({s.trace_id for s in spans}) == 100
    assert telemetry.total("ml.requests") == 100
    assert telemetry.total("ml.requests.active") == 0


def test_cancelled_task_is_counted_as_cancelled(telemetry):
    """Cancellation passes through, ends the prediction and leaves nothing in flight."""

    async def hang():
        async with otelml.prediction("m") as p, p.stage("inference"):
            await asyncio.sleep(60)

    async def main():
        task = asyncio.create_task(hang())
        await asyncio.sleep(0.01)
        assert telemetry.total("ml.requests.active") == 1
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert telemetry.total("ml.requests.active") == 0
    assert telemetry.total("ml.requests", {"error.type": "asyncio.exceptions.CancelledError"}) == 1


# Ids ----------------------------------------------------------------------------------------------------------------


def test_ids(telemetry):
    """Given ids are kept, an invalid request id is replaced, and p.id is the exported one."""
    given = uuid.uuid4()
    with otelml.prediction("m", request_id="r 1\n", prediction_id=given) as p:
        assert p.id == str(given)
    with otelml.prediction("m", request_id=given, prediction_id="order-7"):
        pass
    with otelml.prediction("m") as third:
        pass
    first, second, last = (s.attributes for s in telemetry.spans())
    assert first["ml.prediction.id"] == str(given)
    assert len(first["ml.request.id"]) == 32
    assert (second["ml.request.id"], second["ml.prediction.id"]) == (str(given), "order-7")
    assert last["ml.prediction.id"] == third.id
    assert "ml.request.id" not in last


def test_id_asked_by_many_threads_is_one(telemetry):
    """Threads that ask for the id at the same time get the same one."""
    barrier = threading.Barrier(8)

    def ask(p):
        barrier.wait(10)
        return p.id

    with ThreadPoolExecutor(8) as pool:
        for _ in range(50):
            p = otelml.prediction("m")
            assert len(set(pool.map(ask, [p] * 8))) == 1


@pytest.mark.parametrize("name", [None, 7, 1.5, b"m", "", "x" * 1000, "naïve \ud800", object(), [1], np.array([1, 2])])
def test_any_model_and_version_is_taken(telemetry, name):
    """Whatever is given as model, version or stage becomes a bounded label that can be encoded."""
    with otelml.prediction(name, name) as p, p.stage(name):
        pass
    (point,) = telemetry.points("ml.requests")
    label = point.attributes["ml.model.name"]
    assert isinstance(label, str)
    assert len(label.encode()) <= 512
    assert telemetry.total("ml.stage.duration") == 1


def test_hostile_model_is_taken(telemetry):
    """An object that raises when it is printed, compared or measured is named by its class."""
    with otelml.prediction(Hostile(), Hostile(), prediction_id=Hostile(), request_id=Hostile()) as p:
        with p.stage(Hostile()):
            pass
        p.result(predictions="a", business_value=1, business_value_unit=Hostile())
    assert telemetry.total("ml.requests", {"ml.model.name": "Hostile"}) == 1
    assert telemetry.total("ml.stage.duration", {"ml.stage": "Hostile"}) == 1
