"""HTTP and websocket requests, as ASGI has them: a server span, HTTP metrics and the request id of each.

The telemetry is that of OpenTelemetry's own ASGI instrumentation with the stable HTTP names, at a fraction of the time:
a request costs ids, a context, two clocks and one wrapped ``send``; what all requests of a kind share is made once.
"""

from __future__ import annotations

import re
import sys
from importlib.metadata import version
from time import perf_counter_ns, time_ns
from typing import TYPE_CHECKING, Any

from opentelemetry import context as otel_context
from opentelemetry import metrics, propagate, trace
from opentelemetry.context.context import Context
from opentelemetry.instrumentation.propagators import get_global_response_propagator
from opentelemetry.instrumentation.utils import is_http_instrumentation_enabled
from opentelemetry.sdk.trace import Tracer
from opentelemetry.trace import SpanKind, StatusCode

from otelml import _sdk, context, semconv
from otelml._guard import attempt, failed, guard
from otelml._lazy import computed_once
from otelml.integrations import _http_metrics, _routes
from otelml.integrations import _request_facts as facts
from otelml.integrations._http_series import METHOD, NO_ERROR, ROUTE, SCHEME, VERSION, Series, is_error
from otelml.integrations._private_spans import PrivateTracer
from otelml.integrations._propagation import GETTER, SETTER, fields_of
from otelml.integrations._server_spans import DirectServerSpans, ServerSpan
from otelml.processors import SpanQueueProcessor
from otelml.spans import NANO

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping, Sequence
    from contextvars import Token

    from opentelemetry.metrics import MeterProvider
    from opentelemetry.propagators.textmap import TextMapPropagator
    from opentelemetry.trace import SpanContext, TracerProvider

    from otelml.integrations._http_metrics import HttpMetrics
    from otelml.integrations._routes import Routes

    Message = MutableMapping[str, Any]
    Scope = MutableMapping[str, Any]
    Send = Callable[[Message], Awaitable[None]]

HEADER, _LENGTH = context.HEADER.lower().encode(), len(context.HEADER)
REQUEST = otel_context.create_key("otelml-asgi-request")
_FINISH = guard("integrations.asgi")
_get_current, _attach, _detach, _BESIDE = _sdk.get_current, _sdk.attach, _sdk.detach, context.BESIDE
PLAIN_PATH = re.compile(r"/[\w./-]*")


class Requests:
    """Observes the requests of any number of applications.

    Args:
        excluded: Paths (``/health`` is also ``/api/health/``) or regular expressions, searched in the whole URL.
        tracer_provider: Where spans go; the global provider when None.
        meter_provider: Where metrics go; the global provider when None.
        buckets: Bounds of histograms by their name, where they are not the default ones.
        routes: Finds the route of a request, as Starlette's router does by default.
    """

    def __init__(
        self,
        excluded: Iterable[str] = (),
        tracer_provider: TracerProvider | None = None,
        meter_provider: MeterProvider | None = None,
        buckets: Mapping[str, Sequence[float]] | None = None,
        routes: Routes = _routes,
    ) -> None:
        self._buckets, self.routes = buckets or {}, routes
        patterns = list(excluded)
        plain = [each for each in patterns if PLAIN_PATH.fullmatch(each)]
        self._endings = tuple(ending for each in plain for ending in (each, f"{each}/"))
        others = [each for each in patterns if each not in plain]
        self._expression = re.compile("|".join(others)) if others else None
        self._tracer_provider, self._meter_provider = tracer_provider, meter_provider
        self._tracer: trace.Tracer | None = None
        self._direct: DirectServerSpans | None = None
        self._propagator: TextMapPropagator | None = None
        self._fields: frozenset[bytes] | None = frozenset()

    def begin(self, app: Any, scope: Scope, send: Any = None) -> Request | None:
        """Start observing one request; None where it is excluded or observing is suppressed."""
        request = None
        try:  # a guard that costs nothing
            wall, tick = time_ns(), perf_counter_ns()
            headers, path = dict(scope["headers"]), scope["path"]
            if self._endings and path.endswith(self._endings):
                return None
            if self._expression is not None and self._expression.search(facts.url(scope, headers)):
                return None
            current, parent, kind, fields = _get_current(), None, SpanKind.SERVER, self._fields
            nothing = fields is not None and fields.isdisjoint(headers)
            if current or not nothing or propagate.get_global_textmap() is not self._propagator:
                if not is_http_instrumentation_enabled():
                    return None
                current, parent, kind = self._above(scope, headers, current)
            made = Request(self, app, scope, send, headers, wall, tick)
            made.attach(current, parent, kind)
            request = made
        except Exception as error:  # noqa: BLE001 - see above
            failed("integrations.asgi.begin", error)
        return request

    @staticmethod
    def current() -> Request | None:
        """Return the request that is being observed in this context, None outside of one."""
        return current()

    # Where it goes ------------------------------------------------------------------------------------------

    @computed_once
    def metrics(self) -> HttpMetrics:
        """Return the instruments."""
        return _http_metrics.of(self._meter_provider or metrics.get_meter_provider(), self._buckets)

    @property
    def direct(self) -> DirectServerSpans | None:
        """Return the maker of our own spans; None where the tracer's own are needed."""
        direct = self._direct
        if direct is not None and direct.processors() is direct.seen:
            return direct
        tracer = self.tracer
        known = _sdk.direct_tracer(tracer, (SpanQueueProcessor,)) if isinstance(tracer, Tracer) else None
        self._direct = None if known is None else DirectServerSpans(known)
        return self._direct

    @property
    def tracer(self) -> trace.Tracer:
        """Return the tracer; asked for again until there is a provider."""
        if self._tracer is None or not isinstance(self._tracer, Tracer):
            provider = self._tracer_provider or trace.get_tracer_provider()
            self._tracer = provider.get_tracer(semconv.SCOPE, version("otelml"), semconv.SCHEMA_URL)
        return self._tracer

    @property
    def private_tracer(self) -> trace.Tracer:
        """Return a tracer whose spans keep no raw values."""
        return PrivateTracer(self.tracer)

    # Where it comes from ------------------------------------------------------------------------------------

    def _above(
        self, scope: Scope, headers: dict[bytes, bytes], current: Context
    ) -> tuple[Context, SpanContext | None, SpanKind]:
        """Return the context and the parent for a new span, with what the propagator finds, and the span's kind."""
        kind = SpanKind.INTERNAL
        if _sdk.span_in(current) is trace.INVALID_SPAN:
            kind, propagator = SpanKind.SERVER, propagate.get_global_textmap()
            if propagator is not self._propagator:
                self._propagator, self._fields = propagator, fields_of(propagator)
            if self._fields is None or not self._fields.isdisjoint(headers):
                current = propagator.extract(scope, current, GETTER)
        parent = _sdk.span_in(current).get_span_context()
        return current, parent if parent.is_valid else None, kind


class Request:
    """One request from its start to the end of the application's call, its background tasks included.

    Attributes start as the class's own: setting each one would cost more than all the rest.
    """

    _status: int | None = None
    _response_size: int | None = None
    _handling: BaseException | None = None
    _noted: BaseException | None = None
    _series: Series | None = None
    _active: set[int] | None = None
    _token: Token[Context] | None = None
    _end, _exported = 0, False

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


def current() -> Request | None:
    """Return the request that is being observed in this context, None outside of one."""
    cell = _sdk.get_current().get(REQUEST)
    return cell[0] if isinstance(cell, list) and cell else None
