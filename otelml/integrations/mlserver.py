"""MLServer: the trace of a request goes with it into the model's worker, and a batch knows every request in it.

Requests are FastAPI's and gRPC's, predictions those of the model's library. A batch is made in the server and sent to
a worker as one message, which holds the context of each request that the batch is made of; in plain types, as a worker
may run in an environment of its own.
"""

from __future__ import annotations

from contextlib import nullcontext
from functools import wraps
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any

from opentelemetry import trace
from opentelemetry.context.context import Context
from opentelemetry.instrumentation.instrumentor import BaseInstrumentor  # type: ignore[attr-defined]  # untyped
from opentelemetry.instrumentation.utils import suppress_instrumentation

from otelml import _sdk, context, propagate, runtime
from otelml._guard import guard
from otelml.integrations._patching import Patch
from otelml.members import Joined, Places, waiting, work_for
from otelml.off import suppressed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Collection

    from otelml.members import Member

    Sent = tuple[dict[str, str], int, bool]
    """Headers of a request, since when it waits (``perf_counter_ns``), and whether it is not to be observed."""

_KEY = "otelml_requests"
"""What a message holds beside its fields."""
_JOIN, _SEND, _TAKE = (guard(f"integrations.mlserver.{part}") for part in ("join", "send", "take"))


class MLServerInstrumentor(BaseInstrumentor):  # type: ignore[misc]  # untyped
    """Carries the context of requests into MLServer's batches and workers."""

    _patches: tuple[Patch, ...] = ()

    def instrumentation_dependencies(self) -> Collection[str]:
        """Return the packages this needs, as requirements."""
        return ("mlserver >= 1.5",)

    def _instrument(self, **_: Any) -> None:
        batches = _Batches()
        self._patches = (
            Patch("mlserver.batching.adaptive", "AdaptiveBatcher.predict", batches.predict),
            Patch("mlserver.batching.adaptive", "AdaptiveBatcher._batch_requests", batches.batch_requests),
            Patch("mlserver.parallel.dispatcher", "Dispatcher.dispatch_request", _sending),
            Patch("mlserver.parallel.worker", "Worker._process_request", _taking),
        )

    def _uninstrument(self, **_: Any) -> None:
        patches, self._patches = self._patches, ()
        for patch in patches:
            patch.undo()


# In the server ----------------------------------------------------------------------------------------------------


class _Batches:
    """Who waits in which batch."""

    def __init__(self) -> None:
        self._places = Places()

    def predict(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """Return what stands for a request's joining of a batch, until it is answered."""

        @wraps(original)
        async def predict(batcher: Any, req: Any) -> Any:
            if runtime.active is None:
                return await original(batcher, req)
            with self._places.waiting(req):
                return await original(batcher, req)

        return predict

    def batch_requests(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """Return what stands for the making of batches: the task that predicts one starts in the context of now."""

        @wraps(original)
        async def _batch_requests(batcher: Any) -> AsyncIterator[Any]:
            async for batch in original(batcher):
                with _JOIN:
                    found = [self._places.taken(each) for each in batch.inference_requests.values()]
                    if runtime.active is not None:
                        work_for([joined for joined in found if joined is not None])
                yield batch

        return _batch_requests


def _sending(original: Callable[..., Any]) -> Callable[..., Any]:
    """Return what stands for the sending of a message to a worker: the requests that it is for go along."""

    @wraps(original)
    async def dispatch_request(self: Any, request_message: Any) -> Any:
        with _SEND:
            if runtime.active is not None:
                members = waiting(_sdk.get_current())
                request_message.__dict__[_KEY] = [_sent(each) for each in members] or [_alone()]
        return await original(self, request_message)

    return dispatch_request


def _sent(member: Member) -> Sent:
    ids = {} if member.request_id is None else {context.KEY: member.request_id}
    around = trace.set_span_in_context(trace.NonRecordingSpan(member.context), Context(ids))
    return propagate.headers_of(around), member.joined, member.silent


def _alone() -> Sent:
    return propagate.inject(), perf_counter_ns(), suppressed()


# In a worker ------------------------------------------------------------------------------------------------------


def _taking(original: Callable[..., Any]) -> Callable[..., Any]:
    """Return what stands for a worker's serving of a message, a task of its own."""

    @wraps(original)
    async def _process_request(self: Any, request: Any) -> Any:
        with _TAKE:
            sent = request.__dict__.pop(_KEY, None)
            if sent is not None and runtime.active is not None:
                work_for([_joined(*each) for each in sent])
        return await original(self, request)

    return _process_request


def _joined(headers: dict[str, str], since: int, silent: bool) -> Joined:
    """Return the place of a request that was sent here; the clock is one for all processes of a machine."""
    with propagate.attached(headers), suppress_instrumentation() if silent else nullcontext():
        joined = Joined()
    joined.member.joined = since
    return joined
