"""Windows of one process: gauges of the last one, an event when an alarm is raised and when it is cleared."""

import time

import numpy as np
import pytest

import otelml
from otelml import drift
from otelml.testing import recording

RNG = np.random.default_rng(3)
TRAINING = RNG.normal(size=(3000, 2))
SECONDS = 0.1


@pytest.fixture
def telemetry(tmp_path):
    """Record with a reference of two features and short windows."""
    drift.Reference.fit(TRAINING, ["age", "fare"]).save(tmp_path / "r.json")
    with recording(drift_reference=str(tmp_path / "r.json"), drift_window=SECONDS) as seen:
        with otelml.prediction("delay", "3"):
            """The first window begins when a model is first seen."""
        yield seen


def window(telemetry, shift=0.0, rows=500):
    """Let a window pass in which so many rows were predicted."""
    data = RNG.normal(size=(rows, 2)) + np.array([shift, 0.0])
    time.sleep(SECONDS)
    with otelml.prediction("delay", "3") as p:
        p.result(inputs=data)
    telemetry.drain()
    return data


def gauges(telemetry, name):
    """Return {feature: value} of a gauge."""
    return {p.attributes["ml.feature.name"]: p.value for p in telemetry.points(name)}


def events(telemetry):
    """Return (severity, feature, raised) of each event of drift."""
    return [
        (log.severity, log.attributes["ml.feature.name"], log.attributes["ml.drift.raised"])
        for log in telemetry.logs()
        if log.event == "ml.drift.detected"
    ]


def test_gauges_are_what_a_comparison_says(telemetry):
    """PSI, JS and KS are those of the window's rows, exactly as `compare` has them."""
    data = window(telemetry, 0.5)
    report = drift.compare(drift.Reference.fit(TRAINING, ["age", "fare"]), data)
    for name in ("psi", "js", "ks"):
        assert gauges(telemetry, f"ml.drift.{name}") == {f.name: getattr(f, name) for f in report.features}
    assert gauges(telemetry, "ml.drift.detected") == {"age": 0, "fare": 0}


def test_the_event_comes_once_and_once_it_is_over(telemetry):
    """Three windows with drift raise the alarm of that feature alone; three without clear it."""
    for _ in range(5):
        window(telemetry, 0.5)
    assert events(telemetry) == [("WARN", "age", True)]
    assert gauges(telemetry, "ml.drift.detected") == {"age": 1, "fare": 0}
    for _ in range(4):
        window(telemetry)
    assert events(telemetry) == [("WARN", "age", True), ("INFO", "age", False)]
    assert gauges(telemetry, "ml.drift.detected") == {"age": 0, "fare": 0}


def test_the_event_says_how_far(telemetry):
    """Its attributes are the figures of the window that raised the alarm."""
    for _ in range(3):
        data = window(telemetry, 0.5)
    (event,) = [log for log in telemetry.logs() if log.event == "ml.drift.detected"]
    found = drift.compare(drift.Reference.fit(TRAINING, ["age", "fare"]), data)["age"]
    assert event.attributes["ml.drift.psi"] == found.psi
    assert event.attributes["ml.drift.q_value"] == found.q_value
    assert event.attributes["ml.drift.rows"] == 500
    assert SECONDS <= event.attributes["ml.drift.window"] < 100 * SECONDS
    assert event.attributes["ml.model.name"] == "delay"
    assert event.body == f"delay: age has drifted (PSI {found.psi:.3f}, {found.test})"


def test_a_window_of_few_rows_goes_on(telemetry):
    """Under a hundred rows nothing is said; they are judged together with those of the next one."""
    first = window(telemetry, rows=60)
    assert gauges(telemetry, "ml.drift.psi") == {}
    second = window(telemetry, rows=60)
    both = drift.compare(drift.Reference.fit(TRAINING, ["age", "fare"]), np.vstack([first, second]))
    assert gauges(telemetry, "ml.drift.psi") == {f.name: f.psi for f in both.features}


def test_without_change_there_is_no_event(telemetry):
    """Twenty windows of the reference's own distribution raise nothing."""
    for _ in range(20):
        window(telemetry)
    assert events(telemetry) == []


def test_a_forked_child_has_windows_of_its_own(telemetry):
    """After a fork there is no report and no alarm of the parent's."""
    for _ in range(3):
        window(telemetry, 0.5)
    telemetry.runtime.recorder.watch.after_fork()
    assert gauges(telemetry, "ml.drift.psi") == gauges(telemetry, "ml.drift.detected") == {}
    window(telemetry, 0.5)
    assert gauges(telemetry, "ml.drift.detected") == {"age": 0, "fare": 0}
