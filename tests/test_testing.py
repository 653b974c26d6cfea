"""The pytest plugin: what it shows, and that it leaves nothing behind."""

import subprocess
import sys
import textwrap
from contextlib import suppress

import numpy as np

import otelml
from otelml import runtime
from otelml.testing import recording


def predict():
    """Make one prediction."""
    with otelml.prediction("m") as p, p.stage("inference"):
        p.result(classes="a", confidence=0.9)


def test_recording_is_put_back():
    """Inside predictions are recorded, in the innermost recording; afterwards otelml is as it was, errors included."""
    with recording() as outer:
        predict()
        with suppress(KeyError), recording() as inner:
            predict()
            predict()
            raise KeyError
        predict()
    predict()
    assert runtime.active is None
    assert (outer.total("ml.requests"), inner.total("ml.requests")) == (2, 2)


def test_totals_and_points(telemetry):
    """total() sums counters and counts of histograms; points() are those whose attributes hold what is asked."""
    predict()
    predict()
    assert telemetry.total("ml.stage.duration", {"ml.stage": "inference"}) == 2
    assert telemetry.total("ml.stage.duration", {"ml.stage": "other"}) == 0
    assert telemetry.total("nonsense") == 0
    (point,) = telemetry.points("ml.predictions", {"ml.prediction.class": "a"})
    assert (point.value, point.unit) == (2, "{prediction}")
    assert all(span.seconds >= 0 for span in telemetry.spans())


def test_clear_keeps_the_metrics(telemetry):
    """clear() forgets spans and events, not counts."""
    predict()
    telemetry.clear()
    assert (telemetry.spans(), telemetry.logs(), telemetry.total("ml.requests")) == ([], [], 1)


def test_deterministic_exports_are_equal():
    """Two runs of the same code export the same, to the last id and nanosecond."""
    found = []
    for _ in range(2):
        with recording(deterministic=True) as seen:
            predict()
            found.append((seen.spans(), seen.logs(), seen.metrics()))
    assert found[0] == found[1]


def test_integrations_are_switched_on_and_off_again():
    """An integration that is named works inside, and is off afterwards."""
    from sklearn.dummy import DummyClassifier  # noqa: PLC0415 - heavy

    model = DummyClassifier().fit(np.zeros((2, 1)), [0, 1])
    with recording(integrations=["sklearn"]) as seen:
        model.predict(np.zeros((3, 1)))
        assert seen.total("ml.predictions", {"ml.model.name": "DummyClassifier"}) == 3
    assert not hasattr(DummyClassifier.predict, "__wrapped__")


def test_plugin_in_a_project_of_its_own(tmp_path):
    """The lines of the documentation work: the plugin, the fixture and the marker."""
    (tmp_path / "conftest.py").write_text('pytest_plugins = ["otelml.testing"]\n', encoding="utf-8")
    test = """
    import otelml, pytest
    @pytest.mark.telemetry(deterministic=True, model_name="delay")
    def test_it(telemetry):
        with otelml.prediction():
            pass
        assert [(s.name, s.span_id) for s in telemetry.spans()] == [("predict delay", 1)]
    """
    (tmp_path / "test_it.py").write_text(textwrap.dedent(test), encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "--strict-markers", "-p", "no:cacheprovider", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert "1 passed" in done.stdout, done.stdout + done.stderr
