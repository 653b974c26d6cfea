"""LitServe: the trace of a request goes with it into the worker, and a batch knows every request it was made of.

Requests are FastAPI's, predictions those of the model's library, in a process of its own. Between them is a queue of
tuples, whose id is a text: it carries the context, as a text that has it beside. A worker takes note of every request
at its start and at its end, which is where the context comes and goes.
"""

from __future__ import annotations

import asyncio
import threading
from functools import wraps
from inspect import signature
from typing import TYPE_CHECKING, Any

from opentelemetry.instrumentation.instrumentor import BaseInstrumentor  # type: ignore[attr-defined]  # untyped

from otelml import context, propagate, runtime
from otelml._guard import attempt, guard
from otelml.integrations._patching import Patch
from otelml.members import Joined, work_for

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

_LOOPS = "litserve.loops.base"
_SEND, _TAKE = guard("integrations.litserve.send"), guard("integrations.litserve.take")


class LitServeInstrumentor(BaseInstrumentor):  # type: ignore[misc]  # untyped
    """Carries the context of requests into LitServe's workers."""

    _patches: tuple[Patch, ...] = ()

    def instrumentation_dependencies(self) -> Collection[str]:
        """Return the packages this needs, as requirements."""
        return ("litserve >= 0.2.19",)

    def _instrument(self, **_: Any) -> None:
        self._patches = (
            Patch("litserve.server", "LitServer._get_request_queue", _sending),
            Patch(_LOOPS, "LitLoop.put_response", _taking),
            Patch("litserve.loops.simple_loops", "SingleLoop._process_single_request", _alone),
            Patch("litserve.loops.streaming_loops", "StreamingLoop._process_streaming_request", _alone),
        )

    def _uninstrument(self, **_: Any) -> None:
        patches, self._patches = self._patches, ()
        for patch in patches:
            patch.undo()


class Uid(str):
    """The id of a request, with the headers of its context."""

    __slots__ = ("headers",)
    headers: dict[str, str]

    def __reduce__(self) -> tuple[Any, ...]:
        """Return what makes it anew in another process."""
        return carrying, (str(self), self.headers)


def carrying(uid: str, headers: dict[str, str]) -> Uid:
    """Return an id with headers."""
    made = Uid(uid)
    made.headers = headers
    return made


# In the server ----------------------------------------------------------------------------------------------------


class _Queue:
    """The queue of one API, as a request that is being served sees it."""

    def __init__(self, queue: Any) -> None:
        self._queue = queue

    def __getattr__(self, name: str) -> Any:
        return getattr(self._queue, name)

    def put(self, item: Any, *args: Any, **kwargs: Any) -> Any:
        """Put a request with its context."""
        with _SEND:
            consumer, uid, *rest = item
            item = (consumer, carrying(uid, propagate.inject()), *rest)
        return self._queue.put(item, *args, **kwargs)


def _sending(original: Callable[..., Any]) -> Callable[..., Any]:
    """Return what stands for the look-up of a queue."""

    @wraps(original)
    def _get_request_queue(self: Any, *args: Any, **kwargs: Any) -> Any:
        queue = original(self, *args, **kwargs)
        serving = runtime.active is not None and context.request_id() is not None
        return _Queue(queue) if serving else queue

    return _get_request_queue


# In a worker ------------------------------------------------------------------------------------------------------


class _Taken(threading.local):
    """The requests that a worker has taken and not answered, in the order of their start."""

    def __init__(self) -> None:
        self.requests: dict[str, Joined] = {}


_taken = _Taken()


def _joined(uid: Any) -> Joined | None:
    """Return the place of a request that was sent here."""
    if type(uid) is not Uid:
        return None
    with propagate.attached(uid.headers):
        return Joined()


def _taking(original: Callable[..., Any]) -> Callable[..., Any]:
    """Return what stands for a worker's answers, the first of which says that it has taken a request."""
    names = tuple(signature(original).parameters)[1:]

    @wraps(original)
    def put_response(self: Any, *args: Any, **kwargs: Any) -> Any:
        given = {**dict(zip(names, args, strict=False)), **kwargs}
        uid = given.get("uid")
        with _TAKE:
            if runtime.active is not None and not _in_tasks():
                _follow(uid, given)
        if type(uid) is Uid:
            given["uid"] = str(uid)
        return original(self, **given)

    return put_response


def _in_tasks() -> bool:
    """Return whether requests are served by tasks, each with a context of its own."""
    return attempt(asyncio.get_running_loop)[1] is None


def _follow(uid: Any, given: dict[str, Any]) -> None:
    status, kind = given.get("status"), getattr(given.get("response_type"), "name", "")
    if status == "START":
        joined = _joined(uid)
        if joined is not None:
            _taken.requests[str(uid)] = joined
    elif status == "OK" and kind == "STREAMING":
        return  # one item of several
    else:
        _taken.requests.pop(str(uid), None)
    work_for(list(_taken.requests.values()))  # the loop is nobody else's


def _alone(original: Callable[..., Any]) -> Callable[..., Any]:
    """Return what stands for the serving of one request by a task."""

    @wraps(original)
    async def process(self: Any, request: Any, *args: Any, **kwargs: Any) -> Any:
        with _TAKE:
            joined = _joined(request[1]) if runtime.active is not None else None
            if joined is not None:
                work_for([joined])
        return await original(self, request, *args, **kwargs)

    return process
