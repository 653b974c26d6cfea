"""One HTTP or websocket request that is observed: its span, its request id and its measurements."""

from __future__ import annotations

import sys
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.context.context import Context
from opentelemetry.instrumentation.propagators import get_global_response_propagator
from opentelemetry.trace import SpanKind, StatusCode

from otelml import _sdk, context, semconv
from otelml._guard import attempt, failed, guard
from otelml.integrations import _request_facts as facts
from otelml.integrations._http_series import METHOD, NO_ERROR, ROUTE, SCHEME, VERSION, Series, is_error
from otelml.integrations._propagation import SETTER
from otelml.integrations._server_spans import ServerSpan
from otelml.spans import NANO

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping
    from contextvars import Token

    from opentelemetry.trace import SpanContext

    from otelml.integrations._server_spans import DirectServerSpans
    from otelml.integrations.asgi import Requests

    Message = MutableMapping[str, Any]
    Scope = MutableMapping[str, Any]
    Send = Callable[[Message], Awaitable[None]]

HEADER, _LENGTH = context.HEADER.lower().encode(), len(context.HEADER)
REQUEST = otel_context.create_key("otelml-asgi-request")
"""Where a context holds the request that is being observed, in a list that is empty when it has ended."""
_FINISH = guard("integrations.asgi")
_attach, _detach, _BESIDE = _sdk.attach, _sdk.detach, context.BESIDE


class RequestFields:
    """What a request holds; most start as the class's own: setting each one would cost more than all the rest."""

    scope: Scope
    id: str
    """The request id."""
    _requests: Requests
    _app: Any
    _send: Send
    _wall: int
    """``time_ns`` at its start."""
    _start: int
    """``perf_counter_ns`` at its start."""
    _path: str
    _root_path: str
    _method: str
    _kind: SpanKind
    _direct: DirectServerSpans | None
    _span: Any
    _cell: list[Request]
    """What leads to it from its context, until it ends."""
    _own: Context
    _beside: Token[str | None]
    _scheme: str | None = None
    _request_size: int | None = None
    _synthetic: str | None = None
    _status: int | None = None
    _response_size: int | None = None
    _handling: BaseException | None = None
    _noted: BaseException | None = None
    _series: Series | None = None
    _active: set[int] | None = None
    _token: Token[Context] | None = None
    _end = 0
    """When the response was sent, in ns since the epoch."""
    _exported = False


if _sdk.native is not None:
    RequestFields = _sdk.native.RequestFields  # type: ignore[misc]


class Request(RequestFields):
    """One request from its start to the end of the application's call, its background tasks included."""

    def __init__(  # noqa: PLR0917 - one for every request
        self,
        requests: Requests,
        app: Any,
        scope: Scope,
        send: Send,
        headers: dict[bytes, bytes],
        wall: int,
        tick: int,
    ) -> None:
        self._requests, self._app, self.scope, self._send, self._wall, self._start = (
            requests, app, scope, send, wall, tick)  # fmt: skip
        self._path, self._root_path = scope["path"], getattr(app, "root_path", "") or scope.get("root_path", "")
        scheme = scope.get("scheme")
        self._scheme: str | None = scheme if scheme in facts.SCHEMES else None  # a proxy's header may have set it
        method: str = scope.get("method", "")
        self._method = facts.METHODS.get(method) or facts.known_method(method)
        given = headers.get(HEADER)
        self.id = context.new_id() if given is None else context.accept(given)
        size, agent = headers.get(b"content-length"), headers.get(b"user-agent")
        self._request_size = None if size is None else facts.size(size)
        self._synthetic = None if agent is None else facts.synthetic(agent)

    def attach(self, current: Context, parent: SpanContext | None, kind: SpanKind) -> None:
        """Start the span and make it, and the request id, current."""
        self._kind = kind
        direct = self._direct = self._requests.direct
        if direct is None:
            self._span = self._traced(current)
        else:
            self._span = direct.start(facts.span_name(self._method), current, parent, self._wall)
        cell = self._cell = [self]
        self._own = own = _sdk.with_span(current, self._span, context.KEY, self.id, REQUEST, cell)
        if self.scope["type"] == "http":
            active = self._active = self._requests.metrics.active(self._method, self._scheme)
            active.add(id(self))
        self._token, self._beside = _attach(own), _BESIDE.set(self.id)

    def resume(self) -> None:
        """Make the span, and the request id, current."""
        self._token, self._beside = _attach(self._own), _BESIDE.set(self.id)

    def pause(self) -> None:
        """Make current what was so before, until the request goes on or ends."""
        token, self._token = self._token, None
        if token is not None:
            _detach(token)
            try:  # noqa: SIM105 - contextlib.suppress costs more
                _BESIDE.reset(self._beside)
            except ValueError:
                pass  # closed from somewhere else, as a coroutine is that nobody waits for

    def _traced(self, current: Context) -> trace.Span:
        """Return a span of the tracer's own, which has its name and attributes from the start."""
        route = self._requests.routes.matched(self._app, self.scope, self._path, self._root_path)
        series = self._new_series(route, None)
        attributes = {**series.at_start, semconv.REQUEST_ID: self.id}
        tracer = self._requests.private_tracer
        return tracer.start_span(series.name, current, self._kind, attributes, start_time=self._wall)

    # What the application sends -----------------------------------------------------------------------------

    def send(self, message: Message) -> Awaitable[None]:
        """Stand in for the server's ``send``."""
        kind = message["type"]
        if kind == "http.response.body":
            return self._send(message) if message.get("more_body", False) else self._last(message)
        try:  # a guard that costs nothing
            if kind == "http.response.start":
                self.started(message["status"])
                message = self.with_headers(message)
            elif kind == "websocket.accept":
                message = self.with_headers(message)
            elif kind == "websocket.send":
                self.started(200)
        except Exception as error:  # noqa: BLE001 - see above
            failed("integrations.asgi.send", error)
        return self._send(message)

    def started(self, status: int) -> None:
        """Take note of the status of the response, which is about to be sent."""
        self._status = status = int(status)
        # The exception whose handler makes this response, where one escaped from the application.
        self._handling = sys.exc_info()[1]
        if status not in NO_ERROR and not (type(self._span) is ServerSpan and self._span.added is None):
            self._span.set_status(StatusCode.ERROR)

    def with_headers(self, message: Message) -> Message:
        """Return the message with the request id, unless the application has set it."""
        headers = list(message.get("headers") or ())
        own = None
        for key, value in headers:
            if key == b"content-length":
                self._response_size = facts.size(value) or None
            elif len(key) == _LENGTH and key.lower() == HEADER:
                own = value
        if own is None:
            headers.append((HEADER, self.id.encode()))
        message = {**message, "headers": headers}
        propagator = get_global_response_propagator()  # type: ignore[no-untyped-call]
        if propagator is not None:
            propagator.inject(message, trace.set_span_in_context(self._span, Context()), SETTER)
        return message

    async def _last(self, message: Message) -> None:
        await self._send(message)
        self.ended()

    # Its end ------------------------------------------------------------------------------------------------

    def ended(self) -> None:
        """Take note that the response has been sent."""
        if self._end:
            return
        self._end = self._wall + perf_counter_ns() - self._start
        if type(self._span) is ServerSpan and not self._span.end_ns:
            self._span.end_ns = self._end

    def failed(self, error: BaseException) -> None:
        """Take note of the exception that the application raised."""
        with _FINISH:
            self._noted = None
            handled = error is self._handling
            span = self._span
            if not isinstance(error, Exception) or self._exported or (self._end and not handled):
                return
            if type(span) is ServerSpan:
                span.end_ns = 0  # it was raised before the response that its handler made
            span.record_exception(error)
            if not (handled and self._status is not None and is_error(self._status)):
                text = attempt(str, error)[0]  # it is the application's, and may raise
                span.set_status(StatusCode.ERROR, f"{type(error).__name__}: {text}")
            if type(span) is ServerSpan:
                span.end_ns = self._end

    def note(self, error: BaseException | None) -> None:
        """Take note of an exception that the framework keeps to itself, to answer with an error."""
        self._noted = error

    def handled(self) -> None:
        """Record the exception that was answered with an error."""
        error = self._handling if self._noted is None else self._noted
        if error is not None and self._status is not None and is_error(self._status):
            self._handling = error
            self.failed(error)

    def finish(self) -> None:
        """End the request: the span is exported, measurements are taken."""
        took = perf_counter_ns() - self._start
        try:  # a guard that costs nothing
            if self._noted is not None:
                self.handled()
            self._cell.clear()
            self._handling = None
            self.pause()
            self.export()
            active, series, span = self._active, self._series, self._span
            self._active = None
            if active is not None and series is not None:
                active.discard(id(self))
                ids = span.ids if type(span) is ServerSpan else _sdk.sampled_ids(span.get_span_context())
                self._requests.metrics.record(series, took * NANO, self._request_size, self._response_size, ids)
        except Exception as error:  # noqa: BLE001 - see above
            failed("integrations.asgi", error)

    def of(self, requests: Requests) -> bool:
        """Return whether it is observed by ``requests``."""
        return self._requests is requests

    def export(self) -> None:
        """Export the span, once; before background tasks, whose own spans come later."""
        if self._exported:
            return
        self._exported = True
        self.ended()
        span, series = self._span, self._find_series()
        if type(span) is not ServerSpan:
            if span.is_recording():
                span.set_attributes(series.at_end)
                self._name(span, series)
                span.end(self._end)
        elif self._direct is not None:  # it is made for sampled requests only
            self._direct.finish(span, series, self.id, self._kind)

    def _name(self, span: Any, series: Series) -> None:
        """Name a span of the tracer's own by a route that was not known at its start."""
        if ROUTE in series.at_start and getattr(span, "name", None) == series.method_name != series.name:
            span.update_name(series.name)
            span.set_attributes({name: series.at_start[name] for name in (ROUTE, "url.path")})

    def _find_series(self) -> Series:
        """Return what requests like this one have in common; known when a response has been sent."""
        scope, known = self.scope, self._requests.metrics
        route = self._requests.routes.of_served(self._app, scope, self._path, self._root_path)
        server = scope.get("server")
        if server is not None and type(server) is not tuple:
            server = tuple(server)
        http = facts.VERSIONS.get(scope.get("http_version"))
        key = (route, self._status, self._method, self._scheme, http, self._synthetic, server)
        series = self._series = known.series.get(key) or known.add(key, self._new_series(route, self._status))
        return series

    def _new_series(self, route: str | None, status: int | None) -> Series:
        scope = self.scope
        host, port = scope.get("server") or ("0.0.0.0", 80)  # noqa: S104 - what upstream says of an unknown server
        found = {
            SCHEME: self._scheme,
            "server.address": host if port in (None, 80) else f"{host}:{port}",
            "server.port": port,
            VERSION: facts.VERSIONS.get(scope.get("http_version")),
            "url.path": route,
            METHOD: self._method,
            "user_agent.synthetic.type": self._synthetic,
            ROUTE: route,
        }
        return Series(facts.span_name(self._method), {key: value for key, value in found.items() if value}, status)
