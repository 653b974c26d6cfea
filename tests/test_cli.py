"""The command line, run as a user runs it."""

import json
import os
import subprocess
import sys

import pytest

from otelml import cli, semconv


def otelml(*arguments, **environ):
    """Run ``otelml`` in a process of its own, without the caller's settings."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("OTEL_", "OTELML_"))}
    return subprocess.run(
        [sys.executable, "-m", "otelml", *arguments],
        env=clean | environ,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_config_lists_values_sources_and_masks_secrets():
    """The table shows what is in force and why; a token is not shown."""
    done = otelml("config", OTELML_CAPTURE="none", OTEL_EXPORTER_OTLP_HEADERS="api-key=hunter2")
    lines = {line.split()[0]: line.split() for line in done.stdout.splitlines() if line.strip()}
    assert lines["capture"] == ["capture", "none", "environment", "OTELML_CAPTURE", "OTELML_CAPTURE"]
    assert lines["low_confidence"][1:3] == ["0.5", "default"]
    assert lines["logs.headers"][1] == "api-key=***"
    assert "hunter2" not in done.stdout
    assert done.stdout.rstrip().endswith("otelml run -- python app.py")


def test_config_as_json():
    """Every row, for machines."""
    rows = json.loads(otelml("config", "--json").stdout)
    assert {"name": "capture", "value": "stats", "source": "default", "env": "OTELML_CAPTURE"}.items() <= next(
        row for row in rows if row["name"] == "capture"
    ).items()


@pytest.mark.parametrize("command", [("config",), ("run", "--", sys.executable, "-c", "print('started')")])
def test_bad_configuration_ends_with_all_faults_and_nothing_started(command):
    """Exit code 2, every fault on stderr, and the program did not run."""
    done = otelml(*command, OTELML_CAPTUER="x", OTEL_TRACES_EXPORTER="zipkni")
    assert (done.returncode, done.stdout) == (2, "")
    assert "2 faults" in done.stderr
    assert "OTELML_CAPTUER" in done.stderr
    assert "OTEL_TRACES_EXPORTER='zipkni'" in done.stderr
    assert "Traceback" not in done.stderr


def test_bad_usage():
    """An unknown command, a missing program and a program that is not there each give one clear line."""
    for arguments, code, words in (
        (("nosuch",), 2, "invalid choice"),
        (("run",), 2, "otelml run -- python app.py"),
        (("run", "--", "no-such-program"), 127, "no-such-program: command not found"),
    ):
        done = otelml(*arguments)
        assert done.returncode == code
        assert words in done.stderr
        assert "Traceback" not in done.stderr
    assert "COMMAND" in otelml().stdout


def test_version():
    """It names otelml, the SDK and Python."""
    done = otelml("version")
    assert done.stdout.startswith("otelml ")
    assert "opentelemetry-sdk 1." in done.stdout


def test_semconv_lists_every_name():
    """Every metric with its Prometheus name, every span and event; the markdown has attributes and buckets too."""
    plain, markdown = otelml("semconv").stdout, otelml("semconv", "--markdown").stdout
    for row in (*semconv.METRICS, *semconv.SPANS, *semconv.EVENTS):
        assert f"\n{row.name} " in plain
        assert f"| `{row.name}` |" in markdown
    for attribute in semconv.ATTRIBUTES:
        assert f"| `{attribute.name}` |" in markdown
    assert "`ml_prediction_duration_seconds`" in markdown
    assert "`hw_gpu_utilization_ratio`" in markdown
    assert "0.0005, 0.001, 0.0025" in markdown


def test_every_metric_attribute_is_declared_and_bounded():
    """A metric's attribute without a row, or without a limit, could grow without end."""
    known = {row.name: row for row in semconv.ATTRIBUTES}
    missing = {name for metric in semconv.METRICS for name in metric.attributes if name not in known}
    assert not missing


def test_prometheus_names_are_unique():
    """No two metrics share a name in Prometheus."""
    names = [cli.prometheus_name(metric) for metric in semconv.METRICS]
    assert len(set(names)) == len(names)


def test_importing_the_command_line_is_cheap():
    """``otelml --help`` imports no exporter, no ML framework, no web client."""
    script = "import sys, otelml.cli; print([m for m in ('grpc', 'requests', 'sklearn', 'pandas') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout.strip() == "[]"
