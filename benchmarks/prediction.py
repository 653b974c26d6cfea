"""What observing one prediction costs: ``python benchmarks/prediction.py`` compares otelml with its alternatives.

Each contender runs in a process of its own, in rounds (A B C, A B C, ...), and exports to a real OTLP receiver that
counts what arrives. A round in which a span, record or point is missing, or one too many, ends the run with exit 1.
Figures are CPU time in µs a prediction, less what the same loop costs without telemetry. The goals of ``goals.py``
are judged from the same run; one that is not met is said, and changes nothing about the exit.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import accelerator
from goals import GOALS, Goal, Verdict, goal_table
from receiver import Endpoint, started
from tables import machine, table, where

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

HERE = Path(__file__).parent
TIMEOUT = 300.0
IDLE = "nothing"
MIN_BURST = 10
FIGURES, PERCENTILES = ("caller", "mean", "process", "collecting"), ("p50", "p99", "p99.9")


@dataclass
class Contender:
    """One line of the table and the figures of its rounds."""

    title: str
    module: str
    against: str
    env: Mapping[str, str] = field(default_factory=dict)
    share: float = 1.0
    """Part of the predictions to make: a call with many rows needs fewer."""
    threads: int = 1
    rounds: list[dict[str, Any]] = field(default_factory=list)

    def of_rounds(self, what: str) -> list[float]:
        """Return the figure of every round in µs: for ``caller``, the median of its bursts."""
        values = [r[what] for r in self.rounds]
        return [float(statistics.median(v)) if what == "caller" else float(v) for v in values if v is not None]

    def median(self, what: str) -> float:
        """Return the median over all rounds (for ``caller``, over all bursts), in µs."""
        values = [r[what] for r in self.rounds]
        return float(statistics.median([x for r in values for x in r] if what == "caller" else values))


UNSAMPLED = {"OTEL_TRACES_SAMPLER": "always_off"}


def contenders() -> dict[str, Contender]:
    """Return every contender by name; ratios are against the one that ``against`` names."""
    rows, features, bare = "sdk-rows", "sdk-features", "sdk-decorator-unsampled"
    return {
        IDLE: Contender("the loop alone", IDLE, IDLE),
        "sdk": Contender("OpenTelemetry SDK by hand", "sdk", "sdk"),
        "otelml": Contender("otelml", "otelml", "sdk"),
        "otelml-native": Contender("otelml with otelml-native", "otelml-native", "sdk"),
        "logfire": Contender("logfire", "logfire", "sdk"),
        "prometheus": Contender("prometheus_client, metrics only", "prometheus", "sdk"),
        "sdk-unsampled": Contender("SDK by hand, sampled out", "sdk", "sdk-unsampled", UNSAMPLED),
        "otelml-unsampled": Contender("otelml, sampled out", "otelml", "sdk-unsampled", UNSAMPLED),
        bare: Contender("SDK by hand, decorator, sampled out", "sdk_decorated", bare, UNSAMPLED),
        "otelml-decorator-unsampled": Contender("otelml, decorator, sampled out", "otelml_decorated", bare, UNSAMPLED),
        rows: Contender("SDK by hand, 1,024 rows a call", "sdk_rows", rows, share=0.025),
        "otelml-rows": Contender("otelml, 1,024 rows a call", "otelml_rows", rows, share=0.025),
        features: Contender("SDK by hand, 1,024 rows, 30 features", "sdk_features", features, share=0.003),
        "otelml-features": Contender("otelml, 1,024 rows, 30 features", "otelml_features", features, share=0.003),
        "otelml-threads": Contender("otelml, 8 threads of one model", "otelml", "otelml", threads=8),
    }


# Running --------------------------------------------------------------------------------------------------------


def measure(contender: Contender, endpoint: Endpoint, run: str, options: argparse.Namespace) -> list[str]:
    """Run one round of a contender; return what did not arrive as it should."""
    env = endpoint.environment(run) | {
        "OTEL_BSP_MAX_QUEUE_SIZE": "200000",
        "OTEL_BLRP_MAX_QUEUE_SIZE": "200000",
        "OTEL_METRIC_EXPORT_INTERVAL": "60000",
        **contender.env,
    }
    sizes = {
        "--predictions": max(5, int(options.predictions * contender.share)),
        "--warm-up": max(5, int(options.warm_up * contender.share)),
        "--burst": max(min(options.burst, MIN_BURST), int(options.burst * contender.share)),
        "--rate": options.rate * contender.share,
        "--threads": contender.threads,
    }
    command = [sys.executable, str(HERE / "measure.py"), contender.module]
    command += [text for name, value in sizes.items() for text in (name, str(value))]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=TIMEOUT, check=False)
    if done.returncode:
        return [f"{contender.title}: exit {done.returncode}: {done.stderr[-2000:]}"]
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    result["received"] = endpoint.tally(run)
    contender.rounds.append(result)
    return faults(contender, result)


def faults(contender: Contender, result: Mapping[str, Any]) -> list[str]:
    """Return every difference between what was made and what arrived."""
    received = result["received"]
    arrived = result["arrived"] or {**received["points"], "spans": received["spans"], "logs": received["logs"]}
    expected = {name: each * result["made"] for name, each in result["expected"].items()}
    sampled = contender.env is not UNSAMPLED
    if not sampled:
        expected["spans"] = 0
    found = [
        f"{contender.title}: {name}: {arrived.get(name, 0):.0f} arrived, {value:.0f} expected"
        for name, value in expected.items()
        if arrived.get(name, 0) != value
    ]
    uncorrelated = received["logs"] - received["correlated"] if sampled else 0
    other = {"span ids twice": received["duplicates"], "records without their span": uncorrelated}
    other["dropped"] = int(received["points"].get("otelml.dropped", 0))
    return found + [f"{contender.title}: {what}: {n}" for what, n in other.items() if n]


def rounds(chosen: Mapping[str, Contender], options: argparse.Namespace) -> list[str]:
    """Run all rounds, contenders interleaved; return everything that did not arrive."""
    found: list[str] = []
    with started() as endpoint:
        for number in range(options.rounds):
            for name, contender in chosen.items():
                print(f"round {number + 1} of {options.rounds}: {contender.title}", file=sys.stderr)
                found += measure(contender, endpoint, f"{name}-{number}", options)
    return found


# Telling --------------------------------------------------------------------------------------------------------


def row(name: str, all_of: Mapping[str, Contender]) -> dict[str, Any]:
    """Return the figures of one contender, less the loop's, and its ratios."""
    contender, idle = all_of[name], all_of[IDLE]
    figures: dict[str, Any] = {"contender": contender.title}
    for what in FIGURES:
        figures[what] = max(0.0, contender.median(what) - idle.median(what))
        other = all_of.get(contender.against)
        figures[f"{what}_ratio"] = None if other is None else ratio(contender, other, idle, what)
    for what in PERCENTILES:
        measured = contender.of_rounds(what)
        figures[what] = statistics.median(measured) if measured else None
    last = contender.rounds[-1]["received"]
    return figures | {"arrived": {"spans": last["spans"], "logs": last["logs"]}}


def ratio(contender: Contender, other: Contender, idle: Contender, what: str) -> float | None:
    """Return the ratio of two contenders' medians, less the loop's."""
    return _ratio(*(c.median(what) for c in (contender, other, idle)))


def _ratio(ours: float, theirs: float, idle: float) -> float | None:
    return max(0.0, ours - idle) / (theirs - idle) if theirs > idle else None


def figures(rows: list[dict[str, Any]], *, markdown: bool) -> str:
    """Return the table of contenders; ratios are of medians."""
    header = ["µs a call", "caller's thread", "ratio", "mean", "ratio", "whole process", "ratio", "collecting garbage"]
    lines = []
    for r in rows:
        cells = [r["contender"]]
        for what in ("caller", "mean", "process"):
            share = r[f"{what}_ratio"]
            cells += [f"{r[what]:.1f}", "" if share is None else f"{share:.3f}"]
        calls = ["" if r[name] is None else f"{r[name]:.0f}" for name in PERCENTILES]
        lines.append([*cells, f"{r['collecting']:.1f}", *calls])
    return table([*header, *PERCENTILES], lines, markdown=markdown)


def verdict(goal: Goal, of: Mapping[str, Contender]) -> Verdict | None:
    """Return what this run says about a goal; None where the run was without a contender it needs."""
    if any(name not in of or not of[name].rounds for name in {IDLE, goal.of, goal.peer or IDLE}):
        return None
    ours, peer, idle = of[goal.of], of[goal.peer or IDLE], of[IDLE]

    def value(ours: float, theirs: float, idle: float) -> float | None:
        return _ratio(ours, theirs, idle) if goal.peer else max(0.0, ours - idle)

    each = zip(*(c.of_rounds(goal.figure) for c in (ours, peer, idle)), strict=False)
    single = [v for v in (value(*of_round) for of_round in each) if v is not None]
    measured = value(*(c.median(goal.figure) for c in (ours, peer, idle)))
    means = value(*(c.median("mean") for c in (ours, peer, idle))) if goal.figure == "caller" else None
    return Verdict(goal, measured, min(single), max(single), means) if single and measured is not None else None


def verdicts(of: Mapping[str, Contender]) -> list[Verdict]:
    """Return what this run says about every goal it can judge."""
    found: Iterable[Verdict | None] = (verdict(goal, of) for goal in GOALS)
    return [each for each in found if each is not None]


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--predictions", type=int, default=4000, help="measured predictions in a round")
    parser.add_argument("--warm-up", type=int, default=1000, help="predictions before the clock starts")
    parser.add_argument("--burst", type=int, default=100, help="predictions made without a wait")
    parser.add_argument("--rate", type=float, default=1000, help="mean predictions a second; inf: as fast as possible")
    parser.add_argument("--only", default="", help=f"contenders, comma separated, of: {', '.join(contenders())}")
    parser.add_argument("--markdown", action="store_true", help="print the tables as docs/performance.md has them")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every figure to FILE")
    parser.add_argument("--quick", action="store_true", help="one short round: proves delivery, says nothing of time")
    options = parser.parse_args()
    if options.quick:
        options.rounds, options.predictions, options.warm_up = 1, 200, 100
    unknown = set(filter(None, options.only.split(","))) - set(contenders())
    if unknown:
        parser.error(f"--only: unknown contender {', '.join(sorted(unknown))}")
    if missing := accelerator.left_out(options.only.split(",")):
        parser.error(f"--only: {', '.join(missing)}: needs otelml-native ({accelerator.GET})")
    return options


def main() -> int:
    """Measure, print the table, and fail when anything was lost."""
    options = arguments()
    wanted = set(options.only.split(",")) | {IDLE}
    chosen = {name: c for name, c in contenders().items() if not options.only or name in wanted}
    for name in accelerator.left_out(list(chosen)):
        print(f"left out: {chosen.pop(name).title}, which is not installed ({accelerator.GET})", file=sys.stderr)
    found = rounds(chosen, options)
    rows = [row(name, chosen) for name in chosen if name != IDLE and chosen[name].rounds]
    judged = verdicts(chosen)
    print(f"{where()}; {options.rounds} rounds of {options.predictions} predictions\n")
    print(figures(rows, markdown=options.markdown))
    if judged:
        print("\n" + goal_table(judged, markdown=options.markdown))
    if options.json is not None:
        goals = [
            {
                "goal": v.goal.what,
                "against": v.goal.against,
                "limit": v.goal.limit,
                "measured": v.measured,
                "lowest": v.lowest,
                "highest": v.highest,
                "met": v.met,
            }
            for v in judged
        ]
        raw = {name: c.rounds for name, c in chosen.items()}
        kept = {"machine": machine(), "rows": rows, "goals": goals, "rounds": raw, "lost": found}
        options.json.write_text(json.dumps(kept, indent=1))
    print("\n" + ("\n".join(found) or "Every span, log record and point arrived, none twice, nothing was dropped."))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
