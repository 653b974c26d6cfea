"""What observing the features of a prediction costs: ``python benchmarks/features.py`` measures it beside its peer.

The same predictions of one model with a reference and of one without, interleaved; the difference is what observing
30 features costs: CPU time of the caller's thread, and of the worker (a drain, its batches of 200 predictions). Beside
it, on the same thread, 30 histograms of prometheus_client, which is what one would write by hand. At the end every row
must have been counted once for each feature, or the exit is 1.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import prometheus_client
from tables import table, where

import otelml
from otelml.drift import Reference
from otelml.testing import Telemetry, recording

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

FEATURES, BURST, LARGE = 30, 200, 1024
GOAL = 5.0
"""Microseconds that observing one row of 30 numbers may take on the caller's thread."""


def shapes() -> dict[str, tuple[Any, str]]:
    """Return inputs by their name, each with the model whose reference they fit."""
    rng = np.random.default_rng(0)
    names = [f"f{i}" for i in range(FEATURES)]
    rows = rng.normal(size=(LARGE, FEATURES))
    row = dict(zip(names, rows[0].tolist(), strict=True))
    mixed = row | dict.fromkeys(names[-8:], "AA")
    return {
        "array, one row": (rows[:1], "numbers"),
        "list, one row": (rows[0].tolist(), "numbers"),
        "dict, one row": (row, "numbers"),
        "dict, one row, 8 categories": (mixed, "mixed"),
        "frame, one row": (pd.DataFrame(rows[:1], columns=names), "numbers"),
        "frame, one row, 8 categories": (pd.DataFrame([mixed]), "mixed"),
        f"array, {LARGE} rows": (rows, "numbers"),
        f"frame, {LARGE} rows": (pd.DataFrame(rows, columns=names), "numbers"),
    }


def references(folder: Path) -> dict[str, str]:
    """Write the references; return their paths by model."""
    rng = np.random.default_rng(1)
    columns: dict[str, Any] = {f"f{i}": rng.normal(size=5000) for i in range(FEATURES)}
    texts = rng.choice(["AA", "B6", "DL"], 5000)
    tables = {"numbers": columns, "mixed": columns | {f"f{i}": texts for i in range(FEATURES - 8, FEATURES)}}
    for name, data in tables.items():
        Reference.fit(data).save(folder / f"{name}.json")
    return {name: str(folder / f"{name}.json") for name in tables}


def predict(model: str, inputs: Any, calls: int) -> float:
    """Return the CPU time of this thread for one prediction, in µs."""
    started = time.thread_time_ns()
    for _ in range(calls):
        with otelml.prediction(model, "1") as p:
            p.result(inputs=inputs)
    return (time.thread_time_ns() - started) / calls / 1000


def drained(telemetry: Telemetry, calls: int) -> float:
    """Return what the worker does for one prediction, in µs."""
    started = time.thread_time_ns()
    telemetry.drain()
    return (time.thread_time_ns() - started) / calls / 1000


def by_hand() -> Callable[[], float]:
    """Return what measures 30 histograms of prometheus_client."""
    histogram = prometheus_client.Histogram("f", "f", ["feature"], registry=prometheus_client.CollectorRegistry())
    children = [histogram.labels(f"f{i}") for i in range(FEATURES)]
    values = np.random.default_rng(0).normal(size=FEATURES).tolist()

    def measure() -> float:
        started = time.thread_time_ns()
        for _ in range(BURST):
            for child, value in zip(children, values, strict=True):
                child.observe(value)
        return (time.thread_time_ns() - started) / BURST / 1000

    return measure


def rounds(
    telemetry: Telemetry, given: Mapping[str, tuple[Any, str]], n: int
) -> tuple[dict[str, list[Any]], Counter[str]]:
    """Return (caller, worker) of each shape and round, the peer's times, and how many rows each model was given."""
    found: dict[str, list[Any]] = {name: [] for name in given} | {"peer": []}
    peer, made = by_hand(), Counter[str]()
    for number in range(-1, n):  # the first one warms up
        times: dict[str, Any] = {"peer": peer()}
        for name, (inputs, model) in given.items():
            calls = BURST if len(inputs) != LARGE else BURST // 10
            figures = {}
            for which in ("plain", model):
                caller = predict(which, inputs, calls)
                figures[which == "plain"] = caller, drained(telemetry, calls)
                telemetry.clear()
            times[name] = tuple(a - b for a, b in zip(figures[False], figures[True], strict=True))
            made[model] += calls * (LARGE if len(inputs) == LARGE else 1)
        for name, figure in times.items() if number >= 0 else ():
            found[name].append(figure)
    return found, made


def main() -> int:
    """Measure, print the table, and fail when a row was not counted."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--quick", action="store_true", help="one round: proves the counts, says nothing of time")
    parser.add_argument("--markdown", action="store_true", help="print the table as a page has it")
    options = parser.parse_args()
    with TemporaryDirectory() as folder, recording(drift_reference=references(Path(folder))) as telemetry:
        found, made = rounds(telemetry, shapes(), 1 if options.quick else options.rounds)
        counted = telemetry.total("ml.feature.observations", {"ml.model.name": "numbers"})
        seen = telemetry.total("ml.feature.rows")
    peer = statistics.median(found.pop("peer"))
    lines = [["30 histograms of prometheus_client", f"{peer:.1f}", "1.000", ""]]
    for name, figures in found.items():
        caller, worker = (statistics.median(each) for each in zip(*figures, strict=True))
        lines.append([name, f"{caller:.1f}", f"{caller / peer:.3f}", f"{worker:.1f}"])
    print(f"{where()}; {len(next(iter(found.values())))} rounds of {BURST} predictions, {FEATURES} features\n")
    print(table(["µs a call", "caller's thread", "ratio", "worker"], lines, markdown=options.markdown))
    row = statistics.median(caller for caller, _ in found["array, one row"])
    met = "" if row <= GOAL else " MISSED"
    print(f"\nOne row of an array at most {GOAL:.0f} µs on the caller's thread: {row:.1f}{met}")
    # Frames of several types are sampled: their rows are seen, not all observed.
    lost = abs(made["numbers"] * FEATURES - counted) + abs(made.total() - seen)
    print("Every row was counted once for each feature." if not lost else f"{lost:.0f} values were not counted.")
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main())
