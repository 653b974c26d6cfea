"""What observing one prediction costs: ``python benchmarks/prediction.py`` compares otelml with its alternatives.

Each contender runs in a process of its own, in rounds (A B C, A B C, ...), and exports to a real OTLP receiver that
counts what arrives. A round in which a span, record or point is missing, or one too many, ends the run with exit 1.
Figures are CPU time in µs a prediction, less what the same loop costs without telemetry.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.request import urlopen

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

HERE = Path(__file__).parent
TIMEOUT = 300.0
IDLE = "nothing"
COLUMNS = (34, 10, 10, 8, 10, 10, 8, 8, 8)


@dataclass
class Contender:
    """One line of the table and the figures of its rounds."""

    title: str
    module: str
    against: str
    env: Mapping[str, str] = field(default_factory=dict)
    share: float = 1.0
    """Part of the predictions to make: a call with many rows needs fewer."""
    rounds: list[dict[str, Any]] = field(default_factory=list)

    def median(self, what: str) -> float:
        """Return the median over all rounds (for ``caller``, over all bursts), in µs."""
        values = [r[what] for r in self.rounds]
        return float(statistics.median([x for r in values for x in r] if what == "caller" else values))

    def best(self, what: str) -> float:
        """Return the best round, in µs."""
        return float(min(statistics.median(r[what]) if what == "caller" else r[what] for r in self.rounds))


UNSAMPLED = {"OTEL_TRACES_SAMPLER": "always_off"}


def contenders() -> dict[str, Contender]:
    """Return every contender by name; ratios are against the one that ``against`` names."""
    return {
        IDLE: Contender("the loop alone", IDLE, IDLE),
        "sdk": Contender("OpenTelemetry SDK by hand", "sdk", "sdk"),
        "otelml": Contender("otelml", "otelml", "sdk"),
        "logfire": Contender("logfire", "logfire", "sdk"),
        "prometheus": Contender("prometheus_client, metrics only", "prometheus", "sdk"),
        "sdk-unsampled": Contender("SDK by hand, sampled out", "sdk", "sdk-unsampled", UNSAMPLED),
        "otelml-unsampled": Contender("otelml, sampled out", "otelml", "sdk-unsampled", UNSAMPLED),
        "sdk-rows": Contender("SDK by hand, 1,024 rows a call", "sdk_rows", "sdk-rows", share=0.02),
        "otelml-rows": Contender("otelml, 1,024 rows a call", "otelml_rows", "sdk-rows", share=0.02),
    }


# Running --------------------------------------------------------------------------------------------------------


@contextmanager
def receiver() -> Iterator[str]:
    """Start the counting receiver; its base URL."""
    with subprocess.Popen(
        [sys.executable, str(HERE / "receiver.py")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        if process.stdin is None or process.stdout is None:
            raise RuntimeError("the receiver has no pipes")
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        process.stdin.close()


def measure(contender: Contender, base: str, run: str, options: argparse.Namespace) -> list[str]:
    """Run one round of a contender; return what did not arrive as it should."""
    own = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL", "LOGFIRE"))}
    env = own | {
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"{base}/{run}",
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        "OTEL_SERVICE_NAME": run,
        "OTEL_BSP_MAX_QUEUE_SIZE": "200000",
        "OTEL_BLRP_MAX_QUEUE_SIZE": "200000",
        "OTEL_METRIC_EXPORT_INTERVAL": "60000",
        **contender.env,
    }
    sizes = {
        "--predictions": max(5, int(options.predictions * contender.share)),
        "--warm-up": max(5, int(options.warm_up * contender.share)),
        "--burst": max(1, int(options.burst * contender.share)),
        "--rate": options.rate * contender.share,
    }
    command = [sys.executable, str(HERE / "measure.py"), contender.module]
    command += [text for name, value in sizes.items() for text in (name, str(value))]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=TIMEOUT, check=False)
    if done.returncode:
        return [f"{contender.title}: exit {done.returncode}: {done.stderr[-2000:]}"]
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    with urlopen(f"{base}/{run}") as answer:  # noqa: S310 - our own receiver on loopback
        result["received"] = json.load(answer)
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
    with receiver() as base:
        for number in range(options.rounds):
            for name, contender in chosen.items():
                print(f"round {number + 1} of {options.rounds}: {contender.title}", file=sys.stderr)
                found += measure(contender, base, f"{name}-{number}", options)
    return found


# Telling --------------------------------------------------------------------------------------------------------


def row(name: str, all_of: Mapping[str, Contender]) -> dict[str, Any]:
    """Return the figures of one contender, less the loop's, and its ratios."""
    contender, idle = all_of[name], all_of[IDLE]
    figures: dict[str, Any] = {"contender": contender.title}
    for what in ("caller", "process"):
        figures[what] = max(0.0, contender.median(what) - idle.median(what))
        figures[f"{what}_best"] = max(0.0, contender.best(what) - idle.best(what))
    other = all_of.get(contender.against)
    for what in ("caller", "process"):
        against = other.median(what) - idle.median(what) if other is not None else 0.0
        figures[f"{what}_ratio"] = figures[what] / against if against > 0 else None
    figures |= {what: contender.median(what) for what in ("p50", "p99")}
    last = contender.rounds[-1]["received"]
    return figures | {"arrived": {"spans": last["spans"], "logs": last["logs"]}}


def line(*cells: str) -> str:
    """Return one line of the table."""
    first, *others = (f"{cell:>{width}}" for cell, width in zip(cells, COLUMNS, strict=True))
    return cells[0].ljust(len(first)) + "".join(others)


def table(rows: list[dict[str, Any]]) -> str:
    """Return the table people read; ratios are of medians."""
    lines = [
        line("µs a call", "caller", "", "", "process", "", "", "call", ""),
        line("", "median", "best", "ratio", "median", "best", "ratio", "p50", "p99"),
    ]
    for r in rows:
        cells = [f"{r[name]:.1f}" for name in ("caller", "caller_best", "process", "process_best", "p50", "p99")]
        ratios = ["" if r[name] is None else f"{r[name]:.3f}" for name in ("caller_ratio", "process_ratio")]
        lines.append(line(r["contender"], *cells[:2], ratios[0], *cells[2:4], ratios[1], *cells[4:]))
    return "\n".join(lines)


def machine() -> dict[str, str | int | None]:
    """Return when and where this ran."""
    cpu = Path("/proc/cpuinfo")
    names = [text.partition(":")[2].strip() for text in cpu.read_text().splitlines() if text.startswith("model name")]
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "cpu": names[0] if names else platform.processor(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
    }


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--predictions", type=int, default=4000, help="measured predictions in a round")
    parser.add_argument("--warm-up", type=int, default=1000, help="predictions before the clock starts")
    parser.add_argument("--burst", type=int, default=100, help="predictions made without a wait")
    parser.add_argument("--rate", type=float, default=1000, help="mean predictions a second; inf: as fast as possible")
    parser.add_argument("--only", default="", help=f"contenders, comma separated, of: {', '.join(contenders())}")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every figure to FILE")
    parser.add_argument("--quick", action="store_true", help="one short round: proves delivery, says nothing of time")
    options = parser.parse_args()
    if options.quick:
        options.rounds, options.predictions, options.warm_up = 1, 200, 100
    unknown = set(filter(None, options.only.split(","))) - set(contenders())
    if unknown:
        parser.error(f"--only: unknown contender {', '.join(sorted(unknown))}")
    return options


def main() -> int:
    """Measure, print the table, and fail when anything was lost."""
    options = arguments()
    wanted = set(options.only.split(",")) | {IDLE}
    chosen = {name: c for name, c in contenders().items() if not options.only or name in wanted}
    found = rounds(chosen, options)
    rows = [row(name, chosen) for name in chosen if name != IDLE and chosen[name].rounds]
    where = machine()
    print(f"{where['date']}, {where['cpu']}, {where['cores']} cores, Python {where['python']}\n\n{table(rows)}")
    if options.json is not None:
        raw = {name: c.rounds for name, c in chosen.items()}
        options.json.write_text(json.dumps({"machine": where, "rows": rows, "rounds": raw, "lost": found}, indent=1))
    print("\n" + ("\n".join(found) or "Every span, log record and point arrived, none twice, nothing was dropped."))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
