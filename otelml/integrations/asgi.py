"""HTTP and websocket requests, as ASGI has them: a server span, HTTP metrics and the request id of each.

The telemetry is that of OpenTelemetry's own ASGI instrumentation with the stable HTTP names, at a fraction of the time:
a request costs ids, a context, two clocks and one wrapped ``send``; what all requests of a kind share is made once.
"""

from __future__ import annotations

import re
from importlib.metadata import version
from time import perf_counter_ns, time_ns
from typing import TYPE_CHECKING, Any

from opentelemetry import metrics, propagate, trace
from opentelemetry.instrumentation.utils import is_http_instrumentation_enabled
from opentelemetry.sdk.trace import Tracer
from opentelemetry.trace import SpanKind

from otelml import _sdk, semconv
from otelml._guard import failed
from otelml._lazy import computed_once
from otelml.integrations import _http_metrics, _http_requests, _routes
from otelml.integrations import _request_facts as facts
from otelml.integrations._http_metrics import MAX_WAITING
from otelml.integrations._http_requests import REQUEST, Request
from otelml.integrations._private_spans import PrivateTracer
from otelml.integrations._propagation import GETTER, fields_of
from otelml.integrations._server_spans import DirectServerSpans, ServerSpan
from otelml.processors import SpanQueueProcessor

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, MutableMapping, Sequence

    from opentelemetry.context.context import Context
    from opentelemetry.metrics import MeterProvider
    from opentelemetry.propagators.textmap import TextMapPropagator
    from opentelemetry.trace import SpanContext, TracerProvider

    from otelml.integrations._http_metrics import HttpMetrics
    from otelml.integrations._routes import Routes

    Scope = MutableMapping[str, Any]

_get_current = _sdk.get_current
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

    __slots__ = ("__dict__", "__weakref__", "_direct", "_endings", "_expression", "_fields", "_propagator", "routes")
    """Those that otelml-native reads, where they are found quickest; the same in the classes it looks at further on."""

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


def current() -> Request | None:
    """Return the request that is being observed in this context, None outside of one."""
    cell = _sdk.get_current().get(REQUEST)
    return cell[0] if isinstance(cell, list) and cell else None


if _sdk.native is not None:
    _sdk.native.use_requests(Requests, Request, ServerSpan, globals(), vars(_http_requests), MAX_WAITING)
