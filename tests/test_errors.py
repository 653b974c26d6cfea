"""The exceptions: what they say, and that one class catches all."""

import pytest

from otelml.errors import ConfigError, MissingExtraError, OtelmlError


def test_config_error_lists_every_fault():
    """All faults are in one message, a line each, and in ``faults``."""
    error = ConfigError(["A=1: wrong", "B=2: wrong too"])
    assert str(error).splitlines() == [
        "otelml cannot start: 2 faults in the configuration",
        "  - A=1: wrong",
        "  - B=2: wrong too",
    ]
    assert error.faults == ["A=1: wrong", "B=2: wrong too"]
    assert "1 fault in" in str(ConfigError(["A=1: wrong"]))


def test_missing_extra_gives_the_install_line():
    """The message can be pasted into a shell."""
    assert str(MissingExtraError("FastAPI", "fastapi")).endswith("pip install 'otelml[fastapi]'")


@pytest.mark.parametrize("error", [ConfigError([]), MissingExtraError("x", "y")], ids=lambda e: type(e).__name__)
def test_one_class_catches_all(error):
    """Every exception of otelml is an OtelmlError."""
    assert isinstance(error, OtelmlError)
