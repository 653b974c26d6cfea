"""Our ASGI layer exports what upstream's does, field by field, and what it does differently is written down here."""

import asyncio
import contextvars
import gc
import os
import subprocess
import sys
import weakref
from pathlib import Path

import pytest
from asgi_telemetry import DIRECT, ENCODED, PARENT, TRACER, UPSTREAM, Way, call, scope, seen
from fastapi import APIRouter, BackgroundTasks, Depends, FastAPI, HTTPException, Response, WebSocket
from fastapi.responses import JSONResponse, StreamingResponse
from opentelemetry import propagate, trace
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
from opentelemetry.instrumentation.propagators import (
    TraceResponsePropagator,
    get_global_response_propagator,
    set_global_response_propagator,
)
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import SpanContext, Status, StatusCode, TraceFlags
from starlette.applications import Starlette
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.responses import PlainTextResponse
from starlette.routing import Host, Route

import otelml
from otelml import _guard, _sdk, context
from otelml.integrations import _http_metrics, _http_requests, _routes, asgi
from otelml.integrations._propagation import fields_of
from otelml.integrations.fastapi import OtelmlFastAPIInstrumentor

LINK = SpanContext(7, 8, is_remote=True, trace_flags=TraceFlags(1))


def make_app():
    """Return an application with every kind of route."""
    app = FastAPI()
    add_plain(app)
    add_failing(app)
    add_streams(app)
    add_other_applications(app)
    return app


def add_plain(app):
    """Add routes that answer."""

    @app.get("/items/{item}")
    def item(item: str):
        return {"item": item}

    @app.post("/items")
    async def create(body: dict):
        return body

    @app.get("/bare")
    async def bare():
        return Response()

    @app.get("/touched")
    async def touched():
        span = trace.get_current_span()
        span.update_name("my own")
        span.set_attributes({"mine": 1, "url.query": "secret", "http.route": "/mine"})
        span.add_event("happened", {"n": 2})
        span.add_link(LINK, {"why": "x"})
        span.set_status(Status(StatusCode.ERROR, "it 'failed'"))
        return 1

    @app.get("/fine")
    async def fine():
        trace.get_current_span().set_status(StatusCode.OK)
        return Response(status_code=500)

    @app.get("/background")
    def background(tasks: BackgroundTasks):
        tasks.add_task(int, "1")
        return 1

    @app.get("/teardown")
    async def teardown(_: int = Depends(fails_after)):
        return 1

    router = APIRouter(prefix="/v1")
    router.get("/models/{model}")(lambda model: model)
    outer = APIRouter(prefix="/api")
    outer.include_router(router)
    app.include_router(outer)
    app.include_router(router, prefix="/again")


async def fails_after():
    """Fail when the response has been made."""
    yield 1
    raise ValueError("too late")


def add_failing(app):
    """Add routes that fail."""

    @app.get("/http/{status}")
    async def http(status: int):
        raise HTTPException(status)

    @app.get("/boom")
    def boom():
        raise ValueError("could not convert 'secret'")

    @app.get("/handled")
    def handled():
        raise LookupError("no 'secret' here")

    @app.exception_handler(LookupError)
    async def answer(request, error):
        return JSONResponse({}, 418)

    @app.get("/background-fails")
    def background(tasks: BackgroundTasks):
        tasks.add_task(int, "x")


def add_streams(app):
    """Add streaming responses and websockets."""

    async def numbers(*, fail=False):
        yield b"1"
        if fail:
            raise ValueError("midway")
        yield b"2"

    app.get("/stream")(lambda: StreamingResponse(numbers()))
    app.get("/stream-fails")(lambda: StreamingResponse(numbers(fail=True)))

    @app.get("/slow")
    async def slow():
        await asyncio.sleep(30)

    @app.websocket("/echo/{name}")
    async def echo(socket: WebSocket):
        await socket.accept()
        await socket.send_text(await socket.receive_text())
        await socket.close()

    @app.websocket("/broken")
    async def broken(socket: WebSocket):
        await socket.accept()
        raise ValueError("broken")


def add_other_applications(app):
    """Add applications below a path or host of their own."""
    inner = FastAPI()
    inner.get("/deep/{x}")(lambda x: x)
    app.mount("/inner", inner)
    app.mount("/plain", Starlette(routes=[Route("/leaf", lambda _: PlainTextResponse("leaf"))]))
    app.router.routes.append(Host("other.example", Starlette(routes=[Route("/", lambda _: PlainTextResponse("x"))])))


WS = {"type": "websocket", "scheme": "ws", "subprotocols": []}
TEXT = {"type": "websocket.receive", "text": "hello"}
GONE = {"type": "http.disconnect"}
REQUESTS = {
    "route": {"path": "/items/b6?q=secret"},
    "included": {"path": "/api/v1/models/m"},
    "included-again": {"path": "/again/v1/models/m"},
    "body": {"method": "POST", "path": "/items", "body": b'{"a": 1}',
             "headers": [("content-length", "8"), ("content-type", "application/json")]},
    "no-body": {"method": "POST", "path": "/items", "headers": [("content-length", "0")]},
    "odd-length": {"path": "/items/1", "headers": [("content-length", "many")]},
    "empty-response": {"path": "/bare"},
    "not-found": {"path": "/nowhere/secret"},
    "not-allowed": {"method": "DELETE", "path": "/items/b6"},
    "redirect": {"path": "/bare/"},
    "head": {"method": "HEAD", "path": "/docs"},
    "starlette-route": {"path": "/openapi.json"},
    "odd-method": {"method": "BREW", "path": "/bare"},
    "small-method": {"method": "get", "path": "/bare"},
    "invalid": {"method": "POST", "path": "/items", "body": b"[", "headers": [("content-type", "application/json")]},
    "client-error": {"path": "/http/404"},
    "server-error": {"path": "/http/503"},
    "unhandled": {"path": "/boom"},
    "handled": {"path": "/handled"},
    "stream": {"path": "/stream"},
    "stream-fails": {"path": "/stream-fails"},
    "background": {"path": "/background"},
    "background-fails": {"path": "/background-fails"},
    "teardown-fails": {"path": "/teardown"},
    "touched": {"path": "/touched"},
    "status-set": {"path": "/fine"},
    "mounted": {"path": "/inner/deep/1"},
    "mounted-nowhere": {"path": "/inner/nowhere"},
    "mounted-starlette": {"path": "/plain/leaf"},
    "host": {"path": "/", "headers": [("host", "other.example")]},
    "root-path": {"path": "/proxy/items/b6", "root_path": "/proxy"},
    "remote-parent": {"path": "/items/1",
                      "headers": [("traceparent", PARENT), ("tracestate", "a=1,b=2"), ("baggage", "k=v")]},
    "bad-parent": {"path": "/items/1", "headers": [("traceparent", "00-x-y-z")]},
    "baggage": {"path": "/items/1", "headers": [("baggage", "k=v")]},
    "unsampled-parent": {"path": "/items/1", "headers": [("traceparent", PARENT[:-1] + "0")]},
    "bot": {"path": "/items/1", "headers": [("user-agent", "Mozilla (compatible; Googlebot/2.1)")]},
    "test-agent": {"path": "/items/1", "headers": [("user-agent", "AlwaysOn secret")]},
    "port-80": {"path": "/items/1", "server": ("example.org", 80), "http_version": "2", "scheme": "https"},
    "no-server": {"path": "/items/1", "server": None, "scheme": None, "http_version": None},
    "disconnected": {"path": "/stream", "received": [GONE]},
    "cancelled": {"path": "/slow", "cancel": 0.05},
    "websocket": {"path": "/echo/secret", "received": [TEXT], **WS},
    "websocket-broken": {"path": "/broken", **WS},
    "websocket-nowhere": {"path": "/nowhere", **WS},
}  # fmt: skip


def ask(app, request):
    """Make one request of the table."""
    rest = dict(request)
    options = {name: rest.pop(name) for name in ("body", "received", "cancel") if name in rest}
    return call(app, scope(**rest), **options)


@pytest.mark.parametrize("way", [ENCODED, DIRECT, TRACER])
@pytest.mark.parametrize("request_", REQUESTS.values(), ids=REQUESTS)
def test_the_telemetry_is_that_of_upstream(otlp, request_, way):
    """Spans and metrics of a request are upstream's in every field; so are the messages, and the exception raised."""
    found, answers = [], []
    for each in (UPSTREAM, way):
        one, app = Way(otlp, each), make_app()
        with one.observing(app):
            answers.append(ask(app, request_))
        found.append(seen(one))
    assert found[1] == found[0]
    assert answers[1] == answers[0]
    assert "secret" not in str(found)
    assert context.request_id() is None
    assert trace.get_current_span() is trace.INVALID_SPAN


@pytest.mark.parametrize("way", [ENCODED, DIRECT, TRACER])
def test_a_version_of_http_that_nobody_knows(otlp, way):
    """It is left out: a server that made one up for each request would make a series of each."""
    one, app = Way(otlp, way), make_app()
    with one.observing(app):
        for version in ("1.1", "9", "x\udd57", "made up"):
            ask(app, {"path": "/items/1", "http_version": version})
    found = seen(one)
    assert "made up" not in str(found)
    assert str(found["spans"]).count("network.protocol.version") == 1


@pytest.mark.parametrize("way", [ENCODED, DIRECT, TRACER])
def test_requests_one_after_another_are_counted_as_by_upstream(otlp, way):
    """A hundred requests of several kinds, the second time over remembered routes, give upstream's sums and spans."""
    kinds = ["route", "included", "included-again", "mounted", "not-found", "not-allowed", "unhandled", "body", "host"]
    found = []
    for each in (UPSTREAM, way):
        one, app = Way(otlp, each), make_app()
        with one.observing(app):
            for kind in kinds * 11:
                ask(app, REQUESTS[kind])
        found.append(seen(one))
    assert found[1] == found[0]
    assert len(found[1]["spans"]) == 99


@pytest.mark.parametrize("way", [UPSTREAM, ENCODED, DIRECT, TRACER])
def test_an_outer_span_is_the_parent(otlp, way):
    """Called inside of a span the request's span is internal and below it, as with upstream."""
    one, app = Way(otlp, way), make_app()
    with one.observing(app), one.tracers.get_tracer("outer").start_as_current_span("outer") as outer:
        ask(app, REQUESTS["route"])
    (inner,) = [span for span in one.spans if span.name == "GET /items/{item}"]
    assert (inner.kind, inner.parent_span_id) == (1, outer.context.span_id.to_bytes(8, "big"))


@pytest.mark.parametrize("end", [-5, 1.5, 2**70])
def test_an_end_that_cannot_be_sent(otlp, end):
    """A time that the application gives to the span and that OTLP can't hold is replaced by the clock's."""
    one, app = Way(otlp, ENCODED), FastAPI()
    app.get("/")(lambda: trace.get_current_span().end(end))
    with one.observing(app):
        ask(app, {"path": "/"})
    (span,) = one.spans
    assert 0 < span.end_time_unix_nano - span.start_time_unix_nano < 60e9


@pytest.mark.parametrize("way", [ENCODED, DIRECT])
def test_what_is_sampled_out_is_measured(otlp, way):
    """Without sampling there is no span, but a real context, and all metrics."""
    contexts = []
    one, app = Way(otlp, way, ALWAYS_OFF), FastAPI()
    app.get("/")(lambda: contexts.append(trace.get_current_span().get_span_context()))
    with one.observing(app):
        ask(app, {"path": "/"})
    assert one.spans == []
    assert contexts[0].is_valid
    assert not contexts[0].trace_flags.sampled
    assert one.metrics["http.server.request.duration"].data.data_points[0].count == 1


def test_spans_are_encoded_where_the_queue_is_ours(otlp):
    """A plain request puts parts of a message into our queue; one that the application has touched a span."""
    one, app = Way(otlp, ENCODED), make_app()
    kinds, put, put_parts = [], one.queue.put, one.queue.put_parts
    one.queue.put = lambda item: kinds.append(type(item)) or put(item)
    one.queue.put_parts = lambda parts, home: kinds.append(tuple) or put_parts(parts, home)
    with one.observing(app):
        for kind in ("route", "server-error", "remote-parent", "touched"):
            ask(app, REQUESTS[kind])
    # A trace state and what the application adds are the SDK's to write.
    assert [kind is tuple for kind in kinds] == [True, True, False, False]


def test_many_requests_are_folded_before_a_collection(otlp):
    """More requests than may wait are all counted, once, and the buckets hold them all."""
    one, app = Way(otlp, ENCODED), FastAPI()
    app.get("/")(lambda: 1)
    number = 2 * _http_metrics.MAX_WAITING + 100
    with one.observing(app):
        for _ in range(number):
            ask_fast(app)
    (point,) = one.metrics["http.server.request.duration"].data.data_points
    assert (point.count, sum(point.bucket_counts)) == (number, number)
    assert 0 < point.min <= point.sum / number <= point.max
    assert len(one.spans) == number


def ask_fast(app):
    """Call the application without an event loop's start for each call."""
    loop = LOOP

    async def receive():
        return {"type": "http.request"}

    async def send(_):
        return None

    loop.run_until_complete(app(scope(), receive, send))


LOOP = asyncio.new_event_loop()


# What differs from upstream --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("way", "count"), [(UPSTREAM, 2), (DIRECT, 1)])
def test_the_size_of_one_response_is_not_taken_for_that_of_the_next(otlp, way, count):
    """Upstream keeps the last size and gives it to a response without one; we record what was said."""
    one, app = Way(otlp, way), make_app()
    with one.observing(app):
        ask(app, REQUESTS["route"])
        ask(app, REQUESTS["stream"])
    points = one.metrics["http.server.response.body.size"].data.data_points
    assert sum(point.count for point in points) == count


@pytest.mark.parametrize(("way", "events"), [(UPSTREAM, 2), (ENCODED, 1), (DIRECT, 1), (TRACER, 1)])
def test_an_exception_after_the_start_of_the_response_is_recorded_once(otlp, way, events):
    """Upstream records it twice."""
    one, app = Way(otlp, way), make_app()
    with one.observing(app):
        ask(app, REQUESTS["stream-fails"])
    (span,) = one.spans
    assert [event.name for event in span.events] == ["exception"] * events


def test_the_scope_is_our_own(otlp):
    """Spans and metrics are those of the scope ``otelml``: it is our code that makes them."""
    one, app = Way(otlp, DIRECT), make_app()
    with one.observing(app):
        ask(app, REQUESTS["route"])
    assert {scope.scope.name for _, scope in otlp._each("spans")} == {"otelml"} == one.scopes


# The contract ---------------------------------------------------------------------------------------------------


def test_nothing_of_a_request_is_retained(otlp):
    """After a request its scope, body and application can be collected, though a copy of its context is kept."""

    class Body(bytes):
        pass

    one, app = Way(otlp, ENCODED), FastAPI()
    left = []

    @app.post("/")
    async def post():
        left.append(contextvars.copy_context())

    with one.observing(app):
        request = scope("POST")
        request["state"] = state = type("State", (dict,), {})()
        call(app, request, Body(b"x"))
        kept = weakref.ref(state)
        del request, state
        gc.collect()
        assert left
        assert kept() is None
    kept = weakref.ref(app)
    del app, post, one
    left.clear()
    gc.collect()
    assert kept() is None


def test_a_fault_of_ours_does_not_reach_the_application(otlp, monkeypatch):
    """When our own code fails at any point the answer is the same, and the fault is counted."""
    monkeypatch.setattr(_guard, "strict", False)
    for owner, name in (
        (_http_metrics.HttpMetrics, "active"),
        (_http_requests, "get_global_response_propagator"),
        (_routes, "of_served"),
    ):
        one, app = Way(otlp, DIRECT), make_app()
        with monkeypatch.context() as patch, one.observing(app):
            patch.setattr(owner, name, lambda *_: 1 / 0)
            sent, raised = ask(app, REQUESTS["route"])
        assert (sent[0]["status"], raised) == (200, []), name
    assert sum(_guard.errors().values()) == 3


def test_native_telemetry_of_fastapi_gives_no_second_span(otlp):
    """FastAPI's own telemetry, of newer versions, is silent where we observe: it would export raw paths."""
    pytest.importorskip("fastapi.telemetry")
    one = Way(otlp, DIRECT)
    app = FastAPI(telemetry={"tracer_provider": one.tracers, "meter_provider": one.meters})
    app.get("/items/{item}")(lambda item: item)
    app.get("/health")(lambda: 1)
    with one.observing(app):
        call(app, scope(path="/items/secret"))
        call(app, scope(path="/health"))
    assert [span.name for span in one.spans] == ["GET /items/{item}"]
    assert "secret" not in str(one.spans)


def test_middleware_that_swallows_an_exception(otlp):
    """An exception that never leaves the application's own middleware is not recorded, as with upstream."""

    async def swallow(request, call_next):
        try:
            return await call_next(request)
        except ValueError:
            return PlainTextResponse("sorry", 502)

    found = []
    for each in (UPSTREAM, DIRECT):
        one, app = Way(otlp, each), make_app()
        app.add_middleware(BaseHTTPMiddleware, dispatch=swallow)
        with one.observing(app):
            ask(app, REQUESTS["unhandled"])
        found.append(seen(one))
    assert found[1] == found[0]
    assert found[1]["spans"][0][4] == []


def test_a_long_background_task_does_not_hold_the_span_back(otlp):
    """The request's span is in the queue when its background task starts."""
    one, app, waiting = Way(otlp, ENCODED), FastAPI(), []

    @app.get("/")
    def root(tasks: BackgroundTasks):
        tasks.add_task(lambda: waiting.append(len(one.queue)))

    with one.observing(app):
        ask(app, {"path": "/"})
    assert waiting == [1]
    assert len(one.spans) == 2


@pytest.mark.parametrize("way", [UPSTREAM, ENCODED, TRACER])
def test_the_response_propagator_is_used(otlp, way):
    """Where one is set, the response carries the trace."""
    before = get_global_response_propagator()
    set_global_response_propagator(TraceResponsePropagator())
    try:
        one, app = Way(otlp, way), make_app()
        with one.observing(app):
            sent, _ = ask(app, REQUESTS["route"])
    finally:
        set_global_response_propagator(before)
    headers = dict(sent[0]["headers"])
    assert one.spans[0].span_id.hex() in headers[b"traceresponse"].decode()


def test_only_what_the_propagators_read_is_looked_for():
    """The headers that matter are learnt from the propagators; one that reads all headers is always asked."""

    class Greedy(propagate.textmap.TextMapPropagator):
        fields = frozenset()

        def extract(self, carrier, context=None, getter=None):  # noqa: ARG002 - the API's signature
            getter.keys(carrier)
            return {}

        def inject(self, carrier, context=None, setter=None):
            """Inject nothing."""

    assert fields_of(propagate.get_global_textmap()) == {b"traceparent", b"baggage"}
    assert fields_of(Greedy()) is None


@pytest.mark.parametrize(
    "name",
    [
        "OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SERVER_REQUEST",
        "OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SERVER_RESPONSE",
    ],
)
def test_captured_headers_are_left_to_upstream(otlp, monkeypatch, name):
    """Headers that the user wants on spans are there: upstream makes the span then, and goes with us."""
    monkeypatch.setenv(name, "x-request-id,content-type")
    one, app = Way(otlp, DIRECT), make_app()
    before = FastAPIInstrumentor.instrument_app
    with one.observing(app):
        ask(app, REQUESTS["route"])
        ask(app, REQUESTS["route"])
    assert [span.name for span in one.spans] == ["GET /items/{item}"] * 2
    assert any(".header." in attribute.key for attribute in one.spans[0].attributes)
    assert FastAPIInstrumentor.instrument_app is before
    assert "_is_instrumented_by_opentelemetry" not in app.__dict__


@pytest.mark.parametrize("way", [DIRECT, ENCODED])
def test_an_application_instrumented_by_upstream_later_keeps_one_span(otlp, way):
    """Somebody who calls upstream's ``instrument_app`` between two requests gets upstream's spans from then on."""
    one, app = Way(otlp, way), make_app()
    with one.observing(app):
        ask(app, REQUESTS["route"])
        FastAPIInstrumentor.instrument_app(app)
        ask(app, REQUESTS["route"])
    assert len(one.spans) == 2
    assert len({scope.scope.name for _, scope in otlp._each("spans")}) == 2


def test_switched_on_again_the_same_instruments_count(otlp):
    """The second ``instrument()`` with one meter provider goes on counting where the first one stopped."""
    one, app = Way(otlp, ENCODED), make_app()
    options = {"tracer_provider": one.tracers, "meter_provider": one.meters}
    for _ in range(2):
        instrumentor = OtelmlFastAPIInstrumentor()
        instrumentor.instrument(**options)
        ask(app, REQUESTS["route"])
        instrumentor.uninstrument()
    ask(app, REQUESTS["route"])
    with one.observing(app):
        pass
    assert one.metrics["http.server.request.duration"].data.data_points[0].count == 2
    assert one.metrics["http.server.active_requests"].data.data_points[0].value == 0


def test_series_are_bounded(otlp, monkeypatch):
    """No more series are kept than there may be, and no count is lost: those beyond are measured one by one."""
    monkeypatch.setattr(_http_metrics, "MAX_SERIES", 5)
    one, app = Way(otlp, ENCODED), make_app()
    with one.observing(app):
        for status in range(400, 420):
            ask(app, {"path": f"/http/{status}"})
        for method in ("A", "B", "C"):
            ask(app, {"path": "/bare", "method": method})
        assert len(_http_metrics.of(one.meters, {}).series) <= 5
    points = one.metrics["http.server.request.duration"].data.data_points
    assert sum(point.count for point in points) == 23
    assert {point.attributes["http.request.method"] for point in points} == {"GET", "_OTHER"}


BUCKETS = """
import asyncio
import otelml
otelml.auto_instrument()
from fastapi import FastAPI
app = FastAPI()

@app.get("/")
def answer():
    return 1

async def receive():
    return {"type": "http.request", "body": b""}

async def send(message):
    assert message.get("status", 200) == 200

SCOPE = {"type": "http", "method": "GET", "path": "/", "headers": [], "query_string": b"", "scheme": "http"}
for _ in range(3):
    asyncio.run(app(dict(SCOPE), receive, send))
assert otelml.auto_instrument().force_flush(10)
"""


def test_bounds_can_be_set_and_nothing_counts_twice(otlp):
    """OTELML_BUCKETS sets the bounds of our HTTP histograms, which stay one stream each."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("OTEL_", "OTELML_"))}
    more = {"OTEL_EXPORTER_OTLP_ENDPOINT": otlp.endpoint, "OTELML_BUCKETS": "http.server.request.duration=0.1,1"}
    done = subprocess.run(
        [sys.executable, "-c", BUCKETS], env=clean | more, capture_output=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr.decode()
    found = [
        (metric.name, list(point.explicit_bounds), point.count)
        for _, scope in otlp._each("metrics")
        for metric in scope.metrics
        for point in metric.histogram.data_points
        if metric.name == "http.server.request.duration"
    ]
    exports = [request for request in otlp._requests if type(request).__name__ == "ExportMetricsServiceRequest"]
    assert found == [("http.server.request.duration", [0.1, 1.0], 3)] * len(exports)
    assert exports


def test_functions_of_a_request(otlp):
    """At most 38 functions of ours run for a request, as each costs more in a server than in a loop of its own.

    With otelml-native seven do.

    Those that match routes are left out: FastAPI's oldest versions don't say which one it was.
    """
    one, app = Way(otlp, ENCODED), make_app()
    package = str(Path(otelml.__file__).parent)
    found = []

    def count(frame, event, _):
        place = frame.f_code.co_filename
        if event == "call" and place.startswith(package) and not place.endswith("_routes.py"):
            found.append(frame.f_code.co_qualname)

    with one.observing(app):
        for _ in range(3):
            ask_fast(app)
        sys.setprofile(count)
        try:
            ask_fast(app)
        finally:
            sys.setprofile(None)
    assert 2 < len(found) <= (38 if _sdk.native is None else 7), found


def test_objects_of_a_request_in_flight(otlp):
    """At most 11 objects of ours that the garbage collector counts: ``OTELML_GC_ROOM`` has room for many requests."""
    one, app = Way(otlp, ENCODED), make_app()
    requests = asgi.Requests(tracer_provider=one.tracers, meter_provider=one.meters)
    held = []

    def ask(given):
        before = gc.get_count()[0]
        request = requests.begin(app, given)
        send = request.send
        held.append(gc.get_count()[0] - before)
        request.finish()
        del request, send

    gc.disable()
    try:
        for _ in range(5):  # the first ones make what all requests share
            contextvars.Context().run(ask, scope(path="/bare"))
    finally:
        gc.enable()
    assert max(held[2:]) <= 11
