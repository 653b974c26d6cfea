"""Spans of other people's instrumentors, made private: no query, path, agent, address or raw exception text in them.

The upstream instrumentors take a tracer provider. Given this one, they make ordinary spans whose class refuses
what must not leave the process. Samplers and processors never see the refused values either.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from opentelemetry import trace
from opentelemetry.trace import Link, Span, SpanKind, StatusCode, Tracer, TracerProvider
from opentelemetry.util.types import AttributeValue

from otelml import _scrub, context, semconv
from otelml._guard import guard

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.trace.status import Status

REFUSED = frozenset(
    {
        "client.address",
        "client.port",
        "db.query.summary",
        "db.query.text",
        "db.redis.key",
        "db.statement",
        "db.user",
        "http.client_ip",
        "http.host",
        "http.request.method_original",
        "http.server_name",
        "http.target",
        "http.user_agent",
        "net.peer.ip",
        "net.peer.port",
        "url.path",
        "url.query",
        "user_agent.original",
    }
)
_ADDRESSES = ("url.full", "http.url")
_SCHEMES = frozenset({"", "http", "https", "ws", "wss"})
_ROUTE = "http.route"
_ESCAPED = "exception.escaped"
_OPT_IN = "OTEL_SEMCONV_STABILITY_OPT_IN"
_Attributes = Mapping[str, AttributeValue] | None


class PrivateTracerProvider(TracerProvider):
    """Gives tracers of ``provider`` (the global one when None) whose spans keep no raw values."""

    def __init__(self, provider: TracerProvider | None = None) -> None:
        self._provider = provider

    def get_tracer(
        self,
        instrumenting_module_name: str,
        instrumenting_library_version: str | None = None,
        schema_url: str | None = None,
        attributes: _Attributes = None,
    ) -> Tracer:
        """Return a private tracer of the underlying provider."""
        provider = self._provider or trace.get_tracer_provider()
        tracer = provider.get_tracer(instrumenting_module_name, instrumenting_library_version, schema_url, attributes)
        return PrivateTracer(tracer)


class PrivateTracer(Tracer):
    """A tracer whose spans keep no raw values and carry the request id."""

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer

    def start_span(  # noqa: PLR0917 - the API's signature
        self,
        name: str,
        context: Context | None = None,
        kind: SpanKind = SpanKind.INTERNAL,
        attributes: _Attributes = None,
        links: Sequence[Link] | None = None,
        start_time: int | None = None,
        record_exception: bool = True,
        set_status_on_exception: bool = True,
    ) -> Span:
        """Start a span without the refused attributes."""
        allowed = _kept_at_start(attributes)
        span = self._tracer.start_span(
            name, context, kind, allowed, links, start_time, record_exception, set_status_on_exception
        )
        if span.is_recording():
            with guard("integrations.private_spans"):
                span.__class__ = _private(type(span))
        return span

    @contextmanager
    def start_as_current_span(  # type: ignore[override]  # noqa: PLR0917 - the API's signature
        self,
        name: str,
        context: Context | None = None,
        kind: SpanKind = SpanKind.INTERNAL,
        attributes: _Attributes = None,
        links: Sequence[Link] | None = None,
        start_time: int | None = None,
        record_exception: bool = True,
        set_status_on_exception: bool = True,
        end_on_exit: bool = True,
    ) -> Iterator[Span]:
        """Start a span without the refused attributes and make it current."""
        span = self.start_span(
            name, context, kind, attributes, links, start_time, record_exception, set_status_on_exception
        )
        with trace.use_span(span, end_on_exit, record_exception, set_status_on_exception) as current:
            yield current


@contextmanager
def stable_http_names() -> Iterator[None]:
    """Ask upstream for the stable HTTP names (durations in seconds) unless the user chose; it reads this once."""
    if _OPT_IN in os.environ:
        yield
        return
    os.environ[_OPT_IN] = "http"
    try:
        yield
    finally:
        os.environ.pop(_OPT_IN, None)


def private_url(url: str) -> str:
    """Return scheme, host and port of ``url``; its path holds values as often as names, and nobody can tell which."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return _scrub.MARK
    if parts.scheme not in _SCHEMES:  # what stands before the first colon may be anything
        return _scrub.MARK
    host = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{host}{'' if port is None else f':{port}'}/"


def _kept_at_start(attributes: _Attributes) -> dict[str, AttributeValue]:
    found = kept(attributes or {})
    request_id = context.request_id()
    if request_id is not None:
        found[semconv.REQUEST_ID] = request_id
    return found


def kept(attributes: Mapping[str, AttributeValue]) -> dict[str, AttributeValue]:
    """Return the attributes that a span may have: none of the refused ones, addresses without path."""
    found = {key: value for key, value in attributes.items() if key not in REFUSED}
    if _ROUTE in attributes and "url.path" in attributes:
        found["url.path"] = attributes[_ROUTE]
    for key in _ADDRESSES:
        if key in found:
            found[key] = private_url(str(found[key]))
    return found


def private_status(status: Status | StatusCode, description: str | None) -> tuple[StatusCode, str | None]:
    """Return a status and its description without raw values."""
    code = status if isinstance(status, StatusCode) else status.status_code
    text = description if isinstance(status, StatusCode) else status.description
    return code, _scrub.scrub(text) if text and code is StatusCode.ERROR else None


def exception_event(error: BaseException, attributes: _Attributes, *, escaped: bool) -> dict[str, AttributeValue]:
    """Return the attributes of the event ``exception``, as the SDK has them, without raw values."""
    own = {semconv.EXCEPTION_TYPE: _scrub.type_name(error), _ESCAPED: str(escaped)}
    return {**own, **(attributes or {}), **_described(error)}


@lru_cache(maxsize=16)
def _private(kind: type[Any]) -> type[Any]:
    """Return ``kind`` with scrubbing setters.

    A subclass set on the finished span, not a proxy around it: what asks for the SDK's type, or for ``span.name``,
    still gets it, and there is no reference cycle per request. The subclass adds no slot and has no second base, or
    Python would refuse to set it.
    """
    if getattr(kind, "keeps_no_raw_values", False):
        return kind

    class PrivateSpan(kind):  # type: ignore[misc]  # the base is known at run time
        __slots__ = ()
        keeps_no_raw_values = True

        def set_attribute(self, key: str, value: AttributeValue) -> None:
            if key in _ADDRESSES:
                super().set_attribute(key, private_url(str(value)))
            elif key not in REFUSED:
                super().set_attribute(key, value)

        def set_attributes(self, attributes: Mapping[str, AttributeValue]) -> None:
            allowed = kept(attributes)
            if allowed:
                super().set_attributes(allowed)

        def record_exception(
            self,
            exception: BaseException,
            attributes: _Attributes = None,
            timestamp: int | None = None,
            escaped: bool = False,
        ) -> None:
            # Not the SDK's own, which reads the raw text first: a text that raises would reach the application.
            self.add_event("exception", exception_event(exception, attributes, escaped=escaped), timestamp)

        def set_status(self, status: Status | StatusCode, description: str | None = None) -> None:
            super().set_status(*private_status(status, description))

    return PrivateSpan


def _described(error: BaseException) -> dict[str, str]:
    return {
        semconv.EXCEPTION_MESSAGE: _scrub.message(error),
        semconv.EXCEPTION_STACKTRACE: _scrub.stacktrace(error),
    }
