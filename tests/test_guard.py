"""The guard: our faults are counted and logged once, and never reach the application."""

import logging
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module

import pytest

import otelml
from otelml import _guard
from otelml.recorder import Recorder


@pytest.fixture
def lenient(monkeypatch):
    """Behave as in production."""
    monkeypatch.setattr(_guard, "strict", False)


def test_faults_are_counted_and_logged_once(lenient, caplog):
    """Each site is logged the first time with its places, without the values it quotes, and counted every time."""
    with caplog.at_level(logging.WARNING, "otelml"):
        for _ in range(3):
            with _guard.guard("here"):
                raise ValueError("inside: 'John Smith'")
    assert _guard.errors() == {"here": 3}
    (record,) = caplog.records
    assert "internal error in here" in record.getMessage()
    assert 'test_guard.py", line' in record.getMessage()
    assert record.getMessage().endswith("ValueError: inside: '…'")
    assert record.exc_info is None  # a handler would print the message, and the application's exceptions before it


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_what_is_no_fault_passes(lenient, kind):
    """Interrupts and exits are nobody's fault and pass through."""
    with pytest.raises(kind), _guard.guard("here"):
        raise kind
    assert _guard.errors() == {}


def test_guarded_functions_return_their_default(lenient):
    """A guarded function that fails returns its default, keeps its name, and is counted."""

    @_guard.guarded("there", -1)
    def divide(a, b):
        return a / b

    assert (divide(4, 2), divide(1, 0), divide.__name__) == (2, -1, "divide")
    assert _guard.errors() == {"there": 1}


def test_attempt_counts_nothing(lenient):
    """The failure of foreign code is returned, not counted."""
    result, error = _guard.attempt(int, "x")
    assert result is None
    assert isinstance(error, ValueError)
    assert _guard.attempt(int, "7") == (7, None)
    assert _guard.errors() == {}


def test_strict_raises():
    """In our own tests a fault is raised, as the fixture for all tests sets it."""
    with pytest.raises(ZeroDivisionError), _guard.guard("here"):
        _ = 1 / 0


def test_threads_count_exactly(lenient):
    """Faults of many threads are all counted."""

    def fail(_):
        for _ in range(1000):
            with _guard.guard("threads"):
                raise ValueError

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(fail, range(4)))
    assert _guard.errors() == {"threads": 4000}


def broken(*_, **__):
    """Fail as a part of ours might."""
    raise RuntimeError("a fault of ours")


@pytest.mark.parametrize("part", ["put", "started"])
def test_a_broken_part_does_not_reach_the_application(lenient, telemetry, monkeypatch, part):
    """With a part of the recorder broken the application's code runs, its value is its own, errors are counted."""
    monkeypatch.setattr(Recorder, part, broken)
    telemetry.runtime.recorder.event_started = True
    with otelml.prediction("m") as p, p.stage("inference"):
        answer = 42
    assert answer == 42
    assert telemetry.total("otelml.errors") == 1
    assert otelml.current_prediction() is None


def test_a_broken_part_does_not_hide_the_applications_exception(lenient, telemetry, monkeypatch):
    """The application's own exception passes even where ours failed while handling it."""
    monkeypatch.setattr(import_module("otelml.prediction"), "ErrorFacts", broken)
    error = KeyError("theirs")
    with pytest.raises(KeyError) as caught, otelml.prediction("m") as p, p.stage("inference"):
        raise error
    assert caught.value is error
    assert telemetry.total("otelml.errors") >= 1
