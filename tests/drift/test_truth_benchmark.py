"""The program that makes the figures of docs/drift.md runs; of so few runs only that ours are right is judged."""

import subprocess
import sys
from pathlib import Path


def test_quick():
    """Every part prints its table, ours alarms at no unchanged table, and peers that are not there are said to be."""
    program = Path(__file__).parents[2] / "benchmarks" / "drift.py"
    command = [sys.executable, str(program), "--quick"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=110, check=False)
    assert done.returncode == 0, done.stderr
    rows = {tuple(line.split()[:2]): line.split() for line in done.stdout.splitlines() if line}
    assert rows["otelml", "1,000"][3] == "0.0%"
    assert rows["1", "sigma"][3:6] == ["100%", "/", "100%"]
    assert rows["nannyml", "not"][2] == "installed"
    assert {"no-change", "change", "delay", "time"} <= {line.strip() for line in done.stdout.splitlines()}
