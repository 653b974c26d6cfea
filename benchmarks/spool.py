"""What the spool costs: ``python benchmarks/spool.py`` compares otelml with and without it, and the SDK by hand.

Endpoint up: every contender runs in a process of its own, in rounds, as in ``prediction.py``; figures are CPU time in
µs a prediction, less what the same loop costs without telemetry. Endpoint down: a process predicts at a rate and exits;
the bytes on the disk are counted, the endpoint comes back, ``otelml spool send`` runs, and everything must arrive
exactly once. Otherwise the exit status is 1.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from _contenders import EXPECTED
from prediction import IDLE, Contender, measure
from receiver import dropped, started, unbalanced
from tables import table, where

if TYPE_CHECKING:
    from receiver import Endpoint

HOUR = 3600
PER_SECOND = 1000
MICRO = 1e-3
MIB = 1 << 20


def contenders(folder: Path) -> dict[str, Contender]:
    """Return the contenders; the spool is in ``folder``."""
    spool = {"OTELML_SPOOL_DIR": str(folder)}
    return {
        IDLE: Contender("the loop alone", IDLE, IDLE),
        "sdk": Contender("OpenTelemetry SDK by hand", "sdk", "sdk"),
        "otelml": Contender("otelml", "otelml", "sdk"),
        "otelml-spool": Contender("otelml, with a spool", "otelml", "sdk", spool),
    }


def healthy(endpoint: Endpoint, folder: Path, options: argparse.Namespace) -> tuple[list[dict[str, Any]], list[str]]:
    """Measure with the endpoint up; return a row for each contender, and what did not arrive."""
    chosen, lost = contenders(folder), list[str]()
    for number in range(options.rounds):
        for name, contender in chosen.items():
            print(f"round {number + 1} of {options.rounds}: {contender.title}", file=sys.stderr)
            lost += measure(contender, endpoint, f"{name}-{number}", options)
    idle = chosen[IDLE]
    rows = [
        {what: contender.median(what) - idle.median(what) for what in ("caller", "process")}
        for contender in chosen.values()
    ]
    ratios = [row["process"] / rows[1]["process"] for row in rows]
    told = [
        {"contender": contender.title, **row, "ratio": ratio}
        for contender, row, ratio in zip(chosen.values(), rows, ratios, strict=True)
    ]
    kept = list(folder.rglob("*.otlp"))
    return told[1:], lost + [f"left in the spool: {path.name}" for path in kept]


def outage(endpoint: Endpoint, folder: Path, options: argparse.Namespace) -> tuple[dict[str, Any], list[str]]:
    """Predict with the endpoint down, then send; return the figures, and what did not arrive exactly once."""
    env = endpoint.environment("outage") | {"OTELML_SPOOL_DIR": str(folder), "OTELML_SPOOL_MAX_BYTES": str(1 << 40)}
    endpoint.down()
    command = [sys.executable, __file__, "--child", "--outage", str(options.outage)]
    command += ["--outage-rate", str(options.outage_rate)]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
    figures: dict[str, Any] = json.loads(done.stdout)
    files = list(folder.rglob("*.otlp"))
    size = sum(-(-path.stat().st_size // 4096) * 4096 for path in files)
    endpoint.up()
    begun = time.monotonic()
    sent = subprocess.run(
        [sys.executable, "-m", "otelml", "spool", "send"], env=env, capture_output=True, text=True, check=False
    )
    figures |= {
        "files": len(files),
        "bytes": size / options.outage,
        "hour": size / options.outage * PER_SECOND * HOUR / MIB,
        "sending": time.monotonic() - begun,
    }
    received = endpoint.tally("outage")
    # A machine that cannot keep up drops spans and records in memory, before the spool: they are counted.
    figures["arrived"] = {"spans": received["spans"], "records": received["logs"]}
    figures["dropped"] = {what: dropped(received, what) for what in ("span", "log")}
    lost = unbalanced(received, options.outage, EXPECTED)
    return figures, lost + ([] if sent.returncode == 0 else [sent.stderr])


def child(options: argparse.Namespace) -> None:
    """Predict, and say what that cost; what is left goes out at the exit, as far as it can."""
    from _contenders import otelml as contender  # noqa: PLC0415 - in a process of its own

    contender.start()
    used, due = time.process_time_ns(), time.perf_counter()
    for i in range(options.outage):
        contender.predict()
        if i % 100 == 99:  # noqa: PLR2004 - in bursts
            time.sleep(max(0.0, due + i / options.outage_rate - time.perf_counter()))
    print(json.dumps({"process": (time.process_time_ns() - used) * MICRO / options.outage}))


def files_cost(folder: Path, rounds: int) -> dict[str, float]:
    """Return what one batch of 1 MiB costs here, in µs: written and deleted, and the same with fsync."""
    data, costs = os.urandom(MIB), {"plain": list[float](), "fsync": list[float]()}
    for _ in range(rounds):
        for name, found in costs.items():
            begun = time.perf_counter()
            path = folder / "batch"
            with path.open("wb") as file:
                file.write(data)
                if name == "fsync":
                    file.flush()
                    os.fsync(file.fileno())
            path.unlink()
            found.append((time.perf_counter() - begun) * 1e6)
    return {name: statistics.median(found) for name, found in costs.items()}


def main() -> int:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--predictions", type=int, default=10_000)
    parser.add_argument("--warm-up", type=int, default=2000)
    parser.add_argument("--burst", type=int, default=500)
    parser.add_argument("--rate", type=float, default=1000.0)
    parser.add_argument("--outage", type=int, default=60_000, help="predictions while the endpoint is down")
    parser.add_argument("--outage-rate", type=float, default=1000.0, help="how many of them a second")
    parser.add_argument("--dir", type=Path, help="where the spool is (default: a temporary directory)")
    parser.add_argument("--quick", action="store_true", help="few of everything: proves that it works")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.quick:
        options.rounds, options.predictions, options.warm_up, options.burst, options.outage = 1, 300, 100, 100, 1000
    if options.child:
        child(options)
        return 0
    with TemporaryDirectory(dir=options.dir) as place, started() as endpoint:
        folder = Path(place) / "spool"
        rows, lost = healthy(endpoint, folder, options)
        shutil.rmtree(folder, ignore_errors=True)
        figures, more = outage(endpoint, folder, options)
        costs = files_cost(Path(place), 3 if options.quick else 30)
    show(rows, figures, costs, options)
    for line in lost + more:
        print(line, file=sys.stderr)
    return 1 if lost or more else 0


def show(
    rows: list[dict[str, Any]], figures: dict[str, Any], costs: dict[str, float], options: argparse.Namespace
) -> None:
    """Print all figures."""
    print(f"{where()}\n\nEndpoint up, µs of CPU a prediction, median of {options.rounds} rounds:\n")
    cells = [[r["contender"], f"{r['caller']:.1f}", f"{r['process']:.1f}", f"{r['ratio']:.3f}"] for r in rows]
    print(table(["", "caller's thread", "whole process", "ratio"], cells, markdown=False))
    print(f"\nEndpoint down, {options.outage:,} predictions at {options.outage_rate:,.0f}/s:")
    print(f"{figures['process']:.1f} µs of CPU each; {figures['files']:,} files; {figures['bytes']:.0f} bytes each.")
    print(f"Arrived: {figures['arrived']}, dropped in memory: {figures['dropped']}, the rest exactly once.")
    print(f"An hour at 1,000/s: {figures['hour']:,.0f} MiB. Sent by otelml spool send in {figures['sending']:.1f} s.")
    print(f"A file of 1 MiB: {costs['plain']:.0f} µs, synced {costs['fsync']:.0f} µs (wall time).")


if __name__ == "__main__":
    sys.exit(main())
