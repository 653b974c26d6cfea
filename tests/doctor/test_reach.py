"""Endpoints as the doctor finds them: real servers of every wrong kind, each recognised by what it answers."""

import datetime as dt
import socket
import ssl
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import grpc
import pytest
import trustme

from otelml import config
from otelml.doctor import peer, reach
from otelml.viewer.receiver import Receiver

CANARY = "canary7f3a"
HEADERS = f"Authorization=Bearer%20{CANARY}"


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch):
    """Reach loopback directly, whatever the environment says."""
    monkeypatch.setenv("NO_PROXY", "*")


@pytest.fixture(scope="module")
def receiver():
    """OTLP over HTTP and gRPC."""
    with Receiver(grpc_port=0) as started:
        yield started


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """An authority of our own, certificates of a server (good, expired, for another name) and of a client."""
    folder = tmp_path_factory.mktemp("certificates")
    authority, other = trustme.CA(), trustme.CA()
    past = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
    leaves = {
        "server": authority.issue_cert("localhost"),
        "expired": authority.issue_cert("localhost", not_before=past, not_after=past + dt.timedelta(days=1)),
        "elsewhere": authority.issue_cert("elsewhere.example"),
        "client": authority.issue_cert("client"),
    }
    for name, leaf in leaves.items():
        leaf.private_key_pem.write_to_path(folder / f"{name}.key")
        leaf.cert_chain_pems[0].write_to_path(folder / f"{name}.pem")
    authority.cert_pem.write_to_path(folder / "ca.pem")
    other.cert_pem.write_to_path(folder / "other-ca.pem")
    return folder


@contextmanager
def http(status=200, headers=(), tls=None, paths=()):
    """Serve one answer to every POST."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            known = self.headers.get("Authorization") == f"Bearer {CANARY}"
            own = dict(paths).get(self.path, status)
            self.send_response_only(200 if own == 401 and known else own)
            for name, value in (("Content-Length", "0"), *headers):
                self.send_header(name, value)
            self.end_headers()

        def log_message(self, *_):
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.handle_error = lambda *_: None  # a refused handshake is expected
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield f"localhost:{server.server_port}"
    server.shutdown()
    server.server_close()


def https(files, name="server", *, client=False):
    """Serve over TLS with one of the certificates."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files / f"{name}.pem", files / f"{name}.key")
    if client:
        context.load_verify_locations(files / "ca.pem")
        context.verify_mode = ssl.CERT_REQUIRED
    return http(tls=context)


@contextmanager
def grpcs(files=None, status=None):
    """Serve OTLP over gRPC: with TLS where there are files, every call answered with a status."""

    def export(_, call):
        if status is not None and dict(call.invocation_metadata()).get("authorization") != f"Bearer {CANARY}":
            call.abort(status, "no")
        return b""

    server = grpc.server(ThreadPoolExecutor(3), options=[("grpc.so_reuseport", 0)])
    for kind in ("trace.v1.TraceService", "metrics.v1.MetricsService", "logs.v1.LogsService"):
        method = grpc.unary_unary_rpc_method_handler(export)
        name = f"opentelemetry.proto.collector.{kind}"
        server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(name, {"Export": method})])
    if files is None:
        port = server.add_insecure_port("127.0.0.1:0")
    else:
        pair = ((files / "server.key").read_bytes(), (files / "server.pem").read_bytes())
        port = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([pair]))
    server.start()
    yield f"localhost:{port}"
    server.stop(None).wait()


def examined(endpoint, protocol="http/protobuf", seconds=2.0, **environ):
    """Return the findings by what they are about."""
    given = {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_EXPORTER_OTLP_PROTOCOL": protocol, **environ}
    return {found.what: found for found in reach.endpoints(config.load({}, given), seconds)}


def fault(endpoint, protocol="http/protobuf", **environ):
    """Return the one fault, which all three signals have."""
    found = examined(endpoint, protocol, **environ)
    three = [found[f"{signal} endpoint"] for signal in config.SIGNALS]
    assert {each.state for each in three} == {"fault"}, three
    assert all(each.fix for each in three)
    return three[0]


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_a_receiver_takes_an_empty_request_of_each_signal(receiver, protocol):
    """All three are taken over both protocols, nothing is stored, and the clock is compared where HTTP tells it."""
    endpoint = receiver.grpc_endpoint if protocol == "grpc" else receiver.http_endpoint
    found = examined(endpoint, protocol)
    assert [found[f"{signal} endpoint"].state for signal in config.SIGNALS] == ["ok"] * 3
    assert found["clock"].state == ("note" if protocol == "grpc" else "ok")
    assert receiver.store.counts_by_span_name() == {}


@pytest.mark.parametrize(
    ("protocol", "words", "fix"),
    [
        ("http/protobuf", "HTTP was sent to a port that speaks gRPC", "OTEL_EXPORTER_OTLP_PROTOCOL=grpc"),
        ("grpc", "gRPC was sent to a port that speaks HTTP", "OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf"),
    ],
)
def test_one_protocol_sent_to_the_port_of_the_other(receiver, protocol, words, fix):
    """It is recognised by the answer: the ports are neither 4317 nor 4318."""
    found = fault(receiver.http_endpoint if protocol == "grpc" else receiver.grpc_endpoint, protocol)
    assert words in found.detail
    assert fix in found.fix


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_tls_and_plain_mixed_up(receiver, files, protocol):
    """TLS sent to a plain port, and plain to a port of TLS, over both protocols."""
    plain = receiver.grpc_endpoint if protocol == "grpc" else receiver.http_endpoint
    assert "TLS was sent to a port that speaks plain" in fault(plain.replace("http:", "https:"), protocol).detail
    with grpcs(files) if protocol == "grpc" else https(files) as place:
        found = fault(f"http://{place}", protocol)
    assert "was sent to a port that speaks TLS" in found.detail
    assert "https://" in found.fix


def test_both_are_wrong_at_once(files):
    """HTTP without TLS to gRPC with TLS: the fix names both."""
    with grpcs(files) as place:
        found = fault(f"http://{place}")
    assert "speaks gRPC" in found.detail
    assert "PROTOCOL=grpc" in found.fix
    assert "https://" in found.fix


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_a_certificate_of_the_right_authority_is_taken(files, protocol):
    """With OTEL_EXPORTER_OTLP_CERTIFICATE all three are taken; with another authority's file it is said why not."""
    with grpcs(files) if protocol == "grpc" else https(files) as place:
        good = examined(f"https://{place}", protocol, OTEL_EXPORTER_OTLP_CERTIFICATE=str(files / "ca.pem"))
        assert good["traces endpoint"].state == "ok"
        other = fault(f"https://{place}", protocol, OTEL_EXPORTER_OTLP_CERTIFICATE=str(files / "other-ca.pem"))
        nobody = fault(f"https://{place}", protocol)
    for found in (other, nobody):
        assert found.detail.startswith("TLS fails: ")
        assert "OTEL_EXPORTER_OTLP_CERTIFICATE" in found.fix


@pytest.mark.parametrize(
    ("name", "client", "words", "fix"),
    [
        ("expired", False, "expired", "renew"),
        ("elsewhere", False, "mismatch", "name"),
        ("server", True, "client certificate", "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE"),
    ],
)
def test_what_is_wrong_with_a_certificate(files, name, client, words, fix):
    """Expired, for another name, or one of ours is wanted: each is named with its fix."""
    with https(files, name, client=client) as place:
        found = fault(f"https://{place}", OTEL_EXPORTER_OTLP_CERTIFICATE=str(files / "ca.pem"))
    assert words in found.detail.lower()
    assert fix in found.fix


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_credentials(protocol):
    """Without them it is a fault whose fix is the setting; with them all is fine. The secret is shown nowhere."""
    refusing = grpcs(status=grpc.StatusCode.UNAUTHENTICATED) if protocol == "grpc" else http(401)
    with refusing as place:
        found = fault(f"http://{place}", protocol)
        assert "OTEL_EXPORTER_OTLP_HEADERS" in found.fix
        good = examined(f"http://{place}", protocol, OTEL_EXPORTER_OTLP_HEADERS=HEADERS)
    assert {each.state for what, each in good.items() if what != "clock"} == {"ok"}
    assert CANARY not in str(good)


@pytest.mark.parametrize(
    ("status", "state", "words"),
    [
        (403, "fault", "does not let these credentials write"),
        (404, "fault", "has no such path (HTTP 404): /v1/traces"),
        (405, "fault", "has no such path"),
        (301, "fault", "points elsewhere"),
        (400, "note", "refuses an empty request"),
        (503, "note", "takes nothing just now"),
        (418, "fault", "refuses OTLP over HTTP (HTTP 418)"),
    ],
)
def test_what_an_answer_means(status, state, words):
    """Each status has its sentence; a redirection's target is shown without its secrets."""
    with http(status, [("Location", f"https://me:{CANARY}@elsewhere.example/v1/traces?key={CANARY}")]) as place:
        found = examined(f"http://{place}")["traces endpoint"]
    assert (found.state, words in found.detail) == (state, True), found
    assert CANARY not in str(found)
    assert ("elsewhere.example/v1/traces" in found.fix) == (status == 301)


@pytest.mark.parametrize(
    ("status", "state"),
    [
        (grpc.StatusCode.PERMISSION_DENIED, "fault"),
        (grpc.StatusCode.UNIMPLEMENTED, "fault"),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, "note"),
        (grpc.StatusCode.INVALID_ARGUMENT, "note"),
        (grpc.StatusCode.INTERNAL, "fault"),
    ],
    ids=lambda value: getattr(value, "name", value),
)
def test_what_an_answer_over_grpc_means(status, state):
    """Each status of gRPC has its sentence and its fix."""
    with grpcs(status=status) as place:
        found = examined(f"http://{place}", "grpc")["traces endpoint"]
    assert (found.state, bool(found.fix)) == (state, True)
    assert status.name in found.detail


def test_a_receiver_of_one_signal():
    """Where traces are taken and metrics have no path there, that is said, and not that the path is wrong."""
    with http(404, paths={"/v1/traces": 200}) as place:
        found = examined(f"http://{place}")
    assert found["traces endpoint"].state == "ok"
    assert "takes other signals, and no metrics" in found["metrics endpoint"].detail
    assert "OTEL_METRICS_EXPORTER=none" in found["metrics endpoint"].fix


def test_a_page_for_people_is_no_receiver():
    """200 with HTML, as a user interface answers, is a fault."""
    with http(200, [("Content-Type", "text/html")]) as place:
        assert "page for people" in fault(f"http://{place}").detail


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_nobody_is_there(protocol):
    """Refused connections and unknown names are told apart, over both protocols."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    assert "refused" in fault(f"http://127.0.0.1:{port}", protocol).detail
    assert "no machine is called no-such-host.invalid" in fault("http://no-such-host.invalid:4318", protocol).detail


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_silence_is_bounded(protocol):
    """Three endpoints that connect and never speak take one limit, not three, and are told as that."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as silent:
        start = time.monotonic()
        found = fault(f"http://127.0.0.1:{silent.getsockname()[1]}", protocol, seconds=0.5)
        took = time.monotonic() - start
    assert "says nothing" in found.detail
    assert took < 0.5 + reach._AFTERWARDS + 1


def test_headers_never_go_where_they_were_not_meant_to():
    """TLS is configured and the peer is plain: whatever is asked to find that out, the credentials are not in it."""
    heard = []

    def listen(server):
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            with connection:
                connection.settimeout(0.3)
                try:
                    heard.append(connection.recv(65536))
                    connection.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
                except OSError:
                    pass

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=listen, args=(server,), daemon=True).start()
        place = f"https://127.0.0.1:{server.getsockname()[1]}"
        found = fault(place, OTEL_EXPORTER_OTLP_HEADERS=HEADERS)
    assert "plain HTTP" in found.detail
    assert len(heard) >= 4
    assert CANARY.encode() not in b"".join(heard)


@pytest.mark.parametrize(("ahead", "state"), [(3600, "fault"), (-90, "fault"), (0, "ok")])
def test_clocks_are_compared(ahead, state):
    """A receiver whose clock is another is told with its difference, and how exact that is."""
    with http(200, [("Date", formatdate(time.time() + ahead, usegmt=True))]) as place:
        found = examined(f"http://{place}")["clock"]
    assert found.state == state
    assert "±" in found.detail
    if ahead:
        assert ("behind" if ahead > 0 else "ahead of") in found.detail
        said = float(found.detail.split(" s ")[0])
        assert abs(said - abs(ahead)) < 5


def test_nothing_is_tried_that_is_not_exported():
    """Signals without OTLP, telemetry that is off, and a configuration file of the SDK: no request, no finding."""
    assert examined("http://127.0.0.1:1", OTEL_SDK_DISABLED="true") == {}
    found = examined("http://127.0.0.1:1", OTEL_TRACES_EXPORTER="console", OTEL_LOGS_EXPORTER="none")
    assert set(found) == {"metrics endpoint"}


def test_a_credential_provider_is_not_tried(monkeypatch):
    """Its credentials are not ours to ask for: that nothing was tried is said."""
    monkeypatch.setenv("OTEL_PYTHON_EXPORTER_OTLP_HTTP_CREDENTIAL_PROVIDER", "mine")
    (found,) = examined("http://127.0.0.1:1").values()
    assert (found.state, "not tried" in found.detail) == ("note", True)


def test_a_peer_is_what_it_says(receiver, files):
    """HTTP, gRPC, TLS with either, by their answers."""
    with grpcs(files) as grpc_place, https(files) as http_place:
        addresses = [
            *(receiver.http_endpoint.split("/")[2], receiver.grpc_endpoint.split("/")[2]),
            *(http_place, grpc_place),
        ]
        seen = [
            peer.look(*(kind(part) for kind, part in zip((str, int), a.split(":"), strict=True))) for a in addresses
        ]
    assert [(each.tls, each.speaks) for each in seen] == [
        *((False, "HTTP"), (False, "gRPC")),
        *((True, "HTTP"), (True, "gRPC")),
    ]
