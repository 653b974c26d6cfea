"""The Prometheus way out: ``/metrics`` by ``OTEL_METRICS_EXPORTER=prometheus``, or as an ASGI or WSGI app to mount.

Names are those the collector makes (`otelml.prometheus_names`), exemplars carry trace ids in OpenMetrics, and no
``otel_scope`` labels are added. One process answers for itself, unless ``OTELML_PROMETHEUS_DIR`` names a folder that
several share: then whoever answers, answers for all of them (`otelml.prometheus_workers`).
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import weakref
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

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
    InMemoryMetricReader,
    MetricsData,
)
from opentelemetry.sdk.metrics.view import ExplicitBucketHistogramAggregation
from opentelemetry.sdk.resources import Resource
from prometheus_client.exposition import choose_encoder

from otelml import _guard, processes
from otelml._guard import attempt, guard, logger
from otelml.errors import ConfigError
from otelml.prometheus_families import Families
from otelml.servers import REST

if TYPE_CHECKING:
    from otelml.prometheus_workers import Workers

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
AsgiApp = Callable[[Scope, Receive, Send], Awaitable[None]]

_INSTRUMENTS = (
    *(Counter, UpDownCounter, HistogramInstrument),
    *(ObservableCounter, ObservableUpDownCounter, ObservableGauge),
)
SEVERAL = "set OTELML_PROMETHEUS_DIR to a folder that the processes share, or send OTLP"
_PORT_FIX = f"give another port (0 picks a free one); when several processes serve, {SEVERAL}"
WRITE_SECONDS = 1.0
"""Between two writes of a process that is one of several: what a killed one loses at most."""
TELL_SECONDS = 3.0
_IDLE = 30.0
"""Seconds that a client has for its request: one that says nothing would keep a thread for ever."""
_WHOLE = 1 << 20
"""Bytes of an answer that are sent in one piece: a process that ends leaves no answer without its body."""
_OPENMETRICS = "application/openmetrics-text"


class PrometheusReader(InMemoryMetricReader):
    """Collects at each scrape, cumulative, with explicit buckets; a flush leaves nothing behind.

    Upstream's reader keeps every flushed copy for the next scrape, and fails on an exponential histogram.
    """

    def __init__(self, workers: Workers | None = None, resource: Resource | None = None) -> None:
        super().__init__(
            preferred_temporality=dict.fromkeys(_INSTRUMENTS, AggregationTemporality.CUMULATIVE),
            preferred_aggregation={HistogramInstrument: ExplicitBucketHistogramAggregation()},
        )
        self._server: ThreadingHTTPServer | None = None
        self._address: tuple[str, int] | None = None
        self._workers, self._resource = workers, resource or Resource.get_empty()
        self._ended, self._closed = threading.Event(), False
        self._threads: list[threading.Thread] = []
        self._resting: tuple[str, int] | None = None
        self._writing = threading.RLock()  # two at once would leave two files, or an older count over a newer one
        if workers is not None:
            self._start(self._write_always)
        processes.in_each_child(self._after_fork)

    def render(self, accept: str = "") -> tuple[bytes, str]:
        """Return the metrics and their content type, in the format that the ``Accept`` header asks for."""
        encode, content_type = choose_encoder(accept)
        data = self._written()
        if self._workers is not None:
            data = self._workers.total(self._resource)
        return encode(Families(data, openmetrics=content_type.startswith(_OPENMETRICS))), content_type

    def serve(self, host: str, port: int) -> int:
        """Answer scrapes over HTTP from a daemon thread; return the port, chosen by the system when 0 is given.

        Where processes share a folder one of them listens, and another one when it has ended.

        Raises:
            ConfigError: When the address cannot be listened on.
        """
        self._address = (host, port)
        if self._workers is not None and not self._workers.serves():
            return port
        try:
            server = _Server((host, port), _handler(self))
        except OSError as error:
            fault = f"cannot listen on {host!r}: {error.strerror or error}; {_PORT_FIX}"
            raise ConfigError([f"OTEL_EXPORTER_PROMETHEUS_PORT={port}: {fault}"]) from None
        self._server = server
        self._start(server.serve_forever)
        return server.server_port

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        """Write what is counted for the process that answers, where there are several; else nothing."""
        if self._workers is not None:
            with guard("prometheus.write"):
                self._written()
        return super().force_flush(timeout_millis)

    def shutdown(self, timeout_millis: float = 30_000, **kwargs: Any) -> None:
        """Stop answering scrapes."""
        self._end()
        with self._writing:
            if self._workers is not None:
                with guard("prometheus.write"):
                    self._written()
                self._workers.leave()
            self._closed = True
        super().shutdown(timeout_millis, **kwargs)

    def _written(self) -> MetricsData | None:
        """Return what this process has counted, for others in the folder too where several share one."""
        with self._writing:
            data = self.get_metrics_data()
            if self._workers is not None and not self._closed:
                self._workers.write(data)
        return data

    # Threads --------------------------------------------------------------------------------------------------

    def _start(self, work: Callable[[], None]) -> None:
        thread = threading.Thread(target=work, name="otelml-prometheus", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _end(self) -> None:
        self._ended.set()
        server, self._server = self._server, None
        if server is not None:
            server.shutdown()
            server.server_close()

    def rest(self) -> None:
        """End the threads until ``renew()``: threads are about to change (``servers``)."""
        if self._server is not None:
            self._resting = (str(self._server.server_address[0]), self._server.server_port)
        threads, self._threads = self._threads, []
        self._end()
        for thread in threads:
            thread.join(REST)

    def renew(self) -> None:
        """Go on after ``rest()``, on the same port."""
        at, self._resting = self._resting, None
        if self._closed:
            return
        self._ended, self._writing = threading.Event(), threading.RLock()
        if self._workers is not None:
            self._start(self._write_always)
        if at is not None:
            self.serve(*at)

    # Several processes ----------------------------------------------------------------------------------------

    def _write_always(self) -> None:
        """Write every second, and listen as soon as nobody else does."""
        ended = self._ended
        while ended is self._ended and not ended.wait(WRITE_SECONDS):
            with guard("prometheus.write"):
                self.force_flush()
                if self._address is not None and self._server is None and not attempt(self.serve, *self._address)[1]:
                    continue

    def _after_fork(self) -> None:
        """Leave the parent's port and files alone in a forked child."""
        server, self._server = self._server, None
        if server is not None:
            server.socket.close()
        if self._closed:
            return
        self._ended, self._writing, self._threads = threading.Event(), threading.RLock(), []
        if self._workers is not None:
            self._workers.leave()
            self._start(self._write_always)
        elif server is not None:
            self._start(self._tell)

    def _tell(self) -> None:
        """Say once that what this process counts is on no endpoint, if it counts requests."""
        while not self._ended.wait(TELL_SECONDS):
            data = self.get_metrics_data()
            scopes = [scope for each in (data.resource_metrics if data else ()) for scope in each.scope_metrics]
            if any(metric.name == "ml.requests" for scope in scopes for metric in scope.metrics):
                logger.error(
                    "otelml: /metrics is answered by process %d, and says nothing of the requests of its child %d: %s",
                    *(os.getppid(), os.getpid(), SEVERAL),
                )
                return


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    # The address of a port that another process listens on must fail, on every system.
    allow_reuse_port = False

    def handle_error(self, request: object, client_address: object) -> None:  # noqa: ARG002 - the base class's
        """Say nothing of a client that went away: the terminal belongs to the application."""
        _guard.logger.debug("otelml: a scrape ended early: %s", _guard.describe(sys.exception() or OSError()))


def _handler(reader: PrometheusReader) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = _IDLE
        wbufsize = _WHOLE

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

_readers: weakref.WeakKeyDictionary[MeterProvider, PrometheusReader] = weakref.WeakKeyDictionary()
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
    return encode(Families(None, openmetrics=False)), content_type
