"""What watching costs: CPU time of ``joblib.load`` with otelml on, beside the same function without.

usage: python benchmarks/model_loads.py [--rounds 15] [--loads 200] [--quick]

Both run in turn, in the same process and round, on the same files: a small pipeline, a forest of 100 trees, and a dict
without a model. Telemetry is kept in memory; what otelml's threads do afterwards is not in the figures.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import joblib
from sklearn.datasets import make_classification
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from tables import table, where

from otelml.testing import recording

if TYPE_CHECKING:
    from collections.abc import Callable

    from otelml.testing import Telemetry


def files(folder: Path) -> dict[str, Path]:
    """Write what is loaded; returns the files by their description."""
    inputs, labels = make_classification(500, random_state=0)
    things: dict[str, Any] = {
        "a small pipeline": make_pipeline(StandardScaler(), LogisticRegression()).fit(inputs[:, :1], labels),
        "a forest of 100 trees": RandomForestClassifier(random_state=0).fit(inputs, labels),
        "a dict, no model": {"threshold": 0.3},
    }
    for i, thing in enumerate(things.values()):
        joblib.dump(thing, folder / str(i))
    return {name: folder / str(i) for i, name in enumerate(things)}


def cost(load: Callable[[Path], Any], path: Path, loads: int) -> float:
    """Return seconds of CPU time a load."""
    started = time.thread_time()
    for _ in range(loads):
        load(path)
    return (time.thread_time() - started) / loads


def measured(telemetry: Telemetry, plain: Callable[[Path], Any], path: Path, options: Any) -> tuple[float, ...]:
    """Return the medians over the rounds: without, with, and their ratio in the same round."""
    rounds = []
    for _ in range(options.rounds):
        without, watched = cost(plain, path, options.loads), cost(joblib.load, path, options.loads)
        telemetry.runtime.models.settle(1)
        rounds.append((without, watched, watched / without))
    return tuple(statistics.median(column) for column in zip(*rounds, strict=True))


def main() -> int:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--loads", type=int, default=200)
    parser.add_argument("--quick", action="store_true", help="one round of a few loads: proves that it runs")
    options = parser.parse_args()
    if options.quick:
        options.rounds, options.loads = 1, 3
    plain, rows = joblib.load, []
    with TemporaryDirectory() as folder, recording(integrations=("models",)) as telemetry:
        for name, path in files(Path(folder)).items():
            without, watched, ratio = measured(telemetry, plain, path, options)
            figures = (without * 1e6, watched * 1e6, (watched - without) * 1e6)
            rows.append([name, *(f"{x:.0f}" for x in figures), f"{ratio:.2f}"])
    print(f"{where()}; {options.rounds} rounds of {options.loads} loads\n")
    print(table(("µs of CPU time a load", "joblib", "with otelml", "added", "ratio"), rows))
    return 0 if joblib.load is plain else 1


if __name__ == "__main__":
    sys.exit(main())
