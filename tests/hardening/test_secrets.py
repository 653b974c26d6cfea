"""A secret that is in every value an application handles is in nothing that leaves it, at the default capture level."""

import gzip
import os
import re
import secrets
import sqlite3
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from secret_application import MARKS

import otelml
from otelml.drift import Reference

HERE = Path(__file__).parent
ROOT = Path(otelml.__file__).parents[1]


class Wire:
    """An OTLP endpoint that keeps every request as it came: path, headers, body, and the body undone."""

    def __init__(self):
        self.received = []
        wire = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                plain = gzip.decompress(body) if self.headers["Content-Encoding"] == "gzip" else body
                wire.received.append((f"{self.requestline}\n{self.headers}".encode(), body, plain))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_):
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        """Stop serving."""
        self.server.shutdown()
        self.server.server_close()


def places(folder, wire, run):
    """Return everything that left the application, by where it went."""
    database = sqlite3.connect(folder / "outcomes.db")
    names = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    rows = [str(database.execute(f"SELECT * FROM {name}").fetchall()) for name in names]  # noqa: S608 - its own tables
    database.close()
    found = {
        "requests": b"\n".join(part for request in wire.received for part in request),
        "stderr": run.stderr,
        "stdout": run.stdout,
        "log file": (folder / "log.jsonl").read_bytes(),
        "/metrics": (folder / "metrics.txt").read_bytes(),
        "outcomes": "\n".join(rows).encode(),
    }
    spool = [path.read_bytes() for path in (folder / "spool").rglob("*") if path.is_file()]
    database_files = [path.read_bytes() for path in folder.glob("outcomes.db*")]
    return found | {"spool": b"".join(spool), "database files": b"".join(database_files)}


@pytest.fixture(scope="module")
def left(tmp_path_factory):
    """Run the application with a secret; give the secret and everything that left it."""
    folder = tmp_path_factory.mktemp("secrets")
    secret = f"canary-{secrets.token_hex(8)}-secret"
    Reference.fit({"shown-feature": ["shown-category", "b"] * 20, "x": range(40)}).save(folder / "reference.json")
    wire = Wire()
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "OTELML_"))}
    environment |= {
        "OTEL_SERVICE_NAME": MARKS["service and resource"],
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{wire.server.server_port}",
        "OTEL_EXPORTER_OTLP_COMPRESSION": "gzip",
        "OTEL_METRICS_EXPORTER": "otlp,prometheus",
        "OTEL_EXPORTER_PROMETHEUS_PORT": "0",
        "OTELML_LOG_FILE": str(folder / "log.jsonl"),
        "OTELML_OUTCOMES_DATABASE": str(folder / "outcomes.db"),
        "OTELML_OUTCOMES_SPOOL": str(folder / "spool"),
        "OTELML_DRIFT_REFERENCE": str(folder / "reference.json"),
        "OTELML_SLICES": "carrier",
        "OTELML_EVENT_STARTED": "true",
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(HERE)]),
    }
    command = [sys.executable, str(HERE / "secret_application.py"), str(folder)]
    run = subprocess.run(command, input=secret.encode(), env=environment, capture_output=True, timeout=110, check=False)
    wire.close()
    assert run.returncode == 0, run.stderr.decode()[-3000:]
    return secret, places(folder, wire, run)


def test_the_secret_is_nowhere(left):
    """No request, page, line, row or message holds the secret or the random part of it, in any case or encoding."""
    secret, found = left
    core = secret.split("-")[1]
    forms = (core, core.upper(), core[4:-4], core.encode().hex(), core.encode("utf-16-le").hex())
    held = {}
    for place, data in found.items():
        for form in forms:
            at = data.find(form.encode())
            if at >= 0:
                held[place, form] = data[max(0, at - 200) : at + 100]
    assert not held, "\n".join(f"{where}: {around}" for where, around in held.items())


def test_what_is_looked_at_is_what_the_application_sent(left):
    """The test would see a secret: all three signals, the file, the page, the database and the warnings are there."""
    _, found = left
    for path in (b"/v1/traces", b"/v1/metrics", b"/v1/logs"):
        assert path in found["requests"]
    assert b"internal error in prediction.finish" in found["stderr"]
    assert b"ml_requests_total" in found["/metrics"]
    assert found["log file"].count(b"\n") > 20
    for kind in (b"http.server.request.duration", b"http.client.request.duration", b"ml.model.loaded", b"predict Log"):
        assert kind in found["requests"], kind


@pytest.mark.parametrize("row", MARKS)
def test_what_is_shown_by_design(left, row):
    """Each row of the list in docs/privacy.md is exported as it is; a canary there is the application's own choice."""
    _, found = left
    everything = b"\n".join(found.values())
    assert MARKS[row].encode() in everything


def test_the_list_is_complete():
    """docs/privacy.md lists what is exported as it is: these rows and no other."""
    page = (ROOT / "docs" / "privacy.md").read_text("utf-8")
    table = page.split("## Shown as you write it", 1)[1].split("\n## ", 1)[0]
    rows = re.findall(r"^\| ([a-z][^|]*?) \|", table, re.MULTILINE)
    assert sorted(rows) == sorted(MARKS)
