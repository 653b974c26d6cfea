"""gRPC services and clients of grpcio, sync and asyncio: a span and a duration a call, and the request id by metadata.

Interceptors of ours stand before those of the application in every server and channel that is made from now on, but in
those of exporters and of otelml: their calls are not observed, and go the way they went before.
"""

from __future__ import annotations

import sys
from functools import partial, wraps
from typing import TYPE_CHECKING, Any

from opentelemetry.instrumentation.instrumentor import BaseInstrumentor  # type: ignore[attr-defined]  # untyped

from otelml._guard import guard
from otelml.integrations._durations import Outlet
from otelml.integrations._patching import Patch

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from otelml.integrations._grpc_clients import Clients
    from otelml.integrations._grpc_servers import Servers

_UPSTREAM = "opentelemetry.instrumentation.grpc"
_NOT_OBSERVED = ("opentelemetry.exporter.", "otelml.")
"""Modules whose channels and servers are left alone."""
_INTERCEPTORS_AT = {"server": 2, "aio.server": 2, "aio.insecure_channel": 3, "aio.secure_channel": 4}
_MAKE = guard("integrations.grpc")


class State:
    """What the interceptors made by one ``instrument()`` share."""

    def __init__(self, tracer_provider: Any, meter_provider: Any) -> None:
        self.active = True
        self.served = Outlet(tracer_provider, meter_provider, "rpc.server.call.duration")
        self.called = Outlet(tracer_provider, meter_provider, "rpc.client.call.duration")

    @staticmethod
    def by_upstream(kind: str) -> bool:
        """Return whether somebody has switched one of upstream's instrumentors on."""
        found = getattr(sys.modules.get(_UPSTREAM), kind, None)
        return found is not None and bool(found().is_instrumented_by_opentelemetry)

    def servers(self) -> Servers:
        """Return what makes interceptors of servers; imported when there is a server."""
        from otelml.integrations._grpc_servers import Servers  # noqa: PLC0415 - it imports grpc

        return Servers(self)

    def clients(self) -> Clients:
        """Return what makes interceptors of clients; imported when there is a channel."""
        from otelml.integrations._grpc_clients import Clients  # noqa: PLC0415 - the same

        return Clients(self)


def _ours() -> bool:
    """Return whether the function that called ours is an exporter's or otelml's."""
    caller = str(sys._getframe(2).f_globals.get("__name__", ""))
    return f"{caller}.".startswith(_NOT_OBSERVED)


def _server(state: State, name: str, make: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(make)
    def server(*args: Any, **kwargs: Any) -> Any:
        if not _ours():
            with _MAKE:
                first = [state.servers().interceptor(asynchronous=name.startswith("aio"))]
                args, kwargs = _first(first, _INTERCEPTORS_AT[name], args, kwargs)
        return make(*args, **kwargs)

    return server


def _channel(state: State, make: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(make)
    def channel(target: Any, *args: Any, **kwargs: Any) -> Any:
        made = make(target, *args, **kwargs)
        if not _ours():
            with _MAKE:
                return state.clients().intercepted(made, target)
        return made

    return channel


def _aio_channel(state: State, name: str, make: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(make)
    def channel(target: Any, *args: Any, **kwargs: Any) -> Any:
        if not _ours():
            with _MAKE:
                first = state.clients().asynchronous(target)
                args, kwargs = _first(first, _INTERCEPTORS_AT[name] - 1, args, kwargs)
        return make(target, *args, **kwargs)

    return channel


def _first(ours: list[Any], place: int, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, Any]:
    """Return arguments with interceptors of ours before the caller's."""
    if len(args) > place:
        return (*args[:place], [*ours, *(args[place] or ())], *args[place + 1 :]), kwargs
    return args, {**kwargs, "interceptors": [*ours, *(kwargs.get("interceptors") or ())]}


class GrpcInstrumentor(BaseInstrumentor):  # type: ignore[misc]  # untyped
    """Observes servers and channels that are made while it is on. Takes ``tracer_provider`` and ``meter_provider``."""

    _patches: tuple[Patch, ...] = ()
    _state: State | None = None

    def instrumentation_dependencies(self) -> Collection[str]:
        """Return the packages this needs, as requirements."""
        return ("grpcio >= 1.63",)

    def _instrument(self, **kwargs: Any) -> None:
        state = self._state = State(kwargs.get("tracer_provider"), kwargs.get("meter_provider"))
        self._patches = (
            Patch("grpc", "server", partial(_server, state, "server")),
            Patch("grpc", "insecure_channel", partial(_channel, state)),
            Patch("grpc", "secure_channel", partial(_channel, state)),
            Patch("grpc.aio", "server", partial(_server, state, "aio.server")),
            Patch("grpc.aio", "insecure_channel", partial(_aio_channel, state, "aio.insecure_channel")),
            Patch("grpc.aio", "secure_channel", partial(_aio_channel, state, "aio.secure_channel")),
        )

    def _uninstrument(self, **_: Any) -> None:
        patches, self._patches = self._patches, ()
        for patch in patches:
            patch.undo()
        if self._state is not None:
            self._state.active = False
