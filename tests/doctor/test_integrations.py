"""Which integrations are on, as the doctor says it."""

import sys
from importlib.metadata import version

from otelml import config
from otelml.doctor.integrations import integrations


def findings(**settings):
    """Return (state, what is said) of each finding."""
    return [(found.state, found.detail, found.fix) for found in integrations(config.load(settings, {}))]


def test_what_is_on():
    """Installed libraries are named with their versions, and none of them is imported for it."""
    before = set(sys.modules)
    ((state, detail, _),) = findings()
    assert state == "ok"
    named = dict(f"{each} ".split(" ")[:2] for each in detail.split(", "))
    assert named["logging"] == named["models"] == ""
    assert named["requests"] == version("requests")
    assert not {"sklearn", "xgboost", "fastapi"} & (set(sys.modules) - before)


def test_one_that_is_left_off():
    """It is said, with the variable that leaves it off."""
    (left, (_, detail, _)) = findings(disabled=["requests"])
    assert left[:2] == ("note", "requests is left off")
    assert "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS" in left[2]
    assert "requests" not in detail


def test_a_version_that_is_not_tested(installed):
    """An old library is a note that says which releases are tested, and how to get one."""
    installed.add("xgboost", "1.5.2", module="xgboost")
    notes = [found for found in findings() if found[0] == "note"]
    assert notes == [
        (
            "note",
            "xgboost 1.5.2 is none that is tested (xgboost>=2.0): calls may go unobserved",
            "pip install 'xgboost>=2.0'",
        )
    ]
