"""The bounds of a soak: what is measured, what it may be, and whether it is."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from _soak.counts import Count
    from _soak.samples import Sample

WARM_UP_SHARE, WARM_UP_MOST = 0.35, 600.0
MEMORY_MIB, FILES, THREADS = 8.0, 2, 1
"""How much the service may grow between the first and the last quarter of the time after warm-up."""
RATE_SHARE = 0.5
"""Of the rate that was asked for: a busy machine keeps some back, a service that waits for its receiver keeps more."""
STOP_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Bound:
    """One bound."""

    what: str
    measured: str
    bound: str
    holds: bool


@dataclass(frozen=True, slots=True)
class Growth:
    """A figure in the first and in the last quarter after warm-up."""

    first: float
    last: float

    @property
    def by(self) -> float:
        """How much it grew."""
        return self.last - self.first


def warm(samples: Sequence[Sample]) -> list[Sample]:
    """Return the samples after warm-up: a third of the run, ten minutes at most."""
    end = samples[-1].seconds
    return [sample for sample in samples if sample.seconds >= min(WARM_UP_MOST, WARM_UP_SHARE * end)]


def growth(samples: Sequence[Sample], figure: str, of: Callable[[list[float]], float]) -> Growth:
    """Return how a figure of the service grew after warm-up; ``of`` makes one number of a quarter's."""
    values = [float(getattr(sample, figure)) for sample in warm(samples)]
    quarter = max(1, len(values) // 4)
    return Growth(of(values[:quarter]), of(values[-quarter:]))


def judged(
    samples: Sequence[Sample], counts: Sequence[Count], rate: float, stopped: float, strange: int
) -> list[Bound]:
    """Return every bound.

    Args:
        samples: Of the service, in the order of time.
        counts: Every count of both sides.
        rate: Requests a second that were asked for.
        stopped: Seconds from SIGTERM to the service's end.
        strange: Lines that the service wrote, other than that telemetry can't be exported, and can again.
    """
    end = samples[-1]
    reached = end.answered / end.seconds
    after = warm(samples)
    requests = after[-1].answered - after[0].answered
    memory = growth(samples, "memory", median)  # it rises with what waits during a silence
    files, threads = (growth(samples, name, max) for name in ("files", "threads"))  # connections come and go with kills
    each = max(0.0, memory.by) * (1 << 20) / max(1, requests)
    inexact = [count.what for count in counts if not count.exact]
    return [
        Bound(
            "memory, growth after warm-up",
            f"{memory.first:.1f} to {memory.last:.1f} MiB ({memory.by:+.1f}; {each:.1f} bytes a request)",
            f"at most {MEMORY_MIB:+.0f} MiB",
            memory.by <= MEMORY_MIB,
        ),
        Bound(
            "file descriptors, most", f"{files.first:.0f} to {files.last:.0f}", f"at most {FILES:+d}", files.by <= FILES
        ),
        Bound(
            "threads, most",
            f"{threads.first:.0f} to {threads.last:.0f}",
            f"at most {THREADS:+d}",
            threads.by <= THREADS,
        ),
        Bound("counts", ", ".join(inexact) or f"{len(counts)} exact", "all exact", not inexact),
        Bound(
            "requests a second",
            f"{reached:.0f} of {rate:.0f}",
            f"at least {RATE_SHARE * rate:.0f}",
            reached >= RATE_SHARE * rate,
        ),
        Bound("end after SIGTERM", f"{stopped:.1f} s", f"at most {STOP_SECONDS:.0f} s", stopped <= STOP_SECONDS + 0.5),
        Bound("lines of the service that are no outage", str(strange), "none", not strange),
    ]


def _most(what: str, figure: Growth, bound: int) -> Bound:
    return Bound(f"{what}, most", f"{figure.first:.0f} to {figure.last:.0f}", f"at most {bound:+d}", figure.by <= bound)
