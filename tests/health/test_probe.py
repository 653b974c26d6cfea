"""``otelml health URL``: exit codes, one line, a limit that holds, no redirects, no secrets, no imports of ours."""

import socket
import ssl
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import trustme

from otelml import cli
from otelml.health import probe

PROBE = Path(probe.__file__)


@contextmanager
def answering(data, *, kind=socket.AF_INET, address=("127.0.0.1", 0), wrap=lambda connection: connection):
    """Answer every connection with bytes, a piece at a time; give the port, and the requests."""
    heard = []
    with socket.socket(kind) as listener:
        listener.bind(address)
        listener.listen()

        def serve():
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                try:
                    with wrap(connection) as secured:
                        heard.append(secured.recv(4096))
                        for piece in data:
                            secured.sendall(piece)
                except OSError:
                    pass

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield listener.getsockname(), heard
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(5)


def said(capsys, *arguments):
    """Return the exit code and the line."""
    code = probe.main(list(arguments))
    out = capsys.readouterr()
    return code, out.out + out.err


@pytest.mark.parametrize(
    ("status", "code"),
    [("200 OK", 0), ("204 No Content", 0), ("503 Service Unavailable", 1), ("404 Not Found", 1), ("500 Oh", 1)],
)
def test_the_code_is_that_of_the_answer(capsys, status, code):
    """2xx is yes, everything else no; the line says what was answered, by whom, and how fast."""
    with answering([f"HTTP/1.1 {status}\r\n\r\n".encode()]) as ((_, port), heard):
        answered = said(capsys, f"http://127.0.0.1:{port}/health/readyz?full=1")
    assert answered[0] == code
    assert answered[1].startswith(
        f"{'pass' if code == 0 else 'fail'}: {status[:3]} from http://127.0.0.1:{port}/health"
    )
    assert answered[1].count("\n") == 1
    assert heard[0].startswith(b"GET /health/readyz?full=1 HTTP/1.1\r\n")
    assert f"\r\nHost: 127.0.0.1:{port}\r\n".encode() in heard[0]


def test_a_redirect_is_not_followed(capsys):
    """A probe that is sent elsewhere has not been answered, and nobody elsewhere is asked."""
    with answering([b"HTTP/1.1 200 OK\r\n\r\n"]) as ((_, other), elsewhere):
        move = f"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:{other}/\r\n\r\n".encode()
        with answering([move]) as ((_, port), _):
            code, line = said(capsys, f"http://127.0.0.1:{port}/")
    assert (code, line.split(" from")[0], elsewhere) == (1, "fail: 302", [])


@pytest.mark.parametrize("data", [[], [b"220 mail ready\r\n"], [b"HTTP/1.1 OK\r\n"], [b"x" * 5000], [b"\xff\n"]])
def test_what_is_no_answer(capsys, data):
    """A closed connection, another protocol, a line without end: no."""
    with answering(data) as ((_, port), _):
        code, line = said(capsys, f"http://127.0.0.1:{port}/")
    assert (code, line.split(" from")[0]) == (1, "fail: something that is not HTTP")


def test_nobody_there(capsys):
    """A refused connection is a no, by its class."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    assert said(capsys, f"http://127.0.0.1:{port}/")[1].startswith("fail: ConnectionRefusedError")


def test_the_limit_is_for_everything(capsys):
    """An answer that drips in for ever is given up at the limit, though each piece comes soon."""
    with answering(time.sleep(0.05) or b"H" for _ in range(40)) as ((_, port), _):
        started = time.perf_counter()
        code, line = said(capsys, f"http://127.0.0.1:{port}/", "--timeout", "0.4")
        assert 0.4 <= time.perf_counter() - started < 1.5
    assert (code, line.split(" from")[0]) == (1, "fail: no answer within 0.4 s")


@pytest.mark.parametrize(
    "arguments",
    [
        ("ftp://localhost/",),
        ("localhost:8000/readyz",),
        ("http://",),
        ("http://[::1/",),
        ("http://localhost:99999/",),
        ("http://localhost/a b",),
        ("http://localhost/\r\nX: y",),
        ("http://localhost/é",),
        ("http://localhost/", "--timeout", "0"),
        ("http://localhost/", "--timeout", "nan"),
        ("http://localhost/", "--timeout", "inf"),
    ],
    ids=str,
)
def test_bad_input(capsys, arguments):
    """What can't be asked is told from what answers no: exit code 2."""
    assert said(capsys, *arguments)[0] == 2


@pytest.mark.parametrize("arguments", [(), ("http://localhost/", "--timeout", "soon"), ("a", "b")], ids=str)
def test_bad_arguments(arguments):
    """So is what the command does not take."""
    with pytest.raises(SystemExit) as ended:
        probe.main(list(arguments))
    assert ended.value.code == 2


def test_no_password_is_taken_or_told(capsys):
    """Arguments are seen in the list of processes: a password there is refused, and not repeated; nor is a query."""
    code, line = said(capsys, "http://user:canary@127.0.0.1:9/")
    assert code == 2
    assert "canary" not in line
    code, line = said(capsys, "http://127.0.0.1:9/readyz?token=canary")
    assert code == 1
    assert "canary" not in line


def test_https(capsys, monkeypatch, tmp_path):
    """A certificate is checked: of an authority that is trusted it passes, else it is a no."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)

    def wrap(connection):
        return context.wrap_socket(connection, server_side=True)

    with answering([b"HTTP/1.1 200 OK\r\n\r\n"], wrap=wrap) as ((_, port), _):
        url = f"https://127.0.0.1:{port}/readyz"
        assert said(capsys, url)[1].startswith("fail: SSLCertVerificationError")
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
        assert said(capsys, url)[0] == 0


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="no Unix sockets on this system")
def test_a_unix_socket(capsys, tmp_path):
    """A server that binds no port is asked by its socket."""
    path = str(tmp_path / "app.sock")
    with answering([b"HTTP/1.1 200 OK\r\n\r\n"], kind=socket.AF_UNIX, address=path) as (_, heard):
        assert said(capsys, "http://localhost/readyz", "--unix", path)[0] == 0
    assert b"Host: localhost\r\n" in heard[0]
    assert said(capsys, "http://localhost/readyz", "--unix", path + "x")[0] == 1


def test_it_imports_the_standard_library_alone():
    """The file runs by itself, without the packages that are installed, and by ``otelml health``, alike."""
    with answering([b"HTTP/1.1 200 OK\r\n\r\n"]) as ((_, port), _):
        url = f"http://127.0.0.1:{port}/readyz"
        alone = subprocess.run(
            [sys.executable, "-I", "-S", PROBE, url], capture_output=True, text=True, timeout=20, check=False
        )
        assert (alone.returncode, alone.stderr) == (0, "")
        assert cli.main(["health", url]) == 0
    assert cli.main(["health", url, "--timeout", "1"]) == 1


def test_the_benchmark_runs():
    """Every contender of ``benchmarks/health_probe.py`` asks and is answered."""
    program = Path(__file__).parents[2] / "benchmarks" / "health_probe.py"
    done = subprocess.run([sys.executable, program, "--quick"], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count(" ms ") == 4


def test_a_real_server_of_the_app(capsys):
    """Python's own HTTP server, and a body: the first line is enough."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"x" * 100_000)

        def log_message(self, *_):
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        assert said(capsys, f"http://127.0.0.1:{server.server_port}/livez")[0] == 0
        server.shutdown()
