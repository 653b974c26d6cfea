"""All tests: otelml's own faults are raised, and nothing of one test is left for the next."""

import pytest

from otelml import _guard, _labels

pytest_plugins = ["otelml.testing"]


def pytest_configure(config):
    """Make a fault in a thread of ours fail the test."""
    config.addinivalue_line("filterwarnings", "error::pytest.PytestUnhandledThreadExceptionWarning")


@pytest.fixture(autouse=True)
def _strict(monkeypatch):
    """Raise faults of otelml instead of counting them; tests of the guard switch it off."""
    monkeypatch.setattr(_guard, "strict", True)
    yield
    _guard.reset()
    _labels.reset()
