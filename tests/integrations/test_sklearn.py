"""scikit-learn calls become predictions: who counts, what is said of them, and that nothing else changes."""

from concurrent.futures import ThreadPoolExecutor

import joblib
import numpy as np
import pandas as pd
import pytest
from opentelemetry.instrumentation.utils import suppress_instrumentation
from opentelemetry.trace import StatusCode
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.cluster import KMeans
from sklearn.compose import ColumnTransformer
from sklearn.datasets import make_classification, make_multilabel_classification
from sklearn.ensemble import (
    BaggingClassifier,
    HistGradientBoostingClassifier,
    IsolationForest,
    RandomForestClassifier,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.experimental import enable_iterative_imputer  # noqa: F401 - makes IterativeImputer importable
from sklearn.impute import IterativeImputer
from sklearn.linear_model import BayesianRidge, LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV, cross_val_predict, cross_val_score
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.svm import SVC
from sklearn_telemetry import Early, telemetry

import otelml
from otelml.integrations.sklearn import SklearnInstrumentor

X, Y = make_classification(n_samples=60, n_features=4, n_informative=3, n_redundant=0, random_state=0)
MODEL, OPERATION, CLASS = "ml.model.name", "ml.operation", "ml.prediction.class"


@pytest.fixture
def seen(monkeypatch):
    """Measure scikit-learn into memory."""
    with telemetry(monkeypatch) as at_work:
        yield at_work


@pytest.fixture(scope="module")
def pipeline():
    """Return a fitted pipeline: scaling, then a logistic regression."""
    return make_pipeline(StandardScaler(), LogisticRegression()).fit(X, Y)


# Who counts ---------------------------------------------------------------------------------------------------------


def test_pipeline_call_is_one_prediction_with_two_stages(seen, pipeline):
    """One call gives one request, one row, one confidence, and the stages' spans under the prediction's."""
    answer = pipeline.predict_proba(X[:1])
    assert seen.counted("ml.requests", MODEL, OPERATION) == {("LogisticRegression", "predict_proba"): 1}
    assert seen.counted("ml.predictions", CLASS) == {str(answer.argmax()): 1}
    assert seen.counted("ml.stage.duration", "ml.stage") == {"preprocessing": 1, "inference": 1}
    assert seen.trees() == [("predict LogisticRegression", ["preprocessing", "inference"])]
    (root,) = seen.roots()
    assert root.attributes["ml.prediction.confidence"] == answer.max()
    assert root.attributes["ml.model.framework"] == "scikit-learn"
    assert root.attributes["ml.input.shape"] == (1, 4)
    assert seen.events()["ml.prediction"] == 1


def wrappers():
    """Return estimators that call others to answer."""
    base = [("a", LogisticRegression()), ("b", make_pipeline(StandardScaler(), LogisticRegression()))]
    return [
        (RandomForestClassifier(n_estimators=5, n_jobs=2), "RandomForestClassifier"),
        (GridSearchCV(base[1][1], {"logisticregression__C": [0.1, 1.0]}, cv=2), "LogisticRegression"),
        (StackingClassifier(base, cv=2), "StackingClassifier"),
        (VotingClassifier(base, voting="soft"), "VotingClassifier"),
        (CalibratedClassifierCV(LogisticRegression(), cv=2), "CalibratedClassifierCV"),
        (BaggingClassifier(Early(), n_estimators=3, n_jobs=2), "BaggingClassifier"),
        (Pipeline([("a", "passthrough"), ("b", base[1][1])]), "LogisticRegression"),
        (OneVsRestClassifier(SVC()), "OneVsRestClassifier"),
    ]


@pytest.mark.parametrize(("model", "name"), wrappers(), ids=lambda v: v if isinstance(v, str) else "")
@pytest.mark.parametrize("backend", ["threading", "loky"])
def test_outermost_call_owns_the_counts(seen, model, name, backend):
    """Fitting counts nothing; each call counts once under the final estimator's name, whatever it calls in turn."""
    with joblib.parallel_config(backend=backend):
        model = clone(model).fit(X, Y)
        assert seen.counted("ml.requests") == {}
        model.predict(X[:3])
        model.predict(X[:1])
    assert seen.counted("ml.requests", MODEL) == {name: 2}
    assert seen.total("ml.predictions") == 4


def test_training_and_evaluation_serve_nobody(seen, pipeline):
    """Scores, cross-validation, ``fit_predict``, early stopping and an imputer's own models count no request."""
    pipeline.score(X, Y)
    cross_val_score(pipeline, X, Y, cv=2, n_jobs=2)
    with joblib.parallel_config(backend="threading"):
        cross_val_predict(pipeline, X, Y, cv=2, n_jobs=2, method="predict_proba")
    KMeans(2, n_init=1).fit_predict(X)
    IsolationForest(n_estimators=3, contamination=0.1).fit(X)
    HistGradientBoostingClassifier(max_iter=5, early_stopping=True, scoring="accuracy").fit(X, Y)
    IterativeImputer(max_iter=2).fit(X).transform(X[:2])
    Early().fit(X, Y).score(X, Y)
    assert seen.counted("ml.requests") == {}


def test_calls_through_the_class_and_joblib_are_the_applications(seen, pipeline):
    """``Pipeline.predict(model, X)`` and the application's own parallel calls count, each once."""
    Pipeline.predict(pipeline, X[:1])
    joblib.Parallel(n_jobs=2, backend="threading")(joblib.delayed(pipeline.predict)(X[i : i + 1]) for i in range(10))
    assert seen.counted("ml.requests", MODEL) == {"LogisticRegression": 11}


def test_threads_count_exactly(seen, pipeline):
    """200 calls from 8 threads give 200 requests, each with its two stages, and none is left in flight."""
    forest = RandomForestClassifier(n_estimators=3, n_jobs=2).fit(X, Y)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda i: (forest if i % 2 else pipeline).predict_proba(X[i % 60 : i % 60 + 1]), range(200)))
    assert seen.counted("ml.requests", MODEL) == {"LogisticRegression": 100, "RandomForestClassifier": 100}
    assert seen.counted("ml.stage.duration", "ml.stage") == {"preprocessing": 100, "inference": 200}
    assert seen.total("ml.requests.active") == 0


def test_own_prediction_is_enriched_not_doubled(seen, pipeline):
    """Inside ``otelml.prediction`` no second prediction is made: stages and results go to the application's own."""
    with otelml.prediction("flights", "7"):
        answer = pipeline.predict_proba(X[:1])
    assert seen.counted("ml.requests", MODEL, "ml.model.version") == {("flights", "7"): 1}
    assert seen.trees() == [("predict flights", ["preprocessing", "inference"])]
    assert seen.roots()[0].attributes["ml.prediction.confidence"] == answer.max()
    assert seen.roots()[0].attributes["ml.model.framework"] == "scikit-learn"


def test_own_stages_and_results_win(seen, pipeline):
    """Where the application marks the stage, ours stay away; what it says of the result is kept."""
    with otelml.prediction("flights") as p:
        with p.stage("inference"):
            pipeline.predict_proba(X[:1])
        p.result(classes="late")
    assert seen.trees() == [("predict flights", ["inference"])]
    assert seen.counted("ml.predictions", CLASS) == {"late": 1}


def test_settings_name_the_model(monkeypatch, pipeline):
    """``model_name`` and ``model_version`` replace the class name."""
    with telemetry(monkeypatch, model_name="delays", model_version="2013.1") as seen:
        pipeline.predict(X[:2])
        assert seen.counted("ml.requests", MODEL, "ml.model.version") == {("delays", "2013.1"): 1}


def test_suppressed_and_switched_off_calls_count_nothing(seen, pipeline):
    """OpenTelemetry's own switch is honoured, and a class that keeps our function passes calls through after."""
    with suppress_instrumentation():
        alone = pipeline.predict_proba(X)
    kept = LogisticRegression.predict_proba
    SklearnInstrumentor().uninstrument()
    assert kept(pipeline[-1], pipeline[0].transform(X)).tobytes() == alone.tobytes()
    assert pipeline.predict_proba(X).tobytes() == alone.tobytes()
    SklearnInstrumentor().instrument()
    assert seen.counted("ml.requests") == {}


# What is said -------------------------------------------------------------------------------------------------------


def test_probabilities_of_many_rows(seen, pipeline):
    """Every row has its class and its confidence, from the very array that was returned."""
    answer = pipeline.predict_proba(X)
    labels = pipeline.classes_[answer.argmax(axis=1)]
    expected = {str(label): int((labels == label).sum()) for label in pipeline.classes_}
    assert seen.counted("ml.predictions", CLASS) == expected
    assert seen.counted("ml.prediction.confidence", CLASS) == expected
    assert seen.total("ml.prediction.value") == 0


def test_log_probabilities_are_confidences_too(seen, pipeline):
    """The exponential of the largest log probability is the confidence, for one row and for many."""
    answer = pipeline.predict_log_proba(X[:1])
    pipeline.predict_log_proba(X)
    assert seen.roots()[0].attributes["ml.prediction.confidence"] == pytest.approx(np.exp(answer.max()))
    assert seen.total("ml.prediction.confidence") == 61


@pytest.mark.parametrize("rows", [1, 60])
def test_regressors_and_scores_give_values(seen, rows):
    """Predictions of regressors, decision functions and scores are values; none is a confidence or a class."""
    target = X[:, 0] * 2
    Ridge().fit(X, target).predict(X[:rows])
    BayesianRidge().fit(X, target).predict(X[:rows], return_std=True)
    make_pipeline(StandardScaler(), Ridge()).fit(X, target[:, None]).predict(X[:rows])
    SVC().fit(X, Y).decision_function(X[:rows])
    IsolationForest(n_estimators=3).fit(X).score_samples(X[:rows])
    assert seen.total("ml.prediction.value") == seen.total("ml.predictions") == 5 * rows
    assert seen.counted("ml.predictions", CLASS) == {None: 5 * rows}
    assert seen.total("ml.prediction.confidence") == 0


def test_labels_of_any_kind_are_classes(seen):
    """Text, float and cluster labels count by class."""
    LogisticRegression().fit(X, np.where(Y, "late", "on time")).predict(X[:1])
    LogisticRegression().fit(X, Y * 1.0).predict(X)
    IsolationForest(n_estimators=3).fit(X).predict(X[:1])
    found = seen.counted("ml.predictions", CLASS)
    assert sum(found.values()) == 62
    assert set(found) <= {"late", "on time", "0", "1", "-1"}
    assert seen.total("ml.prediction.value") == 0


def test_several_outputs_claim_no_single_class(seen):
    """Multilabel and multi-output answers count their rows, and neither class nor confidence."""
    inputs, labels = make_multilabel_classification(n_samples=60, random_state=0)
    RandomForestClassifier(n_estimators=3).fit(inputs, labels).predict_proba(inputs)
    RandomForestClassifier(n_estimators=3).fit(inputs, labels).predict(inputs)
    OneVsRestClassifier(LogisticRegression()).fit(inputs, labels).predict_proba(inputs)
    Ridge().fit(inputs, labels).predict(inputs)
    assert seen.counted("ml.predictions", CLASS) == {None: 240}
    assert seen.total("ml.prediction.confidence") == seen.total("ml.prediction.value") == 0


def test_frames_and_set_output(seen):
    """Frames go in and through the steps as they are; missing values are counted at the way in."""
    frame = pd.DataFrame({"n": [1.0, 2.0, 3.0, 4.0], "c": ["a", "b", "a", None]})
    prepare = ColumnTransformer([("n", StandardScaler(), ["n"]), ("c", OneHotEncoder(sparse_output=False), ["c"])])
    model = make_pipeline(prepare, LogisticRegression()).set_output(transform="pandas").fit(frame, [0, 1, 0, 1])
    model.predict_proba(frame)
    model.predict(X=frame[:1])
    assert list(model[-1].feature_names_in_) == list(prepare.set_output(transform="pandas").fit_transform(frame))
    assert seen.counted("ml.requests", OPERATION) == {"predict_proba": 1, "predict": 1}
    assert seen.total("ml.input.missing_values") == 1
    assert seen.trees()[0][1] == ["preprocessing", "inference"]


def test_errors_are_the_models_own(seen, pipeline):
    """The exception reaches the caller as raised; it is counted by type, in the stage where it arose, without text."""
    frame = [["John Smith", 1, 1, 1]]
    with pytest.raises(ValueError, match="John Smith"):
        pipeline.predict(frame)
    assert seen.counted("ml.requests", "error.type") == {"ValueError": 1}
    assert seen.counted("ml.stage.duration", "ml.stage", "error.type") == {("preprocessing", "ValueError"): 1}
    assert seen.roots()[0].status.status_code is StatusCode.ERROR
    everything = [span.to_json() for span in seen.spans.get_finished_spans()]
    assert "Smith" not in "".join([*everything, *(log.to_json() for log in seen.logs.get_finished_logs())])
    pipeline.predict(X[:1])
    assert seen.total("ml.requests.active") == 0
