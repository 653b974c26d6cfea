"""The window: exact sums, quantiles within their error, what slides out, clocks that jump, threads and forks."""

import math
import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import FrozenInstanceError, fields

import numpy as np
import pytest
from window_traffic import predict, watched

import otelml
from otelml.windows.sketch import ACCURACY
from otelml.windows.sliding import STEPS

RANDOM = np.random.default_rng(3)


def test_against_numpy(telemetry):
    """Counts, shares and means are exact; quantiles are within 1 % of those of the raw durations."""
    _, clock = watched(telemetry)
    durations = RANDOM.lognormal(-3, 1, 3000)
    confidence = RANDOM.random(2500)
    for seconds, sure in zip(durations[:2500], confidence, strict=True):
        predict([seconds], classes="late", confidence=float(sure))
    predict(durations[2500:], failed=True)
    telemetry.drain()
    clock.now += 100
    w = otelml.window("delay", "3")
    assert (w.requests, w.errors, w.rows, w.confident) == (3000, 500, 2500, 2500)
    assert (w.seconds, w.throughput, w.error_rate) == (100, 30, 1 / 6)
    assert w.mean == pytest.approx(durations.mean(), rel=1e-6)  # durations are whole nanoseconds
    assert w.confidence == pytest.approx(confidence.mean(), rel=1e-12)
    assert w.low_confidence == (confidence < 0.5).sum() / 2500
    for share, found in ((0.5, w.p50), (0.95, w.p95), (0.99, w.p99)):
        assert found == pytest.approx(np.quantile(durations, share, method="lower"), rel=ACCURACY + 1e-5)


def test_the_window_agrees_with_the_metrics(telemetry):
    """Its counts are those of the exported metrics, rows of batches and bad confidences included."""
    for i in range(50):
        with otelml.prediction("delay", "3") as p:
            p.result(classes=["a"] * (i + 1), confidence=[0.1 + (j % 3) for j in range(i + 1)])
    telemetry.drain()
    w = otelml.window("delay")
    assert w.requests == telemetry.total("ml.requests") == 50
    assert w.rows == telemetry.total("ml.predictions") == 1275
    assert w.confident == telemetry.total("ml.prediction.confidence") < 1275
    assert w.low_confidence * w.confident == pytest.approx(telemetry.total("ml.prediction.low_confidence"))
    (point,) = telemetry.points("ml.prediction.duration")
    assert w.mean * w.requests == pytest.approx(point.sum)


def test_it_slides(telemetry):
    """Each step leaves between eleven twelfths and all of the window's length after it came."""
    _, clock = watched(telemetry)
    for i in range(60):
        predict([0.1 + i / 1000] * (i + 1))
        telemetry.drain()
        clock.now += 25
        steps = min(i + 1, STEPS - 1)  # what began in the running step has just left or not begun
        expected = sum(range(i + 2 - steps, i + 2))
        w = otelml.window("delay")
        assert w.requests == expected
        assert w.seconds <= 300
        assert w.throughput == pytest.approx(expected / (25 * steps))
    clock.now += 300
    assert otelml.window("delay").requests == 0


def test_versions_and_models(telemetry):
    """A version is told alone, all of them together without one; other models do not mix in."""
    predict([0.1] * 3, version="1")
    predict([0.4] * 7, version="2")
    predict([9.0], version=None)
    predict([5.0] * 2, model="other model")
    telemetry.drain()
    assert [otelml.window("delay", v).requests for v in ("1", "2", "3", None)] == [3, 7, 0, 11]
    assert otelml.window("delay").p50 == pytest.approx(0.4, rel=ACCURACY)
    assert otelml.window("other model").requests == 2
    assert otelml.window("delay").version is None


@pytest.mark.telemetry(model_name="delay")
def test_the_configured_model(telemetry):
    """Without a name it is the configured model's."""
    predict([0.1])
    telemetry.drain()
    assert (otelml.window().model, otelml.window().requests) == ("delay", 1)


@pytest.mark.telemetry(slices="carrier")
def test_slices_are_parts_of_one_window(telemetry):
    """Predictions of every slice count in their model's window."""
    for carrier in ("AA", "B6", None):
        with otelml.prediction("delay", "3") as p:
            p.slice(carrier=carrier)
    telemetry.drain()
    assert otelml.window("delay").requests == 3


def test_nothing_to_tell(telemetry):
    """Without calls, or with otelml off, figures are None, counts 0; a window can't be changed."""
    w = otelml.window("nobody")
    assert (w.model, w.requests, w.throughput, w.seconds) == ("nobody", 0, 0, 0)
    assert {w.mean, w.p50, w.p95, w.p99, w.error_rate, w.confidence, w.low_confidence} == {None}
    with pytest.raises(FrozenInstanceError):
        w.requests = 1
    assert {f.name for f in fields(w)} > {"p50", "p95", "p99", "throughput"}


def test_off_before_the_start():
    """Before auto_instrument() a window is empty."""
    assert otelml.window("delay").requests == 0


@pytest.mark.telemetry(window=0)
def test_switched_off(telemetry):
    """With a length of 0 nothing is kept."""
    predict([0.1])
    telemetry.drain()
    assert telemetry.runtime.windows is None
    assert otelml.window("delay").requests == 0


@pytest.mark.parametrize("jump", [-5000.0, -301.0, -1.0, 1e7])
def test_clock_jumps(telemetry, jump):
    """A clock that jumps loses nothing that comes after it, and no figure becomes impossible."""
    windows, clock = watched(telemetry, 6000.0)
    predict([0.1] * 5)
    telemetry.drain()
    clock.now += jump
    predict([0.2] * 7)
    telemetry.drain()
    w = otelml.window("delay")
    assert w.requests in {7, 12}
    assert 0 <= w.seconds <= 300
    assert math.isfinite(w.throughput)
    clock.now += 400 + max(0, -jump)
    predict([0.3])
    telemetry.drain()
    assert otelml.window("delay").requests == 1
    assert windows.read("delay").p50 == pytest.approx(0.3, rel=ACCURACY)


def test_threads(telemetry):
    """Eight threads predict while others read: nothing is lost, no reading exceeds what was made."""
    telemetry.runtime.recorder.start()
    seen, done = [], threading.Event()

    def read():
        while not done.is_set():
            seen.append(otelml.window("delay").requests)

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    with ThreadPoolExecutor(8) as pool:
        for future in [pool.submit(predict, [0.001] * 500) for _ in range(8)]:
            future.result()
    telemetry.drain()
    done.set()
    for reader in readers:
        reader.join(30)
    assert otelml.window("delay").requests == 4000
    assert max(seen) <= 4000
    assert seen == sorted(seen)
    telemetry.runtime.recorder.stop()


def test_filled_on_the_recorders_thread(telemetry):
    """The application's thread does nothing for it: until the recorder has its turn the window is empty."""
    predict([0.1] * 20)
    assert otelml.window("delay").requests == 0
    telemetry.drain()
    assert otelml.window("delay").requests == 20


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_forks(telemetry):
    """A child forked while the window is locked starts with an empty one, and counts its own."""
    windows = telemetry.runtime.windows
    predict([0.1] * 5)
    telemetry.drain()
    held, go_on = threading.Event(), threading.Event()

    def hold():
        with windows._lock:
            held.set()
            go_on.wait(30)

    holder = threading.Thread(target=hold)
    holder.start()
    assert held.wait(30)
    child = os.fork()
    if child == 0:
        signal.alarm(20)  # ends it where it hangs
        windows.after_fork()
        empty = otelml.window("delay").requests
        predict([0.1] * 2)
        telemetry.drain()
        os._exit(10 * empty + otelml.window("delay").requests)
    go_on.set()
    holder.join(30)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 2
    assert otelml.window("delay").requests == 5
