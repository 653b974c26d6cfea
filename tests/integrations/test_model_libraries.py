"""XGBoost, LightGBM, CatBoost and ONNX Runtime: calls become predictions, each once, and nothing else changes."""

import gc
import inspect
import pickle
import threading
import weakref

import numpy as np
import pandas as pd
import pytest
from onnx_models import IDENTITY
from opentelemetry.instrumentation.utils import suppress_instrumentation
from sklearn.model_selection import cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import otelml
from otelml.testing import recording

xgboost = pytest.importorskip("xgboost", reason="XGBoost is not installed: pip install xgboost-cpu")
lightgbm = pytest.importorskip("lightgbm", reason="LightGBM is not installed: pip install lightgbm")
catboost = pytest.importorskip("catboost", reason="CatBoost is not installed: pip install catboost")
onnxruntime = pytest.importorskip("onnxruntime", reason="ONNX Runtime is not installed: pip install onnxruntime")

RNG = np.random.default_rng(3)
X = RNG.normal(size=(120, 4))
TWO = (X[:, 0] > 0).astype(int)
THREE = TWO + (X[:, 1] > 0)
ROW = X[:1]
QUIET = {"xgboost": {"verbosity": 0}, "lightgbm": {"verbose": -1, "min_data_in_leaf": 5}}


def boosted(library, objective, target, **more):
    """Return a small trained booster."""
    params = {"objective": objective, **QUIET[library], **more}
    if library == "xgboost":
        return xgboost.train(params, xgboost.DMatrix(X, target), 4)
    return lightgbm.train(params, lightgbm.Dataset(X, target), 4)


def trained(kind, target, **more):
    """Return a small CatBoost model."""
    return kind(iterations=4, verbose=0, allow_writing_files=False, **more).fit(X, target)


MODELS = {
    "xgboost two classes": (lambda: boosted("xgboost", "binary:logistic", TWO), "inplace_predict"),
    "xgboost three classes": (lambda: boosted("xgboost", "multi:softprob", THREE, num_class=3), "inplace_predict"),
    "xgboost class": (lambda: boosted("xgboost", "multi:softmax", THREE, num_class=3), "inplace_predict"),
    "xgboost number": (lambda: boosted("xgboost", "reg:squarederror", X[:, 0]), "inplace_predict"),
    "lightgbm two classes": (lambda: boosted("lightgbm", "binary", TWO), "predict"),
    "lightgbm three classes": (lambda: boosted("lightgbm", "multiclass", THREE, num_class=3), "predict"),
    "lightgbm number": (lambda: boosted("lightgbm", "regression", X[:, 0]), "predict"),
    "catboost class": (lambda: trained(catboost.CatBoostClassifier, THREE), "predict"),
    "catboost classes": (lambda: trained(catboost.CatBoostClassifier, THREE), "predict_proba"),
    "catboost logarithms": (lambda: trained(catboost.CatBoostClassifier, TWO), "predict_log_proba"),
    "catboost number": (lambda: trained(catboost.CatBoostRegressor, X[:, 0]), "predict"),
}
"""What makes a model, and the method that predicts of an array."""
CLASSES = [name for name in MODELS if "class" in name or "logarithms" in name]
SURE = [name for name in CLASSES if name not in {"xgboost class", "catboost class"}]


@pytest.fixture(scope="module")
def models():
    """Return every model, trained without otelml."""
    return {name: (make(), method) for name, (make, method) in MODELS.items()}


@pytest.fixture
def telemetry():
    """Measure the libraries into memory, and scikit-learn, which some of them derive from."""
    with recording(integrations=("catboost", "lightgbm", "models", "onnxruntime", "sklearn", "xgboost")) as seen:
        yield seen


def named(telemetry, name):
    """Return the finished spans of a name."""
    return [span for span in telemetry.spans() if span.name == name]


def expected(answer, name):
    """Return (class, confidence) of the first row of an answer."""
    answer = np.exp(answer) if name == "catboost logarithms" else np.asarray(answer)
    if answer.ndim == 1 and name in SURE:
        return str(int(answer[0] > 0.5)), max(answer[0], 1 - answer[0])
    if name in SURE:
        return str(answer[0].argmax()), answer[0].max()
    return str(int(answer.reshape(-1)[0])), None


# What is said -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", MODELS)
def test_one_call_is_one_prediction(telemetry, models, name):
    """A call gives one request, one stage, its rows, and what the answer says of class, confidence or value."""
    model, method = models[name]
    answer = getattr(model, method)(ROW)
    (root,) = named(telemetry, f"predict {type(model).__name__}")
    assert [span.name for span in telemetry.spans() if span.parent_id == root.span_id] == ["inference"]
    assert root.attributes["ml.operation"] == method
    assert root.attributes["ml.model.framework"] == name.partition(" ")[0]
    assert telemetry.total("ml.requests") == telemetry.total("ml.predictions") == 1
    if name in CLASSES:
        label, confidence = expected(answer, name)
        assert root.attributes["ml.prediction.class"] == label
        assert root.attributes.get("ml.prediction.confidence") == (confidence and pytest.approx(confidence, rel=1e-6))
    else:
        assert root.attributes["ml.prediction.value"] == pytest.approx(float(answer[0]), rel=1e-6)
    assert root.attributes["ml.input.shape"] == (1, 4)


@pytest.mark.parametrize("name", MODELS)
def test_many_rows(telemetry, models, name):
    """Each row of an answer counts, with its class; a frame as well as an array."""
    model, method = models[name]
    getattr(model, method)(pd.DataFrame(X, columns=list("abcd")) if "xgboost" not in name else X)
    assert telemetry.total("ml.requests") == 1
    assert telemetry.total("ml.predictions") == 120
    confidences = sum(point.count for point in telemetry.points("ml.prediction.confidence"))
    assert confidences == (120 if name in SURE else 0)


@pytest.mark.parametrize(
    ("library", "given", "rows"),
    [
        ("xgboost", {"pred_leaf": True}, 120),
        ("xgboost", {"pred_contribs": True}, 120),
        ("xgboost", {"output_margin": True}, 120),
        ("lightgbm", {"pred_leaf": True}, 120),
        ("lightgbm", {"pred_contrib": True}, 120),
        ("lightgbm", {"raw_score": True}, 120),
    ],
)
def test_what_is_no_probability_is_no_confidence(telemetry, library, given, rows):
    """Leaves, contributions and margins count rows; none of them is taken for a class or a confidence."""
    model = boosted(library, "binary:logistic" if library == "xgboost" else "binary", TWO)
    model.predict(xgboost.DMatrix(X) if library == "xgboost" else X, **given)
    assert telemetry.total("ml.predictions") == rows
    (root,) = named(telemetry, "predict Booster")
    assert not {"ml.prediction.class", "ml.prediction.confidence"} & set(root.attributes)
    assert telemetry.points("ml.prediction.confidence") == []


def test_a_single_object_of_catboost(telemetry, models):
    """An answer without an axis of rows is one row."""
    model, _ = models["catboost classes"]
    answer = model.predict_proba(X[0].tolist())
    assert telemetry.total("ml.predictions") == 1
    (root,) = named(telemetry, "predict CatBoostClassifier")
    assert root.attributes["ml.prediction.confidence"] == pytest.approx(answer.max())


# Who counts ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["XGBClassifier", "LGBMClassifier"])
def test_a_scikit_learn_class_counts_once(telemetry, kind):
    """The booster within one, and a pipeline around one, do not count again; it says which library it is of."""
    library, quiet = (xgboost, {"verbosity": 0}) if kind == "XGBClassifier" else (lightgbm, {"verbose": -1})
    model = make_pipeline(StandardScaler(), getattr(library, kind)(n_estimators=3, **quiet)).fit(X, TWO)
    cross_val_predict(model, X, TWO, cv=2)
    assert telemetry.total("ml.requests") == 0
    model.predict_proba(ROW)
    model.predict(ROW)
    assert telemetry.total("ml.requests") == 2
    assert [span.attributes["ml.model.framework"] for span in named(telemetry, f"predict {kind}")] == [
        library.__name__,
        library.__name__,
    ]


def test_within_a_prediction_of_the_application(telemetry, models):
    """A call there is its stage, and fills its result; a stage that is open already stays the only one."""
    model, method = models["lightgbm three classes"]
    with otelml.prediction("own", "1"):
        getattr(model, method)(ROW)
    with otelml.prediction("own", "1") as p, p.stage("inference"):
        getattr(model, method)(ROW)
    assert telemetry.total("ml.requests") == telemetry.total("ml.predictions") == 2
    for root in named(telemetry, "predict own"):
        assert [span.name for span in telemetry.spans() if span.parent_id == root.span_id] == ["inference"]
        assert "ml.prediction.confidence" in root.attributes


def test_a_watched_model_has_its_name(telemetry):
    """Predictions of a model that the application named are that model's."""
    model = boosted("lightgbm", "binary", TWO)
    otelml.watch(model, "churn", "7")
    model.predict(ROW)
    (root,) = named(telemetry, "predict churn")
    assert root.attributes["ml.model.version"] == "7"


def test_suppressed_and_off(telemetry, models):
    """Where instrumentation is suppressed nothing counts, nor after the end."""
    model, method = models["xgboost number"]
    with suppress_instrumentation():
        getattr(model, method)(ROW)
    assert telemetry.total("ml.requests") == 0


def test_threads_count_exactly(telemetry, models):
    """Eight threads on one model: each call once."""
    model, method = models["lightgbm two classes"]
    threads = [threading.Thread(target=lambda: [getattr(model, method)(ROW) for _ in range(25)]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert telemetry.total("ml.requests") == 200


# What does not change -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", MODELS)
def test_answers_are_the_same(models, name):
    """Values, dtype and type with otelml on are those without; models pickle, and nothing is kept alive."""
    model, method = models[name]
    bare = getattr(model, method)(X)
    with recording(integrations=("catboost", "lightgbm", "xgboost")):
        given = X.copy()
        seen = getattr(model, method)(given)
        again = getattr(pickle.loads(pickle.dumps(model)), method)(X)  # noqa: S301 - our own
        kept = weakref.ref(given), weakref.ref(seen)
        assert type(seen) is type(bare)
        assert seen.dtype == bare.dtype
        np.testing.assert_array_equal(seen, bare)
        np.testing.assert_array_equal(again, bare)
        del given, seen
        gc.collect()
        assert [each() for each in kept] == [None, None]


OWNERS = {
    "xgboost": (xgboost.Booster, ("predict", "inplace_predict")),
    "lightgbm": (lightgbm.Booster, ("predict",)),
    "catboost": (catboost.CatBoostClassifier, ("predict", "predict_proba", "predict_log_proba")),
    "onnxruntime": (onnxruntime.InferenceSession.__mro__[1], ("run", "run_async", "run_with_iobinding")),
}


@pytest.mark.parametrize("library", OWNERS)
def test_methods_come_back(library):
    """Signatures are the library's while otelml is on; afterwards the very functions are back."""
    owner, names = OWNERS[library]
    before = [vars(owner)[name] for name in names]
    signatures = [str(inspect.signature(function)) for function in before]
    with recording(integrations=(library,)):
        now = [vars(owner)[name] for name in names]
        assert all(a is not b for a, b in zip(now, before, strict=True))
        assert [str(inspect.signature(function)) for function in now] == signatures
    assert [vars(owner)[name] for name in names] == before


def test_errors_pass(telemetry, models):
    """What a library raises reaches the application as it is, and counts as an error of the prediction."""
    model, method = models["lightgbm number"]
    with pytest.raises(lightgbm.basic.LightGBMError, match="features"):
        getattr(model, method)(X[:, :2])
    (root,) = named(telemetry, "predict Booster")
    assert root.status == "ERROR"
    (point,) = telemetry.points("ml.requests")
    assert (point.value, point.attributes["error.type"]) == (1, root.attributes["error.type"])
    assert root.attributes["error.type"].endswith("LightGBMError")


# ONNX Runtime -------------------------------------------------------------------------------------------------------


@pytest.fixture
def session(telemetry, tmp_path):
    """Return a session of a model file, and start of its telemetry."""
    (tmp_path / "fraud.onnx").write_bytes(IDENTITY)
    return onnxruntime.InferenceSession(str(tmp_path / "fraud.onnx"), providers=["CPUExecutionProvider"])


GIVEN = {"x": np.array([2.5], np.float32)}


def test_run(telemetry, session):
    """A run is a prediction under the name of the file."""
    assert session.run(None, GIVEN)[0].tolist() == [2.5]
    (root,) = named(telemetry, "predict fraud")
    assert root.attributes["ml.model.framework"] == "onnxruntime"
    assert root.attributes["ml.prediction.value"] == 2.5
    assert telemetry.total("ml.predictions") == 1


def test_run_on_the_device(telemetry, session):
    """Runs that keep outputs where they are count as well, with the rows of their shape."""
    value = onnxruntime.OrtValue.ortvalue_from_numpy(GIVEN["x"])
    assert session.run_with_ort_values(None, {"x": value})[0].numpy().tolist() == [2.5]
    bound = session.io_binding()
    bound.bind_cpu_input("x", GIVEN["x"])
    bound.bind_output("y")
    session.run_with_iobinding(bound)
    assert bound.copy_outputs_to_cpu()[0].tolist() == [2.5]
    assert telemetry.total("ml.requests") == telemetry.total("ml.predictions") == 2


def test_run_async(telemetry, session):
    """It ends with the callback, which gets what it would get; nothing counts before."""
    done, got = threading.Event(), []

    def called(results, data, error):
        got.append((results[0].tolist(), data, error))
        done.set()

    session.run_async(None, GIVEN, called, "mine")
    assert done.wait(10)
    assert got == [([2.5], "mine", "")]
    assert telemetry.total("ml.requests") == telemetry.total("ml.predictions") == 1


def test_names_of_outputs_tell():
    """Probabilities by their name, dictionaries of classes, labels; of anything else the rows, or a number a row."""
    from otelml.integrations.onnxruntime import _answered  # noqa: PLC0415 - the reader alone

    shares = np.array([[0.2, 0.8], [0.9, 0.1]], np.float32)
    labels = np.array([1, 0])
    found = _answered({"label": labels, "probabilities": shares})
    assert (found["classes"].tolist(), found["confidence"].tolist()) == ([1, 0], pytest.approx([0.8, 0.9]))
    found = _answered({"output_label": labels, "output_probability": [{0: 0.2, 1: 0.8}, {0: 0.9, 1: 0.1}]})
    assert (found["classes"].tolist(), found["confidence"].tolist()) == ([1, 0], pytest.approx([0.8, 0.9]))
    assert _answered({"logits": shares}).keys() == {"predictions"}
    assert _answered({"variable": shares[:, :1]})["values"].tolist() == pytest.approx([0.2, 0.9])
    assert _answered({"ids": labels}) == {"rows": 2}
    assert _answered({}) == {}
