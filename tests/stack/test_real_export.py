"""What ``otelml export`` writes, the real collector takes and hands on as it was: every span, log record and point."""

import json
import os
import subprocess
import sys

import pytest
import requests
from kafka_broker import free_ports
from running_stack import eventually

from otelml.demo import data
from otelml.stack import build
from otelml.viewer.api.parameters import Asked
from otelml.viewer.api.routes import ROUTES
from otelml.viewer.receiver import Receiver

pytestmark = [pytest.mark.stack, pytest.mark.timeout(120)]
SIGNALS = ("traces", "logs", "metrics")
CONFIGURATION = """
receivers:
  otlp: {protocols: {http: {endpoint: "${env:IN}"}}}
exporters:
  otlp_http: {endpoint: "${env:OUT}", sending_queue: {enabled: false}}
service:
  telemetry: {metrics: {level: none}}
  pipelines:
    traces: {receivers: [otlp], exporters: [otlp_http]}
    logs: {receivers: [otlp], exporters: [otlp_http]}
    metrics: {receivers: [otlp], exporters: [otlp_http]}
"""


def demo(endpoint):
    """Send the telemetry of thirty real flights."""
    data.ensure_store()
    kept = {name: value for name, value in os.environ.items() if not name.startswith("OTEL")}
    command = [sys.executable, "-m", "otelml.demo.cli", "--count", "30", "--rate", "0"]
    environment = kept | {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def lines(store, signal):
    """Return the lines of one signal."""
    found, after = [], -1
    while after is not None:
        page = ROUTES["export"].function(store, Asked({"signal": signal, "after": str(after), "limit": "200"}))
        found += page["lines"]
        after = page["next"]
    return found


def test_a_collector_reads_every_line(tmp_path):
    """Real telemetry, exported, posted to the collector line by line, comes back out of it equal."""
    (tmp_path / "otelcol.yaml").write_text(CONFIGURATION)
    (port,) = free_ports(1)
    with Receiver() as first, Receiver() as second:
        demo(first.http_endpoint)
        command = [str(build.binary("otelcol")), "--config", f"file:{tmp_path / 'otelcol.yaml'}"]
        environment = os.environ | {"IN": f"127.0.0.1:{port}", "OUT": second.http_endpoint}
        with (tmp_path / "log").open("w") as log, subprocess.Popen(command, env=environment, stderr=log) as collector:
            try:
                url = f"http://127.0.0.1:{port}/v1/"
                assert eventually(lambda: answers(f"{url}traces"), 30), (tmp_path / "log").read_text()
                for signal in SIGNALS:
                    for line in lines(first.store, signal):
                        done = requests.post(
                            url + signal, line.encode(), headers={"Content-Type": "application/json"}, timeout=20
                        )
                        assert done.status_code == 200, done.text
                        assert json.loads(done.text) == {"partialSuccess": {}}
            finally:
                collector.terminate()
        assert len(first.store.spans()) > 200
        assert first.store.spans() == second.store.spans()
        assert first.store.logs() == second.store.logs()
        assert first.store.metric_points() == second.store.metric_points()
        first.store.close()
        second.store.close()


def answers(url):
    """Return whether an empty request is taken."""
    try:
        return requests.post(url, "{}", headers={"Content-Type": "application/json"}, timeout=2).ok
    except requests.ConnectionError:
        return False
