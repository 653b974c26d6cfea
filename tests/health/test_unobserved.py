"""The model's test answer, and what checks do, leave no trace in telemetry: of otelml's, nor of the application's."""

import threading
from queue import SimpleQueue

import numpy as np
import pytest
from opentelemetry.instrumentation.utils import suppress_instrumentation
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import otelml
from otelml.drift import Reference
from otelml.testing import recording

ROWS = np.array([[0.0, 1.0], [1.0, 0.0], [2.0, 3.0], [3.0, 2.0]])


@pytest.fixture(scope="module")
def pipeline():
    """Return a fitted pipeline, whose calls the integration sees."""
    return make_pipeline(StandardScaler(), LogisticRegression()).fit(ROWS, [0, 1, 0, 1])


@otelml.track_prediction(model="tracked")
def tracked(rows):
    """Predict, as one prediction."""
    return float(rows[0][0])


@otelml.track_prediction(model="streamed")
def streamed(rows):
    """Predict item by item."""
    yield from rows


def by_hand(rows):
    """Predict with stages, a result, an event, an outcome and a slice."""
    with otelml.prediction("by_hand", "3") as p, otelml.stage("inference"):
        p.slice(carrier="AA")
        p.result(classes="late", confidence=0.4, inputs=rows, business_value=1.0, business_value_unit="EUR")
        otelml.event("looked", rows=len(rows))
        otelml.record_outcome(p.id, "early")
    return p.id


def batched(rows):
    """Hand a row to a thread that predicts for many, in a context of its own, and wait for the answer."""
    waiting, answers = SimpleQueue(), SimpleQueue()

    def predict():
        row, member = waiting.get()
        with otelml.prediction("batched", members=[member]) as p:
            p.result(classes=["late"], inputs=[row])
        answers.put("late")

    thread = threading.Thread(target=predict)
    thread.start()
    waiting.put((rows[0], otelml.batch_member()))
    answer = answers.get(timeout=10)
    thread.join()
    return answer


def of_models(telemetry):
    """Return every point that is about predictions."""
    return [(p.name, p.attributes, p.value, p.count) for p in telemetry.metrics() if p.name.startswith("ml.")]


def seen(telemetry):
    """Return everything that was recorded, except the health check itself."""
    return of_models(telemetry), telemetry.spans(), telemetry.logs(), telemetry.drops.counts()


@pytest.fixture
def telemetry(tmp_path):
    """Record everything there is to record: events of starts, windows, outcomes, slices and drift too."""
    with recording(
        integrations=["sklearn", "logging"],
        event_started=True,
        slices=["carrier"],
        outcomes_database=str(tmp_path / "outcomes.db"),
    ) as recorded:
        for name in ("by_hand", "LogisticRegression"):
            otelml.watch_drift(name, Reference.fit(ROWS))
        yield recorded


WAYS = {
    "pipeline": lambda model: lambda rows: (model.predict(rows), model.predict_proba(rows)),
    "tracked": lambda _: tracked,
    "streamed": lambda _: lambda rows: list(streamed(rows)),
    "by_hand": lambda _: by_hand,
    "batched": lambda _: batched,
}


@pytest.mark.parametrize("way", WAYS)
def test_a_test_answer_is_no_prediction(telemetry, health, pipeline, way):
    """No metric, span, event, drift count, outcome, window or drop comes of it; the same call by itself makes some."""
    predict = WAYS[way](pipeline)
    before = seen(telemetry)
    health.model("delay", predict, ROWS, limit_seconds=30, every_seconds=0)
    assert [health.ready().status for _ in range(3)] == ["pass"] * 3
    assert seen(telemetry) == before
    assert telemetry.runtime.outcomes.unwritten == 0
    assert otelml.window(way).requests == 0
    predict(ROWS)
    after = seen(telemetry)
    assert len(after[0]) > len(before[0])
    assert len(after[1]) > len(before[1])


def test_spans_and_logs_of_the_application_are_left_out_too(telemetry, health):
    """Its own spans have a parent that is not sampled; what it logs in there is not exported."""
    tracer = telemetry.tracer_provider.get_tracer("app")

    def ping():
        with tracer.start_as_current_span("ping") as span:
            otelml.logger("app").warning("ping")
            return not span.is_recording()

    health.check("db", ping)
    assert health.ready().ok
    assert (telemetry.spans(), telemetry.logs()) == ([], [])
    assert not ping()
    assert [span.name for span in telemetry.spans()] == ["ping"]


def test_a_prediction_around_the_question_goes_on(telemetry, health):
    """Asked within a prediction, a check does not see it, and it is recorded as ever."""
    health.check("inner", lambda: otelml.current_prediction() is None)
    with otelml.prediction("outer") as p:
        assert health.ready().ok
        assert otelml.current_prediction() is p
    assert telemetry.total("ml.requests") == 1


def test_suppressed_instrumentation_is_suppressed_everywhere(telemetry):
    """OpenTelemetry's own switch works for every public call, inside its block only."""
    with suppress_instrumentation():
        by_hand(ROWS)
    assert (telemetry.spans(), telemetry.logs(), telemetry.total("ml.requests")) == ([], [], 0)
    by_hand(ROWS)
    assert telemetry.total("ml.requests") == 1
    assert telemetry.runtime.outcomes.unwritten == 2


def test_a_batch_with_other_requests_is_recorded(telemetry):
    """Only a batch of nothing but tests is none: with a caller's row beside, the batch is a prediction."""
    with suppress_instrumentation():
        test = otelml.batch_member()
    with otelml.prediction("batched", members=[test, otelml.batch_member()]) as p:
        p.result(classes=["late", "early"])
    assert telemetry.total("ml.predictions") == 2
