"""What a prediction costs, told without a clock: calls, objects that stay, and what the worker holds."""

import gc
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from odd_values import name_of

import otelml
from otelml.descriptions import NOTHING
from otelml.testing import recording

PACKAGE = str(Path(otelml.__file__).parent)
STAGES = ("feature_retrieval", "preprocessing", "inference", "postprocessing")
ROWS = np.where(np.arange(1024) % 3, "late", "on_time")


def one_row():
    """Make one prediction with four stages."""
    with otelml.prediction("delay", "3") as p:
        for name in STAGES:
            with p.stage(name):
                pass
        p.result(classes="late", confidence=0.83)


def many_rows():
    """Make one prediction of 1,024 rows."""
    with otelml.prediction("delay", "3") as p:
        p.result(classes=ROWS, confidence=np.full(1024, 0.5), values=np.zeros(1024))


@otelml.track_prediction(model="delay", version="3")
def decorated():
    """Return a class."""
    return "late"


def calls(function):
    """Return how many Python functions of otelml run on the caller's thread, and how many of others they call."""
    ours = others = 0

    def count(frame, event, _):
        nonlocal ours, others
        if event == "call":
            if frame.f_code.co_filename.startswith(PACKAGE):
                ours += 1
            elif frame.f_code.co_filename != __file__:
                others += 1

    gc.disable()  # its callbacks, of other tests' libraries, are functions too
    sys.setprofile(count)
    try:
        function()
    finally:
        sys.setprofile(None)
        gc.enable()
    return ours, others


@pytest.mark.parametrize(
    ("function", "most"), [(one_row, 40), (decorated, 20), (many_rows, 62)], ids=lambda x: getattr(x, "__name__", "")
)
def test_calls_on_the_callers_thread(telemetry, function, most):
    """A prediction runs so many functions of ours at most; none of the SDK's but an empty context for each span."""
    for _ in range(3):
        function()
    ours, others = calls(function)
    assert 0 < ours <= most
    assert others <= (0 if function is not many_rows else 30)


def test_calls_do_not_grow_with_rows(telemetry):
    """1,024 rows run as many functions as 16 do."""

    def of(n):
        classes, confidence = ROWS[:n], np.full(n, 0.5)

        def predict():
            with otelml.prediction("delay", "3") as p:
                p.result(classes=classes, confidence=confidence)

        predict()
        return calls(predict)[0]

    assert of(16) == of(1024)


@pytest.mark.parametrize("function", [one_row, decorated, many_rows], ids=lambda f: f.__name__)
def test_nothing_stays_after_a_drain(function):
    """After each drain as many objects exist as before: 2,000 predictions more leave none behind."""
    with recording() as seen:

        def work():
            for _ in range(500):
                function()
            seen.clear()

        work()
        gc.collect()
        before = sys.getallocatedblocks()
        for _ in range(4):
            work()
        gc.collect()
        assert sys.getallocatedblocks() - before < 400


def test_predictions_are_freed_without_the_garbage_collector():
    """What the worker has drained is gone at once: nothing of a prediction waits for a collection."""
    with recording() as seen:
        one_row()
        seen.clear()
        gc.collect()
        gc.disable()
        try:
            for _ in range(200):
                one_row()
            seen.clear()
            left = [o for o in gc.get_objects() if name_of(o) in {"Prediction", "Stage", "Result"}]
        finally:
            gc.enable()
        assert [o for o in left if o is not NOTHING] == []


def test_objects_that_wait_in_the_buffer():
    """A prediction with four stages waits as at most eight objects that the garbage collector looks at."""
    with recording(buffer_size=2000) as seen:
        one_row()
        seen.clear()
        gc.collect()
        before = len(gc.get_objects())
        for _ in range(1000):
            one_row()
        gc.collect()
        assert (len(gc.get_objects()) - before) / 1000 <= 8


def test_objects_that_wait_after_unsampled_ones():
    """Predictions wait as as few objects when many before them were of another kind: unsampled, failed, nested."""
    code = """if True:
        import gc
        from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
        from otelml.testing import recording
        from test_cost import one_row
        with recording(buffer_size=100_000, sampler=ALWAYS_OFF):
            for _ in range(100):
                one_row()
        with recording(buffer_size=100_000) as seen:
            one_row()
            seen.clear()
            gc.collect()
            before = len(gc.get_objects())
            for _ in range(1000):
                one_row()
            gc.collect()
            print((len(gc.get_objects()) - before) / 1000)
    """
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=Path(__file__).parent, capture_output=True, text=True, timeout=60, check=True
    )
    assert float(done.stdout) <= 8


def test_the_callers_thread_waits_for_no_lock_while_the_worker_encodes(telemetry, monkeypatch):
    """With the worker stopped in the middle of encoding, predictions on other threads begin and end."""
    recorder = telemetry.runtime.recorder
    inside, go_on = threading.Event(), threading.Event()
    encode = type(recorder)._export

    def slow(self, columns):
        inside.set()
        assert go_on.wait(30)
        encode(self, columns)

    monkeypatch.setattr(type(recorder), "_export", slow)
    one_row()
    worker = threading.Thread(target=recorder.drain)
    worker.start()
    assert inside.wait(30)
    done = threading.Event()
    caller = threading.Thread(target=lambda: ([one_row() for _ in range(100)], done.set()))
    caller.start()
    went_on = done.wait(30)
    go_on.set()
    worker.join(30)
    caller.join(30)
    assert went_on
    assert telemetry.total("ml.requests") == 101
