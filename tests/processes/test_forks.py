"""Forks: under load no child hangs, and a prediction that is open at a fork is the parent's alone."""

import os
import textwrap
import time

import pytest
from received import HERE, known

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
FORKS = 200


@pytest.mark.timeout(300)
def test_forks_under_load(endpoint):
    """200 children of a process in which four threads predict and exports run: none hangs, and all counts are exact."""
    often = {"OTEL_METRIC_EXPORT_INTERVAL": "100", "OTEL_BSP_SCHEDULE_DELAY": "200", "OTEL_BLRP_SCHEDULE_DELAY": "200"}
    begin = time.monotonic()
    found = endpoint.run(HERE / "forks_app.py", FORKS, timeout=240, **often)
    assert (found["hung"], found["failed"]) == (0, 0), time.monotonic() - begin
    assert len(found["made"]) == FORKS + 1
    endpoint.check(found["made"])


PRELUDE = """
import json, os, sys
import otelml
from opentelemetry import trace
def predict(n=1, **known):
    for _ in range(n):
        with otelml.prediction("m", str(os.getpid()), **known) as p:
            p.result(classes="a", confidence=0.9)
def end(pid):
    if not pid:
        otelml.force_flush()
        os._exit(0)
    os.waitpid(pid, 0)
otelml.auto_instrument()
"""


def run(endpoint, folder, code):
    """Run some code after the prelude; return what it printed."""
    path = folder / "app.py"
    path.write_text(PRELUDE + textwrap.dedent(code))
    return endpoint.run(path)


SLOW = """
import time
from opentelemetry.sdk.metrics import MeterProvider
handle = MeterProvider._handle_fork
def slow(provider):
    time.sleep(0.5)
    handle(provider)
MeterProvider._handle_fork = slow
"""


def test_a_child_collects_under_its_own_name(endpoint, tmp_path):
    """However long the SDK takes to name a child: nothing of it is sent in its parent's name."""
    code = "predict(2)\npid = os.fork()\npredict(3)\nend(pid)\nprint(json.dumps([os.getpid(), pid]))"
    path = tmp_path / "app.py"
    path.write_text(SLOW + PRELUDE + code)
    parent, child = endpoint.run(path, OTEL_METRIC_EXPORT_INTERVAL="50")
    endpoint.check({str(parent): 5, str(child): 3})


def test_the_first_request_imports_nothing(endpoint, tmp_path):
    """Exports over HTTP have their modules at the start: a child forked while one is imported waits for it for ever."""
    code = """
    predict()
    import codecs, numpy
    before = set(sys.modules)
    otelml.force_flush()
    print(json.dumps(sorted(set(sys.modules) - before)))
    """
    assert run(endpoint, tmp_path, code) == []


@pytest.mark.parametrize("exits", ["both", "child only by an exception", "stage"])
def test_a_prediction_open_across_a_fork_counts_once(endpoint, tmp_path, exits):
    """Both processes leave the block: the parent counts it, and the child what it began itself."""
    code = f"""
    from contextlib import suppress
    with suppress(ZeroDivisionError), otelml.prediction("m", str(os.getpid())) as p:
        with p.stage("inference"):
            pid = os.fork()
            if {exits == "stage"}:
                predict(1)
            if {exits.startswith("child")} and not pid:
                1 / 0
        p.result(classes="a")
    predict(2)
    end(pid)
    print(json.dumps({{"parent": str(os.getpid()), "child": str(pid)}}))
    """
    pids = run(endpoint, tmp_path, code)
    inside = exits == "stage"
    endpoint.check({pids["parent"]: 3 + inside, pids["child"]: 2 + inside})
    assert len(endpoint.spans("inference")) == 1


def test_what_a_child_predicts_is_below_the_parents_span(endpoint, tmp_path):
    """In a child the parent's prediction is not open, but its span, prediction id and request id are the context's."""
    code = """
    with otelml.prediction("m", str(os.getpid()), request_id="r-1") as p:
        with p.stage("inference"):
            pid = os.fork()
            if not pid:
                assert otelml.current_prediction() is None
                assert not trace.get_current_span().is_recording()
                otelml.event("note")
                predict(2)
        end(pid)
    print(json.dumps({"id": p.id, "child": str(pid)}))
    """
    found = run(endpoint, tmp_path, code)
    (stage,) = endpoint.spans("inference")
    children = [span for span in endpoint.spans() if known(span)["ml.model.version"] == found["child"]]
    assert len(children) == 2
    assert {(span.trace_id, span.parent_span_id) for span in children} == {(stage.trace_id, stage.span_id)}
    assert {known(span)["ml.request.id"] for span in children} == {"r-1"}
    (note,) = endpoint.events("note")
    assert (note["ml.prediction.id"], note["ml.request.id"]) == (found["id"], "r-1")


def test_after_the_block_the_context_is_as_before(endpoint, tmp_path):
    """A child that leaves the parent's block is outside of it: what it predicts then has no parent."""
    code = """
    with otelml.prediction("m", str(os.getpid())):
        pid = os.fork()
    if not pid:
        predict()
    end(pid)
    print(json.dumps(str(pid)))
    """
    child = run(endpoint, tmp_path, code)
    (span,) = [span for span in endpoint.spans() if known(span)["ml.model.version"] == child]
    assert span.parent_span_id == b""


def test_a_child_that_is_told_to_end_before_it_has_begun_repeats_nothing(endpoint, tmp_path):
    """A signal that comes while the child is set up finds the parent's counts there: they are not sent again."""
    code = """
    import signal
    predict(5)
    otelml.force_flush()
    from otelml import children, runtime
    def early(*_):
        os.kill(os.getpid(), signal.SIGTERM)
        raise RuntimeError("it has not ended")
    children.begin_again = early
    pid = os.fork()
    if not pid:
        os._exit(9)
    _, status = os.waitpid(pid, 0)
    print(os.waitstatus_to_exitcode(status))
    """
    assert run(endpoint, tmp_path, code) == -15
    assert [*endpoint.counts().values()] == [5]
