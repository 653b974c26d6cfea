"""BentoML: each request by our own layer, and batches that know every request they were made of.

The layer stands where BentoML has OpenTelemetry's: that one makes spans which nobody exports and which predictions
would be below, unless the application has configured ``tracing`` of BentoML's own; then it stays. The predictions are
those of the model's library, within the request or, in a batch, for all of its requests. A class that is a service of
its own calls the others over HTTP, which carries the trace.
"""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, Any

from opentelemetry import trace
from opentelemetry.instrumentation.instrumentor import BaseInstrumentor  # type: ignore[attr-defined]  # untyped

from otelml import runtime
from otelml._guard import guard
from otelml.config import EXCLUDED_URLS
from otelml.integrations._patching import Patch
from otelml.members import Places, work_for

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, MutableMapping, Sequence

    from otelml.integrations.asgi import Requests

    Message = MutableMapping[str, Any]
    Send = Callable[[Message], Awaitable[None]]

_APP, _DISPATCHER = "_bentoml_impl.server.app", "bentoml._internal.marshal.dispatcher"
_REPLACED = "opentelemetry.instrumentation.asgi"
_MARK = "otelml.request_id"
_LAYER, _JOIN = guard("integrations.bentoml"), guard("integrations.bentoml.join")


class BentoMLInstrumentor(BaseInstrumentor):  # type: ignore[misc]  # untyped
    """Observes requests of BentoML's services, and their batches."""

    _patches: tuple[Patch, ...] = ()

    def instrumentation_dependencies(self) -> Collection[str]:
        """Return the packages this needs, as requirements."""
        return ("bentoml >= 1.4.20",)

    def _instrument(self, **_: Any) -> None:
        batches = _Batches()
        self._patches = (
            Patch(_APP, "ServiceAppFactory.__call__", _with_layer),
            Patch(_DISPATCHER, "CorkDispatcher.inbound_call", batches.inbound),
            Patch(_DISPATCHER, "CorkDispatcher.split_job", batches.split),
            Patch(_DISPATCHER, "CorkDispatcher.outbound_call", batches.outbound),
        )

    def _uninstrument(self, **_: Any) -> None:
        patches, self._patches = self._patches, ()
        for patch in patches:
            patch.undo()


# Requests ---------------------------------------------------------------------------------------------------------


def _with_layer(original: Callable[..., Any]) -> Callable[..., Any]:
    """Return what stands for the making of an application: our layer is where upstream's was."""

    @wraps(original)
    def __call__(self: Any) -> Any:  # noqa: N807 - stands for it
        app = original(self)
        with _LAYER:
            if runtime.active is not None and not _traces_by_itself():
                for middleware in app.user_middleware:
                    if middleware.cls.__module__ == _REPLACED:
                        middleware.cls, middleware.args, middleware.kwargs = _Layer, (), {}
        return app

    return __call__


def _traces_by_itself() -> bool:
    """Return whether BentoML is configured to export spans."""
    from bentoml._internal.configuration.containers import (  # type: ignore[import-not-found]  # noqa: PLC0415 - it is imported
        BentoMLContainer,
    )

    return bool(BentoMLContainer.tracing.exporter_type.get())


class _Layer:
    """Middleware that observes requests, unless somebody further out does."""

    def __init__(self, app: Any) -> None:
        self._app = app
        self._requests: Requests | None = None

    async def __call__(self, scope: Message, receive: Any, send: Send) -> None:
        active = runtime.active
        if scope["type"] != "http" or active is None or _MARK in scope:
            with _LAYER:
                _identify(scope)
            await self._app(scope, receive, _ending(send))
            return
        request = self._observing(active).begin(scope.get("app"), scope, send)
        if request is None:
            await self._app(scope, receive, send)
            return
        scope[_MARK] = request.id
        with _LAYER:
            _identify(scope)
        try:
            await self._app(scope, receive, request.send)
        except BaseException as error:
            request.failed(error)
            raise
        finally:
            request.finish()

    def _observing(self, active: runtime.Runtime) -> Requests:
        if self._requests is None:
            from otelml.integrations.asgi import Requests  # noqa: PLC0415 - there is an application to observe

            self._requests = Requests(active.config.excluded_urls or EXCLUDED_URLS, buckets=active.config.buckets)
        return self._requests


def _identify(scope: Message) -> None:
    """Give BentoML the id that it answers as ``X-BentoML-Request-ID``: that of the request's span."""
    if scope["type"] == "http":
        from bentoml._internal.context import trace_context  # type: ignore[import-not-found]  # noqa: PLC0415 - it is imported

        trace_context.request_id = trace.get_current_span().get_span_context().span_id


def _ending(send: Send) -> Send:
    """Return ``send`` that flushes before a worker learns that its application has ended: a signal may end it."""

    async def send_and_end(message: Message) -> None:
        active = runtime.active
        if active is not None and message["type"].startswith("lifespan.shutdown."):
            with _LAYER:
                active.flush_at_end()
        await send(message)

    return send_and_end


# Batches ----------------------------------------------------------------------------------------------------------


class _Batches:
    """Who waits in which batch."""

    def __init__(self) -> None:
        self._places = Places()

    def inbound(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """Return what stands for a request's joining of a batch, until it is answered."""

        @wraps(original)
        async def inbound_call(dispatcher: Any, data: Any) -> Any:
            if runtime.active is None:
                return await original(dispatcher, data)
            with self._places.waiting(data):
                return await original(dispatcher, data)

        return inbound_call

    def split(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """Return what stands for the cutting of a request into the end of one batch and the beginning of the next."""

        @wraps(original)
        def split_job(dispatcher: Any, job: Any, *args: Any, **kwargs: Any) -> Any:
            joined = self._places.taken(job.data)
            parts = original(dispatcher, job, *args, **kwargs)
            with _JOIN:
                if joined is not None:
                    for part in parts:
                        self._places.join(part.data, joined)
            return parts

        return split_job

    def outbound(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """Return what stands for a batch's way to the model: what is predicted there is for its requests."""

        @wraps(original)
        async def outbound_call(dispatcher: Any, inputs_info: Sequence[Any], *args: Any, **kwargs: Any) -> Any:
            if runtime.active is None:
                return await original(dispatcher, inputs_info, *args, **kwargs)
            with _JOIN:
                joined = [each for job in inputs_info if (each := self._places.taken(job.data)) is not None]
                # It is a task of its own, which ends with the batch: nothing needs to be put back.
                work_for(joined)
            return await original(dispatcher, inputs_info, *args, **kwargs)

        return outbound_call
