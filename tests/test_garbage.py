"""The garbage collector's first threshold: raised for otelml's own objects, and nobody else's business."""

import gc
import os
import subprocess
import sys

import pytest

from otelml.garbage import Room


@pytest.fixture(autouse=True)
def threshold():
    """Start at Python's own threshold, and leave everything as it was."""
    before = gc.get_threshold()
    gc.set_threshold(700, 10, 10)
    yield
    gc.set_threshold(*before)


def test_room_is_made_once_and_given_back():
    """The first threshold alone is raised, however often it is asked for, and lowered again."""
    room = Room(500)
    room.make()
    room.make()
    assert gc.get_threshold() == (1200, 10, 10)
    room.give_back()
    room.give_back()
    assert gc.get_threshold() == (700, 10, 10)


@pytest.mark.parametrize("objects", [0, 500])
def test_a_collector_that_is_off_stays_off(objects):
    """A threshold of 0 means no collections at all; with no room asked for nothing is changed."""
    gc.set_threshold(0 if objects else 700, 10, 10)
    before = gc.get_threshold()
    room = Room(objects)
    room.make()
    assert gc.get_threshold() == before
    room.give_back()
    assert gc.get_threshold() == before


def test_what_the_application_sets_stays():
    """A threshold that the application has set in the meantime is not lowered."""
    room = Room(500)
    room.make()
    gc.set_threshold(50_000, 20, 20)
    room.give_back()
    assert gc.get_threshold() == (50_000, 20, 20)


@pytest.mark.parametrize("room", [300, 0])
def test_auto_instrument_makes_room_until_shutdown(room):
    """``OTELML_GC_ROOM`` is there from the start to the end of otelml, and 0 leaves the collector alone."""
    code = """
import gc, otelml
before = gc.get_threshold()
runtime = otelml.auto_instrument()
during = gc.get_threshold()
runtime.shutdown()
print(during[0] - before[0], during[1:] == before[1:], gc.get_threshold() == before)
"""
    names = ("OTEL_TRACES_EXPORTER", "OTEL_METRICS_EXPORTER", "OTEL_LOGS_EXPORTER")
    env = os.environ | dict.fromkeys(names, "none") | {"OTELML_GC_ROOM": str(room)}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(room), "True", "True"]
