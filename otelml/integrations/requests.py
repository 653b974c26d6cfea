"""requests: a client span and a duration per call, and the request id on its way to the next service.

The spans are upstream's (``opentelemetry-instrumentation-requests``), with the called address cut down to scheme, host
and port. ``X-Request-ID`` is sent only when a request is being served, and never over a header of the caller's own.
"""

from __future__ import annotations

import logging
from functools import wraps
from typing import TYPE_CHECKING, Any

import wrapt
from opentelemetry.instrumentation.instrumentor import BaseInstrumentor  # type: ignore[attr-defined]  # untyped
from opentelemetry.instrumentation.utils import is_http_instrumentation_enabled

from otelml import context
from otelml._guard import guard
from otelml.integrations._private_spans import PrivateTracerProvider, stable_http_names

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

logger = logging.getLogger("otelml")


class OtelmlRequestsInstrumentor(BaseInstrumentor):  # type: ignore[misc]  # untyped
    """Switches requests on and off. ``instrument()`` takes ``tracer_provider`` and ``meter_provider``."""

    _patch: _Patch | None = None

    def instrumentation_dependencies(self) -> Collection[str]:
        """Return nothing: requests is looked for when the application imports it."""
        return ()

    def instrument(self, **kwargs: Any) -> None:
        """Instrument every session, present and future."""
        with stable_http_names():
            super().instrument(**kwargs)

    def _instrument(self, **kwargs: Any) -> None:
        patch = self._patch = _Patch(kwargs.get("tracer_provider"), kwargs.get("meter_provider"))
        wrapt.register_post_import_hook(patch.apply, "requests")

    def _uninstrument(self, **_: Any) -> None:
        patch, self._patch = self._patch, None
        if patch is not None:
            patch.undo()


class _Patch:
    """What one ``instrument()`` changed, and how to put it back."""

    def __init__(self, tracer_provider: Any, meter_provider: Any) -> None:
        self.providers = {"tracer_provider": PrivateTracerProvider(tracer_provider), "meter_provider": meter_provider}
        self.active = True
        self.session: Any = None
        self.upstream: Any = None
        self.under: Any = None
        self.send: Any = None

    def apply(self, requests: Any) -> None:
        """Switch upstream on unless somebody did, and send the id; called when requests is imported."""
        if not self.active:
            return
        try:
            from opentelemetry.instrumentation.requests import RequestsInstrumentor  # noqa: PLC0415 - imports requests
        except ImportError as error:
            logger.debug("otelml: requests is not instrumented: %s", error)
            return
        with guard("integrations.requests"):
            upstream = RequestsInstrumentor()
            if not upstream.is_instrumented_by_opentelemetry:
                upstream.instrument(skip_dep_check=True, **self.providers)
                self.upstream = upstream
            self.session = requests.Session
            self.under = self.session.send
            self.send = self.session.send = _with_request_id(self.under)

    def undo(self) -> None:
        """Put ``Session.send`` back."""
        self.active = False
        if self.session is None:
            return
        if self.session.send is self.send:
            self.session.send = self.under
        if self.upstream is not None:
            self.upstream.uninstrument()


def _with_request_id(send: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(send)
    def send_with_request_id(self: Any, request: Any, **kwargs: Any) -> Any:
        with guard("integrations.requests"):
            _add_header(request)
        return send(self, request, **kwargs)

    return send_with_request_id


def _add_header(request: Any) -> None:
    request_id = context.request_id()
    # Instrumentation is switched off inside exporters: their own calls belong to no request.
    if request_id is not None and request.headers is not None and is_http_instrumentation_enabled():
        request.headers.setdefault(context.HEADER, request_id)
