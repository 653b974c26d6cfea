"""The life of models: gauges while they are loaded, events when they come and go, and never a hand on the model."""

import gc
import hashlib
import os
import subprocess
import sys
import textwrap
import threading
import time

import joblib
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import otelml
from otelml import _guard
from otelml.models import description, life

MODEL = {"ml.model.name": "delay", "ml.model.version": "3"}


def fitted():
    """Return a small fitted pipeline."""
    return make_pipeline(StandardScaler(), LogisticRegression()).fit([[0.0], [1.0], [2.0]], [0, 1, 1])


def events(telemetry):
    """Return (event, name, version) of each event so far."""
    seen = [(log.event, log.attributes) for log in telemetry.logs()]
    return [(event, known["ml.model.name"], known.get("ml.model.version")) for event, known in seen]


def values(telemetry, name):
    """Return {(model, version): value} of a gauge."""
    points = telemetry.points(name)
    return {(p.attributes["ml.model.name"], p.attributes.get("ml.model.version")): p.value for p in points}


def test_loaded_until_dropped(telemetry):
    """A watched model is the same object, loaded with its library from then on, and gone when nobody holds it."""
    model = fitted()
    before = time.time()
    assert otelml.watch(model, "delay", "3") is model
    (point,) = telemetry.points("ml.model.loaded")
    assert (point.value, point.attributes) == (1, {**MODEL, "ml.model.framework": "scikit-learn"})
    (at,) = values(telemetry, "ml.model.load.time").values()
    assert before <= at <= time.time()
    assert telemetry.points("ml.model.load.duration") == telemetry.points("ml.model.memory") == []
    del model
    gc.collect()
    assert telemetry.points("ml.model.loaded") == telemetry.points("ml.model.load.time") == []
    assert events(telemetry) == [("ml.model.loaded", "delay", "3"), ("ml.model.unloaded", "delay", "3")]
    assert [log.body for log in telemetry.logs()] == ["delay 3 loaded", "delay 3 unloaded"]
    assert values(telemetry, "ml.model.expected") == {("delay", None): 1}


def test_unwatch_is_on_purpose(telemetry):
    """After unwatch() the model is not loaded, and nobody expects it to be."""
    first, second = fitted(), fitted()
    otelml.watch(first, "delay", "1")
    otelml.watch(second, "delay", "2")
    otelml.unwatch(first)
    assert values(telemetry, "ml.model.loaded") == {("delay", "2"): 1}
    assert values(telemetry, "ml.model.expected") == {("delay", None): 1}
    otelml.unwatch(second)
    otelml.unwatch(second)
    assert telemetry.points("ml.model.loaded") == []
    assert values(telemetry, "ml.model.expected") == {("delay", None): 0}


class Slotted:
    """A model that can't be held weakly."""

    __slots__ = ("weight",)


@pytest.mark.parametrize("model", [{"weights": [1]}, Slotted(), (1, 2)], ids=["dict", "slots", "tuple"])
def test_what_cannot_be_held_weakly_is_not_kept_alive(telemetry, model):
    """It counts as loaded until unwatch(); no reference of ours keeps it."""
    references = sys.getrefcount(model)
    otelml.watch(model, "rules")
    telemetry.drain()
    assert sys.getrefcount(model) == references
    assert values(telemetry, "ml.model.loaded") == {("rules", None): 1}
    otelml.unwatch(model)
    assert telemetry.points("ml.model.loaded") == []


def test_two_of_one_name(telemetry):
    """Two objects of one model and version are one series, until both are dropped."""
    models = [fitted(), fitted()]
    for model in models:
        otelml.watch(model, "delay", "3")
    assert values(telemetry, "ml.model.loaded") == {("delay", "3"): 1}
    del model, models[0]
    gc.collect()
    assert values(telemetry, "ml.model.loaded") == {("delay", "3"): 1}
    models.clear()
    gc.collect()
    assert telemetry.points("ml.model.loaded") == []


def test_watched_again_under_another_name(telemetry):
    """The later name holds; told again under the same name, nothing is new."""
    model = fitted()
    for name in ("old", "old", "new", "new"):
        otelml.watch(model, name)
        telemetry.drain()
    assert values(telemetry, "ml.model.loaded") == {("new", None): 1}
    assert [event for event, *_ in events(telemetry)] == ["ml.model.loaded", "ml.model.unloaded", "ml.model.loaded"]


@pytest.mark.telemetry(model_name="configured", model_version="7")
def test_configured_name(telemetry):
    """The configured model is expected from the start, and is what a model without a name is called."""
    assert values(telemetry, "ml.model.expected") == {("configured", None): 1}
    model, other = fitted(), fitted()
    otelml.watch(model)
    otelml.watch(other, "other")
    assert values(telemetry, "ml.model.loaded") == {("configured", "7"): 1, ("other", None): 1}


def test_name_of_the_class(telemetry):
    """Without any name it is the class of the final estimator, as predictions through scikit-learn are named."""
    model = fitted()
    otelml.watch(model, version=3)
    assert values(telemetry, "ml.model.loaded") == {("LogisticRegression", "3"): 1}


def test_artifact(telemetry, tmp_path):
    """The hash of the file named is on the gauge and on the event."""
    path = tmp_path / "model.pkl"
    path.write_bytes(b"weights" * 1000)
    model = fitted()
    otelml.watch(model, "delay", artifact=path)
    telemetry.runtime.models.settle(5)
    digest = f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"
    assert [p.attributes["ml.model.artifact.hash"] for p in telemetry.points("ml.model.loaded")] == [digest]
    assert telemetry.logs()[0].attributes["ml.model.artifact.hash"] == digest


def test_artifact_that_changed_has_no_hash(telemetry, tmp_path):
    """A file written after the model was loaded is not what was loaded; a path that is no file has no hash either."""
    path = tmp_path / "model.pkl"
    path.write_bytes(b"old")
    models = [fitted(), fitted()]
    otelml.watch(models[0], "changed", artifact=path)
    path.write_bytes(b"newer")
    otelml.watch(models[1], "folder", artifact=tmp_path)
    telemetry.runtime.models.settle(5)
    points = telemetry.points("ml.model.loaded")
    assert [p.attributes["ml.model.name"] for p in points] == ["changed", "folder"]
    assert [p for p in points if "ml.model.artifact.hash" in p.attributes] == []


def test_off_is_nothing():
    """Before auto_instrument() both calls do nothing, and the model comes back."""
    model = object()
    assert otelml.watch(model, "m") is model
    otelml.unwatch(model)


class Hostile:
    """A model whose every attribute raises."""

    def __getattribute__(self, name):
        raise RuntimeError(name)


def test_hostile_model(telemetry, monkeypatch):
    """A model that raises when it is looked at comes back, and nothing reaches the application."""
    monkeypatch.setattr(_guard, "strict", False)
    model = Hostile()
    assert otelml.watch(model, "hostile") is model
    assert set(values(telemetry, "ml.model.loaded")) <= {("hostile", None)}


def test_labels_are_bounded(telemetry):
    """However many models come, names beyond the limit are one series."""
    models = [fitted() for _ in range(3)] * 20
    for i, model in enumerate(models):
        otelml.watch(model, f"m{i}")
    kept = [Slotted() for _ in range(70)]
    for i, model in enumerate(kept):
        otelml.watch(model, f"s{i}")
    assert len(values(telemetry, "ml.model.loaded")) <= 51
    assert ("other", None) in values(telemetry, "ml.model.loaded")


def test_too_many_models_are_counted(telemetry, monkeypatch):
    """Models beyond the limit are dropped and counted."""
    monkeypatch.setattr(life, "MAX_MODELS", 2)
    kept = [Slotted() for _ in range(5)]
    for model in kept:
        otelml.watch(model, "m")
    assert telemetry.total("otelml.dropped", {"otelml.what": "model", "otelml.where": "limit"}) == 3


def test_many_threads(telemetry):
    """Models that come and go in eight threads leave nothing behind, and each has both its events."""

    def come_and_go():
        for _ in range(50):
            model = otelml.watch(LogisticRegression(), "m")
            telemetry.drain()
            del model

    threads = [threading.Thread(target=come_and_go) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    gc.collect()
    telemetry.drain()
    assert telemetry.points("ml.model.loaded") == []
    assert telemetry.runtime.models._models == []
    seen = [event for event, *_ in events(telemetry)]
    assert seen.count("ml.model.loaded") == seen.count("ml.model.unloaded") > 0


def test_dropped_inside_a_collection_cycle(telemetry):
    """A model in a reference cycle is gone when the collector finds it, wherever that is."""
    model = fitted()
    model.myself = model
    otelml.watch(model, "cycle")
    telemetry.drain()
    del model
    gc.collect()
    assert telemetry.points("ml.model.loaded") == []
    assert events(telemetry)[-1] == ("ml.model.unloaded", "cycle", None)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_forked_child_reports_its_own(otlp, tmp_path):
    """A child has the model it inherits under its own instance, tells no event of it, and its own drop is its own."""
    path = tmp_path / "model.joblib"
    joblib.dump(fitted(), path)
    code = f"""
    import os, sys, joblib, otelml
    active = otelml.auto_instrument()
    model = otelml.watch(joblib.load({str(path)!r}), "delay", "3")
    active.force_flush()
    pid = os.fork()
    if pid == 0:
        active.force_flush()
        del model
        active.force_flush()
        os._exit(0)
    os.waitpid(pid, 0)
    active.force_flush()
    """
    known = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "OTELML_"))}
    known |= {"OTEL_EXPORTER_OTLP_ENDPOINT": otlp.endpoint, "OTELML_GPU": "false", "OTELML_HOST": "false"}
    subprocess.run([sys.executable, "-c", textwrap.dedent(code)], env=known, check=True, timeout=60)
    assert [event for event in otlp.events() if event.startswith("ml.model")] == [
        "ml.model.loaded",
        "ml.model.unloaded",
    ]
    last, memory = {}, set()
    for resource, scope in otlp._each("metrics"):
        instance, names = resource["service.instance.id"], {metric.name for metric in scope.metrics}
        last.setdefault(instance, []).append("ml.model.loaded" in names)
        memory |= {instance} if "ml.model.memory" in names else set()
    assert sorted(seen[-1] for seen in last.values()) == [False, True]
    assert all(seen[0] for seen in last.values())
    child = next(instance for instance, seen in last.items() if seen[-1] is False)
    assert child not in memory


def test_device_of_torch(telemetry):
    """A module asked for the GPU that is on the CPU is told of, by its own parameters."""
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    model = torch.nn.Linear(2, 1)
    otelml.watch(model, "net", "1", device="cuda:0")
    devices = {"ml.device.requested": "cuda", "ml.device.used": "cpu"}
    assert telemetry.points("ml.model.device.fallback", devices)[0].value == 1
    assert [log.event for log in telemetry.logs()] == ["ml.model.loaded", "ml.model.device.fallback"]


def test_unknown_device_is_not_told(telemetry):
    """Nobody can tell where a scikit-learn model runs, whatever was asked for: no fall-back is claimed."""
    model = fitted()
    otelml.watch(model, "delay", device="cuda")
    assert telemetry.points("ml.model.device.fallback") == []


@pytest.mark.parametrize(
    ("providers", "device"),
    [
        (None, None),
        (["CPUExecutionProvider"], None),
        ([("CUDAExecutionProvider", {"device_id": 0}), "CPUExecutionProvider"], "cuda"),
        (["TensorrtExecutionProvider", "CUDAExecutionProvider"], "tensorrt"),
    ],
)
def test_requested_device(providers, device):
    """The first provider but the CPU is what was asked for, with options or without."""
    assert description.requested(providers) == device


def test_models_in_what_was_loaded():
    """Only what can predict is a model: itself, or a value of a plain dict, list or tuple."""
    model = LogisticRegression()
    assert description.models_in(model) == [model]
    assert description.models_in({"model": model, "threshold": 0.5}) == [model]
    assert description.models_in((StandardScaler(), model)) == [model]
    assert description.models_in([1, "x", None, StandardScaler(), LogisticRegression]) == []
    assert description.models_in({"nested": {"model": model}}) == []
    assert description.models_in(Hostile()) == []
