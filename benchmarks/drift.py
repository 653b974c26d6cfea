"""Is drift detection true, and what does it cost? ``python benchmarks/drift.py --peer evidently=PYTHON --peer ...``.

Each contender runs in a process of its own, at its documented defaults, on the same seeded tables
(`_drift/scenarios.py`). A peer needs an interpreter of its own, given by ``--peer NAME=PYTHON``; a peer without one has
rows that say so. ``--keep FOLDER`` keeps the result of each job and reads those that are there: a run that was broken
off goes on. ``--markdown`` prints the tables of docs/drift.md. Goals are judged after a whole run that is not quick.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from _drift.scenarios import CHANGES, apply, levels
from tables import table, where

from otelml import drift
from otelml.drift.features import CategoryFeature, NumberFeature

if TYPE_CHECKING:
    from collections.abc import Callable

    from otelml.drift.features import Feature

HERE = Path(__file__).parent
OURS = "otelml"
DRAWN = "otelml, counts drawn"
PEERS = ("evidently", "alibi-detect", "frouros", "frouros-psi", "nannyml")
WIDE, NARROW = 200, 50
NO_CHANGE = {  # runs at each n, of 200 features; what is slow gets fewer, and the table says how many
    OURS: {200: 1000, 1000: 1000, 10_000: 1000, 100_000: 200, 1_000_000: 4},
    "frouros": {200: 500, 1000: 500, 10_000: 50},
    "alibi-detect": {200: 500, 1000: 500, 10_000: 50},
    "frouros-psi": {200: 30, 1000: 30, 10_000: 5},
    "nannyml": {200: 10, 1000: 10, 10_000: 5},
    "evidently": {200: 5, 1000: 5, 10_000: 2},
}
FEW = ("frouros", "alibi-detect")  # peers whose false alarms may be few enough to be compared on changes
RUNS, ROWS = 300, 1000
MOST_FALSE, GOAL_FALSE, GOAL_TIME = 0.05, 0.01, 5


@dataclass(frozen=True)
class Bench:
    """Where results are kept, and the interpreters."""

    keep: Path
    pythons: dict[str, str]
    quick: bool

    def job(self, name: str, change: str, rows: int, columns: int, runs: int, *more: str) -> dict[str, Any] | None:
        """Return what a contender said, or None where it has no interpreter."""
        kept = self.keep / f"{name}.{change}.{rows}.{columns}.{runs}{''.join(more)}.json"
        if kept.exists():
            return dict(json.loads(kept.read_text("utf-8")))
        if name not in self.pythons:
            return None
        command = [
            self.pythons[name],
            str(HERE / "_drift/run.py"),
            name,
            change,
            *map(str, (rows, columns, runs)),
            *more,
        ]
        paths = [str(HERE), str(HERE.parent), os.environ.get("PYTHONPATH", "")]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in paths if path)}
        done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
        if done.returncode:
            raise SystemExit(f"{' '.join(command)}\n{done.stderr}")
        last = done.stdout.splitlines()[-1]
        kept.write_text(last, "utf-8")
        return dict(json.loads(last))

    def drawn(self, n: int) -> dict[str, Any]:
        """Return what `drawn` found, kept like a job's."""
        runs = 20 if self.quick else 1000
        kept = self.keep / f"drawn.none.{n}.{WIDE}.{runs}.json"
        if not kept.exists():
            kept.write_text(json.dumps({"found": drawn(n, runs), "raised": ""}), "utf-8")
        return dict(json.loads(kept.read_text("utf-8")))


# No change --------------------------------------------------------------------------------------------------------


def no_change(bench: Bench) -> list[list[str]]:
    """Return rows: contender, rows, runs, share of runs with any alarm, features named wrongly in a run."""
    rows = []
    for name in (OURS, *PEERS):
        for n, runs in NO_CHANGE[name].items():
            if bench.quick and n > 1000:  # noqa: PLR2004 - the quick sizes
                continue
            said = bench.job(name, "none", n, WIDE, 3 if bench.quick else runs)
            rows.append([name, f"{n:,}", *_alarms(said)])
    return [*rows, *([DRAWN, f"{n:,}", *_alarms(bench.drawn(n))] for n in NO_CHANGE[OURS])]


def _alarms(said: dict[str, Any] | None) -> list[str]:
    if said is None:
        return ["-", "not installed", "-"]
    found = said["found"]
    any_alarm = sum(map(bool, found)) / len(found)
    return [str(len(found)), f"{any_alarm:.1%}", f"{sum(map(len, found)) / len(found):.2f}"]


def drawn(n: int, runs: int) -> list[list[int]]:
    """Return the features named in runs whose counts were drawn from their exact law, without the rows themselves.

    The shares of a continuous population between order statistics of a reference of n rows are Dirichlet distributed;
    given them, the counts are multinomial. So a million rows of 200 features cost no more than a thousand.
    """
    found = []
    for seed in range(runs):
        rng = np.random.default_rng((seed, n))
        features: list[Feature] = []
        counts = {}
        for j in range(WIDE):
            name = f"x{j}"
            if j % 5 == 4:  # noqa: PLR2004 - as in the tables: a fifth are categories
                shares = rng.dirichlet(np.full(levels(j), 2.0))
                before, now = ((*rng.multinomial(n, shares).tolist(), 0, 0) for _ in range(2))
                names = tuple(map(str, range(levels(j))))
                features.append(CategoryFeature(name, names, before))
            else:
                at = np.array([1, *(i * n // 10 for i in range(1, 10)), n])
                shares = rng.dirichlet([1, *np.diff(at), 1])
                now = (*rng.multinomial(n, shares).tolist(), 0)
                parts = np.diff(at)
                before = (0, parts[0].item() + 1, *parts[1:].tolist(), 0, 0)
                features.append(NumberFeature(name, tuple(map(float, at)), before))
            counts[name] = np.array(now, np.int64)
        report = drift.compare(drift.Reference(tuple(features)), drift.Window(counts, n))
        found.append([i for i, feature in enumerate(report.features) if feature.drifted])
    return found


# Change -----------------------------------------------------------------------------------------------------------


def changes(bench: Bench) -> list[list[str]]:
    """Return rows: change, rows, then for each contender found / exactly that feature."""
    rows = []
    for change, n, runs in _sizes(quick=bench.quick):
        said = {name: bench.job(name, change, n, NARROW, runs) for name in (OURS, *FEW)}
        if change == "none":
            rows.append(["nothing (any alarm)", f"{n:,}", *(_alarms(found)[1] for found in said.values())])
        else:
            rows.append([CHANGES[change].title, f"{n:,}", *(_found(s, CHANGES[change].column) for s in said.values())])
    return rows


def _sizes(*, quick: bool) -> list[tuple[str, int, int]]:
    """Return change, rows, runs; the first is no change."""
    sizes = [(change, ROWS, 3 if quick else RUNS) for change in CHANGES]
    return sizes if quick else [*sizes, ("shift-0.1", 10_000, 100)]


def _found(said: dict[str, Any] | None, target: int) -> str:
    if said is None:
        return "not installed"
    found = said["found"]
    some = sum(target in each for each in found) / len(found)
    exact = sum(each == [target] for each in found) / len(found)
    return f"{some:.0%} / {exact:.0%}"


def delays(*, quick: bool) -> list[list[str]]:
    """Return rows: change, n, median and 90th percentile of windows until `Alarm` is raised."""
    rows = []
    for change in ("shift-0.2", "shift-0.3", "shift-0.5", "missing-5"):
        windows = sorted(_windows(change, seed) for seed in range(5 if quick else 60))
        late = windows[int(0.9 * len(windows))]
        rows.append([CHANGES[change].title, f"{ROWS:,}", f"{statistics.median(windows):g}", f"{late}"])
    return rows


def _windows(change: str, seed: int, most: int = 50) -> int:
    rng, alarm = np.random.default_rng(seed), drift.Alarm()
    reference = drift.Reference.fit(rng.normal(size=(ROWS, NARROW)))
    for window in range(1, most + 1):
        now = rng.normal(size=(ROWS, NARROW))
        apply(rng, now[:, 0], CHANGES[change])
        if any(c.feature == "x0" for c in alarm.update(drift.compare(reference, now))):
            return window
    return most


# Time -------------------------------------------------------------------------------------------------------------


def times(bench: Bench) -> list[list[str]]:
    """Return rows: contender, CPU seconds of one check, that as a multiple of ours."""
    names, seconds = _timed(bench), _seconds(bench)
    return [
        [name, f"{seconds[name]:.2f}", f"{seconds[name] / seconds[OURS]:.1f}"]
        if name in seconds
        else [name, "not installed", "-"]
        for name in names
    ]


def _timed(bench: Bench) -> list[str]:
    return [name for name in (OURS, *PEERS) if name != "evidently" or bench.quick]  # minutes: docs say so


def _seconds(bench: Bench) -> dict[str, float]:
    n, columns = (10_000, 10) if bench.quick else (1_000_000, NARROW)
    said = {name: bench.job(name, "none", n, columns, 1, "--time") for name in _timed(bench)}
    return {name: statistics.median(found["seconds"]) for name, found in said.items() if found}


# Goals ------------------------------------------------------------------------------------------------------------


def goals(bench: Bench) -> list[list[str]]:
    """Return rows: goal, what was measured, whether it is met; of jobs that are kept, so nothing runs again."""
    rows = []
    for n, runs in NO_CHANGE[OURS].items():
        drawn, real = bench.drawn(n), bench.job(OURS, "none", n, WIDE, runs)
        for said in (real, drawn) if runs >= 1000 else (drawn,):  # noqa: PLR2004 - of less, 1 % can't be told
            share = _share(said, bool)
            rows.append([f"false alarms, {n:,} rows", f"{share:.1%}", _met(share <= GOAL_FALSE)])
    peers = [name for name in FEW if name in bench.pythons]
    for change, n, runs in _sizes(quick=False)[1:] if peers else ():
        careful = [p for p in peers if _share(bench.job(p, "none", ROWS, NARROW, RUNS), bool) <= MOST_FALSE]
        right = [CHANGES[change].column].__eq__
        ours, *theirs = (_share(bench.job(p, change, n, NARROW, runs), right) for p in (OURS, *careful))
        best = max(theirs, default=0.0)
        title = f"{CHANGES[change].title}, {n:,} rows, exactly that"
        rows.append([title, f"{ours:.0%}, best peer {best:.0%}", _met(ours >= best)])
    if len(seconds := _seconds(bench)) > 1:
        ratio = min(s for name, s in seconds.items() if name != OURS) / seconds[OURS]
        rows.append(["time, fastest peer as a multiple", f"{ratio:.1f}", _met(ratio >= GOAL_TIME)])
    return rows


def _share(said: dict[str, Any] | None, right: Callable[[list[int]], object]) -> float:
    found = said["found"] if said else []
    return sum(bool(right(each)) for each in found) / len(found) if found else 1.0


def _met(met: object) -> str:
    return "met" if met else "missed"


def main() -> int:
    """Run everything, print tables; exit status 1 if a goal that could be judged is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--peer", action="append", default=[], metavar="NAME=PYTHON", help="interpreter with a peer")
    parser.add_argument("--keep", type=Path, help="folder for results of jobs; those there are not run again")
    parser.add_argument("--only", default="no-change,change,delay,time", help="parts, by comma")
    parser.add_argument("--markdown", action="store_true", help="tables as docs/drift.md has them")
    parser.add_argument("--quick", action="store_true", help="a few small runs: proves that it works, no more")
    options = parser.parse_args()
    pythons = {OURS: sys.executable, **dict(peer.split("=", 1) for peer in options.peer)}
    if "frouros" in pythons:
        pythons["frouros-psi"] = pythons["frouros"]
    with tempfile.TemporaryDirectory() as scratch:
        keep = options.keep or Path(scratch)
        keep.mkdir(parents=True, exist_ok=True)
        return _print(Bench(keep, pythons, options.quick), options.only.split(","), markdown=options.markdown)


def _print(bench: Bench, parts: list[str], *, markdown: bool) -> int:
    of = {
        "no-change": (no_change, ("contender", "rows", "runs", "runs with any alarm", "features named a run"), 1),
        "change": (changes, ("change of one of 50 features", "rows", OURS, *FEW), 1),
        "delay": (lambda b: delays(quick=b.quick), ("change", "rows a window", "median windows", "90 %"), 1),
        "time": (times, ("contender", "CPU s", "times otelml"), 1),
    }
    print(where())
    for part in parts:
        measure, heads, text = of[part]
        print(f"\n{part}\n\n{partial(table, markdown=markdown, text=text)(heads, measure(bench))}", flush=True)
    if bench.quick or set(parts) < set(of):
        return 0
    judged = goals(bench)
    print(f"\n{table(('goal', 'measured', 'met'), judged, markdown=markdown, text=3)}")
    return int(any(met != "met" for _, _, met in judged))


if __name__ == "__main__":
    sys.exit(main())
