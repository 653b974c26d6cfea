"""Starlette, where it is more than routes: FastAPI's applications, background tasks, websockets, the end."""

import asyncio

import pytest

pytest.importorskip("httpx", reason="Starlette's test client needs httpx; scripts/test-integrations web")
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.testclient import TestClient
from web_servers import Telemetry, fastapi_app

from otelml.integrations.fastapi import OtelmlFastAPIInstrumentor
from otelml.integrations.starlette import StarletteInstrumentor


@pytest.fixture
def telemetry():
    """Fresh providers, with Starlette observed."""
    telemetry, one = Telemetry(), StarletteInstrumentor()
    one.instrument(skip_dep_check=True, **telemetry.providers)
    yield telemetry
    one.uninstrument()


def call(app, path):
    """Call an application in this process as a server does."""
    sent = []

    async def receive():
        return {"type": "http.request", "body": b""}

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "method": "GET", "path": path, "headers": [], "query_string": b"", "http_version": "1.1",
             "scheme": "http", "server": ("127.0.0.1", 80), "root_path": ""}  # fmt: skip
    asyncio.run(app(scope, receive, send))
    return sent


def test_fastapi_stays_off_where_it_is_left_off(telemetry):
    """Starlette's integration does not observe FastAPI's applications, which are Starlette's too."""
    call(fastapi_app(), "/flights/b6")
    assert telemetry.spans() == ()


def test_an_application_mounted_in_the_other_counts_once(telemetry):
    """FastAPI in Starlette, and Starlette in FastAPI, are one request, with the route of the outer one."""
    fastapi = OtelmlFastAPIInstrumentor()
    fastapi.instrument(skip_dep_check=True, **telemetry.providers)
    inner, outer = FastAPI(), FastAPI()
    inner.get("/flights/{flight}")(lambda flight: flight)
    outer.mount("/in", Starlette(routes=[Route("/x", lambda _: PlainTextResponse("x"))]))
    try:
        call(Starlette(routes=[Mount("/api", app=inner)]), "/api/flights/b6")
        call(outer, "/in/x")
        assert [span.name for span in telemetry.spans(2)] == ["GET /api", "GET /in"]
    finally:
        fastapi.uninstrument()


def test_a_background_task_has_one_span_whoever_is_on(telemetry):
    """With FastAPI's integration on as well, a task is traced once, below its request."""
    fastapi = OtelmlFastAPIInstrumentor()
    fastapi.instrument(skip_dep_check=True, **telemetry.providers)
    done = []

    def page(_):
        return PlainTextResponse("x", background=BackgroundTask(done.append, 1))

    try:
        call(Starlette(routes=[Route("/x", page)]), "/x")
    finally:
        fastapi.uninstrument()
    request, task = telemetry.spans(2)
    assert (request.name, task.name, done) == ("GET /x", "BackgroundTask append", [1])
    assert task.parent.span_id == request.context.span_id


def test_a_websocket_is_one_span(telemetry):
    """A websocket has a span with its route, the request id in the answer, and no duration of a request."""

    async def talk(socket):
        await socket.accept()
        await socket.send_text(await socket.receive_text())
        await socket.close()

    app = Starlette(routes=[WebSocketRoute("/talk/{who}", talk)])
    with TestClient(app) as client, client.websocket_connect("/talk/smith") as socket:
        socket.send_text("x")
        assert socket.receive_text() == "x"
    (span,) = telemetry.spans(1)
    assert span.name == "HTTP /talk/{who}"
    assert telemetry.points("http.server.request.duration") == []


def test_the_end_of_an_application_flushes():
    """``on_shutdown`` is called before the server hears that the application has ended."""
    one, called = StarletteInstrumentor(), []
    one.instrument(skip_dep_check=True, on_shutdown=lambda: called.append(1), **Telemetry().providers)
    try:
        with TestClient(Starlette()):
            assert called == []
        assert called == [1]
    finally:
        one.uninstrument()
