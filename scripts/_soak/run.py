"""One soak, from the start of the processes to the counts."""

from __future__ import annotations

import json
import time
from collections import deque
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

import psutil

from _soak import samples
from _soak.counts import Cut, Twice, counted
from _soak.load import Load
from _soak.outages import CALM, Outage
from _soak.processes import Receiver, Service

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from _soak.samples import Sample

SAMPLES, OUTPUT, RESULT = "samples.jsonl", "service.log", "result.json"
SETTLE = 5.0
"""Seconds after the last answer for what waits to be sent."""
OUTAGE = ("otelml: cannot export telemetry", "otelml: telemetry is exported again")
"""How the lines begin that the service writes about an outage."""


Steps = deque[tuple[float, "Callable[[], None]"]]


@dataclass(frozen=True, slots=True)
class Options:
    """What is asked for."""

    folder: Path
    seconds: float
    rate: float
    outages: Sequence[Outage]
    leaks: Sequence[str] = ()
    said: Callable[[str], None] = field(default=print)


def run(options: Options) -> None:
    """Run a soak; leave what it counted in the folder."""
    receiver = Receiver(options.folder)
    twice, cut = Twice(receiver.endpoint), Cut(receiver.store, receiver.answered)
    steps = _steps(options.outages, receiver, twice, cut)
    receiver.start()
    try:
        with Service(receiver.endpoint, options.leaks, options.folder / OUTPUT) as service:
            load = Load(service.port, options.rate)
            _watch(options, receiver, service, load, steps)
            time.sleep(SETTLE)
            stopped = service.stop()
        twice.look()
    finally:
        receiver.stop()
    cut.look()
    counts = counted(load.total, receiver.store, twice, cut)
    result = {
        "seconds": options.seconds,
        "rate": options.rate,
        "kills": len(options.outages),
        "down": sum(outage.down for outage in options.outages),
        "counts": [asdict(count) for count in counts],
        "stopped": stopped,
        "strange": _strange(options.folder / OUTPUT),
    }
    (options.folder / RESULT).write_text(json.dumps(result, indent=2) + "\n", "utf-8")


def _watch(options: Options, receiver: Receiver, service: Service, load: Load, steps: Steps) -> None:
    """Send, kill and take samples until the time is over."""
    process = psutil.Process(service.pid)
    seen = 0
    load.start()
    began = time.monotonic()
    try:
        while (now := time.monotonic() - began) < options.seconds:
            service.check()
            while steps and steps[0][0] <= now:
                steps.popleft()[1]()
            sample = samples.take(process, now, load.total.answered, up=receiver.up)
            samples.append(options.folder / SAMPLES, sample)
            seen += 1
            if seen % 60 == 0:
                options.said(_line(sample))
            time.sleep(max(0.0, began + seen - time.monotonic()))
    finally:
        load.stop()


def _steps(outages: Sequence[Outage], receiver: Receiver, twice: Twice, cut: Cut) -> Steps:
    """Return what is to be done, and when."""
    steps: Steps = deque()
    for outage in outages:
        steps.append((outage.at - CALM, twice.look))
        steps.append((outage.at, receiver.kill))
        steps.append((outage.at, cut.look))
        steps.append((outage.at + outage.down, receiver.start))
    return steps


def _line(sample: Sample) -> str:
    return (
        f"{sample.seconds / 60:5.1f} min  {sample.answered:>9,} answered  {sample.memory:7.1f} MiB"
        f"  {sample.files} files  {sample.threads} threads"
    )


def _strange(output: Path) -> int:
    """Return how many lines the service wrote that are not about an outage."""
    lines = output.read_text("utf-8", "replace").splitlines()
    return sum(not line.startswith(OUTAGE) for line in lines if line.strip())
