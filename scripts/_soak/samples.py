"""What the service takes of the machine, once a second, kept in a file of JSON lines."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    import psutil

MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Sample:
    """The service at one instant."""

    seconds: float
    """Since the load began."""
    memory: float
    """Resident, in MiB."""
    files: int
    """Open file descriptors."""
    threads: int
    cpu: float
    """Seconds of CPU time of the service since it started."""
    answered: int
    """Requests so far."""
    up: bool
    """Whether the receiver runs."""


def take(process: psutil.Process, seconds: float, answered: int, *, up: bool) -> Sample:
    """Look at a process now."""
    with process.oneshot():
        memory, times = process.memory_info().rss / MIB, process.cpu_times()
        return Sample(
            seconds=round(seconds, 3),
            memory=round(memory, 3),
            files=process.num_fds(),
            threads=process.num_threads(),
            cpu=round(times.user + times.system, 2),
            answered=answered,
            up=up,
        )


def append(path: Path, sample: Sample) -> None:
    """Write one more line."""
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(asdict(sample)) + "\n")


def read(path: Path) -> list[Sample]:
    """Return the samples of a file."""
    return [Sample(**json.loads(line)) for line in path.read_text("utf-8").splitlines()]
