"""What otelml leaves alone in scikit-learn: answers, classes, pickles, signatures, memory, other processes."""

import gc
import inspect
import pickle
import subprocess
import sys
import textwrap
import warnings
import weakref

import joblib
import numpy as np
import pytest
import sklearn
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.datasets import make_classification
from sklearn.experimental import enable_iterative_imputer  # noqa: F401 - makes IterativeImputer importable
from sklearn.linear_model import BayesianRidge, LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils.metaestimators import available_if
from sklearn_telemetry import Early, telemetry

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


# What does not change -----------------------------------------------------------------------------------------------


def test_answer_is_the_same_object_and_not_kept_alive(seen):
    """The caller gets the model's own object, and neither it nor the input lives longer than without otelml."""
    answer, inputs = np.array(["late"] * 60), X.copy()
    model = Early(answer).fit(X, Y)
    assert model.predict(inputs) is answer
    refs = weakref.ref(answer), weakref.ref(inputs)
    del answer, inputs
    model.answer = None
    gc.collect()
    assert [ref() for ref in refs] == [None, None]
    assert seen.counted("ml.predictions", CLASS) == {"late": 60}


def test_own_classes_before_and_after(seen):
    """Classes made before and after otelml, mixins and inherited methods are measured once a call."""

    class Late(Early):
        def predict(self, X):  # noqa: N803 - scikit-learn's name
            return super().predict(X)

    early, late = Early().fit(X, Y), Late().fit(X, Y)
    early.predict(X[:1])
    late.predict(X[:1])
    late.score_samples(X[:1])
    assert seen.counted("ml.requests", MODEL, OPERATION) == {
        ("Early", "predict"): 1,
        ("Late", "predict"): 1,
        ("Late", "score_samples"): 1,
    }


def test_class_made_while_on_gets_its_own_function_back(seen):
    """``uninstrument`` leaves the function that the class body held; subclass keywords and hooks of others run."""
    subclasses = []

    class Hooked:
        def __init_subclass__(cls, tag=None, **kwargs):
            super().__init_subclass__(**kwargs)
            subclasses.append((cls.__name__, tag))

    def predict(self, X):  # noqa: N803 - scikit-learn's name
        return np.zeros(len(X))

    kind = type(BaseEstimator)("Made", (RegressorMixin, BaseEstimator, Hooked), {"predict": predict}, tag="t")
    assert vars(kind)["predict"] is not predict
    kind().predict(X)
    SklearnInstrumentor().uninstrument()
    assert vars(kind)["predict"] is predict
    assert "__init_subclass__" not in vars(BaseEstimator)
    SklearnInstrumentor().instrument()
    assert subclasses == [("Made", "t")]
    assert seen.counted("ml.requests", MODEL) == {"Made": 1}


def test_conditional_methods_keep_their_condition(seen):
    """``hasattr``, the error's text and the methods of ``available_if`` are those of scikit-learn."""

    class Sometimes(BaseEstimator):
        def __init__(self, on=True):
            self.on = on

        @available_if(lambda self: self.on)
        def predict(self, X):  # noqa: N803 - scikit-learn's name
            """Say nought."""
            return np.zeros(len(X))

    assert hasattr(SVC(probability=True), "predict_proba")
    assert not hasattr(SVC(), "predict_proba")
    assert not hasattr(Sometimes(on=False), "predict")
    with pytest.raises(AttributeError, match="This 'Sometimes' has no attribute 'predict'"):
        _ = Sometimes(on=False).predict
    assert Sometimes().predict(X).shape == (60,)
    assert Sometimes.predict.__doc__ == "Say nought."
    assert seen.counted("ml.requests", MODEL) == {"Sometimes": 1}


def test_signatures_names_and_documentation_stay():
    """What inspection shows of a method is the same with otelml on."""

    def shown():
        methods = [LogisticRegression.predict_proba, Pipeline.predict, BayesianRidge.predict, Early().predict]
        return [(inspect.signature(m), m.__doc__, m.__name__, m.__qualname__, m.__module__) for m in methods]

    alone = shown()
    SklearnInstrumentor().instrument()
    try:
        assert shown() == alone
        assert inspect.isfunction(LogisticRegression.predict)
    finally:
        SklearnInstrumentor().uninstrument()


def test_arguments_are_taken_and_refused_as_without(seen):
    """Positional and by name, with a default, too many, too few, unknown: answer or refusal, word for word."""

    class Strict(RegressorMixin, BaseEstimator):
        def predict(self, X, /):  # noqa: N803 - scikit-learn's name
            return np.zeros(len(X))

        def score_samples(self, X, *, by=1.0):  # noqa: N803 - scikit-learn's name
            return np.full(len(X), by)

    tree, linear, strict = DecisionTreeClassifier().fit(X, Y), LogisticRegression().fit(X, Y), Strict()
    inputs = X[:1].astype(np.float32)

    def answers():
        found = []
        for method in (tree.predict_proba, linear.predict_proba, strict.predict, strict.score_samples):
            for args, kwargs in (
                ((inputs,), {}),
                ((), {"X": inputs}),
                ((inputs, False), {}),
                ((inputs,), {"check_input": False}),
                ((inputs,), {"by": 2.0}),
                ((), {}),
                ((inputs, True, 1), {}),
            ):
                try:
                    found.append(method(*args, **kwargs).tolist())
                except TypeError as error:
                    found.append(str(error))
        return found

    measured = answers()
    answered = sum(isinstance(answer, list) for answer in measured)
    assert seen.counted("ml.requests", "error.type")[None] == answered
    SklearnInstrumentor().uninstrument()
    alone = answers()
    SklearnInstrumentor().instrument()
    assert measured == alone
    assert len(set(map(str, alone))) > 10


def test_metadata_routing_works(seen):
    """A keyword of a final step's ``predict`` is found in its signature and routed through the pipeline."""

    class Shifted(RegressorMixin, BaseEstimator):
        def fit(self, X, y):  # noqa: ARG002, N803 - scikit-learn's names
            self.mean_ = float(np.mean(y))
            return self

        def predict(self, X, by=0.0):  # noqa: N803 - scikit-learn's name
            return np.full(len(X), self.mean_ + by)

    with sklearn.config_context(enable_metadata_routing=True):
        step = Shifted().set_predict_request(by=True)
        model = make_pipeline(StandardScaler(), step).fit(X, Y)
        assert model.predict(X[:2], by=10.0).tolist() == [10 + Y.mean()] * 2
    assert seen.counted("ml.requests", MODEL) == {"Shifted": 1}


def test_models_clone_pickle_and_dump_as_without(seen, pipeline, tmp_path):
    """The bytes of a model's pickle and joblib file are the same with otelml on and off, after use too."""
    pipeline.predict(X[:1])
    on = pickle.dumps(pipeline), pickle.dumps(clone(pipeline)), joblib.hash(pipeline)
    joblib.dump(pipeline, tmp_path / "on")
    SklearnInstrumentor().uninstrument()
    off = pickle.dumps(pipeline), pickle.dumps(clone(pipeline)), joblib.hash(pipeline)
    joblib.dump(pipeline, tmp_path / "off")
    SklearnInstrumentor().instrument()
    assert on == off
    assert (tmp_path / "on").read_bytes() == (tmp_path / "off").read_bytes()
    assert seen.total("ml.requests") == 1


# Other processes ----------------------------------------------------------------------------------------------------


def run(code, *arguments):
    """Run a program in a fresh interpreter; return what it printed."""
    command = [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_pickles_cross_between_processes_with_and_without(tmp_path):
    """Models pickled with otelml on load where it is never imported, and the other way; by reference and by value."""
    make = """
        import sys, cloudpickle, numpy as np
        if sys.argv[2] == "on":
            from otelml.integrations.sklearn import SklearnInstrumentor
            SklearnInstrumentor().instrument()
        from sklearn.base import BaseEstimator, ClassifierMixin
        from sklearn.linear_model import LogisticRegression
        from sklearn.utils.metaestimators import available_if
        class Mine(ClassifierMixin, BaseEstimator):
            def fit(self, X, y):
                self.inner_ = LogisticRegression().fit(X, y)
                return self
            def predict(self, X):
                return self.inner_.predict(X)
            @available_if(lambda self: True)
            def predict_proba(self, X):
                return self.inner_.predict_proba(X)
        X = np.arange(20.0)[:, None]
        with open(sys.argv[1], "wb") as file:
            cloudpickle.dump(Mine().fit(X, X[:, 0] > 9), file)
    """
    load = """
        import pickle, sys
        if sys.argv[2] == "on":
            from otelml.integrations.sklearn import SklearnInstrumentor
            SklearnInstrumentor().instrument()
        with open(sys.argv[1], "rb") as file:
            model = pickle.load(file)
        print(model.predict([[1.0], [18.0]]), model.predict_proba([[1.0]]).shape, "otelml" in sys.modules)
    """
    for first, second in (("on", "off"), ("off", "on"), ("on", "on")):
        run(make, tmp_path / "model", first)
        assert "".join(run(load, tmp_path / "model", second)) == f"[FalseTrue](1,2){second == 'on'}"


def test_scikit_learn_is_imported_only_by_the_application():
    """Instrumenting imports no part of it and adds no warning filter; once imported, it is measured."""
    printed = run("""
        import sys, warnings, otelml
        before = list(warnings.filters)
        from otelml.integrations.sklearn import SklearnInstrumentor
        SklearnInstrumentor().instrument()
        print({"sklearn", "numpy"} & {*sys.modules}, list(warnings.filters) == before)
        from sklearn.linear_model import Ridge, LinearRegression
        print(Ridge.predict.__code__.co_filename.endswith("_sklearn_calls.py"))
        SklearnInstrumentor().uninstrument()
        print(Ridge.predict.__code__.co_filename.endswith("_sklearn_calls.py"))
        from sklearn.cluster import KMeans
        SklearnInstrumentor().instrument()
        print(KMeans.predict.__code__.co_filename.endswith("_sklearn_calls.py"))
    """)
    assert printed == ["set()", "True", "True", "False", "True"]


def test_warning_filters_stay_while_measuring(seen, pipeline):
    """A measured call leaves the warning filters as they were: each entry slows every tree of a forest."""
    before = list(warnings.filters)
    pipeline.predict(X[:1])
    assert list(warnings.filters) == before
    assert seen.total("ml.requests") == 1
