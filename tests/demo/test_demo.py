"""The demo, run as a user runs it."""

import json
import os
import re
import signal
import subprocess
import sys
import time

import psutil
import pytest
import requests

pytest.importorskip("rich", reason="the demo's packages are missing: pip install 'otelml[demo]'")

from otelml.demo import data
from otelml.demo.replay import CLIENTS
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
    good = sum("tailnum" in flight.body for flight in flights)
    landed = summary["sent"].pop("outcomes")
    clock = flights[-1].departs
    due = sum("tailnum" in flight.body and flight.lands is not None and flight.lands <= clock for flight in flights)
    assert 1400 < good < 1500
    assert summary["sent"] == {"requests": 1500, "answered": {"200": good, "422": 1500 - good}}
    assert received["http_answers"] == answered
    assert received["requests"] == sum(received["predictions_by_class"].values()) == good
    assert received["errors"] == {}
    assert received["stages"] == dict.fromkeys(STAGES, good)
    assert landed == due
    assert 1000 < landed < good
    assert received["events"].pop("ml.drift.detected", 0) < 100
    assert received["events"].pop("ml.model.loaded") == 1
    assert received["events"] == {"ml.prediction": good, "ml.outcome": landed}
    assert received["spans"].pop("POST /internal/outcomes") > 1
    assert received["spans"] == {
        "outcome": landed,
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
    assert re.search(r"^temp +■ ", done.stdout, re.MULTILINE)
    assert re.search(rf"^accuracy +0\.\d\d +{landed:,} landed", done.stdout, re.MULTILINE)
    assert re.search(r"^estimated +0\.\d\d +0\.\d\d +0\.\d\d ", done.stdout, re.MULTILINE)
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


def test_nothing_is_left_behind_by_a_demo_that_is_ended():
    """SIGTERM ends the services too."""
    command = [sys.executable, "-m", "otelml.demo.cli", "--seconds", "60"]
    kept = {name: value for name, value in os.environ.items() if not name.startswith("OTEL")}
    with subprocess.Popen(command, env=kept, stdout=subprocess.DEVNULL) as running:
        services = both(running)
        running.terminate()
        assert running.wait(30) == 143
    assert not any(service.is_running() for service in services)


def test_predictions_that_fail_are_counted_as_exactly(tmp_path):
    """Features that do not come in time fail predictions, which end in that stage: everything is still equal."""
    file = tmp_path / "summary.json"
    command = [sys.executable, "-m", "otelml.demo.cli", "--seconds", "12", "--summary", str(file)]
    kept = {name: value for name, value in os.environ.items() if not name.startswith("OTEL")}
    with subprocess.Popen(command, env=kept, stdout=subprocess.PIPE, text=True) as running:
        features, predictions = both(running)
        while sum(each.status == psutil.CONN_ESTABLISHED for each in predictions.net_connections()) < CLIENTS:
            time.sleep(0.1)
        time.sleep(1)
        features.suspend()
        time.sleep(6)  # the service waits 5 s for them
        features.resume()
        said, _ = running.communicate(timeout=60)
    summary = json.loads(file.read_text())
    failed = summary["sent"]["answered"]["500"]
    assert running.returncode == 0, said
    assert failed == sum(summary["received"]["errors"].values()) >= 1
    assert summary["received"]["stages"]["feature_retrieval"] == summary["sent"]["answered"]["200"] + failed
    assert summary["received"]["stages"]["inference"] == summary["sent"]["answered"]["200"]


def both(running):
    """Return both services of a demo, once they listen."""
    deadline = time.monotonic() + 60
    while len(services := psutil.Process(running.pid).children()) < 2 or not services[1].net_connections():
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return services


def test_a_service_killed_while_flights_are_sent_ends_the_demo():
    """A crash in the middle is reported at once, and the other service is not left behind."""
    command = [sys.executable, "-m", "otelml.demo.cli", "--seconds", "60"]
    kept = {name: value for name, value in os.environ.items() if not name.startswith("OTEL")}
    with subprocess.Popen(command, env=kept, stdout=subprocess.PIPE, text=True) as running:
        services = both(running)
        time.sleep(2)
        services[1].kill()
        said, _ = running.communicate(timeout=30)
    assert running.returncode == 1
    assert "prediction_service ended with exit code -9" in said
    assert not services[0].is_running()


def test_the_page_shows_the_flights_and_stays(tmp_path):
    """With ``--view`` the link opens the page while the demo runs; it stays after its end, until Ctrl-C."""
    command = [sys.executable, "-u", "-m", "otelml.demo.cli", "--count", "30", "--rate", "0", "--view"]
    kept = {name: value for name, value in os.environ.items() if not name.startswith("OTEL")}
    kept["XDG_STATE_HOME"] = str(tmp_path)
    with subprocess.Popen(command, env=kept, stdout=subprocess.PIPE, text=True, bufsize=1) as running:
        said = ""
        while "until Ctrl-C" not in said:
            line = running.stdout.readline()
            assert line, said
            said += line
        assert "Sent = counted" in said
        ask = [sys.executable, "-m", "otelml", "await", "ml.requests>=25 ml.model.name=flight-delay", "--timeout", "0"]
        waited = subprocess.run(ask, env=kept, capture_output=True, text=True, timeout=60, check=False)
        link = re.findall(r"http://\S+\?token=\S+", said)[-1]
        with requests.Session() as browser:
            page = browser.get(link, timeout=10)
            (model,) = browser.get(f"{page.url}api/models", timeout=10).json()["models"]
        running.send_signal(signal.SIGINT)
        assert running.wait(30) == 0
    assert waited.returncode == 0, waited.stderr
    assert (model["model"], model["requests"] > 25) == ("flight-delay", True)
    assert "Watch it: http://127.0.0.1:" in said
