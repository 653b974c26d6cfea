"""Windows of many models: bounded in number and memory, and cheap to judge."""

import time
import tracemalloc
from types import SimpleNamespace

import numpy as np

from otelml.instruments import Tally
from otelml.series import Series
from otelml.windows.models import MAX_WINDOWS, Windows
from otelml.windows.thresholds import Rules

RANDOM = np.random.default_rng(5)
MIB = 1 << 20


class Emitted:
    """Takes events."""

    def __init__(self):
        self.names = []

    def emit(self, name, *_, **__):
        """Take one."""
        self.names.append(name)


def columns(model, seconds):
    """Return what the recorder gives of some calls."""
    return SimpleNamespace(series=Series(model, "1"), seconds=seconds, error=None, predictions=[None] * seconds.size)


def filled(models, durations, rules, steps=12, *, judged=True):
    """Return windows of so many models, filled in every step, their drops, and the clock."""
    clock, drops, events = [1000.0], [], Emitted()
    made = Windows(300, rules, events=events, drop=lambda *d: drops.append(d), clock=lambda: clock[0])
    for _ in range(steps):
        for i in range(models):
            made.put(columns(f"m{i}", durations()), Tally(60, 60, 50.0, 1))
        if judged:
            made.turn()
        clock[0] += 25
    return made, drops, events, clock


def test_memory_of_a_thousand_models():
    """A thousand models, full of calls that differ by ten powers of ten, take 80 MiB at most; usual ones 40."""
    rules = Rules({"p95": 1.0}, deviation=5.0)
    widest = 10 ** np.linspace(-6, 4, 60)
    tracemalloc.start()
    made, drops, _, _ = filled(MAX_WINDOWS, lambda: widest, rules, judged=False)
    wide = tracemalloc.get_traced_memory()[0] / MIB
    again, _, _, _ = filled(100, lambda: RANDOM.lognormal(-3, 0.7, 60), rules, judged=False)
    usual = tracemalloc.get_traced_memory()[0] / MIB - wide
    tracemalloc.stop()
    assert drops == []
    assert (made.read("m0").requests, again.read("m99").requests) == (60 * 11, 60 * 11)
    assert wide < 80
    assert usual < 4  # of a hundred


def test_further_models_are_dropped_from_it():
    """Beyond the limit the calls of further models are counted as dropped; known ones go on."""
    made, drops, _, _ = filled(MAX_WINDOWS + 5, lambda: np.array([0.1, 0.2]), Rules({}), steps=2)
    assert drops == [("window", "limit", 2)] * 10
    assert made.read("m0").requests == 4
    assert made.read(f"m{MAX_WINDOWS}").requests == 0


def test_idle_models_make_room():
    """A model without calls for long is forgotten, thresholds or not."""
    made, _, _, clock = filled(50, lambda: np.array([0.1]), Rules({}), steps=2)
    clock[0] += 25 * 300
    made.put(columns("new", np.array([0.1])), Tally())
    made.turn()
    assert list(made._known) == [("new", "1")]


def test_a_turn_without_a_new_step_costs_nothing():
    """The recorder turns five times a second; all but one in 25 s of them do nothing."""
    made, _, _, _ = filled(100, lambda: np.array([0.1]), Rules({"p95": 1.0}), steps=1)
    made.turn()
    started = time.thread_time()
    for _ in range(1000):
        made.turn()
    assert time.thread_time() - started < 0.1


def test_events_of_many_models():
    """Each model that is over is told once, whatever the number of models."""
    _, _, events, _ = filled(200, lambda: np.full(60, 2.0), Rules({"p95": 1.0}), steps=5)
    assert events.names == ["ml.threshold.exceeded"] * 200
