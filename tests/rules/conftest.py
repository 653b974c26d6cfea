"""Where promtool is: what the stack's build made, or one on the path."""

import os
import shutil
from pathlib import Path

import pytest


def find(program):
    """Return the path of a program of the stack: `OTELML_STACK_BIN`, the cache, the path; None where there is none."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "otelml" / "bin"
    return shutil.which(program, path=os.environ.get("OTELML_STACK_BIN") or cache) or shutil.which(program)


@pytest.fixture(scope="session")
def promtool():
    """Return the path of promtool; without it the test is skipped, in continuous integration it fails."""
    path = find("promtool")
    if path is None:
        reason = "promtool is not there: otelml stack build, or set OTELML_STACK_BIN"
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(reason)
    return path
