"""One contender, measured in this process: ``python measure.py CONTENDER ...`` prints one JSON object.

Predictions are made in bursts, each as fast as possible, with waits in between so that the mean rate is ``--rate``:
queues then never overflow, whatever the contender costs. A first part warms up and is exported before the clock
starts; the process's CPU time counts until everything else is exported too.
"""

from __future__ import annotations

import argparse
import importlib
import json
import time
from typing import TYPE_CHECKING, Protocol, cast

if TYPE_CHECKING:
    from collections.abc import Callable

MICRO = 1e-3
"""Microseconds in a nanosecond."""


class Contender(Protocol):
    """What a module of ``_contenders`` holds."""

    EXPECTED: dict[str, float]
    """Telemetry of one prediction: ``spans``, ``logs`` and metrics by name (sums, and counts of histograms)."""

    def start(self) -> None:
        """Configure."""

    def predict(self) -> None:
        """Make one fully observed prediction."""

    def flush(self) -> None:
        """Export everything recorded so far."""

    def arrived(self) -> dict[str, float] | None:
        """Return what arrived where that is not the receiver; None where it is."""


def burst(predict: Callable[[], None], n: int, walls: list[int]) -> float:
    """Make ``n`` predictions; return the CPU time of this thread for each, in µs. Wall times (ns) go to ``walls``."""
    clock = time.perf_counter_ns
    cpu = time.thread_time_ns()
    for _ in range(n):
        start = clock()
        predict()
        walls.append(clock() - start)
    return (time.thread_time_ns() - cpu) * MICRO / n


def bursts(predict: Callable[[], None], options: argparse.Namespace, total: int) -> tuple[list[float], list[int]]:
    """Make ``total`` predictions in bursts at the mean rate; return CPU of each burst (µs) and wall times (ns)."""
    cpu: list[float] = []
    walls: list[int] = []
    due = time.perf_counter()
    while total > 0:
        n = min(options.burst, total)
        cpu.append(burst(predict, n, walls))
        total -= n
        due = max(due + n / options.rate, time.perf_counter())
        time.sleep(max(0.0, due - time.perf_counter()))
    return cpu, walls


def run(contender: Contender, options: argparse.Namespace) -> dict[str, object]:
    """Warm up, measure and flush; return the figures and what must have arrived."""
    contender.start()
    bursts(contender.predict, options, options.warm_up)
    contender.flush()
    started = time.process_time_ns()
    cpu, walls = bursts(contender.predict, options, options.predictions)
    contender.flush()
    process = (time.process_time_ns() - started) * MICRO / options.predictions
    walls.sort()
    return {
        "caller": cpu,
        "process": process,
        "p50": walls[len(walls) // 2] * MICRO,
        "p99": walls[len(walls) * 99 // 100] * MICRO,
        "made": options.warm_up + options.predictions,
        "expected": contender.EXPECTED,
        "arrived": contender.arrived(),
    }


def main() -> None:
    """Measure the contender that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("contender")
    parser.add_argument("--predictions", type=int, required=True)
    parser.add_argument("--warm-up", type=int, required=True)
    parser.add_argument("--burst", type=int, required=True)
    parser.add_argument("--rate", type=float, required=True)
    options = parser.parse_args()
    contender = cast("Contender", importlib.import_module(f"_contenders.{options.contender}"))
    print(json.dumps(run(contender, options)))


if __name__ == "__main__":
    main()
