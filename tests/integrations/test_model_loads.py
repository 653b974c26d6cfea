"""Models that loaders load: discovered, measured and named, and the loaders as good as before."""

import gc
import hashlib
import inspect
import multiprocessing
import pickle
import subprocess
import sys
import warnings
from pathlib import Path

import joblib
import numpy as np
import pytest
from onnx_models import IDENTITY
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import otelml
from otelml.integrations import model_loads
from otelml.models import life

pytestmark = pytest.mark.telemetry(integrations=("models",))
LOADED = "ml.model.loaded"
PLAIN_JOBLIB_LOAD = joblib.load


@pytest.fixture(autouse=True)
def _at_once(monkeypatch):
    """Settle the names of discovered models at once; the test of that says otherwise."""
    monkeypatch.setattr(life, "SETTLED_AFTER", 0.0)


def fitted():
    """Return a small fitted pipeline."""
    return make_pipeline(StandardScaler(), LogisticRegression()).fit([[0.0], [1.0], [2.0]], [0, 1, 1])


@pytest.fixture
def path(tmp_path):
    """Return a file with a pipeline."""
    joblib.dump(fitted(), tmp_path / "model.joblib")
    return tmp_path / "model.joblib"


def loaded(telemetry):
    """Return the attributes of every model that is loaded, after their files were read."""
    telemetry.runtime.models.settle(10)
    return [p.attributes for p in telemetry.points(LOADED)]


def travelled(thing):
    """Return what another process would get."""
    return pickle.loads(pickle.dumps(thing))  # noqa: S301 - our own bytes


def digest(path):
    """Return the hash as it is exported."""
    return f"sha256:{hashlib.sha256(Path(path).read_bytes()).hexdigest()}"


@pytest.mark.parametrize("as_text", [True, False])
def test_joblib(telemetry, path, as_text):
    """A loaded pipeline is on the gauges with its file's hash and load time; its predictions have the same name."""
    model = joblib.load(str(path) if as_text else path)
    name = {"ml.model.name": "LogisticRegression"}
    more = {"ml.model.framework": "scikit-learn", "ml.model.artifact.hash": digest(path)}
    assert loaded(telemetry) == [{**name, **more}]
    (duration,) = telemetry.points("ml.model.load.duration", name)
    assert 0 < duration.value < 10
    (event,) = [log for log in telemetry.logs() if log.event == LOADED]
    assert event.attributes.items() >= {**name, **more, "ml.model.load.duration": duration.value}.items()
    del model
    gc.collect()
    assert loaded(telemetry) == []


def test_memory_is_measured(telemetry, tmp_path):
    """A model of 80 MB makes the process grow by at least 60 MB while it loads, and not by twice its size."""
    model = LogisticRegression()
    model.coef_ = np.random.default_rng(0).random((10_000, 1000))
    joblib.dump(model, tmp_path / "large")
    del model
    model = joblib.load(tmp_path / "large")
    assert len(loaded(telemetry)) == 1
    (point,) = telemetry.points("ml.model.memory")
    assert 60e6 < point.value < 160e6
    assert point.unit == "By"
    del model


def test_watch_names_what_was_found(telemetry, path, monkeypatch):
    """A name given within a second is the only one that was ever told; what loading showed is kept."""
    monkeypatch.setattr(life, "SETTLED_AFTER", 1.0)
    model = joblib.load(path)
    assert telemetry.points(LOADED) == []
    otelml.watch(model, "delay", "3")
    assert [known["ml.model.name"] for known in loaded(telemetry)] == ["delay"]
    assert telemetry.points("ml.model.load.duration", {"ml.model.name": "delay", "ml.model.version": "3"})
    (event,) = telemetry.logs()
    assert event.attributes["ml.model.artifact.hash"] == digest(path)


def test_only_models(telemetry, tmp_path):
    """Arrays, scalers and settings are no models; models in a dict are."""
    things = {"array": np.zeros(3), "scaler": StandardScaler(), "settings": {"a": 1}, "text": "x"}
    for name, thing in things.items():
        joblib.dump(thing, tmp_path / name)
        joblib.load(tmp_path / name)
    assert loaded(telemetry) == []
    joblib.dump({"model": fitted(), "threshold": 0.3}, tmp_path / "both")
    both = joblib.load(tmp_path / "both")
    assert [known["ml.model.name"] for known in loaded(telemetry)] == ["LogisticRegression"]
    assert set(both) == {"model", "threshold"}


def test_open_files_have_no_hash(telemetry, path):
    """A model from an open file is watched; the file is not read a second time."""
    with path.open("rb") as file:
        model = joblib.load(file)
        assert file.tell() == path.stat().st_size
    assert loaded(telemetry) == [{"ml.model.name": "LogisticRegression", "ml.model.framework": "scikit-learn"}]
    del model


def test_exceptions_are_the_loaders(telemetry, tmp_path):
    """A loader fails as it does without us, and leaves nothing behind."""
    for source in (tmp_path / "nothing", None, 3.5):
        with pytest.raises(Exception) as plain:  # noqa: PT011 - whatever joblib raises
            PLAIN_JOBLIB_LOAD(source)
        with pytest.raises(type(plain.value)) as ours:
            joblib.load(source)
        assert str(ours.value) == str(plain.value)
    with pytest.raises(TypeError):
        joblib.load()
    joblib.dump(LogisticRegression(), tmp_path / "m")
    assert joblib.load(tmp_path / "m").get_params() == LogisticRegression().get_params()
    assert model_loads._inside.get() is False
    assert loaded(telemetry) == []


def test_loader_looks_as_before(telemetry):
    """The replaced function has its name, signature and documentation, and travels to other processes."""
    assert joblib.load is not PLAIN_JOBLIB_LOAD
    assert inspect.isfunction(joblib.load)
    assert inspect.signature(joblib.load) == inspect.signature(PLAIN_JOBLIB_LOAD)
    assert joblib.load.__doc__ == PLAIN_JOBLIB_LOAD.__doc__
    assert joblib.load.__name__ == "load"
    for function in (joblib.load, PLAIN_JOBLIB_LOAD):
        assert travelled(function) is function
    code = f"import pickle, joblib; print(pickle.loads({pickle.dumps(joblib.load)!r}) is joblib.load)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "True\n"
    assert telemetry.points(LOADED) == []


def test_loader_goes_to_a_worker(path):
    """A spawned worker, which knows nothing of us, is handed the replaced function and uses its own."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert type(pool.apply(joblib.load, (str(path),))).__name__ == "Pipeline"


def test_undone():
    """Without the integration the loader is the very one joblib has."""
    with otelml.testing.recording(integrations=("models",)):
        pass
    assert joblib.load is PLAIN_JOBLIB_LOAD


def test_cache_of_joblib_is_none_of_our_business(telemetry, tmp_path):
    """joblib.Memory reads its own files without being seen."""
    cached = joblib.Memory(tmp_path, verbose=0).cache(fitted)
    cached()
    assert type(cached()).__name__ == "Pipeline"
    assert loaded(telemetry) == []


@pytest.mark.telemetry(integrations=("models",), model_name="delay", model_version="3")
def test_configured_name(telemetry, path):
    """A discovered model has the configured name."""
    model = joblib.load(path)
    (known,) = loaded(telemetry)
    assert (known["ml.model.name"], known["ml.model.version"]) == ("delay", "3")
    del model


def test_nothing_is_imported():
    """Switched on, the integration imports none of the libraries, and sees joblib when the application does."""
    code = """
import sys, otelml
from otelml.testing import recording
with recording(integrations=("models",)) as telemetry:
    print({"joblib", "skops", "onnxruntime", "mlflow", "sklearn"} & set(sys.modules))
    import joblib
    print(hasattr(joblib.load, "__wrapped__"))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\nTrue\n"


def test_skops(telemetry, tmp_path):
    """A model of a skops file is watched with its hash, one of bytes without."""
    sio = pytest.importorskip("skops.io", reason="skops is not installed")
    sio.dump(fitted(), tmp_path / "m.skops")
    models = [sio.load(tmp_path / "m.skops"), sio.loads((tmp_path / "m.skops").read_bytes())]
    known = {"ml.model.name": "LogisticRegression", "ml.model.framework": "scikit-learn"}
    assert loaded(telemetry) == [{**known, "ml.model.artifact.hash": digest(tmp_path / "m.skops")}, known]
    assert travelled(sio.load) is sio.load
    del models


def session(*providers, source=IDENTITY):
    """Return a session of ONNX Runtime, whose warning that it lacks a provider is its own."""
    runtime = pytest.importorskip("onnxruntime", reason="ONNX Runtime is not installed")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return runtime.InferenceSession(source, providers=list(providers))


def test_onnx(telemetry, tmp_path):
    """A session is named as its file; it runs, its class is the same class, and it goes when it is dropped."""
    (tmp_path / "fraud.onnx").write_bytes(IDENTITY)
    made = session("CPUExecutionProvider", source=str(tmp_path / "fraud.onnx"))
    assert made.run(None, {"x": np.array([2.5], np.float32)})[0].tolist() == [2.5]
    assert type(made) is sys.modules["onnxruntime"].InferenceSession
    known = {"ml.model.name": "fraud", "ml.model.framework": "onnxruntime"}
    assert loaded(telemetry) == [{**known, "ml.model.artifact.hash": digest(tmp_path / "fraud.onnx")}]
    assert telemetry.logs()[0].attributes["ml.device.used"] == "cpu"
    assert telemetry.points("ml.model.device.fallback") == []
    del made
    gc.collect()
    assert loaded(telemetry) == []


def test_onnx_falls_back(telemetry):
    """A session that was to run on CUDA and has the CPU alone is told of, under the name it is given."""
    made = session(("CUDAExecutionProvider", {"device_id": 0}), "CPUExecutionProvider")
    if "CUDAExecutionProvider" in made.get_providers():
        pytest.skip("this machine runs it on CUDA")
    otelml.watch(made, "fraud", "2")
    telemetry.drain()
    known = {"ml.model.name": "fraud", "ml.model.version": "2"}
    devices = {"ml.device.requested": "cuda", "ml.device.used": "cpu"}
    (point,) = telemetry.points("ml.model.device.fallback")
    assert (point.value, point.attributes) == (1, {**known, **devices})
    (event,) = [log for log in telemetry.logs() if log.event == "ml.model.device.fallback"]
    assert (event.severity, event.attributes) == ("WARN", {**known, **devices})
    assert event.body == "fraud was to run on cuda and runs on cpu"


def test_onnx_failure_is_its_own(telemetry):
    """Bytes that are no model raise what ONNX Runtime raises."""
    runtime = pytest.importorskip("onnxruntime", reason="ONNX Runtime is not installed")
    with pytest.raises(Exception, match="protobuf"):
        runtime.InferenceSession(b"no model")
    assert loaded(telemetry) == []


def test_mlflow(telemetry, tmp_path):
    """A model that MLflow loads is one model, whatever loader MLflow calls inside."""
    pyfunc = pytest.importorskip("mlflow.pyfunc", reason="MLflow is not installed")
    sklearn = pytest.importorskip("mlflow.sklearn", reason="MLflow is not installed")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sklearn.save_model(fitted(), str(tmp_path / "model"), serialization_format="cloudpickle")
        model = pyfunc.load_model(str(tmp_path / "model"))
    assert model.predict(np.array([[2.0]])).tolist() == [1]
    assert loaded(telemetry) == [{"ml.model.name": "LogisticRegression", "ml.model.framework": "mlflow"}]
    assert travelled(pyfunc.load_model) is pyfunc.load_model


@pytest.mark.parametrize(
    ("address", "name", "version"),
    [
        ("models:/delay/3", "delay", "3"),
        ("models:/delay@champion", "delay", None),
        ("models:/delay/Production", "delay", None),
        ("runs:/1234/model", None, None),
    ],
)
def test_registered_name(address, name, version):
    """An address in MLflow's registry tells the name, and the version where it is one."""
    found = model_loads.REGISTERED.match(address)
    assert (found and found["name"], found and found["version"]) == (name, version)
