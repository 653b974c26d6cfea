"""The demo, run as a user runs it."""

import json
import os
import subprocess
import sys
import time

import psutil
import pytest

pytest.importorskip("rich", reason="the demo's packages are missing: pip install 'otelml[demo]'")

from otelml.demo import data
from otelml.viewer.receiver import Receiver

STAGES = ("feature_retrieval", "preprocessing", "inference", "postprocessing")


def demo(*arguments, **environment):
    """Run the demo in a process of its own."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("OTEL")}
    command = [sys.executable, "-m", "otelml.demo.cli", *arguments]
    return subprocess.run(
        command, env={**kept, **environment}, capture_output=True, text=True, timeout=300, check=False
    )


@pytest.mark.timeout(400)
def test_everything_sent_is_counted_in_every_signal(tmp_path):
    """Metrics, spans and events, as the receiver counted them, equal the answers that the replayer counted."""
    file = tmp_path / "summary.json"
    done = demo("--count", "1500", "--rate", "0", "--summary", str(file), "--svg", str(tmp_path / "screen.svg"))
    assert done.returncode == 0, done.stdout + done.stderr
    summary = json.loads(file.read_text())
    answered, received = summary["sent"]["answered"], summary["received"]
    flights = list(data.flights_from(data.ensure_store(), data.REPLAY_FROM, 1500))
    good = sum("tailnum" in flight for flight in flights)
    assert 1400 < good < 1500
    assert summary["sent"] == {"requests": 1500, "answered": {"200": good, "422": 1500 - good}}
    assert received["http_answers"] == answered
    assert received["requests"] == sum(received["predictions_by_class"].values()) == good
    assert received["errors"] == {}
    assert received["stages"] == dict.fromkeys(STAGES, good)
    assert received["events"] == {"ml.prediction": good}
    assert received["spans"] == {
        "GET": 2 * good,
        "GET /planes/{tailnum}": good,
        "GET /weather/{origin}/{time_hour}": good,
        "POST /predict": 1500,
        "predict flight-delay": good,
        **dict.fromkeys(STAGES, good),
    }
    assert received["missing_values"] > 0
    assert received["dropped"] == 0
    assert summary["equal"] is True
    assert "Sent = counted" in done.stdout
    assert "\x1b" not in done.stdout
    assert "<svg" in (tmp_path / "screen.svg").read_text()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--rate", "-1"], "flights a second"),
        (["--rate", "fast"], "flights a second"),
        (["--count", "1.5"], "whole number"),
        (["--count", "0"], "over 0"),
        (["--seconds", "nan"], "over 0"),
        (["--from", "2014-01-01"], "those of 2013"),
        (["--from", "June"], "2013-06-15"),
        (["--summary", "/no/such/directory/summary.json"], "directory that exists"),
    ],
)
def test_bad_arguments_are_named_and_nothing_starts(arguments, said):
    """Misuse says what is wrong and how to say it right, with exit code 2."""
    done = demo(*arguments)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Starting" not in done.stdout


def test_a_service_that_ends_is_reported_with_its_last_lines():
    """A child that can't start takes the demo down with its reason, not with a silence."""
    done = demo("--count", "10", OTELML_CAPTURE="everything")
    assert done.returncode == 1
    assert "OTELML_CAPTURE" in done.stdout
    assert "exit code" in done.stdout


def test_settings_of_the_users_own_do_not_lead_the_telemetry_astray(tmp_path):
    """A shell set up for another service (gRPC, sampled out, another name) leaves the demo's counts exact."""
    file = tmp_path / "summary.json"
    strange = {
        "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
        "OTEL_TRACES_SAMPLER": "always_off",
        "OTEL_SERVICE_NAME": "mine",
        "OTEL_LOGS_EXPORTER": "none",
    }
    done = demo("--count", "30", "--rate", "0", "--summary", str(file), **strange)
    assert done.returncode == 0, done.stdout
    assert json.loads(file.read_text())["equal"] is True


def test_telemetry_goes_to_an_endpoint_of_the_users_own():
    """With OTEL_EXPORTER_OTLP_ENDPOINT set the counts arrive there, and the terminal says so."""
    with Receiver() as receiver:
        done = demo("--count", "30", "--rate", "0", OTEL_EXPORTER_OTLP_ENDPOINT=receiver.http_endpoint)
        assert done.returncode == 0, done.stdout
        assert receiver.http_endpoint in done.stdout
        assert receiver.store.total("ml.requests") == receiver.store.counts_by_span_name()["predict flight-delay"] > 0


def test_a_service_killed_while_flights_are_sent_ends_the_demo():
    """A crash in the middle is reported at once, and the other service is not left behind."""
    command = [sys.executable, "-m", "otelml.demo.cli", "--seconds", "60"]
    kept = {name: value for name, value in os.environ.items() if not name.startswith("OTEL")}
    with subprocess.Popen(command, env=kept, stdout=subprocess.PIPE, text=True) as running:
        family = psutil.Process(running.pid)
        deadline = time.monotonic() + 60
        while len(services := family.children()) < 2 or not services[1].net_connections():
            assert time.monotonic() < deadline
            time.sleep(0.1)
        time.sleep(2)
        services[1].kill()
        said, _ = running.communicate(timeout=30)
    assert running.returncode == 1
    assert "prediction_service ended with exit code -9" in said
    assert not services[0].is_running()
