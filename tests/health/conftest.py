"""Every test has a health of its own, and nothing of it is left for the next."""

import threading
from weakref import WeakSet

import pytest

from otelml.health import Health, gauge


@pytest.fixture(autouse=True)
def _alone(monkeypatch):
    """Let the gauge tell of what this test makes alone: others may not be collected as garbage yet."""
    monkeypatch.setattr(gauge, "_all", WeakSet())


@pytest.fixture
def health(_alone):
    """Make the health of a process that has no checks yet."""
    return Health()


@pytest.fixture
def gate():
    """Give an event that a hung check waits for; opened at the end, so that no thread stays."""
    event = threading.Event()
    yield event
    event.set()
