"""Context beyond a thread: executors, functions, messages, metadata of calls; what comes from outside does no harm."""

import asyncio
import functools
import inspect
import multiprocessing
import os
import pickle
import queue
import threading
from concurrent import futures

import grpc
import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry import baggage, propagate, trace
from opentelemetry import context as otel_context
from opentelemetry.propagators.composite import CompositePropagator
from opentelemetry.propagators.textmap import TextMapPropagator
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

import otelml
from otelml import context
from otelml.propagate import Executor, attached, call, inject, wrap

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
TRACE, SPAN = 0x0AF7651916CD43DD8448EB211C80319C, 0xB7AD6B7169203331


def predict(model="child"):
    """Make one prediction; return the ids of the request and the prediction around it."""
    around = context.request_id(), context.prediction_id()
    with otelml.prediction(model):
        pass
    return around


def parents(telemetry, name="predict child"):
    """Return (trace id, parent's span id) of every span of a name."""
    return {(s.trace_id, s.parent_id) for s in telemetry.spans() if s.name == name}


def ids(span):
    """Return the trace id and the span id of a span."""
    own = span.get_span_context()
    return own.trace_id, own.span_id


def test_executor_of_threads(telemetry):
    """What submitted and mapped functions predict is below the caller's span, and knows its ids."""
    with Executor(futures.ThreadPoolExecutor(2)) as pool:
        with context.with_request_id("r-1"), otelml.prediction("parent") as p:
            seen = {pool.submit(predict).result(), *pool.map(predict, ["child"] * 4)}
            stages = pool.submit(lambda: otelml.stage("inference").__enter__().__exit__(None, None, None))
            stages.result()
        assert predict_in(pool) == (None, None)
    assert seen == {("r-1", p.id)}
    assert parents(telemetry) == {ids(p), (telemetry.spans()[-1].trace_id, None)}
    assert parents(telemetry, "inference") == {ids(p)}
    with pytest.raises(RuntimeError, match="shutdown"):
        pool.submit(predict)


def predict_in(pool):
    """Predict in a pool outside of any prediction."""
    return pool.submit(predict).result()


def test_plain_executors_do_not_carry_it(telemetry):
    """Without it the same program has lost the context: what the class is for."""
    with futures.ThreadPoolExecutor(1) as pool, otelml.prediction("parent"):
        assert pool.submit(predict).result() == (None, None)
    assert [parent for _, parent in parents(telemetry)] == [None]


def test_asyncio(telemetry):
    """The loop's executor takes wrapped functions and our executor; wrapped coroutine functions run in the context."""

    async def later():
        await asyncio.sleep(0)
        return predict()

    async def main(pool):
        loop = asyncio.get_running_loop()
        with context.with_request_id("r-1"), otelml.prediction("parent") as p:
            function = wrap(later)
            ways = (
                loop.run_in_executor(None, wrap(predict)),
                loop.run_in_executor(pool, predict),
                asyncio.to_thread(predict),
            )
            found = set(await asyncio.gather(*ways))
        return p, found, await function()

    with Executor(futures.ThreadPoolExecutor(1)) as pool:
        p, found, later_on = asyncio.run(main(pool))
    assert found == {("r-1", p.id)}
    assert later_on == ("r-1", None)  # the prediction had ended by then; its span is the parent still
    assert parents(telemetry) == {ids(p)}


def test_threads(telemetry):
    """A thread whose function is wrapped is in the context in which that was done, however late it starts."""
    with otelml.prediction("parent") as p:
        thread = threading.Thread(target=wrap(predict))
    thread.start()
    thread.join()
    assert parents(telemetry) == {ids(p)}


def scale(x: float, *, by: float = 2) -> float:
    """Scale a number."""
    return x * by


class Model:
    """A model."""

    def double(self, x):
        """Double a number."""
        return 2 * x

    def __call__(self, x):
        """Treble a number."""
        return 3 * x


@pytest.mark.parametrize(
    ("function", "result"),
    [(scale, 6), (functools.partial(scale, by=3), 9), (Model().double, 6), (Model(), 9), (float, 3), (wrap(scale), 6)],
    ids=["function", "partial", "method", "object", "class", "wrapped"],
)
def test_any_callable_stays_what_it_was(telemetry, function, result):
    """Result, name, documentation and signature are the function's own, before and after pickling."""
    with otelml.prediction("parent"):
        carried = wrap(function)
    for each in (carried, pickle.loads(pickle.dumps(carried))):  # noqa: S301 - our own
        assert each(3) == result
        for name in ("__name__", "__doc__", "__module__"):
            assert getattr(each, name, None) == getattr(function, name, getattr(each, name, None))
        if function is not float:  # which has none
            assert inspect.signature(each) == inspect.signature(function)


def test_exceptions_and_errors_of_pickling_are_the_functions_own(telemetry):
    """What a function raises comes out as it is; what cannot be pickled fails as it does without us."""
    problem = KeyError("x")

    def fails():
        raise problem

    with pytest.raises(KeyError) as caught:
        wrap(fails)()
    assert caught.value is problem
    with pytest.raises(KeyError) as caught:
        call(inject(), fails)
    assert caught.value is problem
    for each in (fails, wrap(fails)):
        with pytest.raises((AttributeError, pickle.PicklingError), match="local"):
            pickle.dumps(each)


def test_a_message_carries_trace_and_ids(telemetry):
    """Through a queue: the receiver's prediction is below the sender's; afterwards its own context is back."""
    messages = queue.SimpleQueue()
    with context.with_request_id("r-9"), otelml.prediction("parent") as p, p.stage("inference") as stage:
        messages.put((inject(), "row"))
    carrier, _ = messages.get()
    assert set(carrier) == {"traceparent", "x-request-id", "x-prediction-id"}
    before = otel_context.get_current()
    with attached(carrier):
        assert predict() == ("r-9", p.id)
        assert otelml.current_prediction() is None
    assert otel_context.get_current() == before
    assert (context.request_id(), context.prediction_id()) == (None, None)
    assert call(carrier, predict) == ("r-9", p.id)
    assert parents(telemetry) == {ids(stage)}


def test_the_receivers_own_prediction_is_of_another_trace(telemetry):
    """A message taken inside a prediction belongs to its sender: a stage is none of the receiver's."""
    with otelml.prediction("receiver") as own, attached({"traceparent": PARENT}):
        predict()
        with otelml.stage("inference"):
            pass
    assert parents(telemetry) == {(TRACE, SPAN)}
    assert own.stages == []


@pytest.mark.parametrize(
    "carrier",
    [
        {"traceparent": PARENT, "X-Request-ID": "r-1"},
        [("Traceparent", PARENT), ("x-request-id", "r-1"), ("x-request-id", "r-2")],
        (("traceparent", PARENT.encode()), ("x-request-id", b"r-1"), ("binary", b"\xff"), ("none", None)),
    ],
    ids=["mapping", "pairs", "bytes"],
)
def test_headers_of_others(telemetry, carrier):
    """Headers come as a mapping or as pairs, in any case, as text or as bytes."""
    with attached(carrier):
        assert predict() == ("r-1", None)
    assert parents(telemetry) == {(TRACE, SPAN)}


@pytest.mark.parametrize("carrier", [None, {}, [], "traceparent", 5, [1], [()], {"traceparent": "00-0-0-zz"}, {3: 4}])
def test_headers_that_say_nothing(telemetry, carrier):
    """What is not a context leaves the one that is there."""
    with otelml.prediction("parent") as p, attached(carrier):
        assert otelml.current_prediction() is p
        predict()
    assert parents(telemetry) == {ids(p)}


@given(
    st.one_of(
        st.dictionaries(st.text() | st.just("traceparent") | st.just("baggage"), st.text() | st.binary() | st.none()),
        st.lists(st.tuples(st.sampled_from(["traceparent", "x-request-id", "x-prediction-id"]), st.text())),
        st.lists(st.lists(st.text(max_size=3), max_size=3)),
    )
)
def test_no_header_does_harm(carrier):
    """Whatever arrives: nothing raises, ids are valid, the context afterwards is the one from before."""
    before = otel_context.get_current()
    with attached(carrier):
        for value in (context.request_id(), context.prediction_id()):
            assert value is None or context.valid(value)
        assert call(carrier, scale, 2.0) == 4
    assert otel_context.get_current() == before


def test_an_endless_carrier_is_read_so_far():
    """A carrier that never ends is read to its 256th header."""
    taken = []
    with attached((f"h{taken.append(i)}", "v") for i in iter(int, 1)):
        pass
    assert len(taken) <= 257


def test_baggage_and_other_propagators(telemetry):
    """Baggage crosses; so do headers of propagators that name them in upper case, as lower case."""

    class Shouting(TextMapPropagator):
        fields = frozenset({"X-Shout"})

        def inject(self, carrier, context=None, setter=None):  # noqa: ARG002 - the base's
            carrier["X-Shout"] = str(otel_context.get_value("shout", context))

        def extract(self, carrier, context=None, getter=None):
            return otel_context.set_value("shout", (getter.get(carrier, "X-Shout") or [None])[0], context)

    before = propagate.get_global_textmap()
    token = otel_context.attach(otel_context.set_value("shout", "loud", baggage.set_baggage("user", "7")))
    try:
        assert inject()["baggage"] == "user=7"
        propagate.set_global_textmap(CompositePropagator([TraceContextTextMapPropagator(), Shouting()]))
        carrier = inject()
        assert carrier == {"x-shout": "loud"}
        with attached(carrier):
            assert otel_context.get_value("shout") == "loud"
    finally:
        propagate.set_global_textmap(before)
        otel_context.detach(token)


def test_without_otelml(endpoint):
    """Where otelml is off all of it works, and carries the trace of others."""
    with attached({"traceparent": PARENT}):
        assert inject()["traceparent"] == PARENT
        with Executor(futures.ThreadPoolExecutor(1)) as pool:
            assert pool.submit(ids_of_now).result() == (TRACE, SPAN)
    assert wrap(scale)(3) == 6


def ids_of_now():
    """Return the trace id and the span id that are current."""
    return ids(trace.get_current_span())


def test_grpc(telemetry):
    """The metadata of a gRPC call carry the context to a server, over a connection."""
    seen = []

    def serve(_, call_context):
        with attached(call_context.invocation_metadata()):
            seen.append(predict())
        return b""

    method = grpc.unary_unary_rpc_method_handler(serve)
    server = grpc.server(futures.ThreadPoolExecutor(1))
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("models.Model", {"Predict": method}),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel, otelml.prediction("parent", request_id="r-1") as p:
            channel.unary_unary("/models.Model/Predict")(b"", metadata=tuple(inject().items()), timeout=20)
    finally:
        server.stop(None).wait()
    assert seen == [("r-1", p.id)]
    assert parents(telemetry) == {ids(p)}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_wrapped_functions_in_processes():
    """Without otelml too a pool of processes runs wrapped functions in the context of who handed them over."""
    with futures.ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("fork")) as pool:
        assert pool.submit(facts).result(60) == (0, 0, None)
        with attached({"traceparent": PARENT, "x-request-id": "r-1"}):
            assert pool.submit(facts).result(60) == (0, 0, None)
            assert pool.submit(wrap(facts)).result(60) == (TRACE, SPAN, "r-1")


def facts():
    """Return trace id, span id and request id that are current."""
    return *ids_of_now(), context.request_id()


POOL = """
import json, multiprocessing, os
from concurrent.futures import ProcessPoolExecutor
import otelml
def predict():
    with otelml.prediction("m", str(os.getpid())):
        return os.getpid()
otelml.auto_instrument()
context = multiprocessing.get_context("fork")
with otelml.prediction("m", str(os.getpid())) as p:
    executor = ProcessPoolExecutor(1, mp_context=context)
    executor.submit(int).result()
    pool = context.Pool(1)
pids = [executor.submit(predict).result(), pool.apply(predict)]
executor.shutdown()
pool.close()
pool.join()
print(json.dumps(pids))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_pools_are_not_of_the_trace_they_were_started_in(endpoint, tmp_path):
    """Workers of a pool that a request has started serve all requests: what they predict has no parent of its own."""
    path = tmp_path / "app.py"
    path.write_text(POOL)
    endpoint.run(path)
    spans = endpoint.spans()
    assert len(spans) == len({span.trace_id for span in spans}) == 3
    assert {span.parent_span_id for span in spans} == {b""}
