"""Where the time goes: ``python benchmarks/profiling.py`` samples a process that predicts and exports.

The main thread predicts, in bursts, and after each one turns it into telemetry itself (as the worker thread does
otherwise), so that both are seen undisturbed. A timer's signal samples it about a thousand times a second, wherever it
is; a sample weighs the CPU time since the last one, so that waiting weighs nothing. A function's time is its own (with
the C code it calls), and with all that it calls; garbage collection is told apart. Other threads are told by their
clocks. Beside all that stands the floor: what the bare steps of a prediction (clocks, ids, contexts, objects) cost on
this machine.
"""

from __future__ import annotations

import argparse
import gc
import importlib
import os
import random
import signal
import sys
import threading
import time
import timeit
from collections import Counter, deque
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import accelerator
from receiver import unbalanced, until_exit
from tables import table, where

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

RUN = "profile"
BURST = 400
"""Predictions in a burst: fewer than wake the worker thread."""
PREDICT, WORK = "the caller: predicting", "the worker: metrics, spans, events"
Stack = tuple[str, ...]
"""Names of functions, outermost first."""
GARBAGE = "(collecting garbage)"


@dataclass
class Section:
    """What the main thread did in one part of the program: CPU time in ns, in all and as sampled by stack."""

    used: int = 0
    seen: Counter[Stack] = field(default_factory=Counter)

    def functions(self) -> list[tuple[str, float, float]]:
        """Return (name, own ns, ns with all it calls) of every function, the largest first."""
        own: Counter[str] = Counter()
        total: Counter[str] = Counter()
        for stack, used in self.seen.items():
            own[stack[-1]] += used
            for name in set(stack):
                total[name] += used
        scale = self.used / (sum(own.values()) or 1)
        return [(name, used * scale, total[name] * scale) for name, used in own.most_common()]


class Sampler:
    """Samples the main thread while a section is open."""

    def __init__(self, hertz: float) -> None:
        self.sections = {PREDICT: Section(), WORK: Section()}
        self._mean = 1 / hertz
        self._open: Section | None = None
        self._at = self._ours = self._collecting = self._collected = 0

    @contextmanager
    def section(self, name: str) -> Iterator[None]:
        """Sample what runs inside."""
        self._open, self._ours, self._collected = self.sections[name], 0, 0
        start = self._at = time.thread_time_ns()
        yield
        self._open.used += time.thread_time_ns() - start - self._ours
        self._open = None

    @contextmanager
    def running(self) -> Iterator[None]:
        """Let the timer run."""
        before = signal.signal(signal.SIGALRM, self._sample)
        gc.callbacks.append(self._collect)
        self._arm()
        yield
        signal.setitimer(signal.ITIMER_REAL, 0)
        gc.callbacks.remove(self._collect)
        signal.signal(signal.SIGALRM, before)

    def _arm(self) -> None:
        signal.setitimer(signal.ITIMER_REAL, random.uniform(0.5, 1.5) * self._mean)  # noqa: S311 - out of step

    def _sample(self, _: int, frame: FrameType | None) -> None:
        begun, section = time.thread_time_ns(), self._open
        if self._collecting:  # the signal came during a collection, which is not quite over
            self._collected += begun - self._collecting
        if frame is not None and frame.f_code is Sampler._collect.__code__:
            frame = frame.f_back
        if section is not None:
            stack = _stack(frame)
            section.seen[stack] += begun - self._at - self._collected
            section.seen[*stack, GARBAGE] += self._collected
        self._collected = 0
        self._arm()
        self._at = time.thread_time_ns()
        self._collecting = self._collecting and self._at
        self._ours += self._at - begun

    def _collect(self, phase: str, _: object) -> None:
        if threading.current_thread() is not threading.main_thread():
            return
        if phase == "start":
            self._collecting = time.thread_time_ns()
        elif self._collecting:
            self._collected += time.thread_time_ns() - self._collecting
            self._collecting = 0


def _stack(frame: FrameType | None) -> Stack:
    names: deque[str] = deque()
    while frame is not None:
        names.appendleft(f"{frame.f_globals.get('__name__', '?')}.{frame.f_code.co_qualname}")
        frame = frame.f_back
    return tuple(names)


# The floor ------------------------------------------------------------------------------------------------------


class _Slots:
    __slots__ = ("a", "b", "c", "d", "e", "f")

    def __init__(self, a: object, b: object) -> None:
        self.a, self.b = a, b
        self.c = self.d = self.e = self.f = None


class _Block:
    __slots__ = ()

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        pass


STEPS = (
    ("perf_counter_ns()", 10, "clock()"),
    ("time_ns()", 1, "wall()"),
    ("a span's id: getrandbits(64)", 5, "bits(64)"),
    ("a trace's id: getrandbits(128)", 1, "bits(128)"),
    ("context: two keys more, set, reset", 5, "variable.reset(variable.set({**context, 'a': 1, 'b': 2}))"),
    ("object with six slots", 10, "kind(1, 2)"),
    ("with block", 5, "with block: pass"),
    ("append to a buffer", 1, "buffer.append(1)"),
)
"""What a prediction with four stages can't do without: name, how often, code."""


def floor() -> list[tuple[str, int, float]]:
    """Return (name, how often, ns each) of the bare steps; the best of several repetitions, less an empty loop."""
    names: dict[str, Any] = {
        "clock": time.perf_counter_ns,
        "wall": time.time_ns,
        "bits": random.Random().getrandbits,  # noqa: S311 - ids of spans are not secrets
        "variable": ContextVar[object]("context"),
        "context": {"c": 3},
        "kind": _Slots,
        "block": _Block(),
        "buffer": deque(maxlen=1000),
    }
    number = 20_000

    def best(code: str) -> float:
        return min(timeit.repeat(code, globals=names, number=number, repeat=7)) / number * 1e9

    empty = best("pass")
    return [(name, times, max(0.0, best(code) - empty)) for name, times, code in STEPS]


# Running and telling --------------------------------------------------------------------------------------------


@dataclass
class Profile:
    """What was seen."""

    made: int
    sections: dict[str, Section]
    others: dict[str, int]
    """CPU time of other threads in ns, by name."""
    faults: list[str]


def clocks() -> dict[str, Callable[[], int]]:
    """Return a reader of the CPU time, in ns, of every other thread that runs now."""
    others = (thread for thread in threading.enumerate() if thread is not threading.main_thread() and thread.ident)
    return {t.name: partial(time.clock_gettime_ns, time.pthread_getcpuclockid(t.ident or 0)) for t in others}


def rounds(contender: Any, sampler: Sampler, seconds: float) -> int:
    """Predict and work off in turns for some seconds; return how many predictions were made."""
    made, end = 0, time.perf_counter() + seconds
    while time.perf_counter() < end:
        with sampler.section(PREDICT):
            for _ in range(BURST):
                contender.predict()
        with sampler.section(WORK):
            contender.flush()
        made += BURST
    return made


def profile(options: argparse.Namespace) -> Profile:
    """Warm up, sample, and count what arrived."""
    endpoint = until_exit()
    os.environ.clear()
    os.environ.update(endpoint.environment(RUN))
    # The worker thread sleeps: the main thread does its work, at every flush.
    os.environ.update({"OTELML_FLUSH_INTERVAL": "3600", "OTEL_METRIC_EXPORT_INTERVAL": "3600000"})
    contender: Any = importlib.import_module(f"_contenders.{options.contender}")
    contender.start()
    warm = rounds(contender, Sampler(options.hertz), options.seconds / 10)
    sampler, readers = Sampler(options.hertz), clocks()
    before = {name: read() for name, read in readers.items()}
    with sampler.running():
        made = rounds(contender, sampler, options.seconds)
    others = {name: read() - before[name] for name, read in readers.items()}
    faults = unbalanced(endpoint.tally(RUN), warm + made, contender.EXPECTED)
    return Profile(made, sampler.sections, others, faults)


def section_table(name: str, section: Section, made: int, options: argparse.Namespace) -> str:
    """Return the largest functions of a section, in µs a prediction."""
    micro = 1e3 * made
    functions = section.functions()
    lines = [[f, f"{own / micro:.2f}", f"{total / micro:.2f}"] for f, own, total in functions[: options.top]]
    lines.append(["(all others)", f"{sum(own for _, own, _ in functions[options.top :]) / micro:.2f}", ""])
    header = (f"{name}: {section.used / micro:.2f} µs", "own", "with calls")
    return table(header, lines, markdown=options.markdown)


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--contender", default="otelml", help="a module of _contenders; arrivals are for OTLP ones")
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--hertz", type=float, default=1000, help="samples a second")
    parser.add_argument("--top", type=int, default=15, help="functions of each section to show")
    parser.add_argument("--folded", type=Path, metavar="FILE", help="write stacks as flame graph programs read them")
    parser.add_argument("--markdown", action="store_true", help="print the tables as docs/performance.md has them")
    parser.add_argument("--quick", action="store_true", help="half a second: proves delivery, says little of time")
    options = parser.parse_args()
    if options.quick:
        options.seconds = 0.5
    return options


def main() -> int:
    """Sample, print, and fail when something did not arrive."""
    options = arguments()
    options.contender = accelerator.choose(options.contender)
    steps, seen = floor(), profile(options)
    micro, markdown = 1e3 * seen.made, options.markdown
    print(f"{where()}; {seen.made:,} predictions; µs of CPU a prediction\n")
    for name, section in seen.sections.items():
        print(section_table(name, section, seen.made, options) + "\n")
    others = [[name, f"{used / micro:.2f}"] for name, used in sorted(seen.others.items(), key=lambda o: -o[1])]
    print(table(("other threads", "µs"), others, markdown=markdown) + "\n")
    bare = sum(times * each for _, times, each in steps) / 1e3
    lines = [[name, f"{times}", f"{each:.0f}", f"{times * each / 1e3:.2f}"] for name, times, each in steps]
    print(table((f"the floor: {bare:.2f} µs", "times", "ns each", "µs"), lines, markdown=markdown) + "\n")
    if options.folded is not None:
        stacks = [(name, stack, used) for name, s in seen.sections.items() for stack, used in s.seen.items()]
        text = "".join(f"{';'.join((name, *stack))} {used // 1000}\n" for name, stack, used in stacks)
        options.folded.write_text(text, encoding="utf-8")
    print("\n".join(seen.faults) or "Every span, log record and point arrived.")
    return 1 if seen.faults else 0


if __name__ == "__main__":
    sys.exit(main())
