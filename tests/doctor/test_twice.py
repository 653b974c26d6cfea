"""What else instruments the program, as far as it shows from outside."""

from pathlib import Path

import pytest

from otelml import config
from otelml.doctor import twice

SETTINGS = config.load({}, {})


def said():
    """Return state and detail of each finding, without what this environment itself has installed."""
    return [(each.state, each.detail) for each in twice.instrumented(SETTINGS) if "logfire" not in each.detail]


@pytest.mark.parametrize("other", [o for o in twice.OTHERS if o.name != "logfire"], ids=lambda other: other.name)
def test_installed_is_a_note(installed, other):
    """A package that is there and may never be started is a note with what it would double, and a fix."""
    before = said()
    installed.add(other.name, "1.0")
    after = [each for each in said() if each not in before]
    assert [state for state, _ in after] == ["note"]
    assert other.doubles in after[0][1]


@pytest.mark.parametrize("other", [o for o in twice.OTHERS if o.variables], ids=lambda other: other.name)
def test_started_is_a_fault(monkeypatch, other):
    """An agent that the environment starts is a fault, by a variable or by PYTHONPATH; no value is shown."""
    monkeypatch.setenv(other.variables[0], "canary7f3a")
    assert [state for state, detail in said() if other.name in detail] == ["fault"]
    assert "canary7f3a" not in str(said())
    monkeypatch.delenv(other.variables[0])
    monkeypatch.setenv("PYTHONPATH", str(Path("somewhere", *other.path.split("/"))))
    assert [state for state, detail in said() if other.name in detail] == ["fault"]


def test_two_distributions(installed, monkeypatch):
    """Where opentelemetry-instrument could take another one it is said, unless a variable decides."""
    installed.add("made-up", "1", entry_points="[opentelemetry_distro]\nmade_up = made_up:Distro\n")
    assert any("made_up and otelml" in detail for _, detail in said())
    monkeypatch.setenv("OTEL_PYTHON_DISTRO", "otelml")
    assert not any("made_up" in detail for _, detail in said())


def test_another_distribution_is_chosen(monkeypatch):
    """OTEL_PYTHON_DISTRO of somebody else is a note, and a fault where opentelemetry-instrument is at work."""
    monkeypatch.setenv("OTEL_PYTHON_DISTRO", "made_up")
    assert [state for state, detail in said() if "made_up" in detail] == ["note"]
    monkeypatch.setenv("PYTHONPATH", str(Path("site", *twice._INSTRUMENT.split("/"))))
    assert [state for state, detail in said() if "made_up" in detail] == ["fault"]
