"""Flask, where it differs from other frameworks: bodies that servers look at, exceptions that reach the server."""

import pytest
from local_servers import by_uvicorn, by_wsgiref

pytest.importorskip("flask", reason="flask is not installed; scripts/test-integrations web")
import flask
from starlette.applications import Starlette
from starlette.middleware.wsgi import WSGIMiddleware
from starlette.routing import Mount
from test_web_servers import get
from web_servers import Telemetry, flask_app

from otelml.integrations.flask import FlaskInstrumentor
from otelml.integrations.starlette import StarletteInstrumentor


@pytest.fixture
def telemetry():
    """Fresh providers, with Flask observed."""
    telemetry, one = Telemetry(), FlaskInstrumentor()
    one.instrument(skip_dep_check=True, **telemetry.providers)
    yield telemetry
    one.uninstrument()


def environ(path="/flights/b6", **more):
    """Return what a server hands over."""
    return {**flask.Flask("x").test_request_context(path).request.environ, **more}


def test_a_body_that_servers_look_at_is_left_as_it_is(telemetry):
    """A list (whose length servers read) and a server's own file wrapper are handed on; anything else is iterated."""

    class Files:
        def __iter__(self):
            return iter([b"x"])

    app = flask.Flask("service")
    for body in ([b"x"], Files()):
        app.wsgi_app = lambda _, start, body=body: start("200 OK", []) or body
        answer = app(environ(**{"wsgi.file_wrapper": Files}), lambda *_: None)
        assert answer is body
    assert len(telemetry.spans(2)) == 2


def test_an_exception_that_reaches_the_server_is_recorded_once(telemetry):
    """With PROPAGATE_EXCEPTIONS the application's own exception comes out, and is one event on one span."""
    app = flask_app()
    app.config["PROPAGATE_EXCEPTIONS"] = True
    with pytest.raises(ValueError, match="Smith"):
        app.test_client().get("/boom/Smith")
    (span,) = telemetry.spans(1)
    assert [event.name for event in span.events] == ["exception"]
    assert span.status.description == "ValueError: could not convert string to float: '…'"


def test_a_body_that_is_never_closed_ends_its_request(telemetry):
    """A server that forgets to close a response does not leave its request open."""
    app = flask_app()
    body = app(environ("/stream"), lambda *_: None)
    assert next(body).endswith(b" True\n")
    del body
    assert len(telemetry.spans(1)) == 1
    assert [point.value for point in telemetry.points("http.server.active_requests")] == [0]


def test_inside_of_another_framework_it_counts_once(telemetry):
    """Flask mounted in Starlette is observed by Starlette alone; the request id is one."""
    outer = StarletteInstrumentor()
    outer.instrument(skip_dep_check=True, **telemetry.providers)
    try:
        app = Starlette(routes=[Mount("/old", app=WSGIMiddleware(flask_app()))])
        with by_uvicorn(app) as url:
            assert get(f"{url}/old/flights/b6", headers={"X-Request-ID": "r-1"}).text == "r-1 True"
            assert len(telemetry.spans(1)) == 1
    finally:
        outer.uninstrument()


def test_upstream_already_on_gives_one_span():
    """An application that upstream instruments keeps upstream's span; the request id comes back all the same."""
    upstream = pytest.importorskip("opentelemetry.instrumentation.flask").FlaskInstrumentor()
    telemetry, one, app = Telemetry(), FlaskInstrumentor(), flask_app()
    upstream.instrument_app(app, tracer_provider=telemetry.tracers)
    one.instrument(skip_dep_check=True, **telemetry.providers)
    try:
        with by_wsgiref(app) as url:
            answer = get(f"{url}/flights/b6", headers={"X-Request-ID": "r-1"})
            assert (answer.text, answer.headers["X-Request-ID"]) == ("r-1 True", "r-1")
            (span,) = telemetry.spans(1)
    finally:
        one.uninstrument()
        upstream.uninstrument_app(app)
    assert span.instrumentation_scope.name == "opentelemetry.instrumentation.flask"
