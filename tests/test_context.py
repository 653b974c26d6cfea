"""The request id of a context: what is accepted, and where it follows."""

import asyncio
import os
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.context import attach, detach
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from otelml import context, semconv

GOOD = ("a", "A-1._:/+=@-z", "0" * 128)
BAD = ("", "0" * 129, "a b", "a\n", "a\r\nSet-Cookie: x", "naïve", "<script>", "a,b", 'a"b')


@pytest.mark.parametrize("value", GOOD)
def test_a_valid_id_is_taken(value):
    """Ids of the allowed characters and length are kept as they came, as text or as header bytes."""
    assert context.valid(value)
    assert context.accept(value) == value
    assert context.accept(value.encode()) == value


@pytest.mark.parametrize("value", BAD)
def test_an_invalid_id_is_replaced(value):
    """Anything else gives a fresh id, so that no header can be injected."""
    assert not context.valid(value)
    assert context.accept(value) != value
    assert context.valid(context.accept(value.encode("latin-1")))


@given(st.binary(max_size=200))
def test_whatever_comes_in_is_valid_afterwards(header):
    """Any header bytes give a valid id."""
    assert context.valid(context.accept(header))


def test_fresh_ids_differ_across_a_fork():
    """Parent and child never make the same id."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.write(write, context.new_id().encode())
        os._exit(0)
    os.waitpid(pid, 0)
    assert os.read(read, 100).decode() != context.new_id()


def test_nesting_and_restoring():
    """The inner id wins inside, the outer one is back after, none is left in the end, even after an error."""
    assert context.request_id() is None
    inside = []

    def fail():
        with context.with_request_id("inner"):
            inside.append(context.request_id())
            raise ValueError("x")

    with context.with_request_id("outer") as outer:
        with pytest.raises(ValueError, match="x"):
            fail()
        assert (inside, context.request_id(), outer) == (["inner"], "outer", "outer")
    assert context.request_id() is None


def test_the_id_survives_an_extracted_trace_context():
    """Server instrumentations attach an otherwise empty context; the id is still there inside."""
    with context.with_request_id("r-1"):
        token = attach(TraceContextTextMapPropagator().extract({"traceparent": f"00-{'a' * 32}-{'b' * 16}-01"}))
        assert context.request_id() == "r-1"
        detach(token)


def test_the_id_follows_tasks_and_copied_contexts():
    """Tasks, ``to_thread`` and copied contexts see the id; a task's own id stays its own."""

    async def child():
        with context.with_request_id("child"):
            await asyncio.sleep(0)
            return context.request_id()

    async def main():
        with context.with_request_id("parent"):
            task = asyncio.create_task(child())
            threaded = await asyncio.to_thread(context.request_id)
            return await task, threaded, context.request_id()

    assert asyncio.run(main()) == ("child", "parent", "parent")
    with context.with_request_id("copied"), ThreadPoolExecutor(1) as pool:
        assert pool.submit(copy_context().run, context.request_id).result() == "copied"


def test_ids_names_what_is_known():
    """Only known ids become attributes; the prediction's is asked from whoever registered."""
    assert context.ids() == {}
    before = context._prediction_lookup
    context.set_prediction_lookup(lambda: "p1")
    try:
        with context.with_request_id("r1"):
            assert context.ids() == {semconv.REQUEST_ID: "r1", semconv.PREDICTION_ID: "p1"}
    finally:
        context.set_prediction_lookup(before)
