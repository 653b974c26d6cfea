"""``otelml doctor``, run as a user runs it: what it says, what it sends and does not send, what it leaves."""

import json
import os
import socket
import subprocess
import sys

import pytest

from otelml import _sdk, config, doctor
from otelml.doctor import Finding, sdk
from otelml.viewer.receiver import Receiver


def run(*arguments, cwd=None, **environ):
    """Run the doctor in a process of its own, without the caller's settings."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("OTEL_", "OTELML_"))}
    command = [sys.executable, "-m", "otelml", "doctor", *arguments]
    return subprocess.run(
        command, env=clean | environ, cwd=cwd, capture_output=True, text=True, timeout=60, check=False
    )


def rows(**environ):
    """Return the findings by what they are about; nothing is sent."""
    done = run("--json", "--offline", **environ)
    assert done.returncode == 0, done.stderr
    return {row["what"]: row for row in json.loads(done.stdout)}


@pytest.mark.parametrize(
    ("protocol", "endpoint"), [("http/protobuf", "http://localhost:4318/v1/traces"), ("grpc", "http://localhost:4317")]
)
def test_the_defaults_are_fine(protocol, endpoint):
    """Traces and logs go encoded over both protocols, every short cut works, and the exit code says so."""
    found = rows(OTEL_EXPORTER_OTLP_PROTOCOL=protocol)
    assert {row["state"] for what, row in found.items() if what != "instrumented"} == {"ok"}
    assert found["traces"]["detail"] == f"encoded, {protocol} to {endpoint}"
    assert found["logs"]["detail"].startswith(f"encoded, {protocol} to ")
    assert found["metrics"]["detail"].startswith(f"SDK objects, {protocol} to ")
    assert {what for what in found if what.startswith("SDK: ")} == {f"SDK: {c.what}" for c in sdk.CANARIES}


@pytest.mark.parametrize(
    ("environ", "signal", "words", "fix"),
    [
        ({"OTELML_LOG_FILE": "x.log"}, "logs", "JSON log file", "OTELML_LOG_FILE"),
        ({"OTEL_TRACES_EXPORTER": "console"}, "traces", "ConsoleSpanExporter", "otlp"),
        ({"OTEL_TRACES_EXPORTER": "console,otlp"}, "traces", "there are 2 exporters", "collector"),
        ({"OTEL_LOGS_EXPORTER": "none"}, "logs", "not exported", "OTEL_LOGS_EXPORTER=otlp"),
        ({"OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT": "20"}, "traces", "limits", "OTEL_*_LIMIT"),
        ({"OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT": "5"}, "traces", "limits", "OTEL_*_LIMIT"),
        (
            {"OTEL_PYTHON_SDK_INTERNAL_METRICS_ENABLED": "true"},
            *("logs", "counts what it encodes itself", "unset OTEL_PYTHON_SDK_INTERNAL_METRICS_ENABLED"),
        ),
        (
            {"OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION": "base2_exponential_bucket_histogram"},
            *("metrics", "one value at a time", "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION"),
        ),
        ({"OTEL_SDK_DISABLED": "true"}, "telemetry", "switched off", "OTEL_SDK_DISABLED"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_what_settings_cost_is_said(environ, signal, words, fix, tmp_path):
    """A way that costs more is a note with its reason and what to change; the exit code stays 0."""
    found = rows(**environ)[signal]
    assert found["state"] == "note"
    assert words in found["detail"]
    assert fix in found["fix"]


def test_nothing_is_sent_and_nothing_touched(otlp, tmp_path):
    """No request arrives, no file appears, and a port that the running service has is not asked for."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = run(
            "--offline",
            cwd=tmp_path,
            OTEL_EXPORTER_OTLP_ENDPOINT=otlp.endpoint,
            OTEL_METRICS_EXPORTER="otlp,prometheus",
            OTEL_EXPORTER_PROMETHEUS_PORT=str(port),
            OTEL_PYTHON_SDK_INTERNAL_METRICS_ENABLED="true",
            OTELML_LOG_FILE="app.log",
        )
    assert (done.returncode, done.stderr) == (0, "")
    assert f"scraped at localhost:{port}" in done.stdout
    assert otlp._requests == []
    assert list(tmp_path.iterdir()) == []


def test_endpoints_that_take_what_is_sent(tmp_path):
    """Beside a receiver all is fine: exit code 0, a line for each signal, the clock, and what to do next."""
    with Receiver(grpc_port=0) as receiver:
        done = run(cwd=tmp_path, OTEL_EXPORTER_OTLP_ENDPOINT=receiver.http_endpoint)
        assert (done.returncode, done.stderr) == (0, "")
        assert sum(" endpoint " in line and " takes " in line for line in done.stdout.splitlines()) == 3
        assert "as the receiver's" in done.stdout
        assert done.stdout.endswith("Next: otelml run -- python app.py\n")
        assert receiver.store.total("ml.requests") == 0
        assert receiver.store.counts_by_span_name() == {}


def test_an_endpoint_that_is_not_there_is_a_fault():
    """Exit code 1, and the same as JSON."""
    done = run("--json", OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:1", OTEL_METRICS_EXPORTER="none")
    assert (done.returncode, done.stderr) == (1, "")
    faults = [row for row in json.loads(done.stdout) if row["state"] == "fault"]
    assert [row["what"] for row in faults] == ["traces endpoint", "logs endpoint"]
    assert all("refused" in row["detail"] and row["fix"] for row in faults)


def test_it_reads_as_lines():
    """Each finding is a line: state, what, detail; the fix stands below it. A secret in a URL is not shown."""
    given = "http://me:hunter2@127.0.0.1:1?key=hunter2"
    done = run(OTEL_EXPORTER_OTLP_ENDPOINT=given, OTELML_LOG_FILE="x.log")
    lines = done.stdout.splitlines()
    assert lines[0].split(maxsplit=2)[:2] == ["ok", "traces"]
    assert lines[1].startswith("note")
    assert lines[2].strip() == "→ unset OTELML_LOG_FILE"
    assert "hunter2" not in done.stdout + done.stderr
    assert lines[-1] == "Next: repair the 3 faults above, then again: otelml doctor"


def test_bad_settings_end_with_code_2():
    """Faults in the settings are listed as otelml run would, and nothing is examined."""
    done = run(OTELML_CAPTUER="x", OTEL_TRACES_EXPORTER="zipkni")
    assert (done.returncode, done.stdout) == (2, "")
    assert "2 faults" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_configuration_file_of_the_sdk(tmp_path):
    """With OTEL_CONFIG_FILE every signal goes as the SDK's objects, and it is said why."""
    path = tmp_path / "otel.yaml"
    path.write_text('file_format: "1.0"\n')
    found = rows(OTEL_CONFIG_FILE=str(path))
    assert all("OTEL_CONFIG_FILE" in found[signal]["detail"] for signal in config.SIGNALS)


BROKEN = """
import sys
from otelml import _sdk, _sdk_metrics, cli
{change}
sys.exit(cli.main(["doctor", "--offline"]))
"""


@pytest.mark.parametrize(
    ("change", "what", "signal"),
    [
        ("_sdk.direct_tracer = lambda *_: None", "spans", "another release"),
        ("_sdk_metrics.takes_batches = lambda *_: False", "histograms", "one value at a time"),
        ("_sdk.set_stub = lambda *_: False", "OTLP over gRPC", "another release"),
        ("_sdk.log_processors_of = lambda _: ()", "logs", "SDK objects"),
        ("_sdk_metrics.forget_measurements = lambda _: False", "fork", ""),
        ("_sdk.SPAN_KEY = None", "context", ""),
        ("_sdk.end_span = None", "spans", "TypeError"),
    ],
)
def test_a_changed_sdk_is_a_fault(change, what, signal):
    """Where a short cut does not work, the exit code is 1, and its line says which, its price and what to install."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("OTEL_", "OTELML_"))}
    done = subprocess.run(
        [sys.executable, "-c", BROKEN.format(change=change)],
        env=clean | {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    faults = [line for line in done.stdout.splitlines() if line.startswith("fault")]
    assert len(faults) == 1
    assert f"SDK: {what} " in faults[0]
    assert "install 'opentelemetry-" in done.stdout
    assert "opentelemetry-sdk<" in done.stdout
    assert signal in done.stdout


def test_a_check_is_a_function_more(monkeypatch):
    """Findings of another check in CHECKS are listed with the others, in order."""
    mine = Finding("mine", doctor.NOTE, "seen", "nothing")
    monkeypatch.setattr(doctor, "CHECKS", (lambda _: [mine], lambda _: ()))
    assert doctor.examine(config.load({}, {})) == [mine]


def test_a_canary_that_raises_is_a_fault(monkeypatch):
    """An error while trying is told by its class, and the other canaries are still asked."""

    def broken():
        raise AttributeError(_sdk)

    canaries = (sdk.Canary("a", broken, "slower"), sdk.Canary("b", lambda: True, "slower"))
    monkeypatch.setattr(sdk, "CANARIES", canaries)
    first, second = sdk.canaries(config.load({}, {}))
    assert (first.state, first.detail) == ("fault", "changed (AttributeError): slower")
    assert second.state == "ok"
