"""Predictions: exceptions, nesting, threads and tasks, and results of every kind."""

import asyncio
import gc
import threading
import uuid
import weakref
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from contextvars import copy_context
from types import SimpleNamespace

import numpy as np
import pandas as pd
import polars as pl
import pytest
from opentelemetry import trace

import otelml
from otelml.prediction import NoPrediction
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


class Hostile:
    """An object everything of which raises."""

    def __getattr__(self, name):
        raise RuntimeError(name)

    def _raise(self, *_):
        raise RuntimeError(PRIVATE)

    __array__ = __len__ = __iter__ = __repr__ = __str__ = __float__ = __eq__ = __lt__ = __bool__ = _raise
    __hash__ = object.__hash__


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


# Results ------------------------------------------------------------------------------------------------------------


def outcome(telemetry, **given):
    """Make one prediction with one result; return (rows, class counts, confidences, values, span attributes)."""
    with otelml.prediction("m") as p:
        p.result(**given)
    spans = telemetry.spans()
    attributes = {k.removeprefix("ml."): v for k, v in spans[-1].attributes.items()}
    classes = {p.attributes.get("ml.prediction.class"): p.value for p in telemetry.points("ml.predictions")}
    sums = [
        (telemetry.total(name), sum(p.sum for p in telemetry.points(name)))
        for name in ("ml.prediction.confidence", "ml.prediction.value")
    ]
    return classes, *sums, attributes


SCALARS = [
    ("late", {"late": 1}, (0, 0)),
    (True, {"true": 1}, (0, 0)),
    (3, {"3": 1}, (0, 0)),
    (2.5, {None: 1}, (1, 2.5)),
    (b"late", {"late": 1}, (0, 0)),
    (np.float32(2.5), {None: 1}, (1, 2.5)),
    (np.int8(3), {"3": 1}, (0, 0)),
    (np.str_("late"), {"late": 1}, (0, 0)),
    (np.bool_(True), {"true": 1}, (0, 0)),  # noqa: FBT003 - the value under test
]


@pytest.mark.parametrize(("given", "classes", "values"), SCALARS, ids=lambda x: repr(x)[:20])
def test_scalar_predictions(telemetry, given, classes, values):
    """Text, booleans and whole numbers are classes, floats are values: plain, or numpy's."""
    found, _, seen, attributes = outcome(telemetry, predictions=given)
    assert (found, seen) == (classes, values)
    assert attributes["batch.size"] == 1


ROWS = [0, 1, 1]
ARRAYS = [
    (ROWS, {"0": 1, "1": 2}, 0),
    (tuple(ROWS), {"0": 1, "1": 2}, 0),
    (["a", "b", "b"], {"a": 1, "b": 2}, 0),
    ([True, False, True], {"true": 2, "false": 1}, 0),
    ([0.5, 1.5, 2.5], {None: 3}, 3),
    *((np.array(ROWS, dtype), {"0": 1, "1": 2}, 0) for dtype in ("i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8")),
    *((np.array(ROWS, dtype), {None: 3}, 3) for dtype in ("f2", "f4", "f8", "g", ">f4")),
    (np.array([True, False, True]), {"true": 2, "false": 1}, 0),
    (np.array(["a", "b", "b"]), {"a": 1, "b": 2}, 0),
    (np.array([b"a", b"b", b"b"]), {"a": 1, "b": 2}, 0),
    (np.array(["a", "b", "b"], object), {"a": 1, "b": 2}, 0),
    (np.array(["a", 1, None], object), {"a": 1, "1": 1, "None": 1}, 0),
    (np.array([[0], [1], [1]]), {"0": 1, "1": 2}, 0),
    (pd.Series(["a", "b", "b"]), {"a": 1, "b": 2}, 0),
    (pd.Series(["a", "b", "b"], dtype="category"), {"a": 1, "b": 2}, 0),
    (pd.Series([0.5, 1.5, 2.5]), {None: 3}, 3),
    (pl.Series(["a", "b", "b"]), {"a": 1, "b": 2}, 0),
    (pl.Series(ROWS), {"0": 1, "1": 2}, 0),
]


@pytest.mark.parametrize(("given", "classes", "values"), ARRAYS, ids=lambda x: f"{type(x).__name__}")
def test_array_predictions(telemetry, given, classes, values):
    """Lists, arrays of every type, and series of pandas and polars count once a row, by class where they have one."""
    found, _, (count, _), attributes = outcome(telemetry, predictions=given)
    assert found == classes
    assert count == values
    assert attributes["batch.size"] == 3
    assert dropped(telemetry) == {}


PROBABILITIES = np.array([[0.2, 0.8], [0.9, 0.1], [0.5, 0.5]])


@pytest.mark.parametrize(
    "given",
    [PROBABILITIES, PROBABILITIES.tolist(), pd.DataFrame(PROBABILITIES), pl.DataFrame(PROBABILITIES), [0.8, 0.9, 0.5]],
    ids=lambda x: type(x).__name__,
)
def test_confidence_of_probabilities(telemetry, given):
    """The largest probability of each row is its confidence, counted under the row's class."""
    classes, (count, total), *_ = outcome(telemetry, classes=["b", "a", "a"], confidence=given)
    assert (classes, count) == ({"a": 2, "b": 1}, 3)
    assert total == pytest.approx(2.2)
    assert telemetry.total("ml.prediction.confidence", {"ml.prediction.class": "a"}) == 2


def test_two_dimensional_output_has_no_classes(telemetry):
    """Probabilities given as predictions count rows, and are neither classes nor values."""
    classes, _, (values, _), attributes = outcome(telemetry, predictions=PROBABILITIES)
    assert (classes, values) == ({None: 3}, 0)
    assert attributes["output.shape"] == (3, 2)


ODD_NUMBERS = [
    ([0.5, float("nan"), 0.25], 2, {("confidence", "out_of_range"): 1}),
    ([0.5, float("inf"), -0.5, 7.0], 1, {("confidence", "out_of_range"): 3}),
    ([0.5, None], 1, {("confidence", "out_of_range"): 1}),
    (["high", "low"], 0, {("confidence", "unreadable"): 2}),
    ([[0.1], [0.2, 0.3]], 0, {("confidence", "unreadable"): 2}),
    ([], 0, {}),
    (np.zeros((0, 3)), 0, {}),
    (np.zeros((3, 0)), 0, {}),
    ({"a": 0.5}, 0, {("confidence", "unreadable"): 1}),
    (10**400, 0, {("confidence", "unreadable"): 1}),
    (1j, 0, {("confidence", "unreadable"): 1}),
]


@pytest.mark.parametrize(("given", "kept", "lost"), ODD_NUMBERS, ids=lambda x: repr(x)[:25])
def test_odd_confidences(telemetry, given, kept, lost):
    """What is no confidence from 0 to 1 is left out and counted, value by value."""
    _, (count, _), *_ = outcome(telemetry, confidence=given)
    assert count == kept
    assert dropped(telemetry) == lost


def test_odd_values(telemetry):
    """Values may be negative or huge; those that are not finite are left out and counted."""
    given = np.array([-1e300, 1e308, 1e308, np.inf, -np.inf, np.nan, 0.0])
    _, _, (count, _), _ = outcome(telemetry, values=given)
    assert count == 4
    assert dropped(telemetry) == {("value", "not_finite"): 3}
    (point,) = telemetry.points("ml.prediction.value")
    assert (point.min, point.max, sum(point.buckets)) == (-1e300, 1e308, 4)


@pytest.mark.parametrize("field", ["predictions", "classes", "confidence", "values", "inputs", "business_value"])
def test_hostile_results(telemetry, field):
    """An object that raises at every touch reaches neither the application nor the other facts of the call."""
    with otelml.prediction("m") as p:
        p.result(**{field: Hostile()})
        p.result(**{"predictions": "a", field: Hostile()} if field != "predictions" else {"classes": "a"})
    assert telemetry.total("ml.requests") == 1
    assert telemetry.total("ml.predictions") == 1
    if field not in {"predictions", "inputs"}:
        assert sum(dropped(telemetry).values()) >= 1


def test_one_hostile_result_leaves_the_others_of_the_batch(telemetry):
    """Class labels that can't be compared or printed do not cost the predictions drained with them."""
    odd = np.empty(3, object)
    odd[0], odd[1], odd[2] = Hostile(), Hostile(), np.arange(3)
    for given in (["a"], odd, ["a"]):
        with otelml.prediction("m") as p:
            p.result(classes=given)
    assert telemetry.total("ml.predictions") == 5
    assert telemetry.total("ml.predictions", {"ml.prediction.class": "a"}) == 2


@pytest.mark.parametrize(
    "shape",
    [(-1,), (10**30,), ("x",), 5, None, lambda: 3],
    ids=["negative", "huge", "text", "number", "none", "function"],
)
def test_lying_shapes_count_one_row(telemetry, shape):
    """A shape that is none counts as one row."""
    _, _, _, attributes = outcome(telemetry, inputs=SimpleNamespace(shape=shape, dtype=None))
    assert attributes["batch.size"] == 1
    assert telemetry.total("ml.predictions") == 1


class Tensor:
    """What a framework's tensor looks like: a device, detach() and __array__."""

    def __init__(self, rows, device):
        self._array, self.device, self.shape, self.dtype = np.array(rows), device, (len(rows),), "float32"
        self.copied = 0

    def detach(self):
        """Return the tensor without its graph."""
        return self

    def __array__(self, dtype=None, copy=None):
        self.copied += 1
        return self._array if dtype is None else self._array.astype(dtype)


def test_tensors(telemetry):
    """A tensor in host memory is read; one on a device is never copied from it, and is counted as unreadable."""
    on_host, on_device = Tensor([0.5, 0.7], SimpleNamespace(type="cpu")), Tensor([0.5, 0.7], "cuda:0")
    with otelml.prediction("m") as p:
        p.result(confidence=on_host)
    with otelml.prediction("m") as p:
        p.result(confidence=on_device)
    assert telemetry.total("ml.prediction.confidence") == 2
    assert telemetry.total("ml.predictions") == 4
    assert on_device.copied == 0
    assert dropped(telemetry) == {("confidence", "unreadable"): 2}


def test_wrong_lengths(telemetry):
    """Confidences that do not match the classes are counted without a class; rows follow the classes."""
    classes, (count, _), *_ = outcome(telemetry, classes=["a", "b"], confidence=[0.5, 0.6, 0.7])
    assert classes == {"a": 1, "b": 1}
    (point,) = telemetry.points("ml.prediction.confidence")
    assert (count, "ml.prediction.class" in point.attributes) == (3, False)


def test_result_twice_and_never(telemetry):
    """Later facts win and earlier ones stay; a second call without output keeps the rows; none at all is one row."""
    with otelml.prediction("m") as p:
        p.result(predictions=["a", "a", "b"], confidence=0.1)
        p.result(confidence=[0.5, 0.6, 0.7])
        p.result(inputs=[1, 2, 3, 4])
    with otelml.prediction("m"):
        pass
    first, second = telemetry.spans()
    assert first.attributes["ml.batch.size"] == 3
    assert "ml.batch.size" not in second.attributes
    assert telemetry.total("ml.predictions") == 4
    assert telemetry.total("ml.prediction.confidence") == 3


def test_result_after_the_end_is_dropped(telemetry):
    """After the end a result changes nothing and is counted as dropped."""
    with otelml.prediction("m") as p:
        p.result(classes="a")
    p.result(classes="b")
    (span,) = telemetry.spans()
    p.result(classes="c")
    assert span.attributes["ml.prediction.class"] == "a"
    assert dropped(telemetry) == {("result", "late"): 2}


def test_observed_facts_only_complete_the_applications(telemetry):
    """What a library observes fills what the application did not say, and never replaces it."""
    with otelml.prediction("m") as p:
        p.observe(classes="b", confidence=0.9, framework="scikit-learn")
        p.result(classes="a")
    (span,) = telemetry.spans()
    assert span.attributes["ml.prediction.class"] == "a"
    assert span.attributes["ml.prediction.confidence"] == 0.9
    assert span.attributes["ml.model.framework"] == "scikit-learn"


def test_failed_prediction_has_predicted_no_rows(telemetry):
    """A result that was given before the failure counts neither rows nor confidence, but its business value."""
    with suppress(ValueError), otelml.prediction("m") as p:
        p.result(predictions=["a", "b"], confidence=[0.5, 0.6], business_value=9.5, business_value_unit="EUR")
        raise ValueError("x")
    assert telemetry.total("ml.predictions") == telemetry.total("ml.prediction.confidence") == 0
    assert telemetry.total("ml.prediction.business_value", {"ml.business_value.unit": "EUR"}) == 1


@pytest.mark.telemetry(low_confidence=0.6)
def test_low_confidence_points_to_a_doubtful_trace(telemetry):
    """Rows under the threshold are counted by class, with the trace of such a row as the exemplar."""
    for confidence in (0.9, 0.59, 0.6):
        with otelml.prediction("m") as p:
            p.result(classes="a", confidence=confidence)
    (point,) = telemetry.points("ml.prediction.low_confidence")
    assert point.value == 1
    doubtful = next(s for s in telemetry.spans() if s.attributes["ml.prediction.confidence"] == 0.59)
    assert [trace_id for _, trace_id, _ in point.exemplars] == [doubtful.trace_id]


@pytest.mark.telemetry(capture="none")
def test_capture_none(telemetry):
    """With `none` rows and business value are counted, and nothing of inputs or outputs is kept."""
    classes, (count, _), (values, _), attributes = outcome(
        telemetry, predictions=["a", "b"], confidence=[0.1, 0.2], inputs=np.zeros((2, 3)), business_value=2.0
    )
    assert (classes, count, values) == ({None: 2}, 0, 0)
    assert set(attributes) == {"model.name", "prediction.id", "batch.size", "prediction.business_value"}


@pytest.mark.telemetry(capture="stats")
def test_capture_stats_keeps_no_payload(telemetry):
    """By default no input value is in anything exported."""
    outcome(telemetry, predictions=[1, 0], inputs=np.array([[123456.789, 1.0], [2.0, 3.0]]))
    assert "123456" not in everything(telemetry)


@pytest.mark.telemetry(capture="payload")
def test_capture_payload(telemetry):
    """With `payload` inputs and outputs are on the span, bounded."""
    *_, attributes = outcome(telemetry, predictions=["a"], inputs=np.arange(10_000.0))
    assert attributes["output.payload"] == "['a']"
    assert len(attributes["input.payload"]) == 4096


def test_missing_inputs_are_counted(telemetry):
    """NaN and None are counted in arrays, lists, frames and mappings."""
    for given in (
        np.array([[1.0, np.nan], [np.nan, 2.0]]),
        np.array([None, "x", float("nan")], object),
        [[1, None], [float("nan"), 2]],
        {"a": None, "b": 1},
        pd.DataFrame({"a": [1, None], "b": ["x", None]}),
        pl.DataFrame({"a": [1, None]}),
        pd.Series([1, pd.NA], dtype="Int64"),
    ):
        with otelml.prediction("m") as p:
            p.result(inputs=given)
    assert [s.attributes["ml.input.missing"] for s in telemetry.spans()] == [2, 2, 2, 1, 2, 1, 1]
    assert telemetry.total("ml.input.missing_values") == 11


def test_nullable_values(telemetry):
    """A missing value (NA of pandas) is left out and counted; the other rows are kept."""
    _, _, (count, total), _ = outcome(telemetry, values=pd.Series([1, pd.NA, 3], dtype="Int64"))
    assert (count, total) == (2, 4.0)
    assert dropped(telemetry) == {("value", "not_finite"): 1}


def test_no_array_is_kept_alive_nor_changed(telemetry):
    """The caller's array is copied: it can be collected at once, changed later, and is never written to."""
    array, frame = np.array([0.25, 0.5]), pd.DataFrame({"a": [1.0, 2.0]})
    array.setflags(write=False)
    refs = [weakref.ref(array), weakref.ref(frame)]
    with otelml.prediction("m") as p:
        p.result(values=array, confidence=array, inputs=frame)
        assert frame.equals(pd.DataFrame({"a": [1.0, 2.0]}))
        assert array.tolist() == [0.25, 0.5]
        del array, frame
        gc.collect()
        assert [ref() for ref in refs] == [None, None]
    assert telemetry.total("ml.prediction.value") == 2


def test_values_are_those_of_the_call(telemetry):
    """An array that the application overwrites after result() counts as it was."""
    buffer = np.array([0.25, 0.5])
    with otelml.prediction("m") as p:
        p.result(values=buffer)
        buffer[:] = 99
    (point,) = telemetry.points("ml.prediction.value")
    assert point.sum == 0.75


# Off ----------------------------------------------------------------------------------------------------------------


def test_off_does_nothing():
    """Before auto_instrument() every call works and returns what it returns later; ids are ids."""
    with otelml.prediction("m", prediction_id="x") as p, p.stage("a"), otelml.stage("b"):
        p.result(predictions=Hostile())
        p.observe(predictions=Hostile())
        assert isinstance(p, NoPrediction)
        assert (p.id, p.stage_open, otelml.current_prediction()) == ("x", False, None)
        p.item()
        with p.attached():
            pass
    otelml.event("x", a=Hostile())
    fresh = otelml.prediction()
    assert len(fresh.id) == 32
    assert fresh.id == fresh.id


def test_off_async():
    """Off works with ``async with`` as well."""

    async def main():
        async with otelml.prediction("m") as p, p.stage("a"), otelml.stage("b"):
            return p.begin().id

    assert len(asyncio.run(main())) == 32
