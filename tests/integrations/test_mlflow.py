"""MLflow: the pyfunc call is the prediction, whatever library is below it; and ``mlflow models serve``."""

# ruff: noqa: ARG002 - MLflow gives models their arguments by name

import os
import sys
import warnings

import numpy as np
import pandas as pd
import pytest
import requests
from server_process import OTELML_RUN, free_port, running
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import otelml
from otelml.models import life
from otelml.testing import recording
from otelml.viewer.receiver import Receiver

os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"  # MLflow's own, to its makers
pyfunc = pytest.importorskip("mlflow.pyfunc", reason="MLflow is not installed")
mlflow_sklearn = pytest.importorskip("mlflow.sklearn", reason="MLflow is not installed")
xgboost = pytest.importorskip("xgboost", reason="XGBoost is not installed: pip install xgboost-cpu")

RNG = np.random.default_rng(5)
X = RNG.normal(size=(80, 3))
FRAME = pd.DataFrame(X, columns=["a", "b", "c"])
TWO = (X[:, 0] > 0).astype(int)
LIBRARIES = ("mlflow", "models", "sklearn", "xgboost")


@pytest.fixture
def telemetry(monkeypatch):
    """Measure MLflow and the libraries below it into memory."""
    monkeypatch.setattr(life, "SETTLED_AFTER", 0.0)
    with recording(integrations=LIBRARIES) as seen:
        yield seen


def saved(folder, model, flavour=mlflow_sklearn, **options):
    """Save a model as MLflow does, without asking what it requires; return where."""
    path = str(folder / "model")
    if flavour is mlflow_sklearn:
        options["serialization_format"] = "cloudpickle"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        flavour.save_model(model, path=path, pip_requirements=[], **options)
    return path


def saved_python(folder, model):
    """Save a model of the application's own class."""
    path = str(folder / "python")
    pyfunc.save_model(path, python_model=model, pip_requirements=[])
    return path


def only(telemetry, name):
    """Return the one span of that name."""
    (span,) = [span for span in telemetry.spans() if span.name == name]
    return span


def stages(telemetry):
    """Return the names of all stages, in the order of their start."""
    return [s.name for s in telemetry.spans() if not s.name.startswith("predict ")]


def classifier():
    """Return a small pipeline."""
    return make_pipeline(StandardScaler(), LogisticRegression()).fit(FRAME, TWO)


def test_over_scikit_learn(telemetry, tmp_path):
    """One call is one prediction: the pipeline's stages, classes and rows, its library and its name."""
    classes = pyfunc.load_model(saved(tmp_path, classifier())).predict(FRAME[:6])
    root = only(telemetry, "predict LogisticRegression")
    assert stages(telemetry) == ["preprocessing", "inference"]
    assert root.attributes["ml.model.framework"] == "scikit-learn"
    assert root.attributes["ml.operation"] == "predict"
    assert telemetry.total("ml.requests") == 1
    for each in (0, 1):
        assert telemetry.total("ml.predictions", {"ml.prediction.class": str(each)}) == (classes == each).sum()


def test_probabilities(telemetry, tmp_path):
    """A model that was saved with another method tells how sure it is."""
    model = pyfunc.load_model(saved(tmp_path, classifier(), pyfunc_predict_fn="predict_proba"))
    answer = model.predict(FRAME[:1])
    root = only(telemetry, "predict LogisticRegression")
    assert root.attributes["ml.prediction.confidence"] == pytest.approx(answer.max())
    assert telemetry.total("ml.prediction.confidence") == telemetry.total("ml.requests") == 1


def test_three_libraries_deep(telemetry, tmp_path):
    """MLflow over a pipeline over XGBoost counts once, and says which library predicts."""
    inner = make_pipeline(StandardScaler(), xgboost.XGBClassifier(n_estimators=3, n_jobs=1)).fit(FRAME, TWO)
    pyfunc.load_model(saved(tmp_path, inner)).predict(FRAME[:4])
    root = only(telemetry, "predict XGBClassifier")
    assert root.attributes["ml.model.framework"] == "xgboost"
    assert stages(telemetry) == ["preprocessing", "inference"]
    assert (telemetry.total("ml.requests"), telemetry.total("ml.predictions")) == (1, 4)


@pytest.mark.parametrize("estimator", [False, True], ids=["Booster", "XGBClassifier"])
def test_over_xgboost(telemetry, tmp_path, estimator):
    """A booster and a classifier of XGBoost: once each, with classes, the inputs' shape and one stage."""
    flavour = pytest.importorskip("mlflow.xgboost", reason="MLflow is not installed")
    if estimator:
        model = xgboost.XGBClassifier(n_estimators=3, n_jobs=1).fit(FRAME, TWO)
    else:
        options = {"objective": "binary:logistic", "verbosity": 0}
        model = xgboost.train(options, xgboost.DMatrix(FRAME, TWO), 3)
    pyfunc.load_model(saved(tmp_path, model, flavour)).predict(FRAME[:5])
    root = only(telemetry, f"predict {type(model).__name__}")
    assert root.attributes["ml.model.framework"] == "xgboost"
    assert root.attributes["ml.input.shape"] == (5, 3)
    assert stages(telemetry) == ["inference"]
    assert telemetry.total("ml.requests") == 1
    assert sum(p.value for p in telemetry.points("ml.predictions") if "ml.prediction.class" in p.attributes) == 5


class Doubled(pyfunc.PythonModel):
    """A model of no library that is measured."""

    def predict(self, context, model_input, params=None):
        """Return twice the first column."""
        return model_input["a"] * 2

    def predict_stream(self, context, model_input, params=None):
        """Give the words of a text."""
        with otelml.stage("inference"):
            yield from model_input["text"].split()


class Wrapped(pyfunc.PythonModel):
    """A model that asks one of a library, for all rows or for one after the other."""

    def __init__(self, *, row_by_row):
        self.inner, self.row_by_row = classifier(), row_by_row

    def predict(self, context, model_input, params=None):
        """Return the class of each row."""
        if self.row_by_row:
            return [int(self.inner.predict(model_input.iloc[[i]])[0]) for i in range(len(model_input))]
        return self.inner.predict_proba(model_input).argmax(axis=1)


class Faulty(pyfunc.PythonModel):
    """A model that fails."""

    def predict(self, context, model_input, params=None):
        """Fail."""
        raise LookupError("no account of 'John Smith'")


def test_a_model_of_the_applications_own(telemetry, tmp_path):
    """Its call is the stage, its rows are counted, its class is its name."""
    answer = pyfunc.load_model(saved_python(tmp_path, Doubled())).predict(FRAME[:7])
    assert type(answer) is pd.Series
    root = only(telemetry, "predict Doubled")
    assert root.attributes["ml.model.framework"] == "mlflow"
    assert root.attributes["ml.input.shape"] == (7, 3)
    assert stages(telemetry) == ["inference"]
    assert (telemetry.total("ml.requests"), telemetry.total("ml.predictions")) == (1, 7)


@pytest.mark.parametrize("row_by_row", [False, True])
def test_a_library_below_it(telemetry, tmp_path, row_by_row):
    """A model inside is seen; asked row by row it adds neither stages nor a last row that would stand for all."""
    pyfunc.load_model(saved_python(tmp_path, Wrapped(row_by_row=row_by_row))).predict(FRAME[:5])
    only(telemetry, "predict Wrapped")
    assert stages(telemetry) == ["inference"]
    assert (telemetry.total("ml.requests"), telemetry.total("ml.predictions")) == (1, 5)
    assert telemetry.total("ml.prediction.confidence") == (0 if row_by_row else 5)


def test_within_a_prediction(telemetry, tmp_path):
    """Inside a prediction of the application's own it is that prediction's inference."""
    model = pyfunc.load_model(saved(tmp_path, LinearRegression().fit(FRAME, X[:, 0])))
    with otelml.prediction("fare", "2"):
        model.predict(FRAME[:3])
    only(telemetry, "predict fare")
    assert stages(telemetry) == ["inference"]
    assert telemetry.total("ml.prediction.value", {"ml.model.name": "fare", "ml.model.version": "2"}) == 3
    assert telemetry.total("ml.requests") == 1


def test_loaded_before(tmp_path):
    """A model whose method was bound before otelml was switched on counts, with one stage."""
    model = pyfunc.load_model(saved(tmp_path, classifier(), pyfunc_predict_fn="predict_proba"))
    with recording(integrations=LIBRARIES) as telemetry:
        model.predict(FRAME[:2])
        assert stages(telemetry) == ["inference"]
        assert (telemetry.total("ml.requests"), telemetry.total("ml.predictions")) == (1, 2)


def test_errors(telemetry, tmp_path):
    """What the model raises reaches the application, is counted by its type, and its words do not leak."""
    model = pyfunc.load_model(saved_python(tmp_path, Faulty()))
    with pytest.raises(LookupError, match="John Smith"):
        model.predict(FRAME[:1])
    (point,) = telemetry.points("ml.requests")
    assert (point.value, point.attributes["error.type"]) == (1, "LookupError")
    assert "John Smith" not in str(telemetry.spans())


def test_streams(telemetry, tmp_path):
    """A stream is one prediction, from its first item to its last, and nothing is current between."""
    stream = pyfunc.load_model(saved_python(tmp_path, Doubled())).predict_stream({"text": "a b c"})
    assert next(stream) == "a"
    assert otelml.current_prediction() is None
    assert telemetry.total("ml.requests.active") == 1
    assert list(stream) == ["b", "c"]
    root = only(telemetry, "predict Doubled")
    assert root.attributes["ml.operation"] == "predict_stream"
    assert telemetry.total("ml.requests") == telemetry.total("ml.prediction.time_to_first_item") == 1


def test_names(telemetry, tmp_path):
    """The name is that of ``watch()``; without, that of the class inside, for the gauge and the prediction alike."""
    model = pyfunc.load_model(saved(tmp_path, classifier()))
    telemetry.runtime.models.settle(10)
    assert [p.attributes["ml.model.name"] for p in telemetry.points("ml.model.loaded")] == ["LogisticRegression"]
    otelml.watch(model, "churn", "7")
    model.predict(FRAME[:1])
    assert only(telemetry, "predict churn").attributes["ml.model.version"] == "7"


# mlflow models serve --------------------------------------------------------------------------------------------------


@pytest.mark.timeout(240)
@pytest.mark.parametrize("workers", [1, 2])
def test_served(tmp_path, workers):
    """``otelml run -- mlflow models serve``: each request once, with the prediction below it, in every worker."""
    port, sent = free_port(), 12
    path = saved(tmp_path, classifier(), pyfunc_predict_fn="predict_proba")
    serve = ["mlflow", "models", "serve", "-m", path, "--env-manager", "local", "-p", str(port), "-w", str(workers)]
    command = [*OTELML_RUN, sys.executable, "-m", *serve]
    url, rows = f"http://127.0.0.1:{port}", {"dataframe_split": {"columns": ["a", "b", "c"], "data": X[:2].tolist()}}
    with Receiver() as receiver:
        settings = {
            "OTEL_SERVICE_NAME": "churn",
            "OTELML_MODEL_NAME": "churn",
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "MLFLOW_TRACKING_URI": f"sqlite:///{tmp_path}/mlflow.db",
        }
        with running(command, f"{url}/ping", tmp_path, receiver.http_endpoint, **settings):
            for _ in range(sent):
                answer = requests.post(f"{url}/invocations", json=rows, headers={"Connection": "close"}, timeout=30)
                assert len(answer.json()["predictions"]) == 2
            assert requests.post(f"{url}/invocations", json={}, timeout=30).status_code == 400
        store = receiver.store
        assert store.total("ml.requests", **{"ml.model.name": "churn"}) == store.total("ml.requests") == sent
        assert store.total("ml.predictions") == store.total("ml.prediction.confidence") == 2 * sent
        assert store.total("http.server.request.duration", **{"http.response.status_code": 200}) == sent
        assert store.total("http.server.request.duration", **{"http.response.status_code": 400}) == 1
        counted = {"POST /invocations": sent + 1, "predict churn": sent, "preprocessing": sent, "inference": sent}
        assert store.counts_by_span_name() == counted
        servers = {span.span_id: span for span in store.spans("POST /invocations")}
        assert {span.trace_id == servers[span.parent_id].trace_id for span in store.spans("predict churn")} == {True}
