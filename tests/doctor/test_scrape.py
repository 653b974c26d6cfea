"""A running service, by its own metrics page: a real process with otelml, scraped over HTTP."""

import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

import otelml
from otelml import semconv
from otelml.doctor import scrape

APP = """
import sys
import otelml
runtime = otelml.auto_instrument("scraped", disabled=["*"], config={{
    "metrics_exporter": "prometheus", "traces_exporter": "none", "logs_exporter": "none",
    "exporter_prometheus_port": {port}, "exporter_prometheus_host": "127.0.0.1", "gpu": False, "host": False}})
for number in range({classes}):
    with otelml.prediction("m", "1") as p:
        p.result(classes=f"class {{number}}")
runtime.force_flush()
print("ready", flush=True)
sys.stdin.read()
"""
LIMIT = semconv.attribute(semconv.PREDICTION_CLASS).limit


@pytest.fixture
def page():
    """Serve a text."""
    served = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            body = served[0].encode()
            self.send_response(200 if body else 500)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()

    def found(text):
        served[:] = [text]
        return list(scrape.metrics(f"http://127.0.0.1:{server.server_port}/metrics"))

    yield found
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    ("classes", "state"), [(3, None), (LIMIT - 2, "note"), (LIMIT + 4, "fault")], ids=["few", "near", "over"]
)
def test_a_service(classes, state, free_port):
    """Few classes: nothing to say. Near the limit: a note. Over it: a fault, with how many were folded."""
    environ = {"PYTHONPATH": str(Path(otelml.__file__).parents[1]), "PATH": ""}
    command = [sys.executable, "-c", APP.format(port=free_port, classes=classes)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environ) as service:
        assert service.stdout.readline() == "ready\n"
        found = list(scrape.metrics(f"http://127.0.0.1:{free_port}/metrics"))
        service.stdin.close()
    assert found[0].state == "ok"
    about = [each for each in found if each.what == "cardinality"]
    assert [each.state for each in about] == ([] if state is None else [state])
    assert all(semconv.PREDICTION_CLASS in each.detail and each.fix for each in about)
    assert not [each for each in found if each.what in {"dropped", "errors"}]


def test_what_was_lost(page):
    """Dropped items and faults of otelml are faults, by where; zeros are none. Labels are read with their escapes."""
    found = page(
        'otelml_dropped_total{otelml_what="span",otelml_where="export"} 12.0\n'
        'otelml_dropped_total{otelml_what="log",otelml_where="queue"} 0.0\n'
        'otelml_errors_total{otelml_where="runtime.\\"x\\"}"} 1.0 1700000000\n'
    )
    assert [(each.what, each.state) for each in found[1:]] == [("dropped", "fault"), ("errors", "fault")]
    assert "12 times span at export" in found[1].detail


def test_too_many_series_for_the_sdk(page):
    """What the SDK folds because an instrument has too many series is a fault."""
    found = page('ml_requests_total{ml_model_name="m"} 1\nmine_total{otel_metric_overflow="true"} 5\n')
    assert [each.state for each in found] == ["ok", "fault"]


@pytest.mark.parametrize("text", ["", "up 1\n", "<html>", "a{b=}\nc d e\n\x00"])
def test_pages_without_otelml(page, text):
    """No page, another program's, or none of metrics: one fault that says so."""
    (found,) = page(text)
    assert (found.state, bool(found.fix)) == ("fault", True)


def test_nobody_there():
    """An address that does not answer is a fault; its secrets are not shown."""
    (found,) = scrape.metrics("http://me:canary7f3a@127.0.0.1:1/metrics?key=canary7f3a")
    assert found.state == "fault"
    assert "canary7f3a" not in str(found)
