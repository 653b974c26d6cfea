"""What joining the truth costs: ``python benchmarks/outcomes.py`` compares otelml with SQLite written by hand.

20,000 predictions wait in an SQLite file on the disk; then all their truths are told by ``record_outcome``, until the
last one is joined, committed with ``synchronous=FULL`` and exported as counter, event and linked span to a real OTLP
receiver. By hand: the same join, one transaction for each truth, and no telemetry at all. Each round uses new files.
A truth that is not joined once, or an event or span that neither arrived nor is counted in ``otelml.dropped``, ends the
run with exit 1. The goal is said, and changes nothing about the exit: a busy machine is slow, not wrong.
"""

from __future__ import annotations

import argparse
import json
import os
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from receiver import dropped, started, unbalanced
from tables import table, where

GOAL = 5000.0
"""Truths a second, on the disk and told."""
TIMEOUT = 900.0
QUEUES = ("OTEL_BSP_MAX_QUEUE_SIZE", "OTEL_BLRP_MAX_QUEUE_SIZE", "OTELML_BUFFER_SIZE", "OTELML_OUTCOMES_BUFFER")
"""Each has room for all that a round makes, so that nothing is dropped however busy the machine."""


def with_otelml(directory: Path, n: int) -> dict[str, float]:
    """Tell n truths with otelml; return truths a second and µs of the caller's CPU for each."""
    import otelml  # noqa: PLC0415 - each contender imports its own

    runtime = otelml.auto_instrument(
        config={
            "outcomes_database": str(directory / "o.db"),
            "outcomes_spool": str(directory / "spool"),
            "gpu": "false",
        }
    )
    ids = []
    for i in range(n):
        with otelml.prediction("delay", "1") as p:
            p.result(classes="late" if i % 3 else "on_time", confidence=0.8)
        ids.append(p.id)
    _sent(runtime)
    wall, caller, process = time.perf_counter(), time.thread_time(), time.process_time()
    for i, key in enumerate(ids):
        otelml.record_outcome(key, "late" if i % 5 else "on_time")
    caller = time.thread_time() - caller
    if runtime.outcomes is None or not runtime.outcomes.flush(TIMEOUT):
        raise SystemExit("not all was written")
    wall, process = time.perf_counter() - wall, time.process_time() - process
    _sent(runtime)
    runtime.shutdown(30)
    rows = sqlite3.connect(directory / "o.db").execute("SELECT COUNT(joined) FROM otelml_predictions").fetchone()
    return {"rate": n / wall, "caller": caller / n * 1e6, "process": process / n * 1e6, "joined": rows[0]}


def _sent(runtime: Any) -> None:
    end = time.monotonic() + TIMEOUT / 3
    while not runtime.force_flush(60):
        if time.monotonic() > end:
            raise SystemExit("not all was exported")
        time.sleep(0.1)


def by_hand(directory: Path, n: int) -> dict[str, float]:
    """Do the same join with sqlite3 and nothing else, one transaction a truth."""
    db = sqlite3.connect(directory / "o.db", isolation_level=None)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")
    db.execute("CREATE TABLE predictions (id TEXT PRIMARY KEY, label TEXT, confidence REAL, time REAL, actual TEXT)")
    ids = [os.urandom(16).hex() for _ in range(n)]
    db.execute("BEGIN")
    db.executemany("INSERT INTO predictions VALUES (?, 'late', 0.8, 1.0, NULL)", [(key,) for key in ids])
    db.execute("COMMIT")
    wall, caller = time.perf_counter(), time.thread_time()
    for key in ids:
        db.execute("BEGIN IMMEDIATE")
        found = db.execute("SELECT label, actual FROM predictions WHERE id = ?", (key,)).fetchone()
        if found is not None and found[1] is None:
            db.execute("UPDATE predictions SET actual = 'late' WHERE id = ?", (key,))
        db.execute("COMMIT")
    wall, caller = time.perf_counter() - wall, time.thread_time() - caller
    joined = db.execute("SELECT COUNT(actual) FROM predictions").fetchone()[0]
    return {"rate": n / wall, "caller": caller / n * 1e6, "process": caller / n * 1e6, "joined": joined}


CONTENDERS = {"otelml": with_otelml, "hand": by_hand}


def measure(contender: str, n: int, environment: dict[str, str], disk: Path) -> dict[str, Any]:
    """Run one round of a contender in a process of its own."""
    with tempfile.TemporaryDirectory(dir=disk) as directory:
        command = [sys.executable, __file__, "--child", contender, "--truths", str(n), "--disk", directory]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=TIMEOUT, check=False)
    if done.returncode:
        raise SystemExit(f"{contender}: {done.stderr[-2000:]}")
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def main() -> int:
    """Run the rounds and print the table; return 1 where something is missing or a goal is not met."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--truths", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--disk", type=Path, default=Path.cwd(), help="a directory on the disk to measure")
    parser.add_argument("--buffer", type=int, help="predictions that may wait; few show that drops are counted")
    parser.add_argument("--quick", action="store_true", help="one small round; figures mean nothing")
    parser.add_argument("--child", choices=CONTENDERS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        print(json.dumps(CONTENDERS[options.child](options.disk, options.truths)))
        return 0
    n, rounds = (300, 1) if options.quick else (options.truths, options.rounds)
    results: dict[str, list[dict[str, Any]]] = {name: [] for name in CONTENDERS}
    faults, lost = list[str](), 0
    with started() as endpoint:
        for i in range(rounds):
            for name in CONTENDERS:
                run = f"{name}{i}"
                result = measure(name, n, {**endpoint.environment(run), **queues(n, options.buffer)}, options.disk)
                results[name].append(result)
                faults += [f"{run}: {result['joined']} of {n} joined"] if result["joined"] != n else []
                if name == "otelml":
                    tally = endpoint.tally(run)
                    lost += sum(int(count) for *_, count in tally["dropped"])
                    faults += [f"{run}: {fault}" for fault in unaccounted(tally, n)]
    return report(results, faults, lost, judged=not options.quick)


def queues(n: int, buffer: int | None) -> dict[str, str]:
    """Return the sizes of all queues and buffers, for n predictions and their truths."""
    sizes = dict.fromkeys(QUEUES, str(max(200_000, 4 * n)))
    return sizes if buffer is None else {**sizes, "OTELML_BUFFER_SIZE": str(buffer)}


def unaccounted(tally: dict[str, Any], n: int) -> list[str]:
    """Return where what n predictions and their truths made is not what arrived and what ``otelml.dropped`` counts.

    Each makes two events and two spans; an outcome whose prediction's span was dropped makes no span, as there is
    nothing to link to.
    """
    alone = int(sum(count for what, where, count in tally["dropped"] if (what, where) == ("span", "buffer")))
    found = unbalanced(tally, 1, {"spans": 2 * n - alone, "logs": 2 * n, "ml.outcomes": n})
    other = sum(int(count) for *_, count in tally["dropped"]) - dropped(tally, "span") - dropped(tally, "log")
    return found + ([f"{other} dropped that are neither span nor log"] if other else [])


def report(results: dict[str, list[dict[str, Any]]], faults: list[str], lost: int, *, judged: bool) -> int:
    """Print medians over the rounds, the ratio of rates and what was lost; return the exit code."""
    titles = {"otelml": "otelml, telemetry included", "hand": "sqlite3 by hand, no telemetry"}
    rows = []
    for name, rounds in results.items():
        rates = [r["rate"] for r in rounds]
        middle = [f"{statistics.median(r[figure] for r in rounds):.1f}" for figure in ("caller", "process")]
        rows.append([titles[name], f"{statistics.median(rates):,.0f}", f"{min(rates):,.0f}", *middle])
    print(table(["", "truths/s", "slowest round", "caller's CPU µs", "process CPU µs"], rows))
    ratios = [a["rate"] / b["rate"] for a, b in zip(results["otelml"], results["hand"], strict=True)]
    print(f"\notelml to by hand: {statistics.median(ratios):.2f} times the rate (lowest round {min(ratios):.2f})")
    print(where())
    if judged:
        slowest = min(r["rate"] for r in results["otelml"])
        print(f"goal of {GOAL:,.0f} truths a second in every round: {'met' if slowest >= GOAL else 'NOT met'}")
    print(f"{lost:,} dropped, counted; made = arrived + dropped {'does NOT hold' if faults else 'holds'}")
    for fault in faults:
        print(f"FAULT {fault}")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
