"""The same small service in every web framework, served for real on loopback; what it exports is kept in memory.

A framework has a function here that makes its application and one line in ``SERVERS``. Each service answers:
``/flights/{flight}`` (the request id, logged as well), ``/boom/{value}`` (an exception), ``/own`` (a request id of the
application's own), ``/stream`` (three parts, each the request id), ``/healthz``.
"""

import asyncio
import logging
import threading
import time
from contextlib import contextmanager
from importlib import import_module
from types import SimpleNamespace

import pytest
from local_servers import by_uvicorn, by_wsgiref
from opentelemetry import trace
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from otelml import context

PARTS = 3
log = logging.getLogger("service")


class Telemetry:
    """Real providers that keep what is exported in memory."""

    def __init__(self, sampler=None):
        self.exporter, self.records, self.reader = (
            InMemorySpanExporter(),
            InMemoryLogRecordExporter(),
            InMemoryMetricReader(),
        )
        self.tracers = TracerProvider(sampler, shutdown_on_exit=False)
        self.tracers.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.meters = MeterProvider([self.reader], shutdown_on_exit=False)
        self.loggers = LoggerProvider(shutdown_on_exit=False)
        self.loggers.add_log_record_processor(SimpleLogRecordProcessor(self.records))
        self.providers = {"tracer_provider": self.tracers, "meter_provider": self.meters}

    def spans(self, least=0):
        """Return the finished spans; waits for ``least``: a span ends after its response is sent."""
        until = time.monotonic() + 5
        while len(self.exporter.get_finished_spans()) < least and time.monotonic() < until:
            time.sleep(0.01)
        time.sleep(0.02)
        return self.exporter.get_finished_spans()

    def points(self, name):
        """Return the data points of one metric."""
        data = self.reader.get_metrics_data()
        metrics = [m for r in data.resource_metrics for s in r.scope_metrics for m in s.metrics] if data else []
        return [point for metric in metrics if metric.name == name for point in metric.data.data_points]

    def everything(self):
        """Return all that was exported, as text."""
        data = self.reader.get_metrics_data()
        parts = [span.to_json() + str(span.attributes) for span in self.spans()]
        parts += [record.to_json() for record in self.records.get_finished_logs()]
        return "\n".join([*parts, data.to_json() if data else ""])


def seen():
    """Return what a handler sees of its request; logs a line in it."""
    log.warning("flight looked up")
    return f"{context.request_id()} {trace.get_current_span().get_span_context().is_valid}"


# The service ----------------------------------------------------------------------------------------------------


def starlette_app(module="starlette.applications", kind="Starlette"):
    """Return the service in Starlette."""
    responses, routing = import_module("starlette.responses"), import_module("starlette.routing")

    async def flight(request):
        return responses.PlainTextResponse(seen())

    def boom(request):
        return responses.PlainTextResponse(str(float(request.path_params["value"])))

    async def own(request):
        return responses.PlainTextResponse("", headers={"X-Request-ID": "mine"})

    async def stream(request):
        async def parts():
            for _ in range(PARTS):
                yield f"{seen()}\n"

        return responses.StreamingResponse(parts())

    async def health(request):
        return responses.PlainTextResponse("ok")

    paths = {"/flights/{flight}": flight, "/boom/{value}": boom, "/own": own, "/stream": stream, "/healthz": health}
    return getattr(import_module(module), kind)(routes=[routing.Route(path, to) for path, to in paths.items()])


def fastapi_app():
    """Return the service in FastAPI, with routes of Starlette."""
    return starlette_app("fastapi", "FastAPI")


def litestar_app():
    """Return the service in Litestar."""
    litestar, response = import_module("litestar"), import_module("litestar.response")
    get, plain = litestar.get, "text/plain"

    @get("/flights/{flight:str}", media_type=plain)
    async def one(flight: str) -> str:
        return seen()

    @get("/boom/{value:str}", media_type=plain, sync_to_thread=True)
    def boom(value: str) -> str:
        return str(float(value))

    @get("/own", media_type=plain)
    async def own() -> litestar.Response:
        return litestar.Response("", headers={"X-Request-ID": "mine"})

    @get("/stream")
    async def stream() -> response.Stream:
        async def parts():
            for _ in range(PARTS):
                yield f"{seen()}\n"

        return response.Stream(parts())

    @get("/healthz", media_type=plain)
    async def health() -> str:
        return "ok"

    return litestar.Litestar([one, boom, own, stream, health], openapi_config=None, logging_config=None)


def flask_app():
    """Return the service in Flask."""
    flask = import_module("flask")
    app = flask.Flask("service")

    @app.get("/flights/<flight>")
    def one(flight):
        return seen()

    @app.get("/boom/<value>")
    def boom(value):
        return str(float(value))

    @app.get("/own")
    def own():
        return "", 200, {"X-Request-ID": "mine"}

    @app.get("/stream")
    def stream():
        return app.response_class(f"{seen()}\n" for _ in range(PARTS))

    @app.get("/healthz")
    def health():
        return "ok"

    return app


def django_urls():
    """Return the service's views in Django, with settings of their own where there are none."""
    django, conf = import_module("django"), import_module("django.conf")
    if not conf.settings.configured:
        conf.settings.configure(ROOT_URLCONF="django_service", ALLOWED_HOSTS=["*"], SECRET_KEY="x", LOGGING_CONFIG=None)  # noqa: S106 - no secret
        django.setup()
    http, path = import_module("django.http"), import_module("django.urls").path

    def stream(request):
        return http.StreamingHttpResponse(f"{seen()}\n" for _ in range(PARTS))

    views = {
        "flights/<str:flight>": lambda _, **__: http.HttpResponse(seen()),
        "boom/<str:value>": lambda _, value: http.HttpResponse(str(float(value))),
        "own": lambda _: http.HttpResponse("", headers={"X-Request-ID": "mine"}),
        "stream": stream,
        "healthz": lambda _: http.HttpResponse("ok"),
    }
    import_module("sys").modules["django_service"] = SimpleNamespace(
        urlpatterns=[path(route, view) for route, view in views.items()], __name__="django_service"
    )


def django_wsgi_app():
    """Return the service in Django, as WSGI."""
    django_urls()
    return import_module("django.core.handlers.wsgi").WSGIHandler()


def django_asgi_app():
    """Return the service in Django, as ASGI."""
    django_urls()
    return import_module("django.core.handlers.asgi").ASGIHandler()


def aiohttp_app():
    """Return the service in aiohttp."""
    web = import_module("aiohttp.web")

    async def one(request):
        return web.Response(text=seen())

    async def boom(request):
        return web.Response(text=str(float(request.match_info["value"])))

    async def own(request):
        return web.Response(headers={"X-Request-ID": "mine"})

    async def stream(request):
        response = web.StreamResponse()
        await response.prepare(request)
        for _ in range(PARTS):
            await response.write(f"{seen()}\n".encode())
        return response

    async def health(request):
        return web.Response(text="ok")

    paths = {"/flights/{flight}": one, "/boom/{value}": boom, "/own": own, "/stream": stream, "/healthz": health}
    app = web.Application()
    app.add_routes([web.get(path, to) for path, to in paths.items()])
    return app


# How it is served -----------------------------------------------------------------------------------------------


@contextmanager
def by_aiohttp(app):
    """Serve an application of aiohttp; give its address."""
    web = import_module("aiohttp.web")
    loop, address = asyncio.new_event_loop(), []
    runner = web.AppRunner(app)

    async def start():
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        address.extend(runner.addresses)

    def run():
        asyncio.set_event_loop(loop)
        loop.run_forever()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    asyncio.run_coroutine_threadsafe(start(), loop).result(10)
    try:
        yield f"http://127.0.0.1:{address[0][1]}"
    finally:
        asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


class Server:
    """One framework, with one way to serve it."""

    def __init__(self, name, make, serve, patched, *, route="/flights/{flight}", boom="/boom/{value}"):
        self.name, self.make, self.serve, self.patched = name, make, serve, patched
        self.route, self.boom = route, boom

    def here(self):
        """Skip the test where the framework is not installed."""
        pytest.importorskip(self.name, reason=f"{self.name} is not installed; scripts/test-integrations web")
        return self

    def instrumentor(self):
        """Return a new instrumentor."""
        found = vars(import_module(f"otelml.integrations.{self.name}")).values()
        kinds = [each for each in found if isinstance(each, type) and each.__module__.endswith(f".{self.name}")]
        return next(each for each in kinds if each.__name__.endswith("Instrumentor"))()

    def functions(self):
        """Return the functions that the integration replaces."""
        return [vars(getattr(import_module(module), kind))[name] for module, kind, name in self.patched]


SERVERS = {
    "fastapi": Server("fastapi", fastapi_app, by_uvicorn, [("fastapi.applications", "FastAPI", "__call__")]),
    "starlette": Server(
        "starlette", starlette_app, by_uvicorn, [("starlette.applications", "Starlette", "__call__"),
                                                 ("starlette.background", "BackgroundTask", "__call__")]),
    "litestar": Server("litestar", litestar_app, by_uvicorn, [("litestar.app", "Litestar", "__call__")]),
    "flask": Server("flask", flask_app, by_wsgiref, [("flask.app", "Flask", "__call__"),
                                                     ("flask.app", "Flask", "full_dispatch_request")],
                    route="/flights/<flight>", boom="/boom/<value>"),
    "django-wsgi": Server("django", django_wsgi_app, by_wsgiref,
                          [("django.core.handlers.wsgi", "WSGIHandler", "__call__"),
                           ("django.core.handlers.base", "BaseHandler", "resolve_request")],
                          route="/flights/<str:flight>", boom="/boom/<str:value>"),
    "django-asgi": Server("django", django_asgi_app, by_uvicorn,
                          [("django.core.handlers.asgi", "ASGIHandler", "__call__"),
                           ("django.core.handlers.base", "BaseHandler", "resolve_request")],
                          route="/flights/<str:flight>", boom="/boom/<str:value>"),
    "aiohttp": Server("aiohttp", aiohttp_app, by_aiohttp,
                      [("aiohttp.web_protocol", "RequestHandler", "_handle_request"),
                       ("aiohttp.web_response", "StreamResponse", "prepare")]),
}  # fmt: skip
