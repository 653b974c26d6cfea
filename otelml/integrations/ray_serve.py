"""Ray Serve: requests of plain deployments, one trace over handles, and batches that know all of their requests.

A replica is a process of Ray's own. What it serves as an ASGI application of a framework we know (``@serve.ingress``)
is that framework's; requests of other deployments are observed here, as they pass between Serve and the user's code.
Calls by a handle carry the caller's context beside Serve's own facts of the call. Predictions are those of the model's
library, within the request or, in a batch, for all of its requests.

Each call is served by a task of its own, which ends with it: what is made current there is not put back.
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from functools import wraps
from typing import TYPE_CHECKING, Any

from opentelemetry.instrumentation.instrumentor import BaseInstrumentor  # type: ignore[attr-defined]  # untyped

from otelml import _sdk, context, propagate, runtime
from otelml._guard import attempt, guard
from otelml._lazy import computed_once
from otelml.config import EXCLUDED_URLS
from otelml.integrations._applications import HEADER, INSTRUMENTED, MARK
from otelml.integrations._patching import Patch
from otelml.members import Joined, work_for

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Collection, MutableMapping, Sequence

    from otelml.integrations._http_requests import Request
    from otelml.integrations.asgi import Requests

    Message = MutableMapping[str, Any]

_REPLICA, _QUEUE = "ray.serve._private.replica", "ray.serve.batching"
_CARRIER, _JOINED = "_otelml_carrier", "_otelml_joined"
_FRAMEWORKS = frozenset({"fastapi.applications", "starlette.applications", "litestar.app"})
"""Where the classes of applications are that have an integration of their own."""
_CALL, _SEEN = guard("integrations.ray_serve.call"), guard("integrations.ray_serve.http")
_JOIN, _END = guard("integrations.ray_serve.join"), guard("integrations.ray_serve.end")


class RayServeInstrumentor(BaseInstrumentor):  # type: ignore[misc]  # untyped
    """Observes the replicas of Ray Serve's deployments."""

    _patches: tuple[Patch, ...] = ()

    def instrumentation_dependencies(self) -> Collection[str]:
        """Return the packages this needs, as requirements."""
        return ("ray >= 2.60",)

    def _instrument(self, **_: Any) -> None:
        self._patches = (
            Patch("ray.serve._private.common", "RequestMetadata.__init__", _carrying),
            Patch(_REPLICA, "UserCallableWrapper.call_user_method", _carried),
            Patch(_REPLICA, "UserCallableWrapper.call_user_generator", _carried),
            Patch(_REPLICA, "UserCallableWrapper.call_http_entrypoint", _Http().entrypoint),
            Patch(_REPLICA, "UserCallableWrapper.call_destructor", _ending),
            Patch(_QUEUE, "_BatchQueue.put", _joining),
            Patch(_QUEUE, "_BatchQueue._process_batch_inner", _processing),
        )

    def _uninstrument(self, **_: Any) -> None:
        patches, self._patches = self._patches, ()
        for patch in patches:
            patch.undo()


# Calls by a handle ------------------------------------------------------------------------------------------------


def _carrying(original: Callable[..., None]) -> Callable[..., None]:
    """Return what stands for the making of Serve's facts of a call, in the caller: its context is one more."""

    @wraps(original)
    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:  # noqa: N807 - stands for it
        original(self, *args, **kwargs)
        with _CALL:
            carrier = propagate.inject() if runtime.active is not None else None
            if carrier:
                setattr(self, _CARRIER, carrier)

    return __init__


def _carried(original: Callable[..., Any]) -> Callable[..., Any]:
    """Return what stands for a replica's way to the user's method: what it does there is done for the caller."""

    @wraps(original)
    def call(self: Any, request_metadata: Any, *args: Any, **kwargs: Any) -> Any:
        with _CALL:
            if runtime.active is not None:
                ids = {propagate.REQUEST: request_metadata.request_id}
                with propagate.attached({**ids, **getattr(request_metadata, _CARRIER, {})}):
                    current = _sdk.get_current()
                _sdk.attach(current)
                context.BESIDE.set(context.request_id_in(current))
        return original(self, request_metadata, *args, **kwargs)

    return call


# Requests over HTTP -----------------------------------------------------------------------------------------------


class _Prefix:
    """Routes of deployments: that under which Serve hands a request to the application, given in its place."""

    def of_served(self, app: Any, scope: Message, path: str, root_path: str, /) -> str | None:  # noqa: ARG002 - see Routes
        """Return the route."""
        return app or None

    matched = of_served


class _Http:
    """Observes requests that no framework's integration does."""

    @computed_once
    def _requests(self) -> Requests:
        from otelml.integrations.asgi import Requests  # noqa: PLC0415 - there is a request to observe

        config = runtime.active.config if runtime.active is not None else None
        excluded, buckets = (None, None) if config is None else (config.excluded_urls, config.buckets)
        return Requests(excluded or EXCLUDED_URLS, buckets=buckets, routes=_Prefix())

    def entrypoint(self, original: Callable[..., AsyncIterator[list[Message]]]) -> Callable[..., Any]:
        """Return what stands for a replica's way to the user's code, which answers with lists of ASGI messages."""

        @wraps(original)
        async def call_http_entrypoint(
            wrapper: Any, request_metadata: Any, status: Any, scope: Message, *args: Any, **kwargs: Any
        ) -> AsyncIterator[list[Message]]:
            request = None
            with _SEEN:
                if runtime.active is not None and not _left(wrapper, request_metadata):
                    request = self._requests.begin(request_metadata.route, scope)
            if request is not None:
                scope[MARK] = request.id
            answer = _Answer(request, scope)
            answers = original(wrapper, request_metadata, status, scope, *args, **kwargs)
            async with aclosing(answers) as batches:  # type: ignore[type-var]  # it is a generator
                try:
                    async for messages in batches:
                        yield [answer.seen(message) for message in messages]
                except BaseException as error:
                    answer.failed(error)
                    raise
                finally:
                    answer.finish()

        return call_http_entrypoint


def _left(wrapper: Any, request_metadata: Any) -> bool:
    """Return whether a framework's integration, or somebody else's, observes the requests of a deployment."""
    if not wrapper.get_user_method_info(request_metadata.call_method).is_asgi_app:
        return False
    app = wrapper._callable.app
    return hasattr(app, INSTRUMENTED) or any(kind.__module__ in _FRAMEWORKS for kind in type(app).__mro__)


class _Answer:
    """What comes back of a request: told to its observer, where it has one of ours, and handed on."""

    def __init__(self, request: Request | None, scope: Message) -> None:
        self._request, self._scope, self._over = request, scope, False

    def seen(self, message: Message) -> Message:
        """Take note of a message; return it without the request id that a framework's integration has put there.

        Serve's proxy answers the same id, and would answer it twice.
        """
        with _SEEN:
            kind, request = message["type"], self._request
            if kind == "http.response.start" and request is not None:
                request.started(message["status"])
                request.with_headers(message)  # for the size of the answer alone
            elif kind == "http.response.start" and MARK in self._scope:
                own = (HEADER, self._scope[MARK].encode())
                return {**message, "headers": [each for each in message.get("headers", ()) if tuple(each) != own]}
            elif kind == "http.response.body" and request is not None and not message.get("more_body", False):
                self._over = True
                request.ended()
        return message

    def failed(self, error: BaseException) -> None:
        """Take note of what the user's code raised: Serve answers that with an error first, and raises it then."""
        if self._request is not None:
            (self._request.note if self._over else self._request.failed)(error)

    def finish(self) -> None:
        """End the request."""
        if self._request is not None:
            self._request.finish()


# Batches ----------------------------------------------------------------------------------------------------------


def _joining(original: Callable[..., None]) -> Callable[..., None]:
    """Return what stands for a request's joining of a batch."""

    @wraps(original)
    def put(self: Any, request: Any) -> None:
        if runtime.active is not None:
            with _JOIN:
                setattr(request, _JOINED, Joined())
        original(self, request)

    return put


def _processing(original: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
    """Return what stands for a batch's way to the user's function: what is predicted there is for its requests."""

    @wraps(original)
    async def process(self: Any, func: Any, batch: Sequence[Any], *args: Any, **kwargs: Any) -> None:
        with _JOIN:
            if runtime.active is not None:
                present = [each for each in batch if not each.future.cancelled()]
                joined = [each for one in present if (each := getattr(one, _JOINED, None)) is not None]
                work_for(joined)
        await original(self, func, batch, *args, **kwargs)

    return process


# The end ----------------------------------------------------------------------------------------------------------


def _ending(original: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    """Return what stands for the last that a replica does: Ray kills its process afterwards."""

    @wraps(original)
    async def call_destructor(self: Any) -> Any:
        try:
            return await original(self)
        finally:
            active = runtime.active
            if active is not None:
                with _END:
                    await asyncio.to_thread(attempt, active.flush_at_end)

    return call_destructor
