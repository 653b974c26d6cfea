"""A window that slides in twelve steps: sums and a sketch for each step, added up when somebody looks."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from otelml.windows.sketch import Sketch

if TYPE_CHECKING:
    from collections.abc import Iterable

    from otelml.columns import Columns
    from otelml.instruments import Tally

STEPS = 12
"""The window covers the step that is running and eleven whole ones: 11/12 of its length at least."""
_SHORTEST = 1.0


@dataclass(frozen=True, slots=True)
class Window:
    """What one model did in the last while, in this process alone. Figures are None where there is nothing to tell.

    Quantiles are within 1 % of those of the calls themselves (see ``otelml.windows.sketch``); all else is exact.
    """

    model: str
    """Name of the model."""
    version: str | None
    """Its version; None: all versions together."""
    seconds: float
    """Seconds that are covered: since the model's first call, at most ``OTELML_WINDOW``."""
    requests: int
    """Prediction calls."""
    errors: int
    """Calls that raised."""
    rows: int
    """Predicted rows."""
    throughput: float
    """Calls a second."""
    error_rate: float | None
    """Share of calls that raised, 0 to 1."""
    mean: float | None
    """Mean duration of a call in seconds; failed ones count as well."""
    p50: float | None
    """Median duration in seconds."""
    p95: float | None
    """95th percentile of durations in seconds."""
    p99: float | None
    """99th percentile of durations in seconds."""
    confident: int
    """Rows whose confidence is known."""
    confidence: float | None
    """Their mean confidence, 0 to 1."""
    low_confidence: float | None
    """Share of them whose confidence is under ``OTELML_LOW_CONFIDENCE``."""


class Step:
    """One twelfth of the window."""

    __slots__ = ("confidence", "confident", "errors", "low", "number", "requests", "rows", "seconds", "sketch")

    def __init__(self, number: int = 0) -> None:
        self.number = number
        self.requests = self.errors = self.rows = self.confident = self.low = 0
        self.seconds = self.confidence = 0.0
        self.sketch = Sketch()

    def put(self, columns: Columns, tally: Tally) -> None:
        """Count ended predictions; ``tally`` is what their rows came to."""
        seconds = columns.seconds
        self.requests += seconds.size
        self.errors += 0 if columns.error is None else seconds.size
        self.seconds += float(seconds.sum())
        self.sketch.add(seconds)
        self.rows += tally.rows
        self.confident += tally.confident
        self.confidence += tally.confidence
        self.low += tally.low

    def add(self, other: Step) -> None:
        """Count what another step has counted."""
        self.requests += other.requests
        self.errors += other.errors
        self.seconds += other.seconds
        self.rows += other.rows
        self.confident += other.confident
        self.confidence += other.confidence
        self.low += other.low
        self.sketch.merge(other.sketch)


class Sliding:
    """The steps of one model and version. Times are in seconds of a clock that does not go back."""

    __slots__ = ("_length", "_steps", "since", "used")

    def __init__(self, length: float, now: float) -> None:
        self._length = length
        self.since = self.used = now
        """When it was first used, and last."""
        self._steps: deque[Step] = deque()

    def put(self, columns: Columns, tally: Tally, now: float) -> None:
        """Count ended predictions."""
        at, steps = self.step_at(now), self._steps
        if not steps or steps[-1].number < at:
            steps.append(Step(at))
            while steps[0].number <= at - STEPS:
                steps.popleft()
        steps[-1].put(columns, tally)
        self.used = max(self.used, now)

    def step_at(self, now: float) -> int:
        """Return the number of the step that a time is in."""
        return int(now * STEPS / self._length)

    def seen(self, now: float) -> tuple[float, list[Step]]:
        """Return the seconds that are covered, and the steps that are inside."""
        at = self.step_at(now)
        begun = max(self.since, (at - STEPS + 1) * self._length / STEPS)
        return max(0.0, now - begun), [step for step in self._steps if step.number > at - STEPS]

    def window(self, model: str, version: str | None, now: float) -> Window:
        """Return the figures of now."""
        return window_of(model, version, [self.seen(now)])


def window_of(model: str, version: str | None, parts: Iterable[tuple[float, list[Step]]]) -> Window:
    """Return the figures of several versions together, each as ``Sliding.seen`` gives it."""
    covered, all_ = 0.0, Step()
    for seconds, steps in parts:
        covered = max(covered, seconds)
        for step in steps:
            all_.add(step)
    n, known, quantile = all_.requests, all_.confident, all_.sketch.quantile
    return Window(
        model,
        version,
        covered,
        n,
        all_.errors,
        all_.rows,
        throughput=n / max(covered, _SHORTEST),
        error_rate=all_.errors / n if n else None,
        mean=all_.seconds / n if n else None,
        p50=quantile(0.5),
        p95=quantile(0.95),
        p99=quantile(0.99),
        confident=known,
        confidence=all_.confidence / known if known else None,
        low_confidence=all_.low / known if known else None,
    )
