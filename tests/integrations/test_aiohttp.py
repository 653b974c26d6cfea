"""aiohttp's server, where it differs from other frameworks: exceptions that are responses, websockets, upstream."""

import asyncio

import pytest

pytest.importorskip("aiohttp", reason="aiohttp is not installed; scripts/test-integrations web")
import aiohttp
from aiohttp import web
from test_web_servers import get
from web_servers import Telemetry, aiohttp_app, by_aiohttp

from otelml.integrations.aiohttp import AiohttpInstrumentor


@pytest.fixture
def telemetry():
    """Fresh providers, with aiohttp observed."""
    telemetry, one = Telemetry(), AiohttpInstrumentor()
    one.instrument(skip_dep_check=True, **telemetry.providers)
    yield telemetry
    one.uninstrument()


def test_a_response_that_is_raised(telemetry):
    """It is answered with its status and the request id, and is no error of the service."""

    async def gone(_):
        raise web.HTTPNotFound

    app = web.Application()
    app.router.add_get("/gone", gone)
    with by_aiohttp(app) as url:
        answer = get(f"{url}/gone", headers={"X-Request-ID": "r-1"})
        assert (answer.status_code, answer.headers["X-Request-ID"]) == (404, "r-1")
        (span,) = telemetry.spans(1)
    assert span.attributes["http.response.status_code"] == 404
    assert span.events == ()
    (size,) = telemetry.points("http.server.response.body.size")
    assert size.sum == len(answer.content)


def test_a_websocket_is_one_span(telemetry):
    """A websocket has a span with its route, and no duration of a request."""

    async def talk(request):
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        async for message in socket:
            await socket.send_str(message.data)
        return socket

    async def main(url):
        async with aiohttp.ClientSession() as session, session.ws_connect(f"{url}/talk/smith") as socket:
            await socket.send_str("x")
            return await socket.receive_str()

    app = web.Application()
    app.router.add_get("/talk/{who}", talk)
    with by_aiohttp(app) as url:
        assert asyncio.run(main(url)) == "x"
        (span,) = telemetry.spans(1)
    assert span.name == "HTTP /talk/{who}"
    assert telemetry.points("http.server.request.duration") == []


def test_a_server_without_routes(telemetry):
    """A low-level server is observed too; its requests have no route."""

    async def handle(_):
        return web.Response(text="x")

    async def main():
        runner = web.ServerRunner(web.Server(handle))
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        async with aiohttp.ClientSession() as session:
            answer = await session.get(f"http://127.0.0.1:{runner.addresses[0][1]}/smith")
            assert await answer.text() == "x"
        await runner.cleanup()

    asyncio.run(main())
    (span,) = telemetry.spans(1)
    assert span.name == "GET"


def test_upstream_already_on_gives_one_span():
    """An application with upstream's middleware keeps upstream's span; the request id comes back all the same."""
    module = pytest.importorskip("opentelemetry.instrumentation.aiohttp_server")
    telemetry, one, upstream = Telemetry(), AiohttpInstrumentor(), module.AioHttpServerInstrumentor()
    upstream.instrument(tracer_provider=telemetry.tracers)
    one.instrument(skip_dep_check=True, **telemetry.providers)
    try:
        with by_aiohttp(aiohttp_app()) as url:
            answer = get(f"{url}/flights/b6", headers={"X-Request-ID": "r-1"})
            assert answer.headers["X-Request-ID"] == "r-1"
            (span,) = telemetry.spans(1)
    finally:
        one.uninstrument()
        upstream.uninstrument()
    assert span.instrumentation_scope.name == "opentelemetry.instrumentation.aiohttp_server"
