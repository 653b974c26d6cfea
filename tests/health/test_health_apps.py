"""The apps over real servers: paths, methods, codes, headers; mounted in FastAPI; what is not traced."""

import json
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from wsgiref.validate import validator

import pytest
import requests
from fastapi import FastAPI
from local_servers import by_uvicorn, by_wsgiref

from otelml import health as module
from otelml.integrations.fastapi import OtelmlFastAPIInstrumentor

PATHS = ("livez", "readyz", "startupz", "statusz")


def checked(app):
    """Serve a WSGI app; both sides are checked against PEP 3333."""
    return by_wsgiref(validator(app))


@pytest.fixture(params=["asgi", "wsgi"])
def served(request, health):
    """Serve the health of this test, alone; give its address."""
    serve, make = (by_uvicorn, module.asgi_app) if request.param == "asgi" else (checked, module.wsgi_app)
    with serve(make(health)) as url:
        yield url


def codes(url):
    """Return the status of each path."""
    return [requests.get(f"{url}/{path}", timeout=5).status_code for path in PATHS]


def test_each_state_has_its_codes(served, health, gate):
    """Well, loading, a dependency down, one that hangs, stopping: 200 or 503, and the detail is always given."""
    health.model("delay", lambda _: 0.5, 0)
    with health.loading():
        assert codes(served) == [200, 503, 503, 200]
    assert codes(served) == [200, 200, 200, 200]
    health.check("db", lambda: False)
    assert codes(served) == [200, 503, 200, 200]
    health.check("db", gate.wait, timeout=0.1)
    assert codes(served) == [200, 503, 200, 200]
    health.remove("db")
    assert codes(served) == [200, 200, 200, 200]
    health.stopping()
    assert codes(served) == [200, 503, 200, 200]


@pytest.mark.parametrize("path", PATHS)
def test_an_answer(served, path):
    """JSON by the draft, never kept by a cache, its length right; HEAD gives the same headers and no body."""
    answer = requests.get(f"{served}/{path}", timeout=5)
    assert answer.json()["status"] == "pass"
    assert answer.headers["content-type"] == "application/health+json"
    assert answer.headers["cache-control"] == "no-store"
    assert int(answer.headers["content-length"]) == len(answer.content)
    head = requests.head(f"{served}/{path}", timeout=5)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-type"] == answer.headers["content-type"]


def test_what_is_not_there(served):
    """Other paths are not found; other methods are refused, with those that are allowed."""
    for path in ("", "health", "livez/more", "LIVEZ"):
        assert requests.get(f"{served}/{path}", timeout=5).status_code == 404
    for method in ("POST", "PUT", "DELETE", "OPTIONS"):
        answer = requests.request(method, f"{served}/livez", timeout=5)
        assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD")


def test_the_detail_can_be_left_out(health):
    """With ``detail=False`` there is no ``statusz``."""
    with by_uvicorn(module.asgi_app(health, detail=False)) as url:
        assert codes(url) == [200, 200, 200, 404]


def test_the_check_is_in_the_answer(served, health):
    """Which check failed, how, and how long it took, as the draft lays it out."""
    health.check("db", lambda: 1 / 0)
    answer = requests.get(f"{served}/readyz", timeout=5).json()
    (check,) = answer["checks"]["db"]
    assert (answer["status"], check["status"], check["output"]) == ("fail", "fail", "ZeroDivisionError")
    assert check["observedUnit"] == "s"
    assert 0 <= check["observedValue"] < 1
    assert check["time"].endswith("+00:00")


def test_liveness_answers_while_readiness_waits(health, gate):
    """The loop is free: thirty readiness probes wait for a check that hangs, and liveness answers at once."""
    health.check("db", gate.wait, timeout=2)
    with by_uvicorn(module.asgi_app(health)) as url, ThreadPoolExecutor(30) as pool:
        slow = [pool.submit(requests.get, f"{url}/readyz", timeout=20) for _ in range(30)]
        time.sleep(0.2)
        started = time.perf_counter()
        assert requests.get(f"{url}/livez", timeout=5).status_code == 200
        assert time.perf_counter() - started < 1
        assert {each.result().status_code for each in slow} == {503}
        assert len([t for t in threading.enumerate() if t.name == "otelml-health-db"]) == 1


def test_a_caller_who_goes_away_leaves_nothing_behind(health, gate):
    """A probe that hangs up while a check is in progress ends nothing and holds nothing up."""
    health.check("db", gate.wait, timeout=0.3)
    with by_uvicorn(module.asgi_app(health)) as url:
        host, port = url.removeprefix("http://").split(":")
        for _ in range(5):
            with socket.create_connection((host, int(port))) as connection:
                connection.sendall(b"GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert codes(url) == [200, 503, 200, 200]


@pytest.mark.parametrize("mounted", ["/health", "/internal/deep", ""])
def test_mounted_in_fastapi_and_not_traced(health, telemetry, mounted):
    """One line mounts it; its requests make neither span nor metric, those beside it do."""
    app = FastAPI()

    @app.get("/flights")
    def flights():
        return "none"

    app.mount(mounted, module.asgi_app(health))
    instrumentor = OtelmlFastAPIInstrumentor()
    instrumentor.instrument(tracer_provider=telemetry.tracer_provider, meter_provider=telemetry.meter_provider)
    try:
        with by_uvicorn(app) as url:
            assert codes(f"{url}{mounted}") == [200] * 4
            assert requests.get(f"{url}/flights", timeout=5).status_code == 200
    finally:
        instrumentor.uninstrument()
    time.sleep(0.05)  # a span ends after its response is sent
    assert [span.attributes["http.route"] for span in telemetry.spans()] == ["/flights"]
    assert telemetry.total("http.server.request.duration") == 1


def test_a_websocket_is_turned_away(health):
    """A protocol that is not ours is closed, not hung."""
    sent = []

    async def receive():
        return {"type": "websocket.connect"}

    async def send(message):
        sent.append(message["type"])

    app = module.asgi_app(health)({"type": "websocket", "path": "/livez"}, receive, send)
    with pytest.raises(StopIteration):
        app.send(None)
    assert sent == ["websocket.close"]


def test_a_fault_of_ours_is_no_yes(health, monkeypatch):
    """Where the answer can't be made, it is 503: nobody is told that all is well."""
    monkeypatch.setattr("otelml._guard.strict", False)
    monkeypatch.setattr("otelml.health.service.report_of", lambda _: 1 / 0)
    with by_uvicorn(module.asgi_app(health)) as url:
        answer = requests.get(f"{url}/readyz", timeout=5)
    assert (answer.status_code, answer.json()) == (503, {"status": "fail"})
    with checked(module.wsgi_app(health)) as url:
        assert json.loads(requests.get(f"{url}/readyz", timeout=5).text) == {"status": "fail"}
