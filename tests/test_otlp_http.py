"""Encoded requests over OTLP/HTTP, against real servers: compression, Retry-After, redirects, partial success."""

import gzip
import logging
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from opentelemetry import trace
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from otelml import config, encoding
from otelml.encoding import Encoded, Home
from otelml.otlp import maker, takes_encoded

HOME = Home(Resource({"service.name": "s"}), InstrumentationScope("otelml", "1"))
CONTEXT = trace.SpanContext(1, 2, is_remote=False)
BATCH = [Encoded(encoding.span(f"span{i}", CONTEXT, None, (1, 2), {"k": "v" * 30}), HOME) for i in range(100)]
PROTOBUF = "application/x-protobuf"


class Server:
    """Gives prepared answers (status, headers, body), the last one again and again; keeps what it was sent."""

    def __init__(self, *answers):
        self.seen, self.at, left = [], [], list(answers)

        class Handler(BaseHTTPRequestHandler):
            def do_POST(handler):  # noqa: N805 - the server is self
                self.at.append(time.monotonic())
                body = handler.rfile.read(int(handler.headers["Content-Length"]))
                self.seen.append((handler.headers, body))
                status, headers, answer = left.pop(0) if len(left) > 1 else left[0]
                handler.send_response(status)
                for name, value in headers.items():
                    handler.send_header(name, value)
                handler.send_header("Content-Length", str(len(answer)))
                handler.end_headers()
                handler.wfile.write(answer)

            def log_message(self, *_):
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def names(self):
        """Return the names of the spans in all requests."""
        bodies = (gzip.decompress(b) if h.get("Content-Encoding") == "gzip" else b for h, b in self.seen)
        requests = map(ExportTraceServiceRequest.FromString, bodies)
        return [s.name for r in requests for rs in r.resource_spans for ss in rs.scope_spans for s in ss.spans]


@pytest.fixture
def serve():
    """Give what starts a server."""
    started = []

    def start(*answers):
        started.append(Server(*answers))
        return started[-1]

    yield start
    for one in started:
        one.server.shutdown()
        one.server.server_close()


def exporter(server, drops=None, timeout=5.0, **settings):
    """Return the exporter for spans to a server."""
    given = {
        "exporter_otlp_endpoint": f"http://127.0.0.1:{server.server.server_port}",
        "exporter_otlp_timeout": timeout,
        **settings,
    }
    count = (lambda *_: None) if drops is None else (lambda *drop: drops.append(drop))
    made = maker(config.load(given, {}), "traces", "otlp", count)()
    assert takes_encoded(made)
    return made


OK = (200, {"Content-Type": PROTOBUF}, b"")


def test_gzip_is_cheap_and_right(serve):
    """With gzip the body is a gzip stream of the very request, its headers say so, and it is a lot smaller."""
    server = serve(OK)
    assert exporter(server, exporter_otlp_compression="gzip").export(BATCH).name == "SUCCESS"
    ((headers, body),) = server.seen
    assert headers["Content-Encoding"] == "gzip"
    assert headers["Content-Type"] == PROTOBUF
    assert server.names() == [f"span{i}" for i in range(100)]
    assert len(body) < len(gzip.decompress(body)) / 4
    assert body[8] == 4  # written by the fastest algorithm, says the gzip header


@pytest.mark.parametrize("compression", ["none", "deflate"])
def test_other_compressions_are_the_official_clients(serve, compression):
    """Without gzip nothing of ours is in the way."""
    server = serve(OK)
    assert exporter(server, exporter_otlp_compression=compression).export(BATCH).name == "SUCCESS"
    ((headers, _),) = server.seen
    assert headers.get("Content-Encoding", "none") == compression


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(("after", "least", "most"), [("0", 0.0, 0.5), ("2", 1.9, 3.0)])
def test_retry_after_is_honoured(serve, status, after, least, most):
    """The request comes again when the receiver asked for it, unchanged, not at the backoff of about a second."""
    server = serve((status, {"Retry-After": after}, b""), OK)
    assert exporter(server, exporter_otlp_compression="gzip").export(BATCH).name == "SUCCESS"
    first, second = server.seen
    assert first[1] == second[1]
    assert least <= server.at[1] - server.at[0] < most


def test_a_wait_beyond_the_timeout_is_a_failure_at_once(serve):
    """Nobody waits for a receiver that asks for more time than the export has."""
    server = serve((429, {"Retry-After": "60"}, b""))
    started = time.monotonic()
    assert exporter(server).export(BATCH) == ("FAILURE", 100)
    assert time.monotonic() - started < 1
    assert len(server.seen) == 1


@pytest.mark.parametrize("status", [400, 401, 413, 500])
def test_other_refusals_are_final(serve, status):
    """What the specification does not let a client try again is lost at once."""
    server = serve((status, {}, b""))
    assert exporter(server).export(BATCH) == ("FAILURE", 100)
    assert len(server.seen) == 1


def test_a_redirect_is_no_success(serve, caplog):
    """The official client takes a 301 for a success and would lose everything silently; ours fails and says why."""
    server = serve((301, {"Location": "https://example.org/v1/traces?key=secret"}, b""))
    with caplog.at_level(logging.ERROR):
        assert exporter(server).export(BATCH) == ("FAILURE", 100)
    assert "301: moved elsewhere" in caplog.text
    assert "secret" not in caplog.text


def test_partial_success_is_counted_and_not_sent_again(serve, caplog):
    """Rejected spans are dropped, with the receiver's reason logged once, though the export succeeds."""
    said = ExportTraceServiceResponse(partial_success={"rejected_spans": 7, "error_message": "too old"})
    server = serve((200, {"Content-Type": PROTOBUF}, said.SerializeToString()))
    drops = []
    made = exporter(server, drops)
    assert made.export(BATCH) == ("SUCCESS", 0)
    assert made.export(BATCH) == ("SUCCESS", 0)
    assert drops == [("span", "rejected", 7)] * 2
    assert len(server.seen) == 2
    assert caplog.text.count("too old") == 1


def test_an_answer_of_another_kind_is_no_partial_success(serve):
    """A body that is not protobuf by its type is not read as such."""
    said = ExportTraceServiceResponse(partial_success={"rejected_spans": 7})
    server = serve((200, {"Content-Type": "text/plain"}, said.SerializeToString()))
    drops = []
    assert exporter(server, drops).export(BATCH).name == "SUCCESS"
    assert drops == []


def test_shutdown_aborts_the_wait_for_a_retry(serve):
    """An export that waits for its next attempt ends as soon as the exporter is closed."""
    server = serve((503, {"Retry-After": "20"}, b""))
    made = exporter(server, timeout=30.0)
    results = []
    thread = threading.Thread(target=lambda: results.append(made.export(BATCH)))
    started = time.monotonic()
    thread.start()
    while not server.seen:
        time.sleep(0.01)
    time.sleep(0.1)
    made.shutdown()
    thread.join(5)
    assert results == [("FAILURE", 100)]
    assert time.monotonic() - started < 5


def test_a_credential_provider_keeps_its_session(monkeypatch):
    """Where the environment names a provider of sessions, ours does not take its place."""
    monkeypatch.setenv("OTEL_PYTHON_EXPORTER_OTLP_HTTP_TRACES_CREDENTIAL_PROVIDER", "nosuch")
    with pytest.raises(RuntimeError, match="nosuch"):
        maker(config.load({}, {}), "traces", "otlp", lambda *_: None)()
