"""A run names the tests that pass only the second time, and fails where there are many, or where one fails twice."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from unstable import MOST

FIRST_TIME_FAILS = """
import pathlib, pytest

@pytest.mark.parametrize("which", range({count}))
def test_second_time(which):
    seen = pathlib.Path({folder!r}, str(which))
    if not seen.exists():
        seen.touch()
        pytest.fail("the first time")
"""
ALWAYS_FAILS = """
def test_never():
    assert False
"""


def run(folder, code, *options):
    """Run pytest with the plugin on a file of tests; return its exit code and what it said."""
    tests = folder / "test_them.py"
    tests.write_text(code, "utf-8")
    command = [sys.executable, "-m", "pytest", "-p", "unstable", "--reruns", "1", "--rootdir", str(folder), *options]
    known = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    done = subprocess.run([*command, tests], cwd=folder, env=known, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout


@pytest.mark.parametrize("options", [(), ("-n", "2")], ids=["alone", "workers"])
@pytest.mark.parametrize(("count", "code"), [(0, 0), (MOST, 0), (MOST + 1, 1)])
def test_few_are_named_and_many_fail_the_run(tmp_path, options, count, code):
    """Up to the bound a run is green and names each; one more makes it red."""
    tests = FIRST_TIME_FAILS.format(count=count, folder=str(tmp_path)) + "\ndef test_good():\n    pass\n"
    ended, said = run(tmp_path, tests, *options)
    assert ended == code, said
    named = said.rpartition("passed only the second time")[2]
    assert [f"test_second_time[{which}]" in named for which in range(count)] == [True] * count
    assert named.count("Failed: the first time") == count
    assert ("passed only the second time" in said) == (count > 0)


def test_what_fails_twice_has_failed(tmp_path):
    """To run again excuses nothing that fails again."""
    ended, said = run(tmp_path, ALWAYS_FAILS)
    assert ended == 1
    assert "passed only the second time" not in said
    assert "1 failed" in said
