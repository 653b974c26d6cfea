"""Calls of gRPC services, as a server answers and a client makes them: a span and a duration each."""

from __future__ import annotations

from time import perf_counter_ns
from typing import TYPE_CHECKING, Any

from opentelemetry import context as otel_context
from opentelemetry import propagate, trace
from opentelemetry.instrumentation.utils import is_instrumentation_enabled
from opentelemetry.propagators.textmap import Getter
from opentelemetry.trace import SpanKind, StatusCode

from otelml import _labels, _sdk, context, semconv
from otelml._guard import attempt, guard

if TYPE_CHECKING:
    from collections.abc import Iterable

    from otelml.integrations._durations import Outlet

NANO = 1e-9
HEADER = context.HEADER.lower()
_LEFT_OUT = ("/grpc.health.", "/grpc.reflection.", "/opentelemetry.proto.collector.")
"""Probes, and telemetry on its way: our own exporter's and any other's."""
_SERVER_FAULTS = frozenset({"UNKNOWN", "DEADLINE_EXCEEDED", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS"})
"""Codes that say that a server has failed, by the semantic conventions; to a client all but OK do."""
_STATUS, _SYSTEM = "rpc.response.status_code", "rpc.system.name"
_FINISH = guard("integrations.grpc.finish")


class _Metadata(Getter[dict[str, list[str]]]):
    """Reads metadata for propagators."""

    def get(self, carrier: dict[str, list[str]], key: str) -> list[str] | None:
        """Return the values of a key."""
        return carrier.get(key.lower())

    def keys(self, carrier: dict[str, list[str]]) -> list[str]:
        """Return all keys."""
        return list(carrier)


_GETTER = _Metadata()


def observed(method: str) -> bool:
    """Return whether calls of a method (``/flights.Delays/Predict``) are observed here and now."""
    return not method.startswith(_LEFT_OUT) and is_instrumentation_enabled()


class RpcCall:
    """One call; ``spanned`` is False where somebody else makes the span: the request id is ours all the same."""

    def __init__(self, outlet: Outlet, method: str, kind: SpanKind, *, spanned: bool) -> None:
        self._outlet, self._kind, self._method = outlet, kind, method.removeprefix("/")
        self._spanned, self._began = spanned, perf_counter_ns()
        self._span: trace.Span | None = None
        self._known: dict[str, Any] = {_SYSTEM: "grpc", semconv.RPC_METHOD: self._method}
        self._current: Any = None
        self._token: Any = None
        self._beside: Any = None

    # Of a server --------------------------------------------------------------------------------------------

    def receive(self, metadata: Iterable[Any]) -> str:
        """Take what came with the call; return the request id."""
        carrier: dict[str, list[str]] = {}
        for key, value in metadata or ():
            if isinstance(value, str):
                carrier.setdefault(key.lower(), []).append(value)
        request_id = context.accept(next(iter(carrier.get(HEADER, [])), None))
        current = otel_context.get_current()
        if self._spanned:
            current = propagate.extract(carrier, current, getter=_GETTER)
            self._start(current, {semconv.REQUEST_ID: request_id})
            current = self._current
        self._current = otel_context.set_value(context.KEY, request_id, current)
        self._id = request_id
        return request_id

    def __enter__(self) -> None:
        """Make the call current."""
        self._token, self._beside = _sdk.attach(self._current), context.BESIDE.set(self._id)

    def __exit__(self, *_: object) -> None:
        """Make current what was so before."""
        _sdk.detach(self._token)
        with guard("integrations.grpc.exit"):
            attempt(context.BESIDE.reset, self._beside)  # a generator may be closed from somewhere else

    # Of a client --------------------------------------------------------------------------------------------

    def send(self, metadata: Iterable[Any] | None, host: str | None, port: int | None) -> list[Any]:
        """Start the call; return the caller's metadata and ours."""
        sent = list(metadata or ())
        added: dict[str, str] = {}
        if self._spanned:
            places = {semconv.SERVER_ADDRESS: host, "server.port": port}
            self._known |= {key: value for key, value in places.items() if value}
            self._start(otel_context.get_current(), {})
            propagate.inject(added, self._current)
        request_id = context.request_id()
        if request_id is not None and all(key.lower() != HEADER for key, _ in sent):
            added[HEADER] = request_id
        return [*sent, *((key.lower(), value) for key, value in added.items())]

    # Its span and its end -----------------------------------------------------------------------------------

    def _start(self, current: Any, more: dict[str, Any]) -> None:
        attributes = {**self._known, **more}
        self._span = self._outlet.tracer.start_span(self._method, current, self._kind, attributes)
        self._current = trace.set_span_in_context(self._span, current)

    def finish(self, code: str, error: BaseException | None = None) -> None:
        """End the call with a status code, ``OK`` or another, and the exception that it ended with."""
        with _FINISH:
            span, self._span = self._span, None
            if span is None:
                return
            took = (perf_counter_ns() - self._began) * NANO
            ended = {_STATUS: code}
            if code in _SERVER_FAULTS or (self._kind is SpanKind.CLIENT and code != "OK"):
                ended[semconv.ERROR_TYPE] = code
                if error is not None:
                    span.record_exception(error)
                span.set_status(StatusCode.ERROR)
            span.set_attributes(ended)
            span.end()
            measured = {**self._known, **ended}
            for name in (semconv.RPC_METHOD, semconv.SERVER_ADDRESS):
                if name in measured:
                    measured[name] = _labels.bounded(name, measured[name])
            self._outlet.durations.record(took, measured, _sdk.only_span(span))
