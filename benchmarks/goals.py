"""What otelml may cost: every goal in one list, and whether a run meets it."""

from __future__ import annotations

from dataclasses import dataclass

from tables import table

SDK, LOGFIRE, PROMETHEUS = "OpenTelemetry SDK by hand", "logfire", "prometheus_client, metrics only"
CALLER, PROCESS = "caller's thread", "whole process, export included"


@dataclass(frozen=True)
class Goal:
    """One figure, at most ``limit`` times the same figure of a peer; without a peer, at most ``limit`` itself."""

    what: str
    against: str
    figure: str
    """``caller`` (CPU of the thread that predicts), ``process`` (CPU of all threads until all is exported), ..."""
    of: str
    """What is measured: the name of a contender, or of a phase."""
    peer: str
    limit: float
    unit: str = "µs"
    program: str = "prediction.py"

    @property
    def command(self) -> str:
        """Return the command that measures this goal again."""
        names = ",".join(name for name in (self.peer, self.of) if name)
        return f"python benchmarks/{self.program}" + (f" --only {names}" if self.program == "prediction.py" else "")

    def show(self, value: float) -> str:
        """Return a measured value, or the limit, as people read it."""
        if not self.peer:
            return f"{value:.3g} {self.unit}"
        return f"1/{_three_digits(1 / value)}" if 0 < value < 1 else f"{_three_digits(value)}x"


def _three_digits(value: float) -> str:
    return f"{float(f'{value:.3g}'):,.10g}"


GOALS = (
    Goal(f"one row, four stages: {CALLER}", SDK, "caller", "otelml", "sdk", 1 / 15),
    Goal(f"one row, four stages: {PROCESS}", SDK, "process", "otelml", "sdk", 1 / 10),
    Goal(f"one row, four stages: {CALLER}", LOGFIRE, "caller", "otelml", "logfire", 1 / 50),
    Goal(f"one row, four stages: {PROCESS}", LOGFIRE, "process", "otelml", "logfire", 1 / 25),
    Goal(f"one row, four stages: {CALLER}", PROMETHEUS, "caller", "otelml", "prometheus", 1.5),
    Goal(
        f"one row, four stages, with otelml-native: {CALLER}", PROMETHEUS, "caller", "otelml-native", "prometheus", 1.5
    ),
    Goal(
        f"1,024 rows in one call: {CALLER}", f"{SDK}, a loop of record()", "caller", "otelml-rows", "sdk-rows", 1 / 150
    ),
    Goal(f"1,024 rows in one call: {CALLER}", "the clock", "caller", "otelml-rows", "", 60.0),
    Goal(
        *(f"1,024 rows in one call, 30 features: {CALLER}", f"{SDK}, a loop of record()", "caller"),
        *("otelml-features", "sdk-features", 1 / 150),
    ),
    Goal(
        *(f"decorator, sampled out: {CALLER}", f"{SDK}, its decorator, sampled out", "caller"),
        *("otelml-decorator-unsampled", "sdk-decorator-unsampled", 1 / 5),
    ),
    Goal("8 threads of one model: whole process", "one thread", "process", "otelml-threads", "otelml", 1.3),
)


_GROWTH = "growth a prediction, upper 95 % limit"
MEMORY_GOALS = (
    Goal(f"endpoint up: {_GROWTH}", "nothing", "growth", "up", "", 4.0, "B", "memory.py"),
    Goal(f"endpoint down: {_GROWTH}", "nothing", "growth", "down", "", 4.0, "B", "memory.py"),
    Goal(
        "endpoint down: memory above the endpoint up",
        "what full queues hold",
        "above",
        "down",
        "queues",
        1.0,
        "B",
        "memory.py",
    ),
    Goal(f"endpoint down: {CALLER}", "endpoint up", "caller", "down", "up", 1.25, "µs", "memory.py"),
)


@dataclass(frozen=True)
class Verdict:
    """What a run measured for a goal, and how far single rounds (or the 95 % interval) spread where that is known."""

    goal: Goal
    measured: float
    lowest: float | None = None
    highest: float | None = None
    by_means: float | None = None
    """The same of means in place of medians: rare costs, such as garbage collection, count too."""

    @property
    def met(self) -> bool:
        """Tell whether what was measured meets the goal."""
        return self.measured <= self.goal.limit

    def cells(self) -> list[str]:
        """Return the line of the table."""
        show = self.goal.show
        ends = (self.lowest, self.highest)
        spread = " to ".join(show(end) for end in ends if end is not None)
        means = "" if self.by_means is None else show(self.by_means)
        met = "yes" if self.met else "no"
        return [self.goal.what, self.goal.against, show(self.goal.limit), show(self.measured), spread, means, met]


def goal_table(verdicts: list[Verdict], spread: str = "single rounds", *, markdown: bool = False) -> str:
    """Return the table of goals; in Markdown with the command that measures each one again."""
    header = ("goal", "against", "at most", "measured", spread, "by means", "met")
    if not markdown:
        return table(header, [v.cells() for v in verdicts], text=2)
    commands = [[*v.cells(), f"`{v.goal.command}`"] for v in verdicts]
    return table((*header, "command"), commands, markdown=True, text=2)
