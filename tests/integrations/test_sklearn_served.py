"""A call whose spans are made up later: what somebody sees who looks in the middle, what is kept, what it costs."""

import contextvars
import gc
import os
import subprocess
import sys
import textwrap
import threading
import warnings
import weakref
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.sdk.trace import SpanProcessor
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ParentBased
from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin
from sklearn.datasets import make_classification
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import otelml
from otelml.columns import columns_of
from otelml.context import with_request_id
from otelml.integrations import _sklearn_served
from otelml.prediction import Prediction
from otelml.stage import Stage
from otelml.testing import recording

X, Y = make_classification(n_samples=60, n_features=4, n_informative=3, n_redundant=0, random_state=0)
PACKAGE = str(Path(otelml.__file__).parent)


class Looking(TransformerMixin, BaseEstimator):
    """A transformer that does something of its own."""

    def __init__(self, look=None):
        self.look = look

    def fit(self, X, y=None):  # noqa: ARG002, N803 - scikit-learn's names
        """Learn nothing."""
        return self

    def transform(self, X):  # noqa: N803 - scikit-learn's name
        """Do it."""
        if self.look is not None:
            self.look()
        return X


class LookingModel(LogisticRegression):
    """A model that does something of its own."""

    look = staticmethod(lambda: None)

    def predict(self, X):  # noqa: N803 - scikit-learn's name
        """Do it."""
        self.look()
        return super().predict(X)


def looking(at_work=None, in_model=None):
    """Return a fitted pipeline whose transformer, and model, call these functions when they are at work."""
    transformer = Looking()
    model = make_pipeline(transformer, LookingModel()).fit(X, Y)
    transformer.look = at_work
    if in_model is not None:
        model[-1].look = in_model
    return model


@pytest.fixture
def seen():
    """Record scikit-learn's predictions."""
    with recording(integrations=["sklearn"]) as telemetry:
        yield telemetry


def by_name(telemetry):
    """Return the spans by name."""
    return {span.name: span for span in telemetry.spans()}


def current():
    """Return trace and span id of the current span."""
    at = trace.get_current_span().get_span_context()
    return at.trace_id, at.span_id


# Who looks in the middle --------------------------------------------------------------------------------------------


def test_the_current_span_is_the_stage_at_work(seen):
    """Ids read in the middle, twice, are those that are exported; after the call nothing is current."""
    ids = []
    model = looking(lambda: ids.extend([current(), current()]), lambda: ids.append(current()))
    model.predict(X[:1])
    spans = by_name(seen)
    before, inference = spans["preprocessing"], spans["inference"]
    assert ids == [(before.trace_id, before.span_id)] * 2 + [(inference.trace_id, inference.span_id)]
    assert {before.parent_id, inference.parent_id} == {spans["predict LookingModel"].span_id}
    assert current() == (0, 0)


def test_who_looks_late_sees_the_stages_that_are_exported(seen):
    """The stages that the recorder makes are those that somebody gets who looks afterwards, whoever is first."""
    for first in (lambda call: call.stages, lambda call: columns_of([call])[0].stages[0]):
        LogisticRegression().fit(X, Y).predict(X[:1])
        (call,) = seen.runtime.recorder._buffer
        found = list(first(call))
        assert found == list(call.stages) == list(columns_of([call])[0].stages[0])
        assert [stage.known.name for stage in found] == ["inference"]
        seen.drain()


def test_spans_of_the_application_are_nested_in_the_stage(seen):
    """A span that a transformer makes is a child of preprocessing, one that the model makes of inference."""
    tracer = seen.tracer_provider.get_tracer("application")

    def work(name):
        with tracer.start_as_current_span(name):
            pass

    looking(lambda: work("fetch"), lambda: work("ask")).predict(X[:1])
    spans = by_name(seen)
    assert spans["fetch"].parent_id == spans["preprocessing"].span_id
    assert spans["ask"].parent_id == spans["inference"].span_id
    assert len({span.trace_id for span in spans.values()}) == 1


def test_what_is_set_on_the_current_span_arrives(seen):
    """Attributes and events set in the middle are on the stage that was at work; later they are ignored."""
    kept = []

    def work():
        span = trace.get_current_span()
        kept.append(span)
        assert span.is_recording()
        span.set_attribute("rows", 7)
        span.add_event("fetched")

    looking(work).predict(X[:1])
    assert not kept[0].is_recording()
    kept[0].set_attribute("late", 1)
    stage = by_name(seen)["preprocessing"]
    assert stage.attributes["rows"] == 7
    assert "late" not in stage.attributes
    assert [name for name, _ in stage.events] == ["fetched"]


def test_own_stage_inside_is_nested_and_inference_follows(seen):
    """A stage of the application's own in a transformer lies in preprocessing; inference is current afterwards."""
    ids = []

    def work():
        with otelml.stage("feature_retrieval"):
            ids.append(current())

    looking(work, lambda: ids.append(current())).predict(X[:1])
    spans = by_name(seen)
    assert spans["feature_retrieval"].parent_id == spans["preprocessing"].span_id
    assert [span_id for _, span_id in ids] == [spans["feature_retrieval"].span_id, spans["inference"].span_id]
    assert spans["inference"].parent_id == spans["predict LookingModel"].span_id
    stages = [p.attributes["ml.stage"] for p in seen.points("ml.stage.duration")]
    assert stages == ["feature_retrieval", "inference", "preprocessing"]
    assert current() == (0, 0)


def test_the_prediction_is_the_current_one_inside(seen):
    """Its id is the exported one, and what the application says of the result wins."""
    found = []

    def work():
        p = otelml.current_prediction()
        found.append(p.id)
        p.result(classes="late")

    looking(work).predict(X[:1])
    assert by_name(seen)["predict LookingModel"].attributes["ml.prediction.id"] == found[0]
    assert [p.attributes["ml.prediction.class"] for p in seen.points("ml.predictions")] == ["late"]
    assert otelml.current_prediction() is None


def test_another_thread_sees_the_same_ids(seen):
    """A thread that runs in a copy of the context reads the ids that the call itself reads, while it runs and after."""
    ids, contexts = [], []

    def work():
        contexts.append(contextvars.copy_context())
        thread = threading.Thread(target=lambda: ids.append(contexts[0].run(current)))
        thread.start()
        thread.join()

    looking(work).predict(X[:1])
    after = contexts[0].run(current)
    spans = by_name(seen)
    assert ids == [(spans["preprocessing"].trace_id, spans["preprocessing"].span_id)]
    assert after == (spans["inference"].trace_id, spans["inference"].span_id)


@pytest.mark.parametrize("look", [None, current, trace.get_current_span], ids=["nobody", "ids", "span"])
def test_looking_changes_no_telemetry(look):
    """What is exported is the same whether somebody has looked or not, but for ids and times."""
    with recording(integrations=["sklearn"]) as telemetry:
        looking(look).predict(X[:1])
        spans = [(s.name, s.parent_id is None, s.status, sorted(s.attributes)) for s in telemetry.spans()]
        assert [s.end - s.start > 0 for s in telemetry.spans()] == [True] * 3
        assert telemetry.logs()[0].event == "ml.prediction"
    assert [name for name, *_ in spans] == ["preprocessing", "inference", "predict LookingModel"]
    assert spans[2][3].count("ml.input.shape") == 1


def test_stages_share_the_time_of_the_prediction(seen):
    """Stages follow one another without a gap, within the prediction."""
    looking().predict(X[:1])
    spans = by_name(seen)
    root, first, second = spans["predict LookingModel"], spans["preprocessing"], spans["inference"]
    assert root.start == first.start < first.end == second.start < second.end == root.end


def test_an_error_ends_the_stage_and_the_context(seen):
    """The stage that was at work has the error, looked at or not, and nothing stays current."""

    def fail():
        raise ValueError("no")

    for look in (None, current):
        with pytest.raises(ValueError, match="no"):
            looking(look, fail).predict(X[:1])
    assert [s.status for s in seen.spans()] == ["UNSET", "ERROR", "ERROR"] * 2
    assert current() == (0, 0)
    assert seen.total("ml.requests.active") == 0


# Other ways of tracing ----------------------------------------------------------------------------------------------


class Witness(SpanProcessor):
    """A processor of somebody else's, which looks at spans when they start."""

    def __init__(self):
        self.started = []

    def on_start(self, span, parent_context=None):  # noqa: ARG002 - the SDK's signature
        """Note what is started, and whether the model is at work already."""
        self.started.append((span.name, threading.current_thread() is threading.main_thread()))


def test_a_foreign_processor_sees_spans_start():
    """Spans are started while the call runs, on its thread, and the SDK's own span is the current one."""
    witness, ids = Witness(), []
    with recording(integrations=["sklearn"], processors=[witness]) as telemetry:
        model = looking(lambda: ids.append((current()[1], list(witness.started))))
        model.predict(X[:1])
        spans = by_name(telemetry)
    begun = [("predict LookingModel", True), ("preprocessing", True)]
    assert ids == [(spans["preprocessing"].span_id, begun)]
    assert witness.started == [*begun, ("inference", True)]
    assert spans["inference"].parent_id == spans["predict LookingModel"].span_id


def test_unsampled_calls_are_counted_only():
    """Without a span there is a valid context for the next service, no stage's span, and every count."""
    ids = []
    with recording(integrations=["sklearn"], sampler=ParentBased(ALWAYS_OFF)) as telemetry:
        looking(lambda: ids.append(trace.get_current_span().get_span_context())).predict(X[:1])
        assert telemetry.spans() == []
        assert telemetry.total("ml.requests") == 1
        assert telemetry.total("ml.stage.duration") == 2
    assert ids[0].is_valid
    assert not ids[0].trace_flags.sampled


def test_the_span_around_is_the_parent(seen):
    """A call in a span of the application's belongs to its trace, and to the request that is served."""
    with seen.tracer_provider.get_tracer("application").start_as_current_span("request"):
        looking().predict(X[:1])
        assert by_name(seen)["predict LookingModel"].parent_id == current()[1]
    with with_request_id("r-1"):
        looking().predict(X[:1])
        detached = otel_context.attach(otel_context.Context())
        looking().predict(X[:1])
        otel_context.detach(detached)
    roots = [s for s in seen.spans() if s.name.startswith("predict")]
    assert [s.attributes.get("ml.request.id") for s in roots] == [None, "r-1", "r-1"]


def test_the_start_event_is_emitted_at_the_start():
    """With ``event_started`` the first event is there before the model is at work."""
    seen = []
    with recording(integrations=["sklearn"], event_started=True) as telemetry:
        looking(lambda: seen.extend(log.event for log in telemetry.logs())).predict(X[:1])
        assert [log.event for log in telemetry.logs()] == ["ml.request.started", "ml.prediction"]
    assert seen == ["ml.request.started"]


# What is kept -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rows", [1, 60], ids=["copied", "read_at_once"])
@pytest.mark.parametrize("kind", [np.array, pd.DataFrame], ids=["array", "frame"])
def test_arrays_changed_after_the_call_change_nothing(seen, kind, rows):
    """What is told is what was given and gave, even if both are overwritten before they are worked off."""
    inputs = kind(X[:rows])
    if kind is np.array:
        inputs[0, 0] = np.nan
    else:
        inputs.iloc[0, 0] = np.nan
    model = make_pipeline(Looking(), Constant()).fit(X, Y)
    answer = model.predict_proba(inputs)
    if kind is np.array:
        inputs[:] = np.nan
    else:
        inputs.iloc[:] = np.nan
    answer[:] = 0.5
    model[-1].classes_[:] = 9
    (root,) = [s for s in seen.spans() if s.name == "predict Constant"]
    assert root.attributes["ml.input.shape"] == (rows, 4)
    assert seen.total("ml.input.missing_values") == 1
    assert {p.attributes["ml.prediction.class"] for p in seen.points("ml.predictions")} == {"1"}
    assert {p.min for p in seen.points("ml.prediction.confidence")} == {0.75}


class Constant(ClassifierMixin, BaseEstimator):
    """A model that takes missing values."""

    def fit(self, X, y):  # noqa: ARG002, N803 - scikit-learn's names
        """Learn the labels."""
        self.classes_ = np.unique(y)
        return self

    def predict_proba(self, X):  # noqa: N803 - scikit-learn's name
        """Return the same probabilities for each row."""
        return np.tile([0.25, 0.75], (len(X), 1))


@pytest.mark.parametrize("ok", [True, False], ids=["answered", "failed"])
def test_nothing_of_the_application_is_kept(seen, ok):
    """Model, arrays and frame are free before their prediction has been worked off."""
    model, inputs = looking(), X[:1].copy()
    given = [inputs, pd.DataFrame(inputs)] if ok else [np.zeros((1, 9))]
    for each in given:
        try:
            model.predict(each)
        except ValueError:
            assert not ok
    refs = [weakref.ref(each) for each in (model, model[-1], *given)]
    del model, inputs, given, each
    gc.collect()
    assert [ref() for ref in refs] == [None] * len(refs)
    assert seen.total("ml.requests") == (2 if ok else 1)


def test_nothing_of_ours_stays_after_a_drain(seen):
    """Worked off, a call is freed without the garbage collector, looked at or not."""
    models = [looking(None), looking(current)]

    def work():
        for model in models:
            model.predict(X[:1])
        seen.clear()

    work()
    gc.collect()
    gc.disable()
    try:
        for _ in range(20):
            work()
        left = [each for each in gc.get_objects() if issubclass(type(each), (Prediction, Stage, _sklearn_served.Here))]
    finally:
        gc.enable()
    assert left == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_child_forked_while_another_thread_looks_does_not_hang(seen):
    """The lock that a thread held at the fork is a new one in the child."""
    model = looking(current)
    held, go = threading.Event(), threading.Event()

    def hold():
        with _sklearn_served._lock:
            held.set()
            go.wait(30)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait(30)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if not child:
        threading.Timer(20, os._exit, (1,)).start()
        model.predict(X[:1])
        os._exit(0)
    go.set()
    thread.join()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


# What it costs ------------------------------------------------------------------------------------------------------


def calls(function, *arguments):
    """Return how many Python functions of otelml, and of OpenTelemetry, a call runs on its thread."""
    count = {PACKAGE: 0, "opentelemetry": 0}

    def note(frame, event, _):
        if event == "call":
            for part in count:
                count[part] += part in frame.f_code.co_filename

    function(*arguments)
    sys.setprofile(note)
    try:
        function(*arguments)
    finally:
        sys.setprofile(None)
    return count[PACKAGE], count["opentelemetry"]


@pytest.mark.parametrize("method", ["predict_proba", "predict", "decision_function"])
def test_one_row_runs_few_functions(seen, method):
    """A pipeline's one-row call runs 25 functions of ours at most, and none of OpenTelemetry's."""
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(X, Y)
    ours, others = calls(getattr(model, method), X[:1])
    assert 3 <= ours <= 25
    assert others == 0


def test_a_tree_of_a_forest_runs_one_function(seen):
    """Each tree passes through one function of ours, which does nothing: ninety more trees are ninety more of them."""
    small, large = (RandomForestClassifier(n).fit(X, Y) for n in (10, 100))
    few, many = calls(small.predict, X[:1])[0], calls(large.predict, X[:1])[0]
    assert few <= 10 + 25
    assert many == few + 90
    assert seen.total("ml.requests") == 4


def test_no_warning_filter_stays():
    """Otelml started with all its integrations leaves the warning filters as scikit-learn has them."""
    program = """
        import os, warnings
        import numpy as np
        from sklearn.ensemble import RandomForestClassifier
        X = np.arange(20.0)[:, None]
        model = RandomForestClassifier(5).fit(X, X[:, 0] > 9)
        before = list(warnings.filters)
        import otelml
        runtime = otelml.auto_instrument()
        model.predict(X[:1])
        runtime.recorder.drain()
        print(list(warnings.filters) == before)
    """
    exporters = {f"OTEL_{signal}_EXPORTER": "none" for signal in ("TRACES", "METRICS", "LOGS")}
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        env={**os.environ, **exporters},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout.split()) == (0, ["True"]), done.stderr
