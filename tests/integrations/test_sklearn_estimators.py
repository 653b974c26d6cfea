"""Every estimator of scikit-learn answers the same with otelml on, and the library's own checks pass."""

import warnings

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.cluster import KMeans
from sklearn.datasets import make_classification
from sklearn.ensemble import IsolationForest, RandomForestClassifier
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.utils import all_estimators
from sklearn.utils.estimator_checks import check_estimator
from sklearn.utils.validation import check_is_fitted
from sklearn_telemetry import telemetry

from otelml.integrations import _sklearn_calls as calls
from otelml.integrations.sklearn import SklearnInstrumentor

pytestmark = pytest.mark.timeout(600)  # scikit-learn's checks fit some models a hundred times

X, Y = make_classification(n_samples=30, n_features=4, n_informative=3, n_redundant=0, random_state=0)
X_ABOVE_ZERO = np.abs(X)
NESTED = {
    "estimators": [("a", LogisticRegression()), ("b", LogisticRegression(C=0.1))],
    "estimator": LogisticRegression(),
    "base_estimator": LogisticRegression(),
    "param_grid": {"C": [0.1, 1.0]},
    "param_distributions": {"C": [0.1, 1.0]},
    "steps": [("scale", StandardScaler()), ("model", LogisticRegression())],
    "n_estimators": 3,
    "max_iter": 20,
    "random_state": 0,
    "cv": 2,
    "n_iter": 2,
}
FEWEST_FITTED = 100
"""scikit-learn 1.4 to 1.9 have over 100 estimators that fit these data and predict."""


class OwnClassifier(ClassifierMixin, BaseEstimator):
    """An estimator as an application writes it."""

    def __init__(self, strength=1.0):
        self.strength = strength

    def fit(self, X, y):  # noqa: N803 - scikit-learn's name
        """Fit another estimator inside."""
        self.inner_ = LogisticRegression(C=self.strength).fit(X, y)
        self.classes_ = self.inner_.classes_
        self.n_features_in_ = self.inner_.n_features_in_
        return self

    def predict_proba(self, X):  # noqa: N803 - scikit-learn's name
        """Ask the estimator inside."""
        check_is_fitted(self)
        return self.inner_.predict_proba(X)

    def predict(self, X):  # noqa: N803 - scikit-learn's name
        """Ask the estimator inside."""
        check_is_fitted(self)
        return self.inner_.predict(X)


@pytest.fixture
def every_call_counts(monkeypatch):
    """Treat calls out of scikit-learn's own checks as the application's, or no check would be measured."""
    monkeypatch.setattr(calls, "LIBRARIES", ("no.such.package",))


def fitted_estimators():
    """Return every estimator of scikit-learn that fits the data and predicts, with few iterations."""
    for name, kind in all_estimators():
        known = kind._get_param_names()
        parameters = {key: value for key, value in NESTED.items() if key in known}
        for data in (X, X_ABOVE_ZERO):
            try:
                model = kind(**parameters).fit(data, Y)
            except Exception:  # noqa: BLE001, S112 - does not fit these data: nothing to compare
                continue
            yield name, model, data
            break


def answers(model, data):
    """Return what each prediction method of a model returns or raises, by method."""
    found = {}
    for method in calls.METHODS:
        if hasattr(model, method):
            try:
                found[method] = getattr(model, method)(data)
            except Exception as error:  # noqa: BLE001 - raising is an answer too
                found[method] = (type(error), str(error))
    return found


def raw(value):
    """Return a value's type and bytes, through lists and tuples."""
    if isinstance(value, list | tuple):
        return type(value), [raw(item) for item in value]
    if hasattr(value, "tobytes"):
        return type(value), value.dtype, value.shape, value.tobytes()
    return type(value), repr(value)


@pytest.mark.usefixtures("every_call_counts")
def test_every_estimator_answers_the_same(monkeypatch):
    """Type, shape and bytes of each answer, and each refusal, are those of scikit-learn alone, for over 100 models."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        models = list(fitted_estimators())
        alone = [answers(model, data) for _, model, data in models]
        with telemetry(monkeypatch) as seen:
            measured = [answers(model, data) for _, model, data in models]
            assert seen.total("ml.requests") == sum(len(found) for found in alone)
    compared = [name for (name, *_), expected in zip(models, alone, strict=True) if expected]
    assert len(compared) > FEWEST_FITTED, compared
    for (name, *_), expected, got in zip(models, alone, measured, strict=True):
        assert {m: raw(v) for m, v in expected.items()} == {m: raw(v) for m, v in got.items()}, name


@pytest.mark.usefixtures("every_call_counts")
@pytest.mark.parametrize(
    "model",
    [
        LogisticRegression(),
        Ridge(),
        RandomForestClassifier(n_estimators=3),
        SVC(),
        KMeans(n_init=1, max_iter=5),
        IsolationForest(n_estimators=3),
        make_pipeline(StandardScaler(), LogisticRegression()),
        GridSearchCV(LogisticRegression(), {"C": [0.1, 1.0]}, cv=2),
        OwnClassifier(),
    ],
    ids=lambda model: type(model).__name__,
)
def test_scikit_learns_own_checks_pass(model, monkeypatch):
    """``check_estimator`` finds with otelml on exactly what it finds without, while the calls it makes are measured."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        alone = outcomes(model)
        with telemetry(monkeypatch) as seen:
            assert outcomes(model) == alone
            assert seen.total("ml.requests")
    assert "passed" in alone.values()


def outcomes(model):
    """Return how each of scikit-learn's checks ended, by name."""
    return {row["check_name"]: row["status"] for row in check_estimator(clone(model), on_fail=None)}


def test_uninstrument_puts_back_the_same_objects():
    """Every attribute of every estimator class and mixin is the identical object again, ``__init_subclass__`` too."""
    kinds = {base for _, kind in all_estimators() for base in kind.__mro__ if base is not object}
    before = {kind: dict(vars(kind)) for kind in kinds}
    SklearnInstrumentor().instrument()
    changed = [kind for kind in kinds if any(vars(kind)[name] is not value for name, value in before[kind].items())]
    SklearnInstrumentor().uninstrument()
    assert RandomForestClassifier.__mro__[1] in changed
    for kind in kinds:
        now = dict(vars(kind))
        differs = [name for name in now.keys() | before[kind].keys() if now.get(name) is not before[kind].get(name)]
        assert differs == [], kind
