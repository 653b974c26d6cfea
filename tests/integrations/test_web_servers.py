"""What is promised of every web framework, shown for each with the same service, served for real."""

import logging
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests
from opentelemetry import trace
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, Sampler
from web_servers import PARTS, SERVERS, Telemetry

from otelml import context
from otelml.integrations.logging import Bridge

CANARY = "canary7f3a"
PARENT = f"00-{'a' * 32}-{'b' * 16}-01"


class Foreign(Sampler):
    """A sampler that must see every span start."""

    def should_sample(self, *args, **named):
        """Sample."""
        return ALWAYS_ON.should_sample(*args, **named)

    def get_description(self):
        """Return the name."""
        return "Foreign"


@pytest.fixture(params=sorted(SERVERS))
def server(request):
    """One framework after the other."""
    return SERVERS[request.param].here()


@pytest.fixture
def telemetry():
    """Fresh providers."""
    return Telemetry()


@pytest.fixture
def on(server, telemetry):
    """Switch the integration on for one test."""
    one = server.instrumentor()
    one.instrument(skip_dep_check=True, **telemetry.providers)
    yield one
    if one.is_instrumented_by_opentelemetry:
        one.uninstrument()


def get(url, **options):
    """Call, by requests."""
    return requests.get(url, timeout=10, **options)


def test_one_span_and_one_duration_per_request(server, telemetry, on):
    """A request gives one server span named by its route, below the caller's, and one duration in seconds."""
    with server.serve(server.make()) as url:
        headers = {"X-Request-ID": "r-1", "traceparent": PARENT}
        assert get(f"{url}/flights/b6?seat=1", headers=headers).text == "r-1 True"
        (span,) = telemetry.spans(1)
    assert (span.name, span.kind) == (f"GET {server.route}", trace.SpanKind.SERVER)
    assert f"{span.parent.span_id:016x}" == "b" * 16
    assert span.attributes["http.route"] == span.attributes["url.path"] == server.route
    assert span.attributes["http.response.status_code"] == 200
    assert span.attributes["ml.request.id"] == "r-1"
    assert span.attributes["url.scheme"] == "http"
    (point,) = telemetry.points("http.server.request.duration")
    assert point.count == 1
    assert (point.attributes["http.route"], point.attributes["http.request.method"]) == (server.route, "GET")
    assert 0 < point.sum < 5
    assert [point.value for point in telemetry.points("http.server.active_requests")] == [0]


def test_the_request_id_comes_back(server, telemetry, on):
    """A good id is echoed, with errors too; a bad one is replaced, a missing one made, the application's own kept."""
    with server.serve(server.make()) as url:
        for path in ("/flights/b6", "/nowhere", "/boom/x", "/stream", "/healthz"):
            answer = get(url + path, headers={"X-Request-ID": "r-1"})
            assert answer.headers["X-Request-ID"] == "r-1", path
        bad = get(f"{url}/flights/b6", headers={"X-Request-ID": "a b"})
        assert f"{bad.headers['X-Request-ID']} True" == bad.text
        assert bad.headers["X-Request-ID"] != "a b"
        assert len({get(f"{url}/flights/b6").headers["X-Request-ID"] for _ in range(5)}) == 5
        assert get(f"{url}/own", headers={"X-Request-ID": "r-1"}).headers["X-Request-ID"] == "mine"
    assert context.request_id() is None


def test_a_streamed_response_is_one_request(server, telemetry, on):
    """Every part is made in the request's context, and the span ends after the last."""
    with server.serve(server.make()) as url:
        assert get(f"{url}/stream", headers={"X-Request-ID": "r-1"}).text.split("\n") == [*["r-1 True"] * PARTS, ""]
        (span,) = telemetry.spans(1)
    assert span.name == "GET /stream"


def test_health_paths_give_no_telemetry(server, telemetry, on):
    """Health checks are answered and counted nowhere."""
    with server.serve(server.make()) as url:
        assert get(f"{url}/healthz").text == "ok"
        assert telemetry.spans() == ()
    assert telemetry.points("http.server.request.duration") == []


def test_a_secret_reaches_nothing(server, telemetry, on):
    """A secret in query, path, headers and an exception is in no span, metric or event."""
    with server.serve(server.make()) as url:
        get(f"{url}/flights/{CANARY}?q={CANARY}", headers={"User-Agent": CANARY, "Cookie": CANARY})
        get(f"{url}/{CANARY}")
        assert get(f"{url}/boom/{CANARY}").status_code == 500
        spans = telemetry.spans(3)
        assert len(spans) == 3
        assert CANARY not in telemetry.everything()
    failed = next(span for span in spans if span.name == f"GET {server.boom}")
    assert failed.status.status_code is trace.StatusCode.ERROR
    (event,) = failed.events
    assert event.attributes["exception.type"] == "ValueError"
    assert event.attributes["exception.message"] == "could not convert string to float: '…'"


def test_unknown_paths_share_one_series(server, telemetry, on):
    """A path that no route serves names neither span nor metric."""
    with server.serve(server.make()) as url:
        for number in range(3):
            assert get(f"{url}/nowhere/{number}").status_code == 404
        assert {span.name for span in telemetry.spans(3)} == {"GET"}
    (point,) = telemetry.points("http.server.request.duration")
    assert point.count == 3
    assert "http.route" not in point.attributes


def test_concurrent_requests_keep_their_ids(server, telemetry, on):
    """Each of forty requests of eight threads sees its own id, and so do its span and its log line."""
    bridge = Bridge(logger_provider=telemetry.loggers)
    logging.getLogger().addHandler(bridge)
    try:
        with server.serve(server.make()) as url, ThreadPoolExecutor(8) as pool:
            ids = [f"r-{number}" for number in range(40)]
            answers = pool.map(lambda one: get(f"{url}/flights/b6", headers={"X-Request-ID": one}).text, ids)
            assert list(answers) == [f"{one} True" for one in ids]
            spans = telemetry.spans(40)
    finally:
        logging.getLogger().removeHandler(bridge)
    by_id = {span.attributes["ml.request.id"]: span.context.trace_id for span in spans}
    logged = [record.log_record for record in telemetry.records.get_finished_logs()]
    lines = {one.attributes["ml.request.id"]: one.trace_id for one in logged if one.body == "flight looked up"}
    assert sorted(by_id) == sorted(ids)
    assert lines == by_id


def test_an_application_made_before_is_observed_and_all_is_undone(server, telemetry):
    """It is observed from the next request on; afterwards the very functions are back, and nothing is recorded."""
    app, before = server.make(), server.functions()
    one = server.instrumentor()
    with server.serve(app) as url:
        one.instrument(skip_dep_check=True, **telemetry.providers)
        assert all(now is not was for now, was in zip(server.functions(), before, strict=True))
        get(f"{url}/flights/b6")
        assert len(telemetry.spans(1)) == 1
        one.uninstrument()
        assert all(now is was for now, was in zip(server.functions(), before, strict=True))
        answer = get(f"{url}/flights/b6", headers={"X-Request-ID": "r-1"})
        assert "X-Request-ID" not in answer.headers
        assert len(telemetry.spans()) == 1


def test_a_foreign_sampler_gets_the_route_in_the_end(server):
    """Where the tracer makes the spans, they have the same name and attributes."""
    telemetry = Telemetry(Foreign())
    one = server.instrumentor()
    one.instrument(skip_dep_check=True, **telemetry.providers)
    try:
        with server.serve(server.make()) as url:
            get(f"{url}/flights/{CANARY}", headers={"X-Request-ID": "r-1"})
            (span,) = telemetry.spans(1)
    finally:
        one.uninstrument()
    assert span.name == f"GET {server.route}"
    assert span.attributes["http.route"] == span.attributes["url.path"] == server.route
    assert span.attributes["ml.request.id"] == "r-1"
    assert CANARY not in telemetry.everything()


def test_all_integrations_together_count_a_request_once(server, telemetry):
    """FastAPI is made of Starlette, and Django speaks both protocols: one request is one span still."""
    ones = [each.instrumentor() for each in {s.name: s for s in SERVERS.values()}.values()]
    for one in ones:
        one.instrument(skip_dep_check=True, **telemetry.providers)
    try:
        with server.serve(server.make()) as url:
            get(f"{url}/flights/b6")
            assert len(telemetry.spans(1)) == 1
    finally:
        for one in ones:
            one.uninstrument()
    assert sum(point.count for point in telemetry.points("http.server.request.duration")) == 1


def test_nothing_is_imported(server):
    """Switching the integration on imports no framework."""
    program = (
        "import sys\n"
        f"from otelml.integrations import {server.name} as ours\n"
        "kind = next(each for name, each in vars(ours).items() if name.endswith('Instrumentor') and "
        "each.__module__ == ours.__name__)\n"
        "kind().instrument(skip_dep_check=True)\n"
        f"assert {server.name!r} not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, env=dict(os.environ))
