"""What clients send: requests with any headers, OTLP in any bytes, outcomes in any JSON."""

import asyncio
import contextlib
import gzip
import json
import socket
import tempfile
import zlib
from pathlib import Path

import requests
from call_targets import exported
from fastapi import FastAPI
from fuzzing import TEXTS, target
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from requests.adapters import BaseAdapter

from otelml import context, prometheus, testing
from otelml._drops import Drops
from otelml.integrations._private_spans import private_url
from otelml.integrations.fastapi import OtelmlFastAPIInstrumentor
from otelml.integrations.requests import OtelmlRequestsInstrumentor
from otelml.otlp import Answers
from otelml.outcomes import http
from otelml.viewer import http_body
from otelml.viewer.decode import SIGNALS, MalformedError, parse
from otelml.viewer.receiver import Receiver
from otelml.viewer.store import Store

BYTES = st.binary(max_size=60)
JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20), st.sampled_from(["0" * 32])),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=9), inner, max_size=4)),
    max_leaves=15,
)
HEX = st.text("0123456789abcdefABCDEFg-", max_size=70)
KNOWN_HEADERS = {
    b"traceparent": st.one_of(
        BYTES,
        st.builds(lambda v, t, s, f: f"{v}-{t}-{s}-{f}".encode(), *(HEX,) * 4),
        st.sampled_from(
            [b"00-" + b"a" * 32 + b"-" + b"b" * 16 + b"-01", b"ff-" + b"0" * 32 + b"-" + b"0" * 16 + b"-ff"]
        ),
    ),
    b"tracestate": st.one_of(BYTES, st.sampled_from([b"a=1," * 40, b"a=1,b=2", b"=,=,", b"a@b=c" * 99])),
    b"baggage": st.one_of(BYTES, st.sampled_from([b"a=%zz", b"k=v;p=q,", b"x=" + b"y" * 9000, b"%00=%ff"])),
    b"x-request-id": st.one_of(BYTES, st.just(b"a" * 200), st.just(b"order-42")),
    b"content-length": st.one_of(BYTES, st.just(b"9" * 5000), st.just(b"-1"), st.just(b"3")),
    b"user-agent": st.one_of(BYTES, st.just(b"GoogleBot")),
    b"host": st.one_of(BYTES, st.just(b"[::1"), st.just(b"a:b:c")),
    b"accept": st.one_of(BYTES, st.sampled_from([b"application/openmetrics-text;version=1.0.0", b";q=,,;version=x"])),
    b"authorization": BYTES,
    b"cookie": BYTES,
}


def headers(data):
    """Return headers as ASGI has them: known ones and any others, some twice."""
    names = st.one_of(st.sampled_from(sorted(KNOWN_HEADERS)), st.binary(max_size=9))
    chosen = data.draw(st.lists(names, max_size=6))
    return [(name, data.draw(KNOWN_HEADERS.get(name, BYTES))) for name in chosen]


# Requests to the application ------------------------------------------------------------------------------------


@contextlib.contextmanager
def served():
    """Give an application that is observed, and how it is called without."""
    app, plain = FastAPI(), FastAPI.__call__

    @app.get("/items/{key}")
    def items(key: str):
        return {"key": key}

    @app.get("/fail")
    def fail():
        raise ZeroDivisionError

    with exported() as ready:
        instrumentor = OtelmlFastAPIInstrumentor()
        made = ready.runtime.pipeline
        instrumentor.instrument(
            skip_dep_check=True, tracer_provider=made.tracer_provider, meter_provider=made.meter_provider
        )
        ready.app, ready.plain = app, plain
        try:
            yield ready
        finally:
            instrumentor.uninstrument()


async def answers(call, app, scope, body):
    """Return what an application sends and raises."""
    sent = []

    async def receive():
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message):
        sent.append(message)

    try:
        await call(app, scope, receive, send)
    except Exception as error:  # noqa: BLE001 - the application's: compared below
        return sent, type(error)
    return sent, None


def without_id(answer):
    """Return an answer without the one header that otelml adds."""
    sent, raised = answer
    for message in sent:
        if "headers" in message:
            message["headers"] = [pair for pair in message["headers"] if pair[0] != b"x-request-id"]
    return sent, raised


@target("HTTP requests", served)
def request(data, ready):
    """Any request is answered as without otelml."""
    path = data.draw(st.one_of(st.sampled_from(["/items/x", "/fail", "/", "//", "/items/%00"]), TEXTS))
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": data.draw(st.one_of(st.just("1.1"), TEXTS)),
        "method": data.draw(st.one_of(st.sampled_from(["GET", "POST", "get", "\xb5"]), TEXTS)),
        "scheme": data.draw(st.sampled_from(["http", "https", "x", ""])),
        "path": path,
        "raw_path": path.encode("utf-8", "replace"),
        "query_string": data.draw(BYTES),
        "root_path": data.draw(st.sampled_from(["", "/v1"])),
        "headers": headers(data),
        "client": data.draw(st.sampled_from([None, ("1.2.3.4", 5), ("", 0)])),
        "server": data.draw(st.sampled_from([None, ("host", 80), ("/run/app", None)])),
    }
    given = {**scope, "headers": list(scope["headers"])}
    with_us = asyncio.run(answers(type(ready.app).__call__, ready.app, dict(scope), b""))
    assert without_id(with_us) == without_id(asyncio.run(answers(ready.plain, ready.app, dict(given), b"")))
    assert scope == given
    ready.check()


@target("request ids", contextlib.nullcontext)
def request_id(data, _):
    """Any header is a request id, or is replaced by one."""
    given = data.draw(st.one_of(st.none(), BYTES, TEXTS))
    with context.with_request_id(given) as found:
        assert context.valid(found)


class Nowhere(BaseAdapter):
    """Answers every request of a session at once, without a network."""

    def send(self, request, **_):
        """Answer."""
        made = requests.Response()
        made.status_code, made.request, made.url, made._content = 200, request, request.url, b""
        return made

    def close(self):
        """Do nothing."""


@contextlib.contextmanager
def calling():
    """Give a session whose calls are observed, and how it sends without."""
    plain = requests.Session.send
    with exported() as ready:
        instrumentor = OtelmlRequestsInstrumentor()
        made = ready.runtime.pipeline
        instrumentor.instrument(tracer_provider=made.tracer_provider, meter_provider=made.meter_provider)
        ready.session, ready.plain = requests.Session(), plain
        ready.session.adapters = {"": Nowhere()}
        yield ready
        instrumentor.uninstrument()


def outcome_of(call, *given):
    """Return what a call returns or the class of what it raises."""
    try:
        return call(*given).status_code
    except Exception as error:  # noqa: BLE001 - compared with that of the same call without otelml
        return type(error)


@target("calls by requests", calling)
def called(data, ready):
    """Any address gives what it gives without otelml."""
    some = st.sampled_from(["http://u:p@host:99/a?b=c#d", "http://[::1]:x/", "HTTP://\xe4", "//", "x:", "http://a b/"])
    address = data.draw(st.one_of(some, TEXTS))
    private_url(address)
    try:
        prepared = requests.Request(data.draw(st.sampled_from(["GET", "\xb5", ""])), address).prepare()
    except (requests.RequestException, ValueError):
        return
    with context.with_request_id(None):
        ours = outcome_of(ready.session.send, prepared.copy())
        assert ours == outcome_of(ready.plain, ready.session, prepared.copy())
    ready.check()


# Outcomes -------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def outcomes_app():
    """Give an application with ``POST /outcomes`` and a database."""
    app = FastAPI()
    app.include_router(http.make())
    with (
        tempfile.TemporaryDirectory() as folder,
        testing.recording(outcomes_database=str(Path(folder, "o.db")), outcomes_spool=folder) as made,
    ):
        made.app = app
        yield made
        made.runtime.outcomes.stop(5.0)


OUTCOME = st.fixed_dictionaries(
    {},
    optional={
        "prediction_id": st.one_of(JSON, st.just("a")),
        "actual": JSON,
        "at": st.one_of(JSON, st.sampled_from(["0001-01-01", "9999-12-31T23:59:59-23:59", "2020-01-01T00:00Z", 1e99])),
    },
)


@target("POST /outcomes", outcomes_app)
def posted(data, made):
    """Any body is taken or refused, and what is taken gets into the database."""
    given = data.draw(st.one_of(OUTCOME, st.lists(OUTCOME, max_size=4), JSON))
    body = data.draw(st.one_of(BYTES, st.just(json.dumps(given).encode()), st.just(b"[" * 50_000)))
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": "/outcomes",
        "query_string": b"",
        "root_path": "",
        "headers": [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())],
    }
    sent, raised = asyncio.run(answers(FastAPI.__call__, made.app, scope, body))
    assert raised is None
    assert sent[0]["status"] in {202, 400, 413, 422}
    assert made.runtime.outcomes.turn(now=True)


# The viewer's receiver ------------------------------------------------------------------------------------------

MESSAGES = {
    "traces": ExportTraceServiceRequest,
    "metrics": ExportMetricsServiceRequest,
    "logs": ExportLogsServiceRequest,
}


def filled(data, message, depth=0):
    """Fill some fields of a protobuf message, whatever they are, with any values."""
    for field in message.DESCRIPTOR.fields:
        if not data.draw(st.booleans()):
            continue
        many = field.is_repeated
        if field.type == field.TYPE_MESSAGE:
            if depth < 9:
                inner = getattr(message, field.name)
                filled(data, inner.add() if many else inner, depth + 1)
                if not many:
                    inner.SetInParent()
            continue
        value = data.draw(SCALARS[field.cpp_type] if field.type != field.TYPE_BYTES else BYTES)
        if field.cpp_type == field.CPPTYPE_ENUM:
            value = data.draw(st.integers(0, 9))
        if many:
            getattr(message, field.name).append(value)
        else:
            setattr(message, field.name, value)
    return message


_D = ExportTraceServiceRequest.DESCRIPTOR.fields[0]
SCALARS = {
    _D.CPPTYPE_INT32: st.integers(-(2**31), 2**31 - 1),
    _D.CPPTYPE_UINT32: st.integers(0, 2**32 - 1),
    _D.CPPTYPE_INT64: st.integers(-(2**63), 2**63 - 1),
    _D.CPPTYPE_UINT64: st.integers(0, 2**64 - 1),
    _D.CPPTYPE_DOUBLE: st.floats(),
    _D.CPPTYPE_FLOAT: st.floats(width=32),
    _D.CPPTYPE_BOOL: st.booleans(),
    _D.CPPTYPE_ENUM: st.integers(0, 9),
    _D.CPPTYPE_STRING: st.text(max_size=9),
}


@contextlib.contextmanager
def store():
    """Give a store in memory."""
    with Store() as made:
        yield made


@target("OTLP bodies", store)
def otlp(data, made):
    """A body is stored, or is malformed."""
    signal = data.draw(st.sampled_from(SIGNALS))
    as_json = data.draw(st.booleans())
    if as_json:
        deep = b'{"resourceSpans":' * 5000
        body = data.draw(st.one_of(BYTES, JSON.map(lambda x: json.dumps(x).encode()), st.just(deep), otlp_json()))
    else:
        message = filled(data, MESSAGES[signal]()).SerializeToString()
        cut = data.draw(st.integers(0, len(message)))
        body = data.draw(st.one_of(BYTES, st.just(message), st.just(message[:cut]), st.just(message + b"\xff")))
    with contextlib.suppress(MalformedError):
        made.add(signal, parse(signal, body, as_json=as_json))


def otlp_json():
    """Return a strategy of OTLP in JSON with any values where others belong."""
    span = st.dictionaries(st.sampled_from(["traceId", "spanId", "name", "kind", "attributes", "status"]), JSON)
    return span.map(lambda s: json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [s]}]}]}).encode())


@target("compressed bodies", contextlib.nullcontext)
def compressed(data, _):
    """A compressed body is undone or refused, within the limit; bombs and many small members are refused in time."""
    plain = data.draw(BYTES)
    bodies = [plain, gzip.compress(plain), zlib.compress(plain), gzip.compress(plain)[:-1], BOMB, MEMBERS]
    body = data.draw(st.sampled_from(bodies))
    encoding = data.draw(st.one_of(st.sampled_from(["gzip", "deflate", "GZIP ", "identity", ""]), TEXTS))
    with contextlib.suppress(http_body.RefusedError):
        assert len(http_body.decompressed(encoding, body)) <= http_body.MAX_BYTES


BOMB = gzip.compress(gzip.compress(bytes(100 << 20), 9) + bytes(30 << 20), 9)
MEMBERS = gzip.compress(b"") * 800_000


@contextlib.contextmanager
def receiving():
    """Give a receiver on a free port."""
    with Receiver() as running:
        yield running


@target("the receiver's HTTP", receiving)
def raw(data, receiver):
    """Any bytes on a connection are answered or end it; the next request is served."""
    line = data.draw(
        st.one_of(BYTES, st.sampled_from([b"POST /v1/traces HTTP/1.1", b"PUT / HTTP/9", b"POST /v1/logs"]))
    )
    pairs = data.draw(st.lists(st.tuples(st.sampled_from(FRAMING), BYTES | st.sampled_from(FRAMES)), max_size=4))
    head = b"\r\n".join([line, *(name + b": " + value for name, value in pairs)])
    talk(receiver.http_endpoint, head + b"\r\n\r\n" + data.draw(st.sampled_from(CHUNKS) | BYTES))
    answer = talk(receiver.http_endpoint, b"GET / HTTP/1.0\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 404")


FRAMING = (b"content-length", b"transfer-encoding", b"content-type", b"content-encoding", b"connection", b"expect")
FRAMES = (b"chunked", b"5", b"-5", b"99999999999999999999", b"gzip", b"application/json", b"application/x-protobuf")
CHUNKS = (b"5\r\nhello\r\n0\r\n\r\n", b"ffffffffffffffffff\r\n", b"-1\r\n", b"0\r\n" + b"a: b\r\n" * 500, b"1;x\r\na")


def talk(endpoint, message):
    """Send bytes on a connection of their own; return what comes back."""
    host, _, port = endpoint.removeprefix("http://").rpartition(":")
    with socket.create_connection((host, int(port)), timeout=10.0) as connection, contextlib.suppress(ConnectionError):
        connection.sendall(message)
        connection.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: connection.recv(65_536), b""))
    return b""


@target("a receiver's answers", contextlib.nullcontext)
def answered(data, _):
    """Whatever a receiver answers is heard or is nothing."""
    Answers("traces", Drops().add).hear(data.draw(st.one_of(BYTES, st.just(b"\x0a\x04\x08\xff\xff\x7f"))))


# Prometheus -----------------------------------------------------------------------------------------------------


@target("/metrics", exported)
def scraped(data, ready):
    """Any Accept header gives the metrics, by each way of serving them."""
    found = headers(data)
    scope = {"type": "http", "headers": found, "path": "/metrics", "method": "GET"}
    sent, raised = asyncio.run(answers(lambda app, *rest: app(*rest), prometheus.asgi_app(ready.scraped), scope, b""))
    assert raised is None
    assert sent[0]["status"] == 200
    status = []
    accept = data.draw(st.one_of(TEXTS, KNOWN_HEADERS[b"accept"].map(lambda value: value.decode("latin-1"))))
    body = prometheus.wsgi_app(ready.scraped)({"HTTP_ACCEPT": accept}, lambda *given: status.append(given[0]))
    assert status == ["200 OK"]
    assert isinstance(b"".join(body), bytes)


@contextlib.contextmanager
def listening():
    """Give a server of metrics on a free port."""
    reader = prometheus.PrometheusReader()
    port = reader.serve("127.0.0.1", 0)
    yield f"http://127.0.0.1:{port}"
    reader.shutdown()


@target("the scrape's HTTP", listening)
def scrape(data, endpoint):
    """Any bytes on a connection are answered or end it; the next scrape is served."""
    line = data.draw(st.one_of(BYTES, st.sampled_from([b"GET /metrics HTTP/1.1", b"POST / HTTP/1.1", b"GET"])))
    value = data.draw(BYTES)
    talk(endpoint, line + b"\r\naccept: " + value + b"\r\n\r\n")
    assert talk(endpoint, b"GET /metrics HTTP/1.0\r\n\r\n").startswith(b"HTTP/1.0 200")
