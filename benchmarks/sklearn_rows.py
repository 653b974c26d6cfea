"""What observing one-row scikit-learn calls costs: ``python benchmarks/sklearn_rows.py`` compares otelml with peers.

Three models are asked for one row at a time: a small pipeline (``scaler``), one with a ColumnTransformer that takes a
frame (``columns``), and a random forest of a hundred trees (``forest``). Each contender runs in a process of its own,
in rounds (A B C, A B C, ...), and is compared with the same model before telemetry in that very process; otelml once
more with bursts of calls without it and with it in turn, by which the goal is judged. Telemetry goes to a real OTLP
receiver: a span, record or point that is missing, or one too many, ends the run with exit 1.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from dataclasses import dataclass, field
from importlib.util import find_spec
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import accelerator
from receiver import Endpoint, started
from tables import machine, table, where

if TYPE_CHECKING:
    from collections.abc import Mapping

HERE = Path(__file__).parent
TIMEOUT = 300.0
GOAL = 1.05
"""A one-row call is at most 5 % slower for being observed."""
CASES = {"scaler": "scaler and logistic regression", "columns": "columns of a frame", "forest": "forest of 100 trees"}
CONTENDERS = {
    "nothing": "nothing, measured twice",
    "otelml": "otelml",
    "otelml-native": "otelml with otelml-native",
    "sdk": "OpenTelemetry SDK by hand",
    "newrelic": "New Relic's agent",
    "openlit": "OpenLIT and a span by hand",
}
PACKAGES = {"otelml-native": "otelml_native", "newrelic": "newrelic", "openlit": "openlit"}
GET = f"pip install --group benchmark; {accelerator.GET}"
FIGURES = {"cpu": "caller's CPU", "mean": "mean", "wall": "wall", "fast": "fastest tenth", "process": "whole process"}


@dataclass
class Measured:
    """One line of the table and the figures of its rounds."""

    contender: str
    case: str
    rounds: list[dict[str, Any]] = field(default_factory=list)

    @property
    def title(self) -> str:
        """Return the name that the table shows."""
        return f"{CASES[self.case]}: {CONTENDERS[self.contender]}"

    def of(self, phase: str, what: str) -> float:
        """Return the median over the rounds of a time a call, in µs."""
        return float(statistics.median(r[phase][what] for r in self.rounds))

    def ratios(self, what: str) -> list[float]:
        """Return observed to alone in every round."""
        return [r["observed"][what] / r["alone"][what] for r in self.rounds]

    def row(self) -> dict[str, Any]:
        """Return the figures: times alone, medians over the rounds of what was added, and of the ratios."""
        ratios = {what: self.ratios(what) for what in FIGURES}
        turns = [r["turns"] for r in self.rounds if r["turns"] is not None]
        added = {what: self.of("observed", what) - self.of("alone", what) for what in FIGURES}
        return {
            "case": self.case,
            "contender": self.contender,
            "alone": self.of("alone", "cpu"),
            "added": added,
            "ratio": {what: statistics.median(values) for what, values in ratios.items()},
            "lowest": {what: min(values) for what, values in ratios.items()},
            "highest": {what: max(values) for what, values in ratios.items()},
            "turns": statistics.median(turns) if turns else None,
            "filters": max(r["filters"] for r in self.rounds),
        }


def measure(line: Measured, endpoint: Endpoint, run: str, options: argparse.Namespace) -> list[str]:
    """Run one round of a line; return what did not arrive as it should."""
    env = endpoint.environment(run) | {
        "OTEL_BSP_MAX_QUEUE_SIZE": "200000",
        "OTEL_BLRP_MAX_QUEUE_SIZE": "200000",
        "PYTHONPATH": ":".join([str(HERE), *filter(None, [endpoint.environment(run).get("PYTHONPATH", "")])]),
    }
    calls = options.calls if line.case == "scaler" else max(options.burst, options.calls // 8)
    sizes = {
        "--calls": calls,
        "--warm-up": max(options.burst, calls // 4),
        "--burst": options.burst,
        "--busy": options.busy,
    }
    command = [sys.executable, "-m", "_sklearn_rows.measure", line.contender, line.case]
    command += [text for name, value in sizes.items() for text in (name, str(value))]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=TIMEOUT, check=False)
    if done.returncode:
        return [f"{line.title}: exit {done.returncode}: {done.stderr[-2000:]}"]
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    result["received"] = endpoint.tally(run)
    line.rounds.append(result)
    return faults(line, result)


def faults(line: Measured, result: Mapping[str, Any]) -> list[str]:
    """Return every difference between what was made and what arrived, and each warning filter that otelml left."""
    received = result["received"]
    arrived = result["arrived"] or {**received["points"], "spans": received["spans"], "logs": received["logs"]}
    expected = {name: each * result["made"] for name, each in result["expected"].items()}
    found = [
        f"{line.title}: {name}: {arrived.get(name, 0):.0f} arrived, {value:.0f} expected"
        for name, value in expected.items()
        if arrived.get(name, 0) != value
    ]
    other = {
        "span ids twice": received["duplicates"],
        "records without their span": received["logs"] - received["correlated"],
        "dropped": int(received["points"].get("otelml.dropped", 0)),
    }
    if line.contender.startswith("otelml"):
        other["warning filters left"] = result["filters"]
    return found + [f"{line.title}: {what}: {n}" for what, n in other.items() if n]


def rounds(lines: list[Measured], options: argparse.Namespace) -> list[str]:
    """Run all rounds, contenders interleaved; return everything that did not arrive."""
    found: list[str] = []
    with started() as endpoint:
        for number, line in product(range(options.rounds), lines):
            print(f"round {number + 1} of {options.rounds}: {line.title}", file=sys.stderr)
            found += measure(line, endpoint, f"{line.contender}-{line.case}-{number}", options)
    return found


def figures(rows: list[dict[str, Any]], *, markdown: bool) -> str:
    """Return the table: ratios are medians over the rounds, of the caller's CPU time with its lowest and highest."""
    header = ["one-row call of", "observed by", "alone, µs", "added, µs", "caller's CPU", "lowest", "highest"]
    header += ["mean", "wall", "fastest tenth", "whole process", "in turn"]
    lines = []
    for r in rows:
        cells = [CASES[r["case"]], CONTENDERS[r["contender"]], f"{r['alone']:.0f}", f"{r['added']['cpu']:.1f}"]
        cells += [f"{r[of]['cpu']:.3f}" for of in ("ratio", "lowest", "highest")]
        cells += [f"{r['ratio'][what]:.3f}" for what in ("mean", "wall", "fast", "process")]
        lines.append([*cells, "" if r["turns"] is None else f"{r['turns']:.3f}"])
    return table(header, lines, markdown=markdown, text=2)


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--calls", type=int, default=3000, help="calls in a round, an eighth for the slow models")
    parser.add_argument("--burst", type=int, default=25, help="calls made without a wait")
    parser.add_argument("--busy", type=float, default=0.5, help="share of the time spent in calls")
    parser.add_argument("--only", default="", help=f"of {', '.join((*CONTENDERS, *CASES))}; comma separated")
    parser.add_argument("--markdown", action="store_true", help="print the table as docs/performance.md has it")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every figure to FILE")
    parser.add_argument("--quick", action="store_true", help="one short round: proves delivery, says nothing of time")
    options = parser.parse_args()
    if options.quick:
        options.rounds, options.calls = 1, 100
    options.only = set(filter(None, options.only.split(",")))
    if unknown := options.only - {*CONTENDERS, *CASES}:
        parser.error(f"--only: unknown {', '.join(sorted(unknown))}")
    return options


def chosen(only: set[str]) -> list[Measured]:
    """Return the lines to measure, after telling which contenders are not installed."""
    names = [name for name in CONTENDERS if name in only or not only & {*CONTENDERS}]
    for name in [*names]:
        if name in PACKAGES and find_spec(PACKAGES[name]) is None:
            print(f"{CONTENDERS[name]} is left out: {PACKAGES[name]} is not installed ({GET})")
            names.remove(name)
    cases = [name for name in CASES if name in only or not only & {*CASES}]
    return [Measured(name, case) for case, name in product(cases, names)]


def main() -> int:
    """Measure, print the table, and fail when anything was lost."""
    options = arguments()
    lines = chosen(options.only)
    found = rounds(lines, options)
    rows = [line.row() for line in lines if line.rounds]
    print(
        f"{where()}; {options.rounds} rounds of {options.calls} calls\n\n{figures(rows, markdown=options.markdown)}\n"
    )
    for r in rows:
        if r["contender"].startswith("otelml"):
            met = "met" if r["turns"] <= GOAL else "not met"
            what = f"{CASES[r['case']]}, {r['contender']}"
            print(f"{what}: {r['turns']:.3f} of the caller's CPU time in turn, goal {GOAL}: {met}")
    if options.json is not None:
        raw = {f"{line.contender}-{line.case}": line.rounds for line in lines}
        kept = {"machine": machine(), "rows": rows, "rounds": raw, "lost": found}
        options.json.write_text(json.dumps(kept, indent=1), encoding="utf-8")
    print("\n" + ("\n".join(found) or "Every span, log record and point arrived, none twice, nothing was dropped."))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
