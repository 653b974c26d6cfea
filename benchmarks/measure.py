"""One contender, measured in this process: ``python measure.py CONTENDER ...`` prints one JSON object.

Predictions are made in bursts, each as fast as possible, with waits in between so that the mean rate is ``--rate``:
queues then never overflow, whatever the contender costs. A first part warms up and is exported before the clock
starts; the process's CPU time counts until everything else is exported too. With ``--threads`` the predictions are
shared out among threads whose bursts begin together.
"""

from __future__ import annotations

import argparse
import gc
import importlib
import json
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, cast

import accelerator

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

    def predict(self) -> object:
        """Make one fully observed prediction."""

    def flush(self) -> None:
        """Export everything recorded so far."""

    def arrived(self) -> dict[str, float] | None:
        """Return what arrived where that is not the receiver; None where it is."""


@dataclass
class Times:
    """What predictions took on the thread that made them."""

    cpu: list[float] = field(default_factory=list)
    """CPU time of the thread for one prediction, in µs: the mean of each burst."""
    walls: list[int] = field(default_factory=list)
    """Wall time of every call, in ns."""

    def burst(self, predict: Callable[[], object], n: int) -> None:
        """Make ``n`` predictions as fast as possible."""
        clock, walls = time.perf_counter_ns, self.walls
        cpu = time.thread_time_ns()
        for _ in range(n):
            start = clock()
            predict()
            walls.append(clock() - start)
        self.cpu.append((time.thread_time_ns() - cpu) * MICRO / n)

    def bursts(self, predict: Callable[[], object], total: int, burst: int, rate: float) -> None:
        """Make ``total`` predictions in bursts at a mean rate."""
        due = time.perf_counter()
        while total > 0:
            n = min(burst, total)
            self.burst(predict, n)
            total -= n
            due = max(due + n / rate, time.perf_counter())
            time.sleep(max(0.0, due - time.perf_counter()))

    def percentile(self, share: float, enough: int) -> float | None:
        """Return a percentile of the wall times in µs; None where there are fewer than ``enough`` calls."""
        ordered = sorted(self.walls)
        return ordered[int(len(ordered) * share)] * MICRO if len(ordered) >= enough else None


class Collecting:
    """Counts the CPU time, in ns, that garbage collection takes, on whichever thread it strikes."""

    def __init__(self) -> None:
        self.total = self._begun = 0
        gc.callbacks.append(self._note)

    def stop(self) -> int:
        """Stop counting; return the time."""
        gc.callbacks.remove(self._note)
        return self.total

    def _note(self, phase: str, _: object) -> None:
        now = time.thread_time_ns()
        if phase == "start":
            self._begun = now
        else:
            self.total += now - self._begun


def made(predict: Callable[[], object], total: int, options: argparse.Namespace) -> Times:
    """Make ``total`` predictions, shared out among the threads."""
    times, n = Times(), options.threads
    if n == 1:
        times.bursts(predict, total, options.burst, options.rate)
        return times
    together = threading.Barrier(n)

    def work() -> None:
        together.wait()
        times.bursts(predict, total // n, options.burst, options.rate / n)

    threads = [threading.Thread(target=work) for _ in range(n)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return times


def run(contender: Contender, options: argparse.Namespace) -> dict[str, object]:
    """Warm up, measure and flush; return the figures and what must have arrived."""
    contender.start()
    warm = made(contender.predict, options.warm_up, options)
    contender.flush()
    collecting = Collecting()
    started = time.process_time_ns()
    times = made(contender.predict, options.predictions, options)
    contender.flush()
    process = (time.process_time_ns() - started) * MICRO / len(times.walls)
    return {
        "caller": times.cpu,
        "mean": sum(times.cpu) / len(times.cpu),
        "collecting": collecting.stop() * MICRO / len(times.walls),
        "process": process,
        "p50": times.percentile(0.5, 2),
        "p99": times.percentile(0.99, 100),
        "p99.9": times.percentile(0.999, 1000),
        "made": len(warm.walls) + len(times.walls),
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
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    name = accelerator.choose(options.contender)
    contender = cast("Contender", importlib.import_module(f"_contenders.{name}"))
    print(json.dumps(run(contender, options)))


if __name__ == "__main__":
    main()
