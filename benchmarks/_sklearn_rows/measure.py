"""One contender and one model, measured in this process: ``python -m _sklearn_rows.measure CONTENDER CASE ...``.

The model is asked without telemetry first, before anything of the contender is imported; then observed. So both are
of one process, whose layout in memory alone makes some per cent. Calls are made in bursts with waits in between.
"""

from __future__ import annotations

import argparse
import gc
import importlib
import json
import statistics
import time
import warnings
from typing import TYPE_CHECKING, Any

import accelerator

from _sklearn_rows.models import Case, case

if TYPE_CHECKING:
    from collections.abc import Callable

MICRO = 1e-3
"""Microseconds in a nanosecond."""
AFTER_SWITCH = 5
"""Calls after telemetry is switched on or off that are not timed: Python learns anew which functions there are."""


def asked(predict: Callable[[Any], Any], rows: list[Any], options: argparse.Namespace, calls: int) -> dict[str, Any]:
    """Make at least ``calls`` calls in bursts; return times a call in µs and how many were made."""
    cpu: list[float] = []
    walls: list[int] = []
    clock = time.perf_counter_ns
    made = 0
    while made < calls:
        begun, burst = time.thread_time_ns(), clock()
        for i in range(made, made + options.burst):
            start = clock()
            predict(rows[i % len(rows)])
            walls.append(clock() - start)
        cpu.append((time.thread_time_ns() - begun) * MICRO / options.burst)
        made += options.burst
        time.sleep((clock() - burst) * 1e-9 * (1 / options.busy - 1))
    return {
        "cpu": statistics.median(cpu),
        "mean": statistics.fmean(cpu),
        "wall": statistics.median(walls) * MICRO,
        "fast": statistics.quantiles(walls, n=10)[0] * MICRO,
        "made": made,
    }


def alternately(contender: Any, given: Case, options: argparse.Namespace) -> dict[str, float]:
    """Ask in bursts without and with telemetry in turn, as long as before; a slow minute of the machine hits both.

    Returns the median ratio of CPU times of bursts that follow one another, and how many calls were observed.
    """
    ratios: list[float] = []
    made = 0
    while made < options.calls:
        cpu: list[int] = []
        for switch in (contender.off, contender.on):
            switch()
            predict = contender.call(given)
            for i in range(-AFTER_SWITCH, options.burst):
                if i == 0:
                    begun = time.thread_time_ns()
                predict(given.rows[i % len(given.rows)])
            cpu.append(time.thread_time_ns() - begun)
        made += AFTER_SWITCH + options.burst
        ratios.append(cpu[1] / cpu[0])
        time.sleep(sum(cpu) * 1e-9 * (1 / options.busy - 1))
    return {"ratio": statistics.median(ratios), "made": made}


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Ask without and with telemetry; return both, and what must have arrived."""
    given = case(options.case)
    asked(given.predict, given.rows, options, options.calls)  # the model's own first calls are the slowest
    gc.collect()
    begun = time.process_time_ns()
    alone = asked(given.predict, given.rows, options, options.calls)
    alone["process"] = (time.process_time_ns() - begun) * MICRO / alone["made"]
    filters = list(warnings.filters)

    contender: Any = importlib.import_module(f"_sklearn_rows.{accelerator.choose(options.contender)}")
    contender.start()
    predict = contender.call(given)
    warm = asked(predict, given.rows, options, options.warm_up)
    contender.flush()
    gc.collect()
    begun = time.process_time_ns()
    observed = asked(predict, given.rows, options, options.calls)
    contender.flush()
    observed["process"] = (time.process_time_ns() - begun) * MICRO / observed["made"]
    turns = alternately(contender, given, options) if hasattr(contender, "off") else {"ratio": None, "made": 0}
    contender.flush()
    return {
        "alone": alone,
        "observed": observed,
        "turns": turns["ratio"],
        "made": warm["made"] + observed["made"] + turns["made"],
        "expected": contender.expected(options.case),
        "arrived": contender.arrived(),
        "filters": sum(entry not in filters for entry in warnings.filters),
    }


def main() -> None:
    """Measure the contender and the model that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("contender")
    parser.add_argument("case")
    parser.add_argument("--calls", type=int, required=True)
    parser.add_argument("--warm-up", type=int, required=True)
    parser.add_argument("--burst", type=int, required=True)
    parser.add_argument("--busy", type=float, required=True)
    print(json.dumps(run(parser.parse_args())))


if __name__ == "__main__":
    main()
