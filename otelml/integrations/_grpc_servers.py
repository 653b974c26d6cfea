"""Interceptors of gRPC servers: what stands for a method runs as a call of the client's trace."""

from __future__ import annotations

from contextlib import nullcontext
from functools import wraps
from typing import TYPE_CHECKING, Any, NamedTuple

import grpc
import grpc.aio
from opentelemetry.trace import SpanKind

from otelml._guard import attempt, guard
from otelml.integrations._rpc_calls import HEADER, RpcCall, observed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from otelml.integrations.grpc import State

_BEGIN, _END = guard("integrations.grpc.begin"), guard("integrations.grpc.end")
_NAMES = {code.value[0]: code.name for code in grpc.StatusCode}
_MAKERS = {
    (False, False): ("unary_unary", grpc.unary_unary_rpc_method_handler),
    (False, True): ("unary_stream", grpc.unary_stream_rpc_method_handler),
    (True, False): ("stream_unary", grpc.stream_unary_rpc_method_handler),
    (True, True): ("stream_stream", grpc.stream_stream_rpc_method_handler),
}


class Metadatum(NamedTuple):
    """A pair of metadata as grpcio gives it: some servers read what was set with its names."""

    key: str
    value: str


class Servers:
    """Makes interceptors, and the calls that they see."""

    def __init__(self, state: State) -> None:
        self._state = state

    def interceptor(self, *, asynchronous: bool) -> Any:
        """Return a new interceptor."""
        return _AsyncInterceptor(self) if asynchronous else _Interceptor(self)

    def handler(self, handler: Any, method: str, wrap: Callable[..., Any]) -> Any:
        """Return a handler whose behaviour is observed; ``wrap`` makes it of the original."""
        state = self._state
        if handler is None or not state.active or not observed(method):
            return handler
        with _BEGIN:
            name, make = _MAKERS[handler.request_streaming, handler.response_streaming]
            behaviour = getattr(handler, name)
            wrapped = wrap(self, method, behaviour, streams=handler.response_streaming)
            return make(wrapped, handler.request_deserializer, handler.response_serializer)
        return handler

    def begin(self, method: str, context: Any) -> RpcCall | None:
        """Begin a call; the request id goes back with its answer."""
        with _BEGIN:
            spanned = not self._state.by_upstream("GrpcInstrumentorServer")
            spanned = spanned and not self._state.by_upstream("GrpcAioInstrumentorServer")
            call = RpcCall(self._state.served, method, SpanKind.SERVER, spanned=spanned)
            request_id = call.receive(context.invocation_metadata())
            context.set_trailing_metadata((Metadatum(HEADER, request_id),))
            return call
        return None


def _end(call: RpcCall | None, context: Any, error: BaseException | None = None) -> None:
    with _END:
        if call is not None:
            code = attempt(context.code)[0]
            name = _NAMES.get(code) if isinstance(code, int) else getattr(code, "name", None)
            if error is not None and name in {None, "OK"}:
                name = "CANCELLED" if isinstance(error, GeneratorExit) else "UNKNOWN"
            # What abort() raises says nothing that the code does not.
            told = error if type(error) is not Exception and isinstance(error, Exception) else None
            call.finish(name or "OK", None if isinstance(told, grpc.aio.AbortError) else told)


def _sync(servers: Servers, method: str, behaviour: Callable[..., Any], *, streams: bool) -> Callable[..., Any]:
    @wraps(behaviour)
    def answer(request: Any, context: Any, *more: Any) -> Any:
        call = servers.begin(method, context)
        try:
            with call or nullcontext():
                result = behaviour(request, context, *more)
        except BaseException as error:
            _end(call, context, error)
            raise
        _end(call, context)
        return result

    @wraps(behaviour)
    def stream(request: Any, context: Any, *more: Any) -> Iterator[Any]:
        call = servers.begin(method, context)
        try:
            with call or nullcontext():
                items = iter(behaviour(request, context, *more) or ())
            while True:
                with call or nullcontext():
                    try:
                        item = next(items)
                    except StopIteration:
                        break
                yield item
        except BaseException as error:
            _end(call, context, error)
            raise
        _end(call, context)

    return stream if streams else answer


def _async(servers: Servers, method: str, behaviour: Callable[..., Any], *, streams: bool) -> Callable[..., Any]:
    @wraps(behaviour)
    async def answer(request: Any, context: Any) -> Any:
        call = servers.begin(method, context)
        try:
            with call or nullcontext():
                result = behaviour(request, context)
                result = await result if hasattr(result, "__await__") else result
        except BaseException as error:
            _end(call, context, error)
            raise
        _end(call, context)
        return result

    @wraps(behaviour)
    async def stream(request: Any, context: Any) -> AsyncIterator[Any]:
        call = servers.begin(method, context)
        try:
            items = behaviour(request, context)
            while True:
                with call or nullcontext():
                    try:
                        item = await anext(items)
                    except StopAsyncIteration:
                        break
                yield item
        except BaseException as error:
            _end(call, context, error)
            raise
        _end(call, context)

    @wraps(behaviour)
    async def writes(request: Any, context: Any) -> Any:
        """Answer by ``context.write()``."""
        return await answer(request, context)

    if not streams:
        return answer
    return stream if _is_async_generator(behaviour) else writes


def _is_async_generator(behaviour: Any) -> bool:
    from inspect import isasyncgenfunction  # noqa: PLC0415 - with gRPC

    return isasyncgenfunction(behaviour)


class _Interceptor(grpc.ServerInterceptor):  # type: ignore[misc]  # grpcio ships no types
    def __init__(self, servers: Servers) -> None:
        self._servers = servers

    def intercept_service(self, continuation: Callable[[Any], Any], handler_call_details: Any) -> Any:
        return self._servers.handler(continuation(handler_call_details), handler_call_details.method, _sync)


class _AsyncInterceptor(grpc.aio.ServerInterceptor):  # type: ignore[misc]  # grpcio ships no types
    def __init__(self, servers: Servers) -> None:
        self._servers = servers

    async def intercept_service(self, continuation: Callable[[Any], Any], handler_call_details: Any) -> Any:
        return self._servers.handler(await continuation(handler_call_details), handler_call_details.method, _async)
