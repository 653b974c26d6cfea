"""The recorder: counts that are exact whatever happens, and a buffer that is bounded."""

import gc
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import numpy as np
import pytest
from odd_values import name_of
from opentelemetry.sdk.trace import SpanProcessor
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ParentBased, TraceIdRatioBased

import otelml
from otelml.testing import recording


def predict(n=1, stages=1, **result):
    """Make some predictions."""
    for _ in range(n):
        with otelml.prediction("m") as p:
            for i in range(stages):
                with p.stage(f"s{i}"):
                    pass
            if result:
                p.result(**result)


def dropped(telemetry):
    """Return what was dropped: {(what, where): count}."""
    points = telemetry.points("otelml.dropped")
    return {(p.attributes["otelml.what"], p.attributes["otelml.where"]): p.value for p in points}


@pytest.mark.parametrize(
    "sampler", [ALWAYS_OFF, ParentBased(ALWAYS_OFF), TraceIdRatioBased(0.1)], ids=lambda x: type(x).__name__
)
def test_counts_do_not_depend_on_sampling(sampler):
    """Whatever part of the traces is sampled, every call, row and stage counts, and every event is there."""
    with recording(sampler=sampler) as seen:
        predict(500, classes="a", confidence=0.9)
        assert seen.total("ml.requests") == seen.total("ml.prediction.duration") == 500
        assert seen.total("ml.predictions", {"ml.prediction.class": "a"}) == 500
        assert seen.total("ml.stage.duration") == seen.total("ml.prediction.confidence") == 500
        assert len(seen.logs()) == 500
        sampled = {s.trace_id for s in seen.spans()}
        assert len(seen.spans()) == 2 * len(sampled)
        assert len(sampled) < 150
        exemplars = {e[1] for p in seen.metrics() for e in p.exemplars}
        assert exemplars <= sampled


def test_counts_are_exact_over_threads(telemetry):
    """Eight threads of 5,000 predictions, drained meanwhile by the worker and by collections, count 40,000."""
    telemetry.runtime.recorder.start()
    with ThreadPoolExecutor(8) as pool:
        running = [pool.submit(predict, 5000, 1, classes="a") for _ in range(8)]
        while not all(future.done() for future in running):
            telemetry.metrics()
            time.sleep(0.2)
        assert [future.result() for future in running] == [None] * 8
    assert telemetry.total("ml.requests") == telemetry.total("ml.predictions") == 40_000
    assert telemetry.total("ml.stage.duration") == telemetry.total("ml.prediction.duration") == 40_000
    assert telemetry.total("ml.requests.active") == 0
    lost = dropped(telemetry)
    assert len(telemetry.logs()) + lost.get(("log", "buffer"), 0) == 40_000
    assert len(telemetry.spans()) + lost.get(("span", "buffer"), 0) == 80_000
    telemetry.runtime.recorder.stop()


def test_others_get_the_interpreter_between_the_steps_of_a_turn(telemetry, monkeypatch):
    """After a step that took long the worker pauses: where others work more often, and longer if few wait."""
    recorder, pauses, others = telemetry.runtime.recorder, [], SimpleNamespace(worked=0.0, work=True)

    def sleep(seconds):
        pauses.append(seconds)
        others.worked += seconds if others.work else 0.0

    for name, value in {"sleep": sleep, "STEP": 0, "TOGETHER": 64, "UNDISTURBED": 128}.items():
        monkeypatch.setattr(f"otelml.recorder.{name}", value)
    monkeypatch.setattr("otelml.recorder.process_time", lambda: others.worked)

    def turn(pause):
        pauses.clear()
        predict(200)
        recorder.drain(pause=pause)
        return list(pauses)

    busy = turn(0.5)
    assert busy == [0.05, 0.45] * (len(busy) // 2)
    others.work = False
    idle = turn(0.5)
    assert idle == [0.05] * (len(busy) // 2 - 2)  # two parts instead of four
    others.work = True
    monkeypatch.setattr("otelml.recorder.MANY", 0)
    assert turn(0.5) == [0.05] * (len(busy) // 2)
    assert turn(None) == []
    monkeypatch.setattr("otelml.recorder.STEP", 3600)
    assert turn(0.5) == []
    assert telemetry.total("ml.requests") == telemetry.total("ml.stage.duration") == 1000


@pytest.mark.telemetry(buffer_size=10)
def test_full_buffer_drops_spans_first(telemetry):
    """From a full buffer on metrics stay exact; spans and events that were dropped are counted exactly."""
    predict(15, stages=2)
    assert telemetry.total("ml.requests") == 15
    assert telemetry.total("ml.stage.duration") == 30
    assert dropped(telemetry) == {("log", "buffer"): 5, ("span", "buffer"): 15}
    assert len(telemetry.logs()) == 10
    assert len(telemetry.spans()) == 30
    kept = {s.trace_id for s in telemetry.spans()}
    assert {e[1] for p in telemetry.metrics() for e in p.exemplars} <= kept


@pytest.mark.telemetry(buffer_size=10, sampler=ALWAYS_OFF)
def test_unsampled_spans_are_not_dropped(telemetry):
    """Of unsampled predictions a full buffer drops events only: there were no spans."""
    predict(15)
    assert telemetry.total("ml.requests") == 15
    assert dropped(telemetry) == {("log", "buffer"): 5}


@pytest.mark.telemetry(buffer_size=10)
def test_twice_full_buffer_is_emptied_by_the_caller(telemetry):
    """Without a worker the buffer never grows past twice its size, and the counts are still exact."""
    recorder, most = telemetry.runtime.recorder, 0
    for _ in range(100):
        predict()
        most = max(most, len(recorder._buffer))
    assert most <= 20
    assert telemetry.total("ml.requests") == 100
    lost = dropped(telemetry)
    assert len(telemetry.logs()) + lost["log", "buffer"] == 100
    assert len(telemetry.spans()) + lost["span", "buffer"] == 200


def test_pending_rows_are_bounded(telemetry):
    """Two million rows that wait are turned into metrics by the caller, before more of them pile up."""
    values = np.full(600_000, 0.5)
    for _ in range(3):
        predict(values=values)
    assert len(telemetry.runtime.recorder._buffer) == 3
    predict(values=values)
    assert len(telemetry.runtime.recorder._buffer) == 0
    assert telemetry.total("ml.predictions") == telemetry.total("ml.prediction.value") == 2_400_000


def test_prediction_that_ends_inside_a_drain(telemetry):
    """A prediction that a span processor makes while the buffer drains is recorded at the next drain: no deadlock."""

    class Nested(SpanProcessor):
        made = 0

        def on_end(self, span):  # noqa: ARG002 - the SDK's signature
            """Make one prediction, and drain from inside a drain."""
            if not self.made:
                self.made = 1
                predict()
                telemetry.drain()

    telemetry.tracer_provider.add_span_processor(Nested())
    predict()
    telemetry.drain()
    assert len(telemetry.runtime.recorder._buffer) == 1
    assert telemetry.total("ml.requests") == 2


def test_drain_ends_although_predictions_keep_coming(telemetry):
    """A drain takes what was there when it began; an application that never pauses can't hold it."""
    stop = threading.Event()

    def forever():
        while not stop.is_set():
            predict()

    threads = [threading.Thread(target=forever) for _ in range(1)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(2):
            started = time.monotonic()
            telemetry.drain()
            assert time.monotonic() - started < 20
    finally:
        stop.set()
        for thread in threads:
            thread.join(20)


def test_worker_drains_by_itself(telemetry):
    """The worker thread, once started, exports without anybody's asking; after stop() it is gone."""
    recorder = telemetry.runtime.recorder
    recorder.start()
    recorder.start()
    assert [t.name for t in threading.enumerate()].count("otelml-recorder") == 1
    predict(3)
    deadline = time.monotonic() + 10
    while recorder._buffer and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not recorder._buffer
    recorder.stop()
    recorder._thread.join(10)
    assert not recorder._thread.is_alive()


def test_in_flight_returns_to_zero(telemetry):
    """Predictions in flight are counted while they run, per model, and no longer after errors and abandonment."""
    open_ones = [otelml.prediction("a").begin(attach=False) for _ in range(3)]
    with otelml.prediction("b"):
        assert telemetry.total("ml.requests.active", {"ml.model.name": "a"}) == 3
        assert telemetry.total("ml.requests.active", {"ml.model.name": "b"}) == 1
    for p in open_ones:
        p.finish(ValueError("x"))
        p.finish()
    assert telemetry.total("ml.requests.active") == 0
    assert telemetry.total("ml.requests") == 4


def test_predictions_are_not_kept(telemetry):
    """After a drain nothing holds the predictions: 1,000 of them leave no object behind."""
    predict(1000)
    telemetry.clear()
    gc.collect()
    assert not [o for o in gc.get_objects() if name_of(o) in {"Prediction", "Stage", "LiveSpan"}]


def test_models_are_bounded(telemetry):
    """Of 2,000 models 50 keep their name, the others are `other`; nothing is lost and nothing grows without bound."""
    for i in range(2000):
        with otelml.prediction(f"model {i}", version=i):
            pass
    names = {p.attributes["ml.model.name"] for p in telemetry.points("ml.requests")}
    assert len(names) == 51
    assert telemetry.total("ml.requests") == 2000
    assert telemetry.total("ml.requests.active") == 0
    assert len(telemetry.runtime.recorder._series) <= 1001


@pytest.mark.telemetry(event_started=True)
def test_start_event(telemetry):
    """With the setting on, an event says that a prediction started, in its trace and with its ids."""
    with otelml.prediction("m", request_id="r") as p:
        pass
    started, ended = telemetry.logs()
    assert (started.event, ended.event) == ("ml.request.started", "ml.prediction")
    assert started.attributes["ml.prediction.id"] == ended.attributes["ml.prediction.id"] == p.id
    assert started.attributes["ml.request.id"] == "r"
    assert (started.trace_id, started.span_id) == (ended.trace_id, ended.span_id)


def test_collection_drains_first(telemetry):
    """A collection right after a prediction holds it: nothing lags by an interval."""
    predict()
    assert telemetry.total("ml.requests") == 1
    assert telemetry.total("otelml.flush.duration") == 1
