"""The Prometheus way out: ``/metrics`` by ``OTEL_METRICS_EXPORTER=prometheus``, or as an ASGI or WSGI app to mount.

Names are those the collector makes (`otelml.prometheus_names`), exemplars carry trace ids in OpenMetrics, and no
``otel_scope`` labels are added. One process answers for itself: with several workers send OTLP to a collector.

A histogram with a bound under zero has no ``_sum`` in OpenMetrics, which forbids it; the plain text format has it.
An exponential histogram shows its count and sum only, as one ``+Inf`` bucket.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterable, Iterator, MutableMapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import accumulate
from typing import Any
from weakref import WeakKeyDictionary

from opentelemetry import metrics
from opentelemetry.sdk.metrics import (
    Counter,
    MeterProvider,
    ObservableCounter,
    ObservableGauge,
    ObservableUpDownCounter,
    UpDownCounter,
)
from opentelemetry.sdk.metrics import Histogram as HistogramInstrument
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    ExponentialHistogram,
    ExponentialHistogramDataPoint,
    Gauge,
    Histogram,
    HistogramDataPoint,
    InMemoryMetricReader,
    Metric,
    MetricsData,
    NumberDataPoint,
    Sum,
)
from opentelemetry.sdk.metrics.view import ExplicitBucketHistogramAggregation
from prometheus_client import Metric as Family
from prometheus_client.exposition import choose_encoder
from prometheus_client.samples import Exemplar
from prometheus_client.utils import floatToGoString

from otelml.errors import ConfigError
from otelml.prometheus_names import label_name, metric_name

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
AsgiApp = Callable[[Scope, Receive, Send], Awaitable[None]]

_INSTRUMENTS = (
    *(Counter, UpDownCounter, HistogramInstrument),
    *(ObservableCounter, ObservableUpDownCounter, ObservableGauge),
)
_PORT_FIX = "give another port (0 picks a free one), or send OTLP when several processes serve"
_OPENMETRICS = "application/openmetrics-text"


class PrometheusReader(InMemoryMetricReader):
    """Collects at each scrape, cumulative, with explicit buckets; a flush leaves nothing behind.

    Upstream's reader keeps every flushed copy for the next scrape, and fails on an exponential histogram.
    """

    def __init__(self) -> None:
        super().__init__(
            preferred_temporality=dict.fromkeys(_INSTRUMENTS, AggregationTemporality.CUMULATIVE),
            preferred_aggregation={HistogramInstrument: ExplicitBucketHistogramAggregation()},
        )
        self._server: ThreadingHTTPServer | None = None

    def render(self, accept: str = "") -> tuple[bytes, str]:
        """Return the metrics and their content type, in the format that the ``Accept`` header asks for."""
        encode, content_type = choose_encoder(accept)
        data = self.get_metrics_data()
        return encode(_Families(data, openmetrics=content_type.startswith(_OPENMETRICS))), content_type

    def serve(self, host: str, port: int) -> int:
        """Answer scrapes over HTTP from a daemon thread; return the port, chosen by the system when 0 is given.

        Raises:
            ConfigError: When the address cannot be listened on.
        """
        try:
            server = _Server((host, port), _handler(self))
        except OSError as error:
            fault = f"cannot listen on {host!r}: {error.strerror or error}; {_PORT_FIX}"
            raise ConfigError([f"OTEL_EXPORTER_PROMETHEUS_PORT={port}: {fault}"]) from None
        self._server = server
        threading.Thread(target=server.serve_forever, name="otelml-prometheus", daemon=True).start()
        return int(server.server_address[1])

    def shutdown(self, timeout_millis: float = 30_000, **kwargs: Any) -> None:
        """Stop answering scrapes."""
        super().shutdown(timeout_millis, **kwargs)
        server, self._server = self._server, None
        if server is not None:
            server.shutdown()
            server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    # The address of a port that another process listens on must fail, on every system.
    allow_reuse_port = False


def _handler(reader: PrometheusReader) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = self.path.split("?")[0] in {"/metrics", "/"}
            body, content_type = reader.render(self.headers.get("Accept", "")) if found else (b"", "text/plain")
            self.send_response(200 if found else 404)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing: a scrape is no news."""

    return Handler


# To mount -------------------------------------------------------------------------------------------------------

_readers: WeakKeyDictionary[MeterProvider, PrometheusReader] = WeakKeyDictionary()
_attaching = threading.Lock()


def register(provider: MeterProvider, reader: PrometheusReader) -> None:
    """Make `asgi_app` and `wsgi_app` answer with this reader of a provider."""
    _readers[provider] = reader


def current_reader() -> PrometheusReader | None:
    """Return the reader of the global meter provider, attaching one when it has none; None without an SDK.

    Counts begin when the reader is attached: create the app at start-up, after ``auto_instrument()``.
    """
    provider = metrics.get_meter_provider()
    if not isinstance(provider, MeterProvider):
        return None
    with _attaching:
        reader = _readers.get(provider)
        if reader is None:
            reader = _readers[provider] = PrometheusReader()
            provider.add_metric_reader(reader)
    return reader


def asgi_app(reader: PrometheusReader | None = None) -> AsgiApp:
    """Return an ASGI app to mount, as in ``app.mount("/metrics", otelml.prometheus.asgi_app())``.

    The text is made in a thread, so that a large scrape does not hold up the event loop.
    """
    reader = reader or current_reader()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG001 - the shape of an ASGI app
        if scope["type"] != "http":
            return
        accept = b",".join(value for name, value in scope["headers"] if name.lower() == b"accept").decode("latin-1")
        body, content_type = await asyncio.to_thread(_answer, reader, accept)
        headers = [(b"content-type", content_type.encode()), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return app


def wsgi_app(reader: PrometheusReader | None = None) -> Callable[..., Iterable[bytes]]:
    """Return a WSGI app to mount."""
    reader = reader or current_reader()

    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        body, content_type = _answer(reader, environ.get("HTTP_ACCEPT", ""))
        start_response("200 OK", [("Content-Type", content_type), ("Content-Length", str(len(body)))])
        return [body]

    return app


def _answer(reader: PrometheusReader | None, accept: str) -> tuple[bytes, str]:
    reader = reader or current_reader()
    if reader is not None:
        return reader.render(accept)
    encode, content_type = choose_encoder(accept)
    return encode(_Families(None, openmetrics=False)), content_type


# Translation ----------------------------------------------------------------------------------------------------


class _Families:
    """Metric families of one collection as prometheus_client's encoders take them: merged by name, each series once."""

    def __init__(self, data: MetricsData | None, *, openmetrics: bool) -> None:
        self._data = data
        self._openmetrics = openmetrics
        self._families: dict[str, Family] = {}
        self._seen: set[tuple[str, frozenset[tuple[str, str]]]] = set()

    def collect(self) -> Iterator[Family]:
        """Yield the families."""
        for resource in self._data.resource_metrics if self._data else ():
            labels = _labels(resource.resource.attributes)
            if labels:
                self._family("target", "info", "Target metadata").add_sample("target_info", labels, 1)
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    self._add(metric)
        yield from self._families.values()

    def _family(self, name: str, kind: str, help: str, unit: str = "") -> Family:  # noqa: A002 - Prometheus's word
        return self._families.setdefault(name, Family(name, help, kind, unit))

    def _add(self, metric: Metric) -> None:
        data = metric.data
        counter = isinstance(data, Sum) and data.is_monotonic
        histogram = isinstance(data, (Histogram, ExponentialHistogram))
        kind = "counter" if counter else "histogram" if histogram else "gauge"
        name = metric_name(metric.name, metric.unit or "", counter=counter, gauge=isinstance(data, Gauge))
        family = self._family(name.removesuffix("_total") if counter else name, kind, metric.description or "")
        if family.type != kind:
            return  # two instruments of one name and different kinds: the first one wins
        for point in data.data_points:
            self._point(family, name, point)

    def _point(
        self, family: Family, name: str, point: NumberDataPoint | HistogramDataPoint | ExponentialHistogramDataPoint
    ) -> None:
        labels = _labels(point.attributes or {})
        series = (name, frozenset(labels.items()))
        if series in self._seen:
            return  # the same series from another scope: the first one wins
        self._seen.add(series)
        if isinstance(point, NumberDataPoint):
            exemplar = _exemplar(point) if family.type == "counter" else None
            family.add_sample(name, labels, point.value, exemplar=exemplar)
        else:
            self._histogram(family, labels, point)

    def _histogram(
        self, family: Family, labels: dict[str, str], point: HistogramDataPoint | ExponentialHistogramDataPoint
    ) -> None:
        bounds: tuple[float, ...] = ()
        counts: Iterable[int] = (point.count,)
        if isinstance(point, HistogramDataPoint):
            bounds, counts = tuple(point.explicit_bounds), point.bucket_counts
        low = float("-inf")
        for bound, count in zip((*bounds, float("inf")), accumulate(counts), strict=True):
            exemplar = _exemplar(point, low, bound)
            family.add_sample(f"{family.name}_bucket", labels | {"le": _le(bound)}, count, exemplar=exemplar)
            low = bound
        if not (self._openmetrics and (min(bounds, default=0) < 0 or point.sum < 0)):
            family.add_sample(f"{family.name}_count", labels, point.count)
            family.add_sample(f"{family.name}_sum", labels, point.sum)


def _le(bound: float) -> str:
    return str(floatToGoString(bound))  # type: ignore[no-untyped-call]


def _labels(attributes: Any) -> dict[str, str]:
    """Return attributes as labels; values whose labels collide are joined by ``;``, as the collector does."""
    labels: dict[str, str] = {}
    for key in sorted(attributes):
        label, value = label_name(key), _text(attributes[key])
        labels[label] = f"{labels[label]};{value}" if label in labels else value
    return labels


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _exemplar(
    point: NumberDataPoint | HistogramDataPoint | ExponentialHistogramDataPoint,
    low: float = float("-inf"),
    high: float = float("inf"),
) -> Exemplar | None:
    """Return the newest exemplar that has a trace and a value in (low, high]."""
    found = [one for one in point.exemplars or () if one.trace_id and one.span_id and low < one.value <= high]
    if not found:
        return None
    newest = max(found, key=lambda one: one.time_unix_nano)
    labels = {"trace_id": f"{newest.trace_id:032x}", "span_id": f"{newest.span_id:016x}"}
    return Exemplar(labels, newest.value, newest.time_unix_nano / 1e9)
