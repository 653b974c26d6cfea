"""Stages: their life, on its own and against that of their prediction."""

import threading

import pytest

import otelml


def test_a_stage_of_an_ended_prediction_is_counted_as_dropped(telemetry):
    """What begins too late is no stage, and says so in the counts."""
    with otelml.prediction("m") as p:
        late = p.stage("inference")
    with late:
        pass
    assert telemetry.total("ml.stage.duration") == 0
    assert telemetry.total("otelml.dropped", {"otelml.what": "stage", "otelml.where": "late"}) == 1


@pytest.mark.parametrize("name", [["unhashable"], None, 7, "x" * 5000])
def test_any_name_is_taken(telemetry, name):
    """A name that is no text, or an endless one, is made a bounded label."""
    with otelml.prediction("m") as p, p.stage(name):
        pass
    (point,) = telemetry.points("ml.stage.duration")
    assert point.count == 1
    assert len(point.attributes["ml.stage"]) <= 128


def test_stages_of_several_threads_have_ids_of_their_own(telemetry):
    """Eight threads that open stages of one prediction at once: each stage counts, and no span id comes twice."""
    with otelml.prediction("m") as p:

        def work():
            for _ in range(50):
                with p.stage("inference"):
                    pass

        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert telemetry.total("ml.stage.duration") == 400
    assert len({span.span_id for span in telemetry.spans()}) == 401


def test_begin_at_a_time_given(telemetry):
    """A stage may begin at a clock reading taken before."""
    with otelml.prediction("m") as p:
        stage = p.stage("inference").begin(p.started - 5_000_000, attach=False)
        stage.finish()
    stage, root = telemetry.spans()
    assert root.start - stage.start == 5_000_000
