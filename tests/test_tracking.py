"""track_prediction: functions, coroutines and generators of every kind, unchanged but for the telemetry."""

import asyncio
import functools
import gc
import inspect
import sys

import numpy as np
import pytest
from opentelemetry import trace

import otelml
from otelml.testing import STEP_NS, recording


@otelml.track_prediction
def plain(x):
    """Return twice x."""
    return 2 * x


@otelml.track_prediction(model="named", version="2")
async def coroutine(x):
    """Return twice x, later."""
    await asyncio.sleep(0)
    with otelml.stage("inference"):
        return 2 * x


SEEN = []


@otelml.track_prediction
def stream(n):
    """Give n items, listen to what is sent, and return their number."""
    try:
        for i in range(n):
            inside = otelml.current_prediction() is not None
            SEEN.append((inside, (yield i)))
    except KeyError:
        yield "caught"
    finally:
        SEEN.append("closed")
    return n


@otelml.track_prediction
async def astream(n):
    """Give n items, and listen."""
    try:
        for i in range(n):
            await asyncio.sleep(0)
            SEEN.append((otelml.current_prediction() is not None, (yield i)))
    except KeyError:
        yield "caught"
    finally:
        SEEN.append("closed")


@pytest.fixture(autouse=True)
def _forget():
    SEEN.clear()


def counted(telemetry):
    """Return calls by model and error, with what is in flight."""
    found = {
        (p.attributes["ml.model.name"], p.attributes.get("error.type")): p.value
        for p in telemetry.points("ml.requests")
    }
    assert telemetry.total("ml.requests.active") == 0
    return found


def test_functions_decorated_before_the_start(telemetry):
    """A function decorated when its module was imported is measured once otelml is on, and its value is the result."""
    assert plain(1.25) == 2.5
    assert plain("a") == "aa"
    assert counted(telemetry) == {("plain", None): 2}
    assert telemetry.total("ml.predictions", {"ml.prediction.class": "aa"}) == 1
    assert telemetry.points("ml.prediction.value")[0].sum == 2.5


def test_values_come_back_untouched(telemetry):
    """The very object that the function returned comes back, arrays and numpy scalars too."""
    for given in (np.arange(3), np.float32(0.5), {"a": 1}, object(), None, "x"):
        assert otelml.track_prediction(lambda x: x)(given) is given


def test_an_own_result_wins(telemetry):
    """Where the function calls result() itself, its return value does not replace that."""

    @otelml.track_prediction(model="m")
    def decide():
        otelml.current_prediction().result(classes="late", confidence=0.9)
        return "something else"

    decide()
    (span,) = telemetry.spans()
    assert span.attributes["ml.prediction.class"] == "late"


def test_coroutines(telemetry):
    """A coroutine function stays one, and its stages nest."""
    assert asyncio.run(coroutine(2)) == 4
    assert counted(telemetry) == {("named", None): 1}
    stage, root = telemetry.spans()
    assert (stage.parent_id, root.attributes["ml.model.version"]) == (root.span_id, "2")


def test_errors_pass_and_are_counted(telemetry):
    """An error of the function, coroutine or generator is the caller's, unchanged."""
    error = LookupError("x")

    @otelml.track_prediction(model="f")
    def fails():
        raise error

    @otelml.track_prediction(model="g")
    def streams():
        yield 1
        raise error

    with pytest.raises(LookupError) as caught:
        fails()
    assert caught.value is error
    with pytest.raises(LookupError) as caught:
        list(streams())
    assert caught.value is error
    assert counted(telemetry) == {("f", "LookupError"): 1, ("g", "LookupError"): 1}


def test_generators(telemetry):
    """Items, sent values and the return value pass; the prediction is current inside and not across a yield."""
    running = stream(3)
    assert telemetry.total("ml.requests.active") == 0  # it starts with the first item
    got = [next(running)]
    assert otelml.current_prediction() is None
    assert trace.get_current_span() is trace.INVALID_SPAN
    assert telemetry.total("ml.requests.active") == 1
    got += [running.send("hello"), next(running)]
    with pytest.raises(StopIteration) as end:
        next(running)
    assert (got, end.value.value) == ([0, 1, 2], 3)
    assert SEEN == [(True, "hello"), (True, None), (True, None), "closed"]
    assert counted(telemetry) == {("stream", None): 1}
    (log,) = telemetry.logs()
    assert log.attributes["ml.prediction.items"] == 3


def test_throw_and_close(telemetry):
    """An exception thrown in is the inner generator's to handle; close() runs its finally and is no failure."""
    thrown = stream(3)
    next(thrown)
    assert thrown.throw(KeyError("x")) == "caught"
    thrown.close()
    thrown.close()
    failed = stream(3)
    next(failed)
    error = ValueError("x")
    with pytest.raises(ValueError, match="x") as caught:
        failed.throw(error)
    assert caught.value is error
    assert SEEN == ["closed", "closed"]
    assert counted(telemetry) == {("stream", None): 1, ("stream", "ValueError"): 1}


def test_early_break_and_abandonment(telemetry):
    """A loop that is left, and a generator that is forgotten, end the prediction; one never started is none."""
    for item in stream(100):
        if item == 2:
            break
    stream(5)
    next(stream(5))
    gc.collect()
    assert SEEN.count("closed") == 2
    assert counted(telemetry) == {("stream", None): 2}


def test_generator_that_fails_while_closing(telemetry):
    """An error while closing is the caller's, and the prediction ends all the same."""

    @otelml.track_prediction(model="m")
    def stubborn():
        try:
            yield 1
        finally:
            raise RuntimeError("while closing")

    running = stubborn()
    next(running)
    with pytest.raises(RuntimeError, match="while closing"):
        running.close()
    assert sum(counted(telemetry).values()) == 1


def test_stage_open_across_yields(telemetry):
    """A stage around a whole stream stays open between items, and what runs inside nests below it."""
    tracer = telemetry.tracer_provider.get_tracer("app")

    @otelml.track_prediction(model="llm")
    def generate():
        with otelml.stage("inference"):
            for i in range(3):
                with tracer.start_as_current_span("token"):
                    pass
                yield i

    for _ in generate():
        assert trace.get_current_span() is trace.INVALID_SPAN
    assert trace.get_current_span() is trace.INVALID_SPAN
    *tokens, stage, root = telemetry.spans()
    assert [t.parent_id for t in tokens] == [stage.span_id] * 3
    assert stage.parent_id == root.span_id


def test_two_streams_interleaved(telemetry):
    """Two streams read in turn are two traces; neither is current in the other."""
    one, two = stream(3), stream(3)
    assert [x for pair in zip(one, two, strict=True) for x in pair] == [0, 0, 1, 1, 2, 2]
    assert len({s.trace_id for s in telemetry.spans()}) == 2
    assert all(inside for inside, _ in (s for s in SEEN if s != "closed"))


def test_time_to_first_item():
    """The time to the first item is measured, and equals that of the event; an empty stream has none."""
    with recording(deterministic=True) as seen:
        list(stream(3))
        list(stream(0))
        (point,) = seen.points("ml.prediction.time_to_first_item")
        first, empty = seen.logs()
        assert (point.count, point.sum) == (1, first.attributes["ml.prediction.time_to_first_item"])
        assert point.sum == STEP_NS / 1e9
        assert "ml.prediction.items" not in empty.attributes


def test_async_generators(telemetry):
    """Items, asend() and athrow() pass; the prediction is not current across a yield."""

    async def main():
        running = astream(3)
        got = [await anext(running)]
        assert otelml.current_prediction() is None
        got += [await running.asend("hello"), await running.athrow(KeyError("x"))]
        with pytest.raises(StopAsyncIteration):
            await anext(running)
        return got

    assert asyncio.run(main()) == [0, 1, "caught"]
    assert SEEN == [(True, "hello"), "closed"]
    assert counted(telemetry) == {("astream", None): 1}


def test_async_generators_that_are_left(telemetry):
    """A loop that is left and closed, one cancelled while it waits, and one forgotten all end their prediction."""

    @otelml.track_prediction(model="slow")
    async def slow():
        yield 1
        await asyncio.sleep(60)
        yield 2

    async def read():
        async for _ in slow():
            pass

    async def main():
        running = astream(100)
        async for item in running:
            if item == 2:
                break
        await running.aclose()
        task = asyncio.create_task(read())
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await anext(astream(5))
        gc.collect()
        await asyncio.sleep(0.01)

    asyncio.run(main())
    assert counted(telemetry) == {("astream", None): 2, ("slow", "asyncio.exceptions.CancelledError"): 1}


def test_async_items_from_several_tasks(telemetry):
    """Each item may be awaited in a task of its own, as wait_for does, and no context leaks."""

    async def main():
        running = astream(3)
        got = [await asyncio.create_task(anext(running)) for _ in range(3)]
        with pytest.raises(StopAsyncIteration):
            await asyncio.create_task(anext(running))
        return got

    assert asyncio.run(main()) == [0, 1, 2]
    assert counted(telemetry) == {("astream", None): 1}


def test_kinds_and_metadata_are_kept():
    """Inspect sees what was decorated: its kind, name, documentation and signature."""
    assert inspect.isgeneratorfunction(stream)
    assert inspect.isasyncgenfunction(astream)
    assert inspect.iscoroutinefunction(coroutine)
    assert not inspect.iscoroutinefunction(plain)
    assert (plain.__name__, plain.__doc__) == ("plain", "Return twice x.")
    assert list(inspect.signature(stream).parameters) == ["n"]
    assert plain.__wrapped__(1) == 2


class Model:
    """Methods of every kind, and an object that can be called."""

    @otelml.track_prediction
    def method(self, x):
        """Return x."""
        return (self, x)

    @otelml.track_prediction
    @classmethod
    def of_class(cls, x):
        """Return x."""
        return (cls, x)

    @otelml.track_prediction
    @staticmethod
    def static(x):
        """Return x."""
        return x

    def __call__(self, x):
        """Return x."""
        return x


def test_methods_and_callables(telemetry):
    """Methods, class and static methods, partials and callable objects are measured under a name of theirs."""
    model = Model()
    assert model.method(1) == (model, 1)
    assert Model.of_class(2) == model.of_class(2) == (Model, 2)
    assert Model.static(3) == model.static(3) == 3
    assert otelml.track_prediction(functools.partial(pow, 2))(3) == 8
    assert otelml.track_prediction(model)(5) == 5
    expected = {"method": 1, "of_class": 2, "static": 2, "partial": 1, "Model": 1}
    assert counted(telemetry) == {(name, None): n for name, n in expected.items()}


@pytest.mark.telemetry(model_name="configured", model_version="9")
def test_configured_model_names_them(telemetry):
    """Where the settings name a model, functions that name none are its predictions, with its version."""
    plain(1)
    asyncio.run(coroutine(1))
    assert {
        (p.attributes["ml.model.name"], p.attributes["ml.model.version"]) for p in telemetry.points("ml.requests")
    } == {
        ("configured", "9"),
        ("named", "2"),
    }


def test_off_is_the_function_itself():
    """Before auto_instrument() every kind works as if it were not decorated."""
    assert plain(2) == 4
    assert asyncio.run(coroutine(2)) == 4
    running = stream(2)
    assert [next(running), running.send("x")] == [0, 1]
    with pytest.raises(StopIteration) as end:
        next(running)
    assert end.value.value == 2

    async def read():
        return [item async for item in astream(2)]

    assert asyncio.run(read()) == [0, 1]
    assert not any(inside for inside, _ in (s for s in SEEN if s != "closed"))


def test_recursion_keeps_its_depth(telemetry):
    """A recursive function is as many predictions, and RecursionError is the caller's."""

    @otelml.track_prediction(model="r")
    def down(n):
        return 0 if n == 0 else down(n - 1)

    assert down(20) == 0
    assert counted(telemetry) == {("r", None): 21}
    with pytest.raises(RecursionError):
        down(sys.getrecursionlimit())


@pytest.mark.parametrize("kind", ["function", "coroutine", "generator", "async generator"])
def test_variant(telemetry, kind):
    """The span says which part the version plays, whatever kind of function it is."""

    @otelml.track_prediction(model="delay", version="4", variant="canary")
    def function():
        return "late"

    @otelml.track_prediction(model="delay", version="4", variant="canary")
    async def coroutine():
        return "late"

    @otelml.track_prediction(model="delay", version="4", variant="canary")
    def generator():
        yield "late"

    @otelml.track_prediction(model="delay", version="4", variant="canary")
    async def async_generator():
        yield "late"

    async def consume():
        return [item async for item in async_generator()]

    calls = {
        "function": function,
        "coroutine": lambda: asyncio.run(coroutine()),
        "generator": lambda: list(generator()),
        "async generator": lambda: asyncio.run(consume()),
    }
    calls[kind]()
    telemetry.drain()
    (span,) = telemetry.spans()
    flag = {"feature_flag.key": "delay", "feature_flag.result.variant": "canary"}
    assert flag.items() <= span.attributes.items()
