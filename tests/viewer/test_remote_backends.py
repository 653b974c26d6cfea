"""`otelml view --prometheus ...`: what is said of addresses, tokens, certificates and servers that do not fit."""

import ssl
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import pytest
import trustme

from otelml.viewer import remote_http
from otelml.viewer.remote import Stack
from otelml.viewer.remote_http import RemoteError, backend

WELL = b'{"status": "success", "data": {"resultType": "scalar", "result": [0, "1"]}}'


@contextmanager
def server(status=200, body=WELL, *, delay=0.0, context=None, **headers):
    """Serve one answer to everything; give the address and the headers of what was asked."""
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(dict(self.headers))
            time.sleep(delay)
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            """Stay quiet."""

    made = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made.daemon_threads = True
    made.handle_error = lambda *_: None  # who asks may be gone, or not trust us
    if context is not None:
        made.socket = context.wrap_socket(made.socket, server_side=True)
    threading.Thread(target=made.serve_forever, daemon=True).start()
    scheme, host = ("https", "localhost") if context else ("http", "127.0.0.1")
    try:
        yield SimpleNamespace(url=f"{scheme}://{host}:{made.server_port}", asked=asked)
    finally:
        made.shutdown()
        made.server_close()


def view(*arguments):
    """Run ``otelml view`` with what can't work; return its status and what it said."""
    command = [sys.executable, "-m", "otelml", "view", "--no-browser", "--port", "0", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stderr.strip()


def test_what_cannot_be_reached_is_said_at_the_start(tmp_path):
    """One line for each backend: which option, why, and what to do; the exit status is that of misuse."""
    dead = "http://127.0.0.1:1"
    code, said = view("--prometheus", dead, "--loki", dead)
    assert code == 2
    first, second = said.splitlines()
    assert first.startswith(f"otelml view: --prometheus: Prometheus at {dead} can't be reached: ")
    assert "Connection refused" in first
    assert second.startswith(f"--loki: Loki at {dead} can't be reached: ")
    assert second.endswith("Is it running there? --loki URL names it")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--prometheus", "localhost:9090"], "--prometheus 'localhost:9090' is no address. Write it as --prometheus"),
        (["--loki", "http://127.0.0.1:1", "--db", "x"], "--db is of what is received here; with --loki nothing is"),
        (["--jaeger", "http://127.0.0.1:1", "x.jsonl"], "FILE.jsonl is of what is received here"),
        (["--ca", "ca.pem"], "--ca is of --prometheus, --jaeger and --loki: none of them is given"),
    ],
    ids=["address", "store", "file", "certificates"],
)
def test_misuse_is_said(arguments, expected):
    """Options that don't go together, and what is no address."""
    code, said = view(*arguments)
    assert code == 2
    assert expected in said


def test_headers_and_tokens_come_from_the_environment(monkeypatch):
    """A bearer token and headers, percent-encoded as those of OTLP are; those of one backend reach no other."""
    monkeypatch.setenv("PROMETHEUS_BEARER_TOKEN", "secret")
    monkeypatch.setenv("LOKI_HEADERS", "x-scope-orgid=team%20a, x-other=1")
    with server() as one, server() as other:
        stack = Stack({"Prometheus": one.url, "Loki": other.url})
        stack.check()
    assert one.asked[0]["Authorization"] == "Bearer secret"
    assert "x-scope-orgid" not in one.asked[0]
    assert (other.asked[0]["x-scope-orgid"], other.asked[0]["x-other"]) == ("team a", "1")
    assert "Authorization" not in other.asked[0]


def test_a_header_that_cannot_be_sent_is_refused(monkeypatch):
    """A line break would be a header of its own."""
    monkeypatch.setenv("JAEGER_HEADERS", "x=1%0d%0ax-other:%202")
    with pytest.raises(RemoteError, match="JAEGER_HEADERS"):
        backend("Jaeger", "--jaeger", "http://127.0.0.1:1", "/", None)


def test_a_password_in_the_address_is_not_shown():
    """Neither on the page nor in an error."""
    made = backend("Jaeger", "--jaeger", "http://me:hidden@127.0.0.1:1/jaeger/", "/", None)
    assert made.shown == "http://127.0.0.1:1/jaeger"
    with pytest.raises(RemoteError) as raised:
        made.check()
    assert "hidden" not in str(raised.value) + raised.value.fix


@pytest.mark.parametrize(
    ("answer", "message", "fix"),
    [
        ({"status": 401}, "answers 401", "set PROMETHEUS_BEARER_TOKEN, or PROMETHEUS_HEADERS"),
        ({"status": 400, "body": b'{"error": "parse error"}'}, "answers 400: parse error", "its log says more"),
        ({"status": 503, "body": b"<html>starting\nup</html>"}, "answers 503: <html>starting up</html>", "its log"),
        ({"status": 302, "Location": "https://elsewhere/"}, "has moved to https://elsewhere/", "give that address"),
        ({"body": b"<html>"}, "answers no JSON: it is not Prometheus's API", "is it running there?"),
        ({"body": b"[]"}, "is not Prometheus's API", "is it running there?"),
    ],
    ids=["unauthorized", "error", "page", "redirect", "html", "list"],
)
def test_refusals_say_what_to_do(answer, message, fix):
    """One line, with the backend's own words where it has some; tokens follow no redirect."""
    with server(**answer) as found, pytest.raises(RemoteError) as raised:
        backend("Prometheus", "--prometheus", found.url, "/", None).check()
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)
    assert fix in raised.value.fix


def test_a_slow_backend_is_not_waited_for(monkeypatch):
    """It ends in time, and says so."""
    monkeypatch.setattr(remote_http, "ANSWER_SECONDS", 0.2)
    with server(delay=5) as found, pytest.raises(RemoteError, match="no answer in time"):
        backend("Loki", "--loki", found.url, "/", None).check()


def test_an_answer_without_end_is_cut(monkeypatch):
    """More than fits is refused while it arrives."""
    monkeypatch.setattr(remote_http, "MOST_BYTES", 1024)
    with server(body=b" " * 100_000) as found, pytest.raises(RemoteError) as raised:
        backend("Loki", "--loki", found.url, "/", None).check()
    assert raised.value.fix == "ask for a shorter time range"


def test_certificates_are_checked(tmp_path):
    """An authority of one's own is named by --ca; without it the connection is refused, and the option named."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    trusted = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(trusted)
    with server(context=context) as found:
        backend("Jaeger", "--jaeger", found.url, "/", str(trusted)).check()
        with pytest.raises(RemoteError, match="--ca FILE names the certificates to trust"):
            backend("Jaeger", "--jaeger", found.url, "/", None).check()


def test_this_machine_is_asked_without_a_proxy(monkeypatch):
    """A proxy of the environment is for other machines."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    with server() as found:
        backend("Loki", "--loki", found.url, "/", None).check()
    assert len(found.asked) == 1
