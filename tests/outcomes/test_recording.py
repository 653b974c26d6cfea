"""From a prediction and its truth to the telemetry of the outcome: exact counts, one event, one linked span."""

import json
import os
import re
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import promql_parser
import pytest
from recorded_outcomes import recorded, sums, written

import otelml
from otelml import _guard, runtime, semconv
from otelml.errors import ConfigError
from otelml.prometheus_names import label_name, metric_name
from otelml.testing import recording

DELAY = {"ml.model.name": "delay", "ml.model.version": "3"}
SLICED = (semconv.OUTCOMES, semconv.OUTCOME_CONFIDENCE, semconv.OUTCOME_ERROR, semconv.OUTCOME_SQUARED_ERROR)
PAIR = ("ml.outcome.predicted", "ml.outcome.actual", "ml.outcome.correct")


def predict(result="late", confidence=0.9, model="delay", **more):
    """Predict once; return the prediction."""
    with otelml.prediction(model, "3", **more) as p:
        p.result(**(result if isinstance(result, dict) else {"classes": result, "confidence": confidence}))
    return p


def test_counters(settings):
    """Outcomes are counted by predicted and true class; ignored ones by reason; delays and confidences beside them."""
    with recorded(**settings) as telemetry:
        ids = [predict(c, 0.9).id for c in ["late"] * 5 + ["on_time"] * 3]
        truths = ["late"] * 3 + ["on_time"] * 4 + ["late"]
        for key, actual in zip(ids, truths, strict=True):
            otelml.record_outcome(key, actual)
        otelml.record_outcome(ids[0], "late")
        otelml.record_outcome(ids[0], "on_time")
        assert written(telemetry)
        assert sums(telemetry, "ml.outcomes", *PAIR) == {
            ("late", "late", "true"): 3,
            ("late", "on_time", "false"): 2,
            ("on_time", "on_time", "true"): 2,
            ("on_time", "late", "false"): 1,
        }
        assert sums(telemetry, "ml.outcomes", *DELAY) == {("delay", "3"): 8}
        assert sums(telemetry, "ml.outcomes.ignored", "ml.outcome.reason") == {("duplicate",): 1, ("conflicting",): 1}
        assert sums(telemetry, "ml.outcome.delay") == {(): 8}
        assert sums(telemetry, "ml.outcome.confidence", PAIR[2]) == {("true",): 5, ("false",): 3}
        assert telemetry.drops.counts() == {}


def test_gauges(settings):
    """Quality over the window is that of the same outcomes by hand."""
    with recorded(**settings) as telemetry:
        for predicted, actual in [("1", 1), ("1", 1), ("1", 0), ("0", False)]:
            otelml.record_outcome(predict(predicted, 0.75).id, actual)
        assert written(telemetry)
        gauges = {
            p.name: p.value for p in telemetry.metrics() if p.name.startswith("ml.quality") and p.attributes == DELAY
        }
        assert gauges == {
            "ml.quality.outcomes": 4,
            "ml.quality.accuracy": 0.75,
            "ml.quality.auc": 0.75,
            "ml.quality.calibration_error": 0.0,
        }
        assert sums(telemetry, "ml.quality.precision", "ml.prediction.class") == {("0",): 1.0, ("1",): 2 / 3}
        assert sums(telemetry, "ml.quality.recall", "ml.prediction.class") == {("0",): 0.5, ("1",): 1.0}
        assert sums(telemetry, "ml.quality.f1", "ml.prediction.class") == {("0",): 2 / 3, ("1",): 0.8}


def test_regression(settings):
    """Errors of numbers: MAE and RMSE as gauges, and the same from counters."""
    with recorded(**settings) as telemetry:
        for value, actual in [(10.0, 12), (10.0, "7"), (-1.0, -1.0)]:
            otelml.record_outcome(predict({"values": value}).id, actual)
        otelml.record_outcome(predict({"values": 5.0}).id, "late")
        assert written(telemetry)
        (error,), (squares,) = telemetry.points("ml.outcome.error"), telemetry.points("ml.outcome.squared_error")
        assert (error.count, error.sum, squares.value) == (3, 5.0, 13.0)
        assert sums(telemetry, "ml.quality.mae") == {(): 5 / 3}
        assert sums(telemetry, "ml.quality.rmse") == {(): pytest.approx((13 / 3) ** 0.5)}
        assert sums(telemetry, "ml.outcomes", *PAIR) == {(None, None, None): 3}
        assert sums(telemetry, "ml.outcomes.ignored", "ml.outcome.reason") == {("wrong_type",): 1}


def test_span_and_event(settings):
    """The outcome's span is in a trace of its own, linked to the prediction's; its event is in the prediction's."""
    with recorded(**settings) as telemetry:
        p = predict("late", 0.9, prediction_id="flight-1")
        known = time.time() + 3600
        otelml.record_outcome("flight-1", "on_time", at=datetime.fromtimestamp(known, UTC))
        assert written(telemetry)
        root, span = telemetry.spans()
        assert (root.name, span.name, span.parent_id) == ("predict delay", "outcome", None)
        assert span.links == ((root.span_id, {}),)
        assert span.trace_id not in {root.trace_id, 0}
        (event,) = [log for log in telemetry.logs() if log.event == "ml.outcome"]
        assert (event.trace_id, event.span_id) == (root.trace_id, root.span_id)
        assert event.body == "delay predicted late, it was on_time"
        delay = event.attributes.pop("ml.outcome.delay")
        assert delay == pytest.approx(3600, abs=5)
        assert event.attributes == DELAY | {
            "ml.prediction.id": p.id,
            "ml.prediction.confidence": 0.9,
            **dict(zip(PAIR, ("late", "on_time", "false"), strict=True)),
        }
        assert span.attributes == event.attributes | {"ml.outcome.delay": delay}
        named = set(semconv.EVENT_OUTCOME.attributes)
        assert set(span.attributes) <= named


def test_unsampled(settings):
    """Without a sampled prediction there is no span to link to: the outcome is counted and logged, without a span."""
    from opentelemetry.sdk.trace.sampling import ALWAYS_OFF  # noqa: PLC0415

    with recorded(sampler=ALWAYS_OFF, **settings) as telemetry:
        otelml.record_outcome(predict().id, "late")
        assert written(telemetry)
        assert telemetry.spans() == []
        assert [log.trace_id for log in telemetry.logs() if log.event == "ml.outcome"] == [0]
        assert telemetry.total("ml.outcomes") == 1


def test_rows_of_a_batch(settings):
    """Each row of a prediction has a truth of its own, by its number or all at once."""
    with recorded(**settings) as telemetry:
        p = predict({"classes": np.array([1, 0, 1]), "confidence": np.array([[0.1, 0.9], [0.8, 0.2], [0.4, 0.6]])})
        q = predict({"predictions": ["a", "b"]})
        otelml.record_outcome(p.id, np.array([1, 1, 1]))
        otelml.record_outcome(f"{q.id}#1", "b")
        assert written(telemetry)
        assert sums(telemetry, "ml.outcomes", *PAIR) == {
            ("1", "1", "true"): 2,
            ("0", "1", "false"): 1,
            ("b", "b", "true"): 1,
        }
        (wrong,) = telemetry.points("ml.outcome.confidence", {PAIR[2]: "false"})
        assert wrong.sum == 0.8


def test_requests_predicted_together(settings):
    """A request that was predicted together with others has its truth under its own id, linked to its own trace."""
    with recorded(**settings) as telemetry:
        tracer = telemetry.tracer_provider.get_tracer("test")
        members = []
        for _ in range(3):
            with tracer.start_as_current_span("request"):
                members.append(otelml.batch_member())
        with otelml.prediction("delay", "3", members=members) as p:
            p.result(classes=["late", "on_time", "late"])
        for member, actual in zip(members, ["late", "late", "late"], strict=True):
            otelml.record_outcome(member.id, actual)
        assert written(telemetry)
        assert sums(telemetry, "ml.outcomes", PAIR[2]) == {("true",): 2, ("false",): 1}
        linked = [span.links[0][0] for span in telemetry.spans() if span.name == "outcome"]
        assert linked == [member.context.span_id for member in members]


def test_failed_predictions_have_no_outcome(settings):
    """A prediction that raised said nothing that could turn out right or wrong."""
    with recorded(**settings) as telemetry:
        p = otelml.prediction("delay", "3").begin()
        p.result(classes="late")
        p.finish(KeyError())
        otelml.record_outcome(p.id, "late")
        assert written(telemetry)
        assert telemetry.total("ml.outcomes") == 0


@pytest.mark.parametrize("bad", [None, float("nan"), {}, object(), [[1, 2]]], ids=lambda x: type(x).__name__)
def test_unreadable(settings, bad):
    """A truth that can't be read is counted and reaches neither the database nor the application."""
    with recorded(**settings) as telemetry:
        p = predict()
        otelml.record_outcome(p.id, bad)
        otelml.record_outcome(p.id, "late", at=object())
        otelml.record_outcome(p.id, "late")
        assert written(telemetry)
        assert telemetry.drops.counts() == {("outcome", "unreadable"): 2}
        assert sums(telemetry, "ml.outcomes", PAIR[2]) == {("true",): 1}


def test_truth_that_raises(settings, monkeypatch):
    """An object whose every method raises is refused; nothing reaches the application."""
    monkeypatch.setattr(_guard, "strict", False)

    class Hostile:
        def __getattribute__(self, name):
            raise RuntimeError(name)

    with recorded(**settings) as telemetry:
        otelml.record_outcome("a", Hostile())
        otelml.record_outcome(Hostile(), "late")
        assert written(telemetry)
        assert telemetry.total("ml.outcomes") == 0


def test_many_classes_are_bounded(settings):
    """From the 17th class on they count as other; right and wrong are still told apart."""
    with recorded(**settings) as telemetry:
        for i in range(40):
            otelml.record_outcome(predict(f"c{i}").id, f"c{i if i % 2 else i + 1}")
        assert written(telemetry)
        assert sums(telemetry, "ml.outcomes", PAIR[2]) == {("true",): 20, ("false",): 20}
        names = {p.attributes[name] for p in telemetry.points("ml.outcomes") for name in PAIR[:2]}
        assert len(names) == 17
        assert "other" in names
        assert len(telemetry.points("ml.quality.recall")) <= 20


def test_negative_delay(settings):
    """A truth from before its prediction is joined; a delay below zero is counted as dropped, not recorded."""
    with recorded(**settings) as telemetry:
        otelml.record_outcome(predict().id, "late", at=1000.0)
        assert written(telemetry)
        assert (telemetry.total("ml.outcomes"), telemetry.total("ml.outcome.delay")) == (1, 0)
        assert telemetry.drops.counts() == {("outcome_delay", "negative"): 1}


def test_buffer_is_bounded(settings):
    """What does not fit into the buffer is counted by what it is, and nothing else is lost."""
    with recorded(outcomes_buffer=10, **settings) as telemetry:
        for i in range(15):
            otelml.record_outcome(f"id{i}", 1)
        assert telemetry.drops.counts() == {("outcome", "outcomes_buffer"): 5}
        assert telemetry.total("otelml.outcomes.unwritten") == 10
        assert written(telemetry)
        assert telemetry.total("otelml.outcomes.unwritten") == 0


def test_no_database(caplog):
    """Without a database a truth is counted as dropped; that is said once."""
    with recording() as telemetry:
        otelml.record_outcome("a", 1)
        otelml.record_outcome("a", 1)
        assert telemetry.runtime.outcomes is None
        assert telemetry.runtime.recorder.on_ended is None
        assert telemetry.drops.counts() == {("outcome", "off"): 2}
    assert [r.message for r in caplog.records] == [
        "otelml: record_outcome() does nothing until OTELML_OUTCOMES_DATABASE is set"
    ]


def test_otelml_off(monkeypatch):
    """Before auto_instrument() a truth goes nowhere and does no harm."""
    monkeypatch.setattr(runtime, "active", None)
    assert otelml.record_outcome("a", 1) is None


def test_capture_none(settings):
    """Outcomes need classes and values: with OTELML_CAPTURE=none the settings contradict each other."""
    with (
        pytest.raises(ConfigError, match="OTELML_OUTCOMES_DATABASE: needs OTELML_CAPTURE"),
        recording(capture="none", **settings),
    ):
        pass


LIGHT = """
import sys, json, otelml, otelml.outcomes
otelml.auto_instrument()
with otelml.prediction("m") as p:
    p.result(classes="a")
otelml.record_outcome(p.id, "a")
heavy = [m for m in ("sqlite3", "sqlalchemy", "psycopg", "otelml.outcomes.writer", "fastapi") if m in sys.modules]
print(json.dumps(heavy))
"""


def test_costs_nothing_while_off():
    """While outcomes are off no database driver and no module of theirs is imported."""
    exporters = {f"OTEL_{signal}_EXPORTER": "none" for signal in ("TRACES", "METRICS", "LOGS")}
    environment = {**os.environ, **exporters, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", LIGHT], env=environment, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout.splitlines()[-1]) == []


def test_counters_alone_give_the_same(settings):
    """Accuracy, precision, recall, MAE and RMSE from counters and histograms, as in PromQL, are those of the gauges."""
    random = np.random.default_rng(1)
    with recorded(**settings) as telemetry:
        for i in range(60):
            key = predict("ab"[i % 2], 0.9).id if i < 40 else predict({"values": float(i)}, model="price").id
            otelml.record_outcome(key, "ab"[int(random.integers(2))] if i < 40 else i + random.normal())
        assert written(telemetry)
        pairs = sums(telemetry, "ml.outcomes", "ml.model.name", *PAIR)
        right = {label: pairs["delay", label, label, "true"] for label in "ab"}
        for k, name in ((1, "precision"), (2, "recall")):
            of = {label: sum(n for key, n in pairs.items() if key[k] == label) for label in "ab"}
            gauge = sums(telemetry, f"ml.quality.{name}", "ml.prediction.class")
            assert gauge == pytest.approx({(label,): right[label] / of[label] for label in "ab"})
        assert sums(telemetry, "ml.quality.accuracy") == {(): pytest.approx(sum(right.values()) / 40)}
        (error,), (squares,) = telemetry.points("ml.outcome.error"), telemetry.points("ml.outcome.squared_error")
        assert sums(telemetry, "ml.quality.mae") == {(): pytest.approx(error.sum / error.count)}
        assert sums(telemetry, "ml.quality.rmse") == {(): pytest.approx((squares.value / error.count) ** 0.5)}


def test_queries_of_the_docs():
    """Every PromQL query of the page is valid and asks for a series and labels that are emitted."""
    page = (Path(__file__).parents[2] / "docs" / "outcomes.md").read_text("utf-8")
    block = page.partition("# accuracy by slice\n")[2].partition("```")[0]
    queries = [query for query in re.split(r"^# .*\n|\n(?=s)", block, flags=re.MULTILINE) if query.strip()]
    known = {}
    for row in semconv.OUTCOME_METRICS:
        name = metric_name(row.name, row.unit, counter=row.kind == "counter")
        for suffix in ("", "_sum", "_count") if row.kind == "histogram" else ("",):
            known[name + suffix] = {label_name(key) for key in row.attributes}
            known[name + suffix] |= {"ml_slice_carrier"} if row in SLICED else set()
    assert len(queries) == 1
    for query in queries:
        promql_parser.parse(query)
        asked = set(re.findall(r"\b(ml_\w+?)(?=[{\[])", query))
        assert asked <= known.keys()
        named = set(re.findall(r"\bml_(?:outcome_(?:predicted|actual|correct)|model_\w+|slice_\w+)\b", query))
        assert named <= set.union(*(known[name] for name in asked))
