"""Calls of HTTP services by client libraries: a client span and a duration each, trace context and request id sent on.

A layer of our own, not upstream's instrumentations: some of those are released later than the SDK, which they pin, and
would hold otelml back. The telemetry is theirs, with the stable names; of an address scheme, host and port are kept. A
call inside of another one (urllib3 below requests, a retry) is part of it.
"""

from __future__ import annotations

import sys
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any, ClassVar

from opentelemetry import propagate, trace
from opentelemetry.instrumentation.instrumentor import BaseInstrumentor  # type: ignore[attr-defined]  # untyped
from opentelemetry.instrumentation.utils import is_http_instrumentation_enabled, suppress_http_instrumentation
from opentelemetry.trace import SpanKind, StatusCode

from otelml import _labels, _scrub, _sdk, context, semconv
from otelml._guard import attempt, guard
from otelml.integrations._durations import Outlet
from otelml.integrations._http_series import METHOD, STATUS
from otelml.integrations._request_facts import known_method, span_name

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from otelml.integrations._patching import Patch

NANO = 1e-9
_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}
_LOWEST_ERROR = 400
_PORT = "server.port"
_BEGIN, _SEND, _FINISH = (
    guard("integrations.client.begin"),
    guard("integrations.client.send"),
    guard("integrations.client"),
)


class Calls:
    """Observes the calls of one library."""

    def __init__(self, tracer_provider: Any, meter_provider: Any, upstream: tuple[str, str]) -> None:
        self.outlet = Outlet(tracer_provider, meter_provider, "http.client.request.duration")
        self._upstream = upstream

    def begin(self, method: object, scheme: str | None, host: str | None, port: int | None) -> Call | None:
        """Begin a call, whose ``headers`` are to be sent; None inside of another one, and where it is suppressed."""
        with _BEGIN:
            if not is_http_instrumentation_enabled():
                return None
            call = Call(self, str(method), scheme, host, port)
            if not self._by_upstream():
                call.start()
            return call
        return None

    def _by_upstream(self) -> bool:
        """Return whether somebody has switched upstream's instrumentation of the library on."""
        name, kind = self._upstream
        found = getattr(sys.modules.get(name), kind, None)
        return found is not None and bool(found().is_instrumented_by_opentelemetry)

    def of(self, upstream: tuple[str, str]) -> Calls:
        """Return what observes calls of another library alike."""
        return Calls(*self.outlet.providers, upstream)


class Call:
    """One call of a service, from its start to the headers of the answer."""

    def __init__(self, calls: Calls, method: str, scheme: str | None, host: str | None, port: int | None) -> None:
        self._calls = calls
        name = known_method(method)
        self._name = span_name(name)
        standard = _PORTS.get(scheme or "")
        known = {METHOD: name, semconv.SERVER_ADDRESS: host, _PORT: port or standard}
        self._known: dict[str, Any] = {key: value for key, value in known.items() if value}
        shown = f"[{host}]" if host and ":" in host else host
        self._address = f"{scheme}://{shown}{'' if port in (None, standard) else f':{port}'}/"
        self._span: trace.Span | None = None
        self._tokens: list[Any] = []

    def start(self) -> None:
        """Start the span."""
        self._began = perf_counter_ns()
        attributes = {**self._known, "url.full": self._address}
        self._span = self._calls.outlet.tracer.start_span(self._name, None, SpanKind.CLIENT, attributes)
        self._current = trace.set_span_in_context(self._span)

    def __enter__(self) -> None:
        """Make the span current, and what is called inside a part of it."""
        with _SEND:
            if self._span is not None:
                inner = suppress_http_instrumentation()
                self._tokens = [_sdk.attach(self._current), inner]
                inner.__enter__()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        """Leave it; an exception ends the call."""
        with _SEND:
            if self._tokens:
                token, inner = self._tokens
                inner.__exit__(None, None, None)
                _sdk.detach(token)
            if error is not None:
                self.finish(error=error)

    def headers(self, given: Callable[[str], bool]) -> Iterable[tuple[str, str]]:
        """Return the headers to set; ``given`` says whether the caller has set one, which then stays."""
        found: dict[str, str] = {}
        with _SEND:
            if self._span is not None:
                propagate.inject(found, self._current)
            request_id = context.request_id()
            if request_id is not None and not given(context.HEADER):
                found[context.HEADER] = request_id
        return found.items()

    def finish(self, status: int | None = None, error: BaseException | None = None) -> None:
        """End the call with the status of its answer, or the exception that it raised."""
        with _FINISH:
            span, self._span = self._span, None
            if span is None:
                return
            took = (perf_counter_ns() - self._began) * NANO
            ended: dict[str, Any] = {} if status is None else {STATUS: status}
            if error is not None:
                ended[semconv.ERROR_TYPE] = _labels.bounded(semconv.ERROR_TYPE, _scrub.type_name(error))
                span.record_exception(error)
                span.set_status(StatusCode.ERROR, f"{type(error).__name__}: {attempt(str, error)[0]}")
            elif status is not None and status >= _LOWEST_ERROR:
                ended[semconv.ERROR_TYPE] = str(status)
                span.set_status(StatusCode.ERROR)
            span.set_attributes(ended)
            span.end()
            measured = {**self._known, **ended}
            if semconv.SERVER_ADDRESS in measured:
                measured[semconv.SERVER_ADDRESS] = _labels.bounded(
                    semconv.SERVER_ADDRESS, measured[semconv.SERVER_ADDRESS]
                )
                if measured[semconv.SERVER_ADDRESS] == _labels.OTHER:
                    measured.pop(_PORT, None)
            self._calls.outlet.durations.record(took, measured, _sdk.only_span(span))


class ClientInstrumentor(BaseInstrumentor):  # type: ignore[misc]  # untyped
    """Switches a client library on and off. ``instrument()`` takes ``tracer_provider`` and ``meter_provider``."""

    requirement: ClassVar[str]
    upstream: ClassVar[tuple[str, str]]
    """Module and class of upstream's instrumentation."""
    _patches: tuple[Patch, ...] = ()

    def instrumentation_dependencies(self) -> Collection[str]:
        """Return the packages this needs, as requirements."""
        return (self.requirement,)

    def patches(self, calls: Calls) -> tuple[Patch, ...]:
        """Return what is replaced."""
        raise NotImplementedError

    def _instrument(self, **kwargs: Any) -> None:
        calls = Calls(kwargs.get("tracer_provider"), kwargs.get("meter_provider"), self.upstream)
        self._patches = self.patches(calls)

    def _uninstrument(self, **_: Any) -> None:
        patches, self._patches = self._patches, ()
        for patch in patches:
            patch.undo()
