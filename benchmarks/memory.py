"""What otelml keeps: ``python benchmarks/memory.py`` predicts for 20 minutes and watches the memory of the process.

2,000 predictions a second, ``--minutes`` with the endpoint up, then as long with it down (connections are refused),
then it comes back. Resident memory must be flat in both halves, and while the endpoint is down at most what full queues
hold above the half before. Made must equal arrived plus counted as dropped, exactly, or the run ends with exit 1.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import statistics
import sys
import time
from array import array
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
from goals import MEMORY_GOALS, Verdict, goal_table
from measure import Collecting
from receiver import dropped, unbalanced, until_exit
from tables import machine, table, where

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

RUN = "memory"
TICKS = 50
"""Bursts a second."""
SAMPLES = 120
"""Samples in a phase."""
WARM = 0.3
"""Part of a phase that warms up (or fills the queues) and is not judged."""
BLOCKS, ENOUGH, T_975 = 10, 2, 2.306
"""Blocks of samples whose means give the slope, least samples in a block, Student's t for 8 degrees of freedom."""
SMALL = {"OTEL_BSP_MAX_QUEUE_SIZE": "8192", "OTEL_BLRP_MAX_QUEUE_SIZE": "2048"}
"""Queues that overflow in a short outage, too."""
OBJECTS = 256
"""Bytes of Python objects (and of memory that malloc can't use) around one queued item's encoded bytes."""
LONG = 2.0
"""Minutes of a phase from which on memory is judged: it must be warm and its queues full."""
MIB = 1 << 20
BARS = "▁▂▃▄▅▆▇█"


@dataclass
class Sample:
    """Memory at one instant."""

    predictions: int
    """Made since the phase began."""
    rss: int
    """Resident memory, in bytes."""
    blocks: int
    """Memory blocks that Python has allocated."""


@dataclass
class Phase:
    """A time with the endpoint up, or down."""

    name: str
    samples: list[Sample] = field(default_factory=list)
    made: int = 0
    cpu: int = 0
    """CPU time of the predicting thread, in ns."""
    calls: array[int] = field(default_factory=lambda: array("L", bytes(8 * 100_000)))
    """Calls by their wall time in µs; a fixed size, so that measuring needs no memory."""
    slowest: int = 0
    """Wall time of the slowest call, in ns."""
    collecting: int = 0
    """CPU time of garbage collection on all threads, in ns."""

    def run(self, predict: Callable[[], object], seconds: float, rate: float) -> None:
        """Make predictions in small bursts, and take samples between them."""
        process, begun, collecting = psutil.Process(), time.perf_counter(), Collecting()
        burst, sample_at = max(1, round(rate / TICKS)), begun
        for tick in range(1, round(seconds * rate / burst) + 1):
            self._burst(predict, burst)
            due, now = begun + tick * burst / rate, time.perf_counter()
            if now >= sample_at:
                # Not gc.get_objects(): it holds tuples that another thread is about to make, which breaks them.
                self.samples.append(Sample(self.made, process.memory_info().rss, sys.getallocatedblocks()))
                sample_at += seconds / SAMPLES
            time.sleep(max(0.0, due - time.perf_counter()))
        self.collecting = collecting.stop()

    def _burst(self, predict: Callable[[], object], n: int) -> None:
        clock, calls, last = time.perf_counter_ns, self.calls, len(self.calls) - 1
        cpu = time.thread_time_ns()
        for _ in range(n):
            start = clock()
            predict()
            took = clock() - start
            calls[min(took // 1000, last)] += 1
            self.slowest = max(self.slowest, took)
        self.cpu += time.thread_time_ns() - cpu
        self.made += n

    def percentile(self, share: float) -> int:
        """Return a percentile of the calls' wall times, in µs."""
        left = self.made * share
        for micros, count in enumerate(self.calls):
            left -= count
            if left < 0:
                return micros
        return len(self.calls)

    @property
    def caller(self) -> float:
        """CPU time of the predicting thread for one prediction, in µs."""
        return self.cpu / self.made / 1e3

    @property
    def judged(self) -> list[Sample]:
        """Return the samples after the warm-up."""
        return [s for s in self.samples if s.predictions >= WARM * self.made]


def slope(points: Sequence[tuple[float, float]]) -> tuple[float, float] | None:
    """Return the slope of a line through (x, y) and half its 95 % interval; None where there are too few.

    Neighbours resemble one another, so the line goes through the means of ten blocks.
    """
    size = len(points) // BLOCKS
    if size < ENOUGH:
        return None
    cut = [points[i * size : (i + 1) * size] for i in range(BLOCKS)]
    xs, ys = ([statistics.fmean(p[axis] for p in block) for block in cut] for axis in (0, 1))
    fit = statistics.linear_regression(xs, ys)
    rest = sum((y - fit.intercept - fit.slope * x) ** 2 for x, y in zip(xs, ys, strict=True))
    spread = sum((x - statistics.fmean(xs)) ** 2 for x in xs)
    return fit.slope, T_975 * (rest / (BLOCKS - 2) / spread) ** 0.5


def growth(phase: Phase, of: str) -> tuple[float, float] | None:
    """Return what one prediction adds for good to ``rss`` (bytes) or ``blocks``, and half its 95 % interval."""
    return slope([(s.predictions, getattr(s, of)) for s in phase.judged])


# Counting -------------------------------------------------------------------------------------------------------


def bound(received: Mapping[str, Any], config: Any) -> float:
    """Return how many bytes full queues hold: items as large as those that arrived, and the objects around them."""
    sizes = (("spans", "traces", config.span_queue), ("logs", "logs", config.log_queue))
    return float(sum(queue * (received["bytes"][signal] / received[of] + OBJECTS) for of, signal, queue in sizes))


def verdicts(up: Phase, down: Phase, queues: float, *, long: bool = True) -> list[Verdict]:
    """Return what the run says about the goals; those about memory only where it was ``long``."""
    flat_up, flat_down, above, caller = MEMORY_GOALS
    found = []
    for goal, phase in ((flat_up, up), (flat_down, down)):
        grown = growth(phase, "rss")
        if long and grown is not None:
            low, high = (grown[0] + sign * grown[1] for sign in (-1, 1))
            found.append(Verdict(goal, high, low, high))
    extra = max(s.rss for s in down.samples) - up.samples[-1].rss
    found += [Verdict(above, max(0, extra) / queues)] if long else []
    found.append(Verdict(caller, down.caller / up.caller))
    return found


# Telling --------------------------------------------------------------------------------------------------------


def sparkline(values: Sequence[float], width: int = 60) -> str:
    """Return values as one line of bars, between the lowest and the highest."""
    edges = [i * len(values) // width for i in range(width + 1)] if len(values) > width else range(len(values) + 1)
    means = [statistics.fmean(values[a:b]) for a, b in pairwise(edges)]
    low, span = min(means), (max(means) - min(means)) or 1
    return "".join(BARS[min(7, int((mean - low) / span * 8))] for mean in means)


def row(phase: Phase) -> list[str]:
    """Return the line of a phase."""
    rss = [s.rss / MIB for s in phase.judged]
    grown, objects = growth(phase, "rss"), growth(phase, "blocks")
    calls = [f"{phase.percentile(share)}" for share in (0.5, 0.99, 0.999)]
    return [
        f"endpoint {phase.name}",
        f"{phase.made:,}",
        *(f"{rss[0]:.1f}", f"{rss[-1]:.1f}", f"{max(rss):.1f}"),
        "" if grown is None else f"{grown[0]:.2f} ± {grown[1]:.2f}",
        "" if objects is None else f"{objects[0]:.4f} ± {objects[1]:.4f}",
        *(f"{phase.caller:.1f}", f"{phase.collecting / phase.made / 1e3:.1f}", *calls, f"{phase.slowest / 1e6:.1f}"),
    ]


HEADER = (
    *(
        "",
        "predictions",
        "MiB after warm-up",
        "at the end",
        "highest",
        "bytes a prediction",
        "blocks a prediction",
    ),
    *("caller µs", "collecting garbage µs", "p50 µs", "p99 µs", "p99.9 µs", "slowest ms"),
)


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10, help="of each half")
    parser.add_argument("--rate", type=float, default=2000, help="predictions a second")
    parser.add_argument("--markdown", action="store_true", help="print the tables as docs/performance.md has them")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every sample to FILE")
    parser.add_argument("--quick", action="store_true", help="seconds, small queues: proves the counts, no more")
    options = parser.parse_args()
    if options.quick:
        options.minutes, options.rate = 0.05, 1000.0
    return options


def measured(options: argparse.Namespace) -> tuple[tuple[Phase, Phase], dict[str, Any], float, list[str]]:
    """Run both phases; return them, what arrived in the end, what full queues hold, and what does not add up."""
    up, down = Phase("up"), Phase("down")
    endpoint = until_exit()
    os.environ.clear()
    os.environ.update(endpoint.environment(RUN) | {"OTEL_METRIC_EXPORT_INTERVAL": "5000"})
    os.environ.update(SMALL if options.quick else {})
    contender: Any = importlib.import_module("_contenders.otelml")
    contender.start()
    runtime = contender.otelml.auto_instrument()
    up.run(contender.predict, options.minutes * 60, options.rate)
    contender.flush()
    received = endpoint.tally(RUN)
    found = [f"endpoint up: {fault}" for fault in unbalanced(received, up.made, contender.EXPECTED)]
    found += [f"endpoint up: {n:,} of {what} dropped" for what, _, n in received["dropped"]]
    queues = bound(received, runtime.config)
    endpoint.down()
    down.run(contender.predict, options.minutes * 60, options.rate)
    endpoint.up()
    back = [runtime.force_flush(60) for _ in range(2)]  # what was on its way may fail once more; counts follow
    if not back[-1]:
        found.append("the endpoint came back, and otelml could not export")
    received = endpoint.tally(RUN)
    found += unbalanced(received, up.made + down.made, contender.EXPECTED)
    return (up, down), received, queues, found


def main() -> int:
    """Measure, print, and fail when what was made is not what arrived and what was counted as dropped."""
    options = arguments()
    phases, received, queues, found = measured(options)
    long = options.minutes >= LONG
    judged = verdicts(*phases, queues, long=long)
    print(f"{where()}; {options.rate:g} predictions a second, {options.minutes:g} minutes a phase\n")
    print(table(HEADER, [row(phase) for phase in phases], markdown=options.markdown))
    print("\n" + goal_table(judged, "95 % interval", markdown=options.markdown) + "\n")
    for phase in phases:
        rss = [s.rss / MIB for s in phase.samples]
        print(f"    {phase.name:5}{sparkline(rss)} {min(rss):.0f} to {max(rss):.0f} MiB")
    made, lost = sum(phase.made for phase in phases), {what: dropped(received, what) for what in ("span", "log")}
    print(
        f"\n{made:,} predictions: {received['points'].get('ml.requests', 0):,.0f} counted; spans: {received['spans']:,}"
    )
    print(f"arrived, {lost['span']:,} dropped; log records: {received['logs']:,} arrived, {lost['log']:,} dropped.")
    print("\n".join(found) or "Made is arrived plus counted as dropped, exactly.")
    if not long:
        print("Too short to judge memory: python benchmarks/memory.py")
    if options.json is not None:
        samples = {phase.name: [asdict(s) for s in phase.samples] for phase in phases}
        kept = {"machine": machine(), "samples": samples, "received": received, "queues": queues, "faults": found}
        options.json.write_text(json.dumps(kept, indent=1))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
