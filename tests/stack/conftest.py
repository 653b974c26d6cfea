"""Fixtures of the stack; without its binaries the tests on them are skipped, unless everything must run."""

import os

import pytest
from running_stack import make_stack

from otelml.stack import build


def pytest_collection_modifyitems(items):
    """Without the binaries the tests on them are skipped, with how to get them; never where everything must run."""
    if os.environ.get("CI") == "true" or not build.missing():
        return
    names = ", ".join(module.name for module in build.missing())
    for item in items:
        if item.get_closest_marker("stack"):
            item.add_marker(pytest.mark.skip(reason=f"{names} not built; to run these: otelml stack build (needs Go)"))


@pytest.fixture(scope="module")
def stack(tmp_path_factory):
    """A stack as it is shipped, for all tests of a file."""
    yield from make_stack(tmp_path_factory.mktemp("stack"))


@pytest.fixture
def fresh_stack(tmp_path):
    """Start stacks of a test's own: ``fresh_stack(overlay, ...)``."""
    made = []

    def start(*overlays):
        made.append(make_stack(tmp_path / f"stack{len(made)}", overlays))
        return next(made[-1])

    yield start
    for each in made:
        each.close()
