"""What is promised of every HTTP client, shown for each by real calls of a real server."""

import asyncio
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module

import pytest
from local_servers import keeping_headers
from opentelemetry import trace
from opentelemetry.instrumentation.utils import suppress_instrumentation
from web_servers import Telemetry

from otelml import context

# Upstream reads this once a process; whichever test instruments first would choose for all of them.
os.environ.setdefault("OTEL_SEMCONV_STABILITY_OPT_IN", "http")
CANARY = "canary7f3a"


def by_httpx(url, headers=None, module="httpx"):
    """Call with a client; return the status."""
    with import_module(module).Client(timeout=5, follow_redirects=True) as client:
        return client.get(url, headers=headers).status_code


def by_httpx2(url, headers=None):
    """Call with httpx's successor."""
    return by_httpx(url, headers, "httpx2")


def by_async_httpx(url, headers=None):
    """Call with an asynchronous client."""

    async def call():
        async with import_module("httpx").AsyncClient(timeout=5, follow_redirects=True) as client:
            return (await client.get(url, headers=headers)).status_code

    return asyncio.run(call())


def by_urllib3(url, headers=None):
    """Call with a pool manager."""
    return import_module("urllib3").PoolManager().request("GET", url, headers=headers, retries=3, timeout=5).status


def by_aiohttp(url, headers=None):
    """Call with a session."""

    async def call():
        async with import_module("aiohttp").ClientSession() as session, session.get(url, headers=headers) as answer:
            await answer.read()
            return answer.status

    return asyncio.run(call())


CLIENTS = {
    "httpx": ("httpx", "httpx", by_httpx, "HTTPTransport.handle_request", 2),
    "httpx2": ("httpx", "httpx2", by_httpx2, "HTTPTransport.handle_request", 2),
    "httpx-async": ("httpx", "httpx", by_async_httpx, "AsyncHTTPTransport.handle_async_request", 2),
    "urllib3": ("urllib3", "urllib3.connectionpool", by_urllib3, "HTTPConnectionPool.urlopen", 2),
    "aiohttp": ("aiohttp_client", "aiohttp.client", by_aiohttp, "ClientSession._request", 1),
}
"""The integration, the library's module, how to call, what is replaced, and the spans of a call that is redirected."""


class Client:
    """One way to call."""

    def __init__(self, name):
        self.name = name
        self.integration, self.module, self.call, self.path, self.hops = CLIENTS[name]

    def instrumentor(self):
        """Return a new instrumentor."""
        module = import_module(f"otelml.integrations.{self.integration}")
        own = [each for each in vars(module).values() if getattr(each, "__module__", "") == module.__name__]
        return next(each for each in own if getattr(each, "__name__", "").endswith("Instrumentor"))()

    def function(self):
        """Return the function that is replaced."""
        kind, name = self.path.split(".")
        return vars(getattr(import_module(self.module), kind))[name]


@pytest.fixture(params=CLIENTS)
def client(request):
    """One client after the other."""
    found = Client(request.param)
    pytest.importorskip(found.module, reason=f"{found.module} is not installed; scripts/test-integrations web")
    return found


@pytest.fixture
def telemetry():
    """Fresh providers."""
    return Telemetry()


@pytest.fixture
def on(client, telemetry):
    """Switch the integration on for one test."""
    one = client.instrumentor()
    one.instrument(skip_dep_check=True, **telemetry.providers)
    yield one
    if one.is_instrumented_by_opentelemetry:
        one.uninstrument()


@pytest.fixture
def server():
    """A server that keeps the headers it got."""
    with keeping_headers() as one:
        yield one


def test_a_call_carries_trace_and_request_id(client, telemetry, on, server):
    """One client span and one duration in seconds; the server gets its trace context and the request id."""
    with context.with_request_id("r-1"):
        assert client.call(f"{server.url}/weather") == 200
    (span,), (got,) = telemetry.spans(1), server.got
    assert got["x-request-id"] == span.attributes["ml.request.id"] == "r-1"
    assert got["traceparent"].startswith(f"00-{span.context.trace_id:032x}-{span.context.span_id:016x}-")
    assert "baggage" not in got
    assert (span.name, span.kind) == ("GET", trace.SpanKind.CLIENT)
    assert span.attributes["url.full"] == f"{server.url}/"
    assert span.attributes["http.response.status_code"] == 200
    (point,) = telemetry.points("http.client.request.duration")
    assert point.count == 1
    assert 0 < point.sum < 5
    assert dict(point.attributes) == {
        "http.request.method": "GET", "http.response.status_code": 200, "server.address": "127.0.0.1",
        "server.port": server.server_port}  # fmt: skip


def test_no_id_outside_of_a_request_and_never_over_the_callers_own(client, on, server):
    """Without a current request no id is sent; one of the caller's own stays, whatever its case; headers are kept."""
    client.call(server.url)
    own = {"x-request-id": "mine", "Accept-Language": "eo"}
    with context.with_request_id("r-1"):
        client.call(server.url, headers=own)
    assert "x-request-id" not in server.got[0]
    assert (server.got[1]["x-request-id"], server.got[1]["accept-language"]) == ("mine", "eo")
    assert own == {"x-request-id": "mine", "Accept-Language": "eo"}


def test_exporters_are_left_alone(client, telemetry, on, server):
    """Inside suppressed code, as exporters run, a call has neither span nor header."""
    with context.with_request_id("r-1"), suppress_instrumentation():
        client.call(server.url)
    assert telemetry.spans() == ()
    assert not {"x-request-id", "traceparent"} & set(server.got[0])


def test_a_redirect_keeps_the_id(client, telemetry, on, server):
    """Both hops carry the id; they are as many spans as the library makes calls of the network for it."""
    with context.with_request_id("r-1"):
        assert client.call(f"{server.url}/moved") == 200
    assert [got["x-request-id"] for got in server.got] == ["r-1", "r-1"]
    assert len(telemetry.spans(client.hops)) == client.hops


def test_a_secret_in_the_address_reaches_nothing(client, telemetry, on, server):
    """Secrets in user, path, query, fragment, headers and exceptions are in no span or metric."""
    host = server.url.removeprefix("http://")
    user = "" if client.name == "urllib3" else f"{CANARY}:{CANARY}@"  # it takes such a host by its name
    client.call(f"http://{user}{host}/{CANARY}?q={CANARY}#{CANARY}", headers={"User-Agent": CANARY})
    with pytest.raises(Exception):  # noqa: B017, PT011 - each library has its own
        client.call(f"http://127.0.0.1:1/{CANARY}?token={CANARY}")
    ok, failed = telemetry.spans(2)
    assert ok.attributes["url.full"] == f"{server.url}/"
    assert failed.status.status_code is trace.StatusCode.ERROR
    assert failed.attributes["error.type"]
    assert [event.name for event in failed.events] == ["exception"]
    assert CANARY not in telemetry.everything()


def test_a_refusal_is_an_error(client, telemetry, on, server):
    """A status of 503 is the error's type, on the span and the duration."""
    assert client.call(f"{server.url}/503") == 503
    (span,), (point,) = telemetry.spans(1), telemetry.points("http.client.request.duration")
    assert span.attributes["error.type"] == point.attributes["error.type"] == "503"
    assert span.status.status_code is trace.StatusCode.ERROR


def test_the_callers_exception_is_the_librarys(client, on):
    """What the application catches is what it catches without otelml."""
    with pytest.raises(Exception) as seen:  # noqa: PT011 - each library has its own
        client.call("http://127.0.0.1:1/path")
    on.uninstrument()
    with pytest.raises(type(seen.value)) as plain:
        client.call("http://127.0.0.1:1/path")
    assert type(seen.value) is type(plain.value)


def test_concurrent_calls_keep_their_ids(client, telemetry, on, server):
    """Each call of eight threads carries the id of its own request."""

    def one(number):
        with context.with_request_id(f"r-{number}"):
            return client.call(server.url)

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(one, range(32))) == {200}
    sent = {got["traceparent"].split("-")[2]: got["x-request-id"] for got in server.got}
    assert sent == {f"{span.context.span_id:016x}": span.attributes["ml.request.id"] for span in telemetry.spans(32)}
    assert len(sent) == 32


def test_undone(client, telemetry, server):
    """The very function is back; switching on twice gives one span a call."""
    before, one = client.function(), client.instrumentor()
    for _ in range(2):
        one.instrument(skip_dep_check=True, **telemetry.providers)
        assert client.function() is not before
        client.call(server.url)
        one.uninstrument()
        assert client.function() is before
    client.call(server.url)
    assert len(telemetry.spans(2)) == 2


def test_upstream_already_on_gives_one_span(client, telemetry, server):
    """Somebody else's instrumentation makes the span; the request id is sent all the same."""
    name, kind = client.instrumentor().upstream
    kind = "HTTPX2ClientInstrumentor" if client.name == "httpx2" else kind
    upstream = getattr(pytest.importorskip(name), kind)()
    one = client.instrumentor()
    upstream.instrument(**telemetry.providers)
    one.instrument(skip_dep_check=True, **telemetry.providers)
    try:
        with context.with_request_id("r-1"):
            client.call(server.url)
    finally:
        one.uninstrument()
        upstream.uninstrument()
    (span,) = telemetry.spans(1)
    assert span.instrumentation_scope.name.startswith("opentelemetry.instrumentation.")
    assert server.got[0]["x-request-id"] == "r-1"


def test_below_requests_there_is_one_span(telemetry, server):
    """Requests calls urllib3: with both integrations on, a call is one span and one duration."""
    requests = import_module("requests")
    ones = [import_module("otelml.integrations.requests").OtelmlRequestsInstrumentor(),
            import_module("otelml.integrations.urllib3").Urllib3Instrumentor()]  # fmt: skip
    for one in ones:
        one.instrument(skip_dep_check=True, **telemetry.providers)
    try:
        with context.with_request_id("r-1"):
            requests.get(server.url, timeout=5)
    finally:
        for one in ones:
            one.uninstrument()
    assert len(telemetry.spans(1)) == 1
    assert sum(point.count for point in telemetry.points("http.client.request.duration")) == 1
    assert server.got[0]["x-request-id"] == "r-1"


def test_addresses_are_bounded(telemetry, server):
    """From the 101st host on the metric says ``other``; spans say which."""
    from otelml.integrations._client_calls import Calls  # noqa: PLC0415 - its own promise

    calls = Calls(telemetry.tracers, telemetry.meters, ("none", "none"))
    for number in range(105):
        call = calls.begin("GET", "http", f"host-{number}", 8000)
        with call:
            pass
        call.finish(200)
    named = {point.attributes["server.address"] for point in telemetry.points("http.client.request.duration")}
    assert len(named) == 101
    assert "other" in named
    assert len({span.attributes["server.address"] for span in telemetry.spans(105)}) == 105


def test_nothing_is_imported(client):
    """Switching the integration on imports no library."""
    program = (
        "import sys\n"
        "sys.path.insert(0, 'tests/integrations')\n"
        "import opentelemetry.sdk.metrics, otelml.runtime\n"
        "before = set(sys.modules)\n"
        f"from otelml.integrations import {client.integration} as ours\n"
        "own = [each for each in vars(ours).values() if getattr(each, '__module__', '') == ours.__name__]\n"
        "next(each for each in own if each.__name__.endswith('Instrumentor'))().instrument(skip_dep_check=True)\n"
        "added = {name.partition('.')[0] for name in set(sys.modules) - before}\n"
        "assert not added & {'httpx', 'httpx2', 'urllib3', 'aiohttp', 'requests'}, added\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, env=dict(os.environ))
