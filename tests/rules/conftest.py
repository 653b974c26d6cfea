"""Where promtool is: what the stack's build made, or one on the path."""

import os
import shutil

import pytest

from otelml.stack import build


def pytest_collection_modifyitems(items):
    """Tests that run promtool belong to those on the stack's binaries."""
    for item in items:
        if "promtool" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.stack)


@pytest.fixture(scope="session")
def promtool():
    """Return the path of promtool; without it the test is skipped, in continuous integration it fails."""
    built = build.binary("promtool")
    path = str(built) if built.is_file() else shutil.which("promtool")
    if path is None:
        reason = "promtool is not there: otelml stack build (needs Go)"
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(reason)
    return path
