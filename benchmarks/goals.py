"""What otelml may cost: every goal in one list, and whether a run meets it."""

from __future__ import annotations

from dataclasses import dataclass

from tables import table

SDK, LOGFIRE, PROMETHEUS = "OpenTelemetry SDK by hand", "logfire", "prometheus_client, metrics only"
CALLER, PROCESS = "caller's thread", "whole process, export included"


@dataclass(frozen=True)
class Goal:
    """One figure of one contender, at most ``limit`` times the same figure of a peer; without a peer, ``limit`` µs."""

    what: str
    against: str
    figure: str
    """``caller`` (CPU of the thread that predicts) or ``process`` (CPU of all threads until all is exported)."""
    of: str
    """Name of a contender in prediction.py."""
    peer: str
    limit: float

    @property
    def command(self) -> str:
        """Return the command that measures this goal alone."""
        names = ",".join(name for name in (self.peer, self.of) if name)
        return f"python benchmarks/prediction.py --only {names}"

    def show(self, value: float) -> str:
        """Return a measured value, or the limit, as people read it."""
        if not self.peer:
            return f"{value:.3g} µs"
        return f"1/{1 / value:.3g}" if 0 < value < 1 else f"{value:.3g}x"


GOALS = (
    Goal(f"one row, four stages: {CALLER}", SDK, "caller", "otelml", "sdk", 1 / 15),
    Goal(f"one row, four stages: {PROCESS}", SDK, "process", "otelml", "sdk", 1 / 10),
    Goal(f"one row, four stages: {CALLER}", LOGFIRE, "caller", "otelml", "logfire", 1 / 50),
    Goal(f"one row, four stages: {PROCESS}", LOGFIRE, "process", "otelml", "logfire", 1 / 25),
    Goal(f"one row, four stages: {CALLER}", PROMETHEUS, "caller", "otelml", "prometheus", 1.5),
    Goal(
        f"1,024 rows in one call: {CALLER}", f"{SDK}, a loop of record()", "caller", "otelml-rows", "sdk-rows", 1 / 150
    ),
    Goal(f"1,024 rows in one call: {CALLER}", "the clock", "caller", "otelml-rows", "", 60.0),
    Goal(
        *(f"decorator, sampled out: {CALLER}", f"{SDK}, its decorator, sampled out", "caller"),
        *("otelml-decorator-unsampled", "sdk-decorator-unsampled", 1 / 5),
    ),
    Goal("8 threads of one model: whole process", "one thread", "process", "otelml-threads", "otelml", 1.3),
)


@dataclass(frozen=True)
class Verdict:
    """What a run measured for a goal: over all rounds, and the lowest and highest of single rounds."""

    goal: Goal
    measured: float
    lowest: float
    highest: float

    @property
    def met(self) -> bool:
        """Tell whether the goal is met over all rounds."""
        return self.measured <= self.goal.limit

    def cells(self) -> list[str]:
        """Return the line of the table."""
        show = self.goal.show
        span = f"{show(self.lowest)} to {show(self.highest)}"
        return [self.goal.what, self.goal.against, show(self.goal.limit), show(self.measured), span, self._answer()]

    def _answer(self) -> str:
        return "yes" if self.met else "no"


HEADER = ("goal", "against", "at most", "measured", "single rounds", "met")


def goal_table(verdicts: list[Verdict], *, markdown: bool = False) -> str:
    """Return the table of goals; in Markdown with the command that measures each one again."""
    if not markdown:
        return table(HEADER, [v.cells() for v in verdicts], text=2)
    return table((*HEADER, "command"), [[*v.cells(), f"`{v.goal.command}`"] for v in verdicts], markdown=True, text=2)
