"""A plugin that writes the outcome of every test to the file ``OUTCOMES`` names, as one line of JSON each."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

_ADDRESS = re.compile(r"0x[0-9a-f]+")
_seen: dict[str, str] = {}
_RANK = ("passed", "skipped", "xpassed", "xfailed", "failed", "error")
"""Of two phases of one test the later in this row counts."""


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Note how a phase of a test ended."""
    outcome: str = report.outcome
    if hasattr(report, "wasxfail"):
        outcome = "xfailed" if report.skipped else "xpassed"
    elif report.failed and report.when != "call":
        outcome = "error"
    _note(report.nodeid, outcome)


def pytest_collectreport(report: pytest.CollectReport) -> None:
    """Note what could not be collected."""
    if report.failed:
        _note(report.nodeid, "error")


def pytest_sessionfinish() -> None:
    """Write everything."""
    lines = [json.dumps(pair) + "\n" for pair in _seen.items()]
    Path(os.environ["OUTCOMES"]).write_text("".join(lines), "utf-8")


def _note(test: str, outcome: str) -> None:
    test = _ADDRESS.sub("0x", test)  # the repr of a function among the parameters
    _seen[test] = max(outcome, _seen.get(test, outcome), key=_RANK.index)
