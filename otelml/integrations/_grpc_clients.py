"""Interceptors of gRPC channels: metadata of ours goes with a call, and its end is noted when it is there."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

import grpc
import grpc.aio
from opentelemetry.trace import SpanKind

from otelml._guard import attempt, guard
from otelml.integrations._rpc_calls import RpcCall, observed

if TYPE_CHECKING:
    from collections.abc import Callable

    from otelml.integrations.grpc import State

_BEGIN, _END = guard("integrations.grpc.begin"), guard("integrations.grpc.end")
_PLACE = re.compile(r"(?:(?:dns|ipv4|ipv6):(?://[^/]*/)?)?\[?([\w.-]+|[0-9a-fA-F:]+)\]?:(\d+)")


class _Details(NamedTuple):
    method: Any
    timeout: Any
    metadata: Any
    credentials: Any
    wait_for_ready: Any
    compression: Any


class _SyncDetails(_Details, grpc.ClientCallDetails):  # type: ignore[misc]  # grpcio ships no types
    """What an interceptor hands on."""


class Clients:
    """Makes interceptors, and the calls that they see."""

    def __init__(self, state: State) -> None:
        self._state = state

    def intercepted(self, channel: Any, target: Any) -> Any:
        """Return a channel whose calls are observed."""
        return grpc.intercept_channel(channel, _Interceptor(self, target))

    def asynchronous(self, target: Any) -> list[Any]:
        """Return interceptors of a channel of asyncio's: one for each kind of call."""
        return [kind(self, target) for kind in (_UnaryUnary, _UnaryStream, _StreamUnary, _StreamStream)]

    def begin(self, details: Any, target: Any, upstream: str) -> tuple[RpcCall | None, Any]:
        """Begin a call; return it, and its details with metadata of ours."""
        with _BEGIN:
            method = details.method.decode() if isinstance(details.method, bytes) else details.method
            if self._state.active and observed(method):
                spanned = not self._state.by_upstream(upstream)
                call = RpcCall(self._state.called, method, SpanKind.CLIENT, spanned=spanned)
                found = _PLACE.fullmatch(str(target))
                host, port = (None, None) if found is None else (found[1], int(found[2]))
                return call, self._with(details, call.send(details.metadata, host, port))
        return None, details

    @staticmethod
    def _with(details: Any, metadata: list[Any]) -> Any:
        if isinstance(details, grpc.aio.ClientCallDetails):
            return details._replace(metadata=grpc.aio.Metadata(*metadata))
        more = (details.credentials, getattr(details, "wait_for_ready", None), getattr(details, "compression", None))
        return _SyncDetails(details.method, details.timeout, metadata, *more)


def _ended(call: RpcCall, response: Any) -> None:
    """End a call whose answer is there."""
    with _END:
        code = attempt(response.code)[0]
        call.finish(getattr(code, "name", "UNKNOWN"), None)


class _Interceptor(
    grpc.UnaryUnaryClientInterceptor,  # type: ignore[misc]  # grpcio ships no types
    grpc.UnaryStreamClientInterceptor,  # type: ignore[misc]
    grpc.StreamUnaryClientInterceptor,  # type: ignore[misc]
    grpc.StreamStreamClientInterceptor,  # type: ignore[misc]
):
    def __init__(self, clients: Clients, target: Any) -> None:
        self._clients, self._target = clients, target

    def _intercept(self, continuation: Callable[..., Any], client_call_details: Any, request: Any) -> Any:
        call, details = self._clients.begin(client_call_details, self._target, "GrpcInstrumentorClient")
        response = continuation(details, request)
        if call is not None:
            with _END:
                self._note(call, response)
        return response

    @staticmethod
    def _note(call: RpcCall, response: Any) -> None:
        done = getattr(response, "done", None)
        if done is not None and done():
            _ended(call, response)
        elif hasattr(response, "add_done_callback"):
            response.add_done_callback(lambda ended: _ended(call, ended))
        elif not response.add_callback(lambda: _ended(call, response)):
            _ended(call, response)

    intercept_unary_unary = intercept_unary_stream = intercept_stream_unary = intercept_stream_stream = _intercept


class _Async:
    def __init__(self, clients: Clients, target: Any) -> None:
        self._clients, self._target = clients, target

    async def _intercept(self, continuation: Callable[..., Any], client_call_details: Any, request: Any) -> Any:
        call, details = self._clients.begin(client_call_details, self._target, "GrpcAioInstrumentorClient")
        response = await continuation(details, request)
        if call is not None:
            with _END:
                response.add_done_callback(lambda ended: _ended_async(call, ended))
        return response


def _ended_async(call: RpcCall, response: Any) -> None:
    with _END:
        waiting = response.code()
        try:
            waiting.send(None)  # the code is there: nothing is waited for
        except StopIteration as found:
            call.finish(getattr(found.value, "name", "UNKNOWN"))
        else:
            waiting.close()
            call.finish("UNKNOWN")


class _UnaryUnary(_Async, grpc.aio.UnaryUnaryClientInterceptor):  # type: ignore[misc]
    intercept_unary_unary = _Async._intercept


class _UnaryStream(_Async, grpc.aio.UnaryStreamClientInterceptor):  # type: ignore[misc]
    intercept_unary_stream = _Async._intercept


class _StreamUnary(_Async, grpc.aio.StreamUnaryClientInterceptor):  # type: ignore[misc]
    intercept_stream_unary = _Async._intercept


class _StreamStream(_Async, grpc.aio.StreamStreamClientInterceptor):  # type: ignore[misc]
    intercept_stream_stream = _Async._intercept
