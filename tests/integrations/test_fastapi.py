"""FastAPI applications served by uvicorn on loopback: spans, metrics, request ids, and no secrets."""

import asyncio
import logging
import os
import subprocess
import sys
import threading
import time
from contextlib import asynccontextmanager
from functools import partial

import fastapi
import pytest
import requests
from fastapi import BackgroundTasks, FastAPI
from local_servers import by_uvicorn
from opentelemetry import trace
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from pydantic import BaseModel
from starlette.background import BackgroundTask

from otelml import context
from otelml.integrations.fastapi import OtelmlFastAPIInstrumentor
from otelml.integrations.logging import Bridge

# Upstream reads this once a process; whichever test instruments first would choose for all of them.
os.environ.setdefault("OTEL_SEMCONV_STABILITY_OPT_IN", "http")
CANARY = "canary7f3a"
get, post, request = (partial(call, timeout=10) for call in (requests.get, requests.post, requests.request))


class Flight(BaseModel):
    """A body that needs a number."""

    delay: int


class Telemetry:
    """Real providers that keep what is exported in memory."""

    def __init__(self):
        self.spans, self.logs, self.reader = InMemorySpanExporter(), InMemoryLogRecordExporter(), InMemoryMetricReader()
        self.tracers = TracerProvider(shutdown_on_exit=False)
        self.tracers.add_span_processor(SimpleSpanProcessor(self.spans))
        self.meters = MeterProvider([self.reader], shutdown_on_exit=False)
        self.loggers = LoggerProvider(shutdown_on_exit=False)
        self.loggers.add_log_record_processor(SimpleLogRecordProcessor(self.logs))

    def named(self, name):
        """Return the finished spans of one name."""
        return [span for span in self.finished() if span.name == name]

    def finished(self):
        """Return the finished spans."""
        time.sleep(0.05)  # a span ends after its response is sent
        return self.spans.get_finished_spans()

    def everything(self):
        """Return all that was exported, as text."""
        parts = [span.to_json() + str(span.attributes) for span in self.finished()]
        parts += [record.to_json() for record in self.logs.get_finished_logs()]
        data = self.reader.get_metrics_data()
        return "\n".join([*parts, data.to_json() if data else ""])

    def points(self, name):
        """Return the data points of one metric."""
        data = self.reader.get_metrics_data()
        metrics = [m for r in data.resource_metrics for s in r.scope_metrics for m in s.metrics] if data else []
        return [point for metric in metrics if metric.name == name for point in metric.data.data_points]


@pytest.fixture
def telemetry():
    """Fresh providers."""
    return Telemetry()


@pytest.fixture
def instrumentor(telemetry):
    """FastAPI instrumented for one test."""
    one = OtelmlFastAPIInstrumentor()
    one.instrument(tracer_provider=telemetry.tracers, meter_provider=telemetry.meters)
    yield one
    if one.is_instrumented_by_opentelemetry:
        one.uninstrument()


def make_app(kind=FastAPI):
    """Return an application with every kind of endpoint."""
    app = kind()

    @app.get("/flights/{flight}")
    def flight(flight: str):
        return {"request_id": context.request_id(), "trace": trace.get_current_span().get_span_context().is_valid}

    @app.get("/async")
    async def coroutine():
        return {"request_id": context.request_id()}

    @app.post("/predict")
    def predict(flight: Flight):
        return flight.delay

    @app.get("/boom/{value}")
    def boom(value: str):
        return float(value)

    @app.get("/own")
    def own():
        return fastapi.Response(headers={"X-Request-ID": "mine"})

    @app.get("/background")
    def background(tasks: BackgroundTasks):
        tasks.add_task(fails_later, f"{CANARY} Smith")

    @app.get("/healthz")
    def health():
        return "ok"

    return app


def fails_later(value):
    """Fail in the background."""
    float(value)


def test_one_span_and_one_duration_per_request(telemetry, instrumentor):
    """A request gives one server span named by its route, one duration in seconds, and no send or receive spans."""
    with by_uvicorn(make_app()) as url:
        assert get(f"{url}/flights/b6", headers={"X-Request-ID": "r-1"}).json() == {
            "request_id": "r-1",
            "trace": True,
        }
    (span,) = telemetry.finished()
    assert span.name == "GET /flights/{flight}"
    assert span.kind is trace.SpanKind.SERVER
    assert span.attributes["http.route"] == span.attributes["url.path"] == "/flights/{flight}"
    assert span.attributes["http.response.status_code"] == 200
    assert span.attributes["ml.request.id"] == "r-1"
    (point,) = telemetry.points("http.server.request.duration")
    assert point.count == 1
    assert point.attributes["http.route"] == "/flights/{flight}"
    assert not telemetry.points("http.server.duration")


def test_the_request_id_comes_back(instrumentor):
    """A good id is echoed, with errors too; a bad one is replaced, a missing one made, the application's own kept."""
    with by_uvicorn(make_app()) as url:
        for path in ("/flights/b6", "/async", "/nowhere", "/boom/x"):
            answer = get(url + path, headers={"X-Request-ID": "r-1"})
            assert answer.headers["X-Request-ID"] == "r-1", path
        bad = get(f"{url}/async", headers={"X-Request-ID": "a b"})
        assert bad.headers["X-Request-ID"] == bad.json()["request_id"] != "a b"
        ids = {get(f"{url}/async").headers["X-Request-ID"] for _ in range(5)}
        assert len(ids) == 5
        assert get(f"{url}/own", headers={"X-Request-ID": "r-1"}).headers["X-Request-ID"] == "mine"
    assert context.request_id() is None


def test_health_paths_give_no_telemetry(telemetry, instrumentor):
    """Health checks are answered, with an id, and counted nowhere."""
    with by_uvicorn(make_app()) as url:
        answer = get(f"{url}/healthz", headers={"X-Request-ID": "r-1"})
        assert (answer.status_code, answer.headers["X-Request-ID"]) == (200, "r-1")
    assert telemetry.finished() == ()
    assert telemetry.points("http.server.request.duration") == []


def test_a_secret_reaches_nothing(telemetry, instrumentor):
    """A secret in query, path, headers, body, an exception and a background task is in no span, metric or log."""
    bridge = Bridge(logger_provider=telemetry.loggers)
    logging.getLogger().addHandler(bridge)
    logging.getLogger("uvicorn.error").setLevel(logging.INFO)
    try:
        with by_uvicorn(make_app()) as url:
            headers = {
                "User-Agent": CANARY,
                "Authorization": CANARY,
                "X-Api-Key": CANARY,
                "X-Request-ID": f"{CANARY} x",
            }
            get(f"{url}/flights/{CANARY}?token={CANARY}&{CANARY}", headers=headers)
            get(f"{url}/{CANARY}/nowhere")
            get(f"{url}/boom/{CANARY}")
            post(f"{url}/predict", json={"delay": CANARY})
            get(f"{url}/background")
            request(CANARY.upper(), f"{url}/async")
    finally:
        logging.getLogger().removeHandler(bridge)
    names = [span.name for span in telemetry.finished()]
    assert names.count("GET /boom/{value}") == names.count("BackgroundTask fails_later") == 1
    (boom,) = telemetry.named("GET /boom/{value}")
    assert boom.events[0].attributes["exception.message"] == "could not convert string to float: '…'"
    assert "in boom" in boom.events[0].attributes["exception.stacktrace"]
    assert boom.status.status_code is trace.StatusCode.ERROR
    assert any("Exception in ASGI application" in str(r.log_record.body) for r in telemetry.logs.get_finished_logs())
    assert CANARY not in telemetry.everything().lower()
    assert "127.0.0.1" not in str([span.attributes.get("client.address") for span in telemetry.finished()])


def test_an_application_that_already_served_is_instrumented(telemetry):
    """auto_instrument() after the first request still works, and switching off puts the application back."""
    app = make_app()
    with by_uvicorn(app) as url:
        assert "X-Request-ID" not in get(f"{url}/async").headers
        before, names = dict(app.__dict__), set(app.__dict__)
        stack = type(app.middleware_stack)
        one = OtelmlFastAPIInstrumentor()
        one.instrument(tracer_provider=telemetry.tracers, meter_provider=telemetry.meters)
        assert "X-Request-ID" in get(f"{url}/async").headers
        one.uninstrument()
        assert "X-Request-ID" not in get(f"{url}/async").headers
    assert len(telemetry.finished()) == 1
    assert set(app.__dict__) == names
    assert type(app.middleware_stack) is stack
    assert app.router is before["router"]


def test_uninstrument_restores_every_name(telemetry):
    """Each patched function is the very same object again, and instrumenting twice in a row works."""
    before = (fastapi.FastAPI, FastAPI.__call__, FastAPIInstrumentor.instrument_app, BackgroundTask.__call__)
    one = OtelmlFastAPIInstrumentor()
    for _ in range(2):
        one.instrument(tracer_provider=telemetry.tracers)
        assert FastAPI.__call__ is not before[1]
        with by_uvicorn(make_app()) as url:
            get(f"{url}/async")
        one.uninstrument()
        assert (
            fastapi.FastAPI,
            FastAPI.__call__,
            FastAPIInstrumentor.instrument_app,
            BackgroundTask.__call__,
        ) == before
    assert len(telemetry.named("GET /async")) == 2


@pytest.mark.parametrize("first", ["otelml", "upstream"])
def test_upstream_beside_us_gives_no_double_spans(telemetry, first):
    """With upstream's instrumentor on as well, in either order, a request has one span, without secrets or noise."""
    ours, upstream = OtelmlFastAPIInstrumentor(), FastAPIInstrumentor()
    providers = {"tracer_provider": telemetry.tracers, "meter_provider": telemetry.meters}
    before = fastapi.FastAPI
    for one in (ours, upstream) if first == "otelml" else (upstream, ours):
        one.instrument(**providers)
    try:
        with by_uvicorn(make_app(fastapi.FastAPI)) as url:
            answer = get(f"{url}/flights/{CANARY}?q={CANARY}", headers={"X-Request-ID": "r-1"})
            assert answer.headers["X-Request-ID"] == "r-1"
        assert [span.name for span in telemetry.finished()] == ["GET /flights/{flight}"]
        assert CANARY not in telemetry.everything()
    finally:
        ours.uninstrument()
        upstream.uninstrument()
    assert fastapi.FastAPI is before


def test_a_mounted_application_gives_one_span(telemetry, instrumentor):
    """An application mounted in another one serves under the outer one's span and id."""
    outer = FastAPI()
    outer.mount("/inner", make_app())
    with by_uvicorn(outer) as url:
        answer = get(f"{url}/inner/async", headers={"X-Request-ID": "r-1"})
        assert (answer.json(), answer.headers["X-Request-ID"]) == ({"request_id": "r-1"}, "r-1")
    assert [span.kind for span in telemetry.finished()] == [trace.SpanKind.SERVER]


def test_a_remote_parent_and_a_child_nest(telemetry, instrumentor):
    """The span continues the caller's trace, and spans made in the endpoint are its children."""
    app = FastAPI()

    @app.get("/")
    def root():
        with telemetry.tracers.get_tracer("app").start_as_current_span("predict"):
            pass

    with by_uvicorn(app) as url:
        get(url, headers={"traceparent": f"00-{'a' * 32}-{'b' * 16}-01"})
    child, server = telemetry.finished()
    assert (child.name, child.parent.span_id) == ("predict", server.context.span_id)
    assert f"{server.parent.span_id:016x}" == "b" * 16
    assert isinstance(server.context.trace_id, int)


def test_the_end_of_an_application_is_told_before_the_server_ends(telemetry):
    """``on_shutdown`` runs once, after the last span and the application's own shutdown, on a graceful end."""
    order = []

    @asynccontextmanager
    async def lifespan(_):
        yield
        order.append("application")

    app = FastAPI(lifespan=lifespan)
    app.get("/")(lambda: 1)
    one = OtelmlFastAPIInstrumentor()
    one.instrument(
        tracer_provider=telemetry.tracers, on_shutdown=lambda: order.append(len(telemetry.spans.get_finished_spans()))
    )
    try:
        with by_uvicorn(app) as url:
            get(url)
    finally:
        one.uninstrument()
    assert order == ["application", 1]


@pytest.mark.parametrize(("path", "spans"), [("/health", 0), ("/api/health/", 0), ("/healthcare", 1), ("/x-health", 1)])
def test_plain_paths_are_excluded_whole(telemetry, path, spans):
    """``/health`` leaves out that path, under a prefix too, and not whatever begins like it."""
    app = FastAPI()
    app.get("/{rest:path}")(lambda rest: rest)
    one = OtelmlFastAPIInstrumentor()
    one.instrument(tracer_provider=telemetry.tracers, excluded_urls=("/health", "/nothing"))
    try:
        with by_uvicorn(app) as url:
            assert get(url + path).status_code == 200
    finally:
        one.uninstrument()
    assert len(telemetry.finished()) == spans


def test_a_websocket_gets_its_id_and_a_span(telemetry, instrumentor):
    """The handshake's id is current in the endpoint and sent back; the ASGI calls are made by hand."""
    app, sent, seen = FastAPI(), [], []

    @app.websocket("/live/{flight}")
    async def live(socket: fastapi.WebSocket):
        seen.append(context.request_id())
        await socket.accept()
        await socket.close()

    async def receive():
        return {"type": "websocket.connect"}

    async def send(message):
        sent.append(message)

    scope = {"type": "websocket", "path": f"/live/{CANARY}", "raw_path": b"", "query_string": CANARY.encode(),
             "headers": [(b"x-request-id", b"r-1")], "root_path": "", "scheme": "ws", "client": ("::1", 1),
             "server": ("localhost", 80), "subprotocols": [], "http_version": "1.1"}  # fmt: skip
    asyncio.run(app(scope, receive, send))
    assert seen == ["r-1"]
    assert (b"x-request-id", b"r-1") in sent[0]["headers"]
    assert [span.name for span in telemetry.finished()] == ["HTTP /live/{flight}"]
    assert CANARY not in telemetry.everything()


def test_concurrent_requests_keep_their_own_ids(instrumentor):
    """Fifty requests at once each see their own id."""
    app = FastAPI()

    @app.get("/")
    async def root():
        await asyncio.sleep(0.02)
        return context.request_id()

    with by_uvicorn(app) as url:
        wrong = []

        def ask(number):
            if get(url, headers={"X-Request-ID": f"r-{number}"}).json() != f"r-{number}":
                wrong.append(number)

        threads = [threading.Thread(target=ask, args=(number,)) for number in range(50)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert wrong == []


def test_nothing_is_imported_and_a_later_import_is_seen():
    """Instrumenting imports no FastAPI; importing it afterwards instruments it."""
    program = (
        "import sys\n"
        "from otelml.integrations.fastapi import OtelmlFastAPIInstrumentor as I\n"
        "I().instrument()\n"
        "assert not [m for m in sys.modules if m.split('.')[0] in ('fastapi', 'starlette')]\n"
        "from fastapi import FastAPI\n"
        "assert FastAPI.__call__.__code__.co_filename.endswith('_applications.py')\n"
        "I().uninstrument()\n"
        "assert FastAPI.__call__.__code__.co_filename.endswith('fastapi/applications.py')\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
