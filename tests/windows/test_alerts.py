"""Callbacks: told every alert, on a thread of their own; what they do hurts nobody, and is bounded."""

import logging
import os
import signal
import threading
import time

import pytest
from window_traffic import events, predict, watched

import otelml
from otelml.windows import alerts
from otelml.windows.alerts import MAX_CALLBACKS, MAX_WAITING, Alerts

STEP = 25.0


@pytest.fixture(autouse=True)
def _none_stays(monkeypatch):
    """Each test has callbacks of its own."""
    monkeypatch.setattr(alerts, "_callbacks", [])


def until(condition):
    """Wait until something holds, for ten seconds at most; return whether it does."""
    deadline = time.monotonic() + 10
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.01)
    return condition()


def cross(telemetry):
    """Let every call fail, then none: one alert raised, one cleared."""
    _, clock = watched(telemetry)
    telemetry.drain()
    for failed in [True] + [False] * 30:
        clock.now += STEP
        predict([0.1] * 60, failed=failed)
        telemetry.drain()


failing = pytest.mark.telemetry(window_thresholds="error_rate=0.5")


@failing
def test_told_both_ways(telemetry):
    """A callback gets the alert when it is raised and when it is cleared, with the window, on a thread of ours."""
    got = []
    otelml.on_alert(lambda alert: got.append((alert, threading.current_thread().name)))
    cross(telemetry)
    assert until(lambda: len(got) == 2)
    (raised, thread), (cleared, _) = got
    assert thread == "otelml-alerts"
    assert isinstance(raised, otelml.Alert)
    assert (raised.raised, raised.model, raised.version, raised.figure) == (True, "delay", "3", "error_rate")
    assert (raised.kind, raised.value, raised.threshold, raised.reason) == ("limit", 1.0, 0.5, None)
    assert raised.window.error_rate == raised.value
    assert (cleared.raised, cleared.reason, cleared.value) == (False, "recovered", 0.0)
    assert raised.sentence() == "delay: error_rate is 1, over 0.5"
    assert cleared.sentence() == "delay: error_rate is back (recovered)"


@failing
def test_taken_off(telemetry):
    """What on_alert() returns takes the callback off; calling it again is fine; given twice it is called once."""
    got, other = [], []
    remove = otelml.on_alert(got.append)
    otelml.on_alert(other.append)
    otelml.on_alert(other.append)
    remove()
    remove()
    cross(telemetry)
    assert until(lambda: len(other) == 2)
    assert got == []


def test_callbacks_are_not_asked_if_they_are_equal(monkeypatch):
    """Methods of one object are one callback; objects that say they equal anything, or never answer, are two."""
    monkeypatch.setattr("otelml.windows.alerts._callbacks", known := [])

    class Alike:
        def __eq__(self, other):
            raise AssertionError("asked")

        __hash__ = None

        def __call__(self, alert):
            """Take an alert."""

    one, other = Alike(), Alike()
    for callback in (one.__call__, one.__call__, other.__call__, one, other, known.append, known.append):
        otelml.on_alert(callback)
    assert len(known) == 5
    otelml.on_alert(one)()
    assert len(known) == 4


@failing
def test_a_callback_that_raises(telemetry, caplog):
    """It is counted and logged once; the other callbacks, events and predictions go on."""
    got = []

    def broken(_):
        raise RuntimeError("mine")

    otelml.on_alert(broken)
    otelml.on_alert(got.append)
    with caplog.at_level(logging.WARNING):
        cross(telemetry)
        assert until(lambda: len(got) == 2)
    failed = {"otelml.what": "alert", "otelml.where": "callback"}
    assert until(lambda: telemetry.total("otelml.dropped", failed) == 2)
    assert sum("on_alert" in r.getMessage() for r in caplog.records) == 1
    assert telemetry.total("otelml.errors") == 0
    assert len(events(telemetry)) == 2


@failing
def test_a_callback_that_ends_its_thread(telemetry, monkeypatch):
    """After SystemExit in a callback the next alert starts a new thread."""
    got = []
    monkeypatch.setattr(threading, "excepthook", lambda _: None)  # pytest's, which would make it a fault of the test

    def leaving(alert):
        got.append(alert)
        raise SystemExit

    otelml.on_alert(leaving)
    _, clock = watched(telemetry)
    telemetry.drain()
    clock.now += STEP
    predict([0.1] * 60, failed=True)
    telemetry.drain()
    assert until(lambda: len(got) == 1 and not telemetry.runtime.windows.alerts._thread.is_alive())
    clock.now += 400
    telemetry.drain()
    assert until(lambda: len(got) == 2)


@failing
def test_a_callback_that_blocks(telemetry):
    """While it blocks, predictions are counted and the window moves; alerts wait, and too many are dropped, counted."""
    inside, go_on, got = threading.Event(), threading.Event(), []

    def slow(alert):
        inside.set()
        go_on.wait(30)
        got.append(alert)

    otelml.on_alert(slow)
    cross(telemetry)
    assert inside.wait(10)
    assert telemetry.total("ml.requests") == 31 * 60
    waiting = telemetry.runtime.windows.alerts
    waiting.tell(["more"] * 1000)
    assert len(waiting._waiting) == MAX_WAITING
    dropped = telemetry.total("otelml.dropped", {"otelml.what": "alert", "otelml.where": "queue"})
    assert dropped == 1000 - (MAX_WAITING - 1)  # one that was raised is inside, one cleared waits
    started = time.monotonic()
    telemetry.runtime.windows.stop(0.2)
    assert time.monotonic() - started < 5
    go_on.set()
    assert until(lambda: len(got) == 1 + MAX_WAITING)


@failing
def test_a_callback_that_calls_otelml(telemetry):
    """It may predict, read windows, emit events, add callbacks, flush and shut down."""
    done = threading.Event()

    def busy(alert):
        predict([0.1], model="inner", version=None)
        otelml.event("retrain", model=alert.model)
        assert otelml.window(alert.model).requests > 0
        telemetry.runtime.force_flush()
        remove = otelml.on_alert(print)
        remove()
        telemetry.runtime.windows.stop(5)
        done.set()

    otelml.on_alert(busy)
    cross(telemetry)
    assert done.wait(10)
    assert telemetry.total("ml.requests", {"ml.model.name": "inner"}) >= 1
    assert "retrain" in [log.event for log in telemetry.logs()]
    assert telemetry.total("otelml.dropped") == 0


def test_what_waits_is_told_at_the_end():
    """Stopping lets callbacks take what waits."""
    got = []
    otelml.on_alert(lambda alert: (time.sleep(0.05), got.append(alert)))
    telling = Alerts(lambda *_: None)
    telling.tell([1, 2, 3])
    telling.stop(10)
    assert got == [1, 2, 3]


def test_no_thread_without_callbacks():
    """Nobody to tell: nothing waits, and no thread is started."""
    telling = Alerts(lambda *_: None)
    telling.tell(["alert"])
    assert (telling._thread, len(telling._waiting)) == (None, 0)
    telling.stop(1)


def test_callbacks_are_bounded():
    """A callback given on every request is refused in the end, with a message that says what to do."""
    for i in range(MAX_CALLBACKS):
        otelml.on_alert(lambda _, i=i: i)
    with pytest.raises(ValueError, match="16 callbacks"):
        otelml.on_alert(print)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_forks():
    """The child of a process whose callback blocks has a thread of its own, and none of the parent's alerts."""
    inside, go_on, got = threading.Event(), threading.Event(), []

    def slow(alert):
        got.append(alert)
        if alert == "parent":
            inside.set()
            go_on.wait(30)

    otelml.on_alert(slow)
    telling = Alerts(lambda *_: None)
    telling.tell(["parent", "waits"])
    assert inside.wait(10)
    child = os.fork()
    if child == 0:
        signal.alarm(20)  # ends it where it hangs
        telling.after_fork()
        telling.tell(["child"])
        telling.stop(10)
        os._exit(0 if got == ["parent", "child"] else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    go_on.set()
    telling.stop(10)
    assert got == ["parent", "waits"]
