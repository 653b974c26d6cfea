"""What observing a one-row call of each model library costs: ``python benchmarks/one_row.py``.

The calls are those of the conformance suite (``tests/integrations/conformance.py``) whose library is installed here;
those of PyTorch, say, with ``.environments/torch-newest/bin/python benchmarks/one_row.py``, which
``scripts/test-integrations torch-newest`` makes. Each is made in a process of its own, in bursts with the integration
off and on in turn, and compared in pairs; the models are tiny and the calls come without pauses, so ratios are at
their worst. Telemetry goes to a real OTLP receiver: a prediction that is missing there, or one too many, ends the run
with exit 1. ``--write`` puts the figures into docs/integrations.json, from which ``scripts/docs`` makes the table of
docs/integrations.md.
"""

from __future__ import annotations

import argparse
import importlib
import json
import statistics
import subprocess
import sys
import time
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from receiver import Endpoint, started
from tables import machine, table, where

ROOT = Path(__file__).parents[1]
MEASURED = ROOT / "docs/integrations.json"
CONFORMANCE = ROOT / "tests/integrations"
TIMEOUT = 600.0
LEAST = 3
"""Pairs of bursts, however slow a call is."""
MICRO = 1e-3
"""Microseconds in a nanosecond."""
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"), "1")


def cases() -> dict[str, Any]:
    """Return the conformance suite's calls that can be made here, by name."""
    sys.path[:0] = [str(CONFORMANCE), str(CONFORMANCE.parent)]
    found: dict[str, Any] = importlib.import_module("conformance").INSTALLED
    return found


# One call, in a process of its own ----------------------------------------------------------------------------------


def measured(name: str, seconds: float) -> dict[str, Any]:
    """Call off and on in turn; return the times of a call on its thread in µs, and how many were observed."""
    known = cases()
    case = known[name]
    model, arguments = case.make(), case.given(1)
    for _ in range(20):
        case.call(model, arguments)
    begun = time.perf_counter()
    case.call(model, arguments)
    burst = max(5, int(0.02 / (time.perf_counter() - begun)))

    import otelml  # noqa: PLC0415 - the calls alone come first

    running = otelml.auto_instrument("one-row", disabled=["*"])
    names = {f"otelml_{each.names[0]}" for each in known.values()}  # a model of one library may be of another's class
    points = entry_points(group="opentelemetry_instrumentor")
    switches = [each.load()() for each in points if each.name in names]
    times: dict[str, list[float]] = {"off": [], "on": []}
    pairs, observed, end = 0, 0, time.monotonic() + seconds
    while pairs < LEAST or time.monotonic() < end:
        times["off"].append(_burst(case, model, arguments, burst))
        for each in switches:
            each.instrument(skip_dep_check=True)
        times["on"].append(_burst(case, model, arguments, burst))
        for each in switches:
            each.uninstrument()
        pairs, observed = pairs + 1, observed + burst
        time.sleep(0.01)  # what was recorded is worked off
    running.shutdown()
    ratios = [on / off for on, off in zip(times["on"], times["off"], strict=True)]
    return {
        "package": case.names[0],
        "alone": statistics.median(times["off"]),
        "added": statistics.median(on - off for on, off in zip(times["on"], times["off"], strict=True)),
        "ratio": statistics.median(ratios),
        "pairs": pairs,
        "observed": observed,
    }


def _burst(case: Any, model: Any, arguments: Any, calls: int) -> float:
    begun = time.thread_time_ns()
    for _ in range(calls):
        case.call(model, arguments)
    return (time.thread_time_ns() - begun) * MICRO / calls


# All of them --------------------------------------------------------------------------------------------------------


def asked(name: str, number: int, endpoint: Endpoint, seconds: float) -> tuple[dict[str, Any], list[str]]:
    """Measure one call; return its figures, and what did not arrive as it should."""
    run = f"row-{number}"
    limits = {"OTEL_BSP_MAX_QUEUE_SIZE": "500000", "OTEL_BLRP_MAX_QUEUE_SIZE": "500000"}
    command = [sys.executable, __file__, "--one", name, "--seconds", str(seconds)]
    env = endpoint.environment(run) | limits | ONE_THREAD
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=TIMEOUT, check=False)
    if done.returncode:
        return {}, [f"{name}: exit {done.returncode}: {done.stderr[-2000:]}"]
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    received = endpoint.tally(run)["points"]
    arrived = {what: int(received.get(what, 0)) for what in ("ml.requests", "otelml.dropped")}
    if arrived != {"ml.requests": found["observed"], "otelml.dropped": 0}:
        return found, [f"{name}: {found['observed']} calls were observed, and {arrived} arrived"]
    return found, []


def write(figures: dict[str, dict[str, Any]]) -> None:
    """Put figures beside those of other environments."""
    known = json.loads(MEASURED.read_text("utf-8")) if MEASURED.exists() else {}
    about = {key: machine()[key] for key in ("date", "cpu", "cores", "python")}
    rounded = {name: {what: _rounded(value) for what, value in row.items()} for name, row in figures.items()}
    rows = {**known.get("one_row", {}), **{name: {**row, **about} for name, row in rounded.items()}}
    text = json.dumps({**known, "one_row": dict(sorted(rows.items(), key=lambda row: row[0].lower()))}, indent=1)
    MEASURED.write_text(f"{text}\n", "utf-8")


def _rounded(value: Any) -> Any:
    return float(f"{value:.3g}") if isinstance(value, float) else value


def line(name: str, figures: dict[str, Any]) -> list[str]:
    """Return a row of the table that is printed."""
    return [name, *(f"{figures[what]:.{digits}f}" for what, digits in (("alone", 1), ("added", 1), ("ratio", 2)))]


def main() -> int:
    """Measure every call, or with ``--one`` that one; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0] if __doc__ else None)
    parser.add_argument("call", nargs="*", help="calls to measure, as the table names them; all where none is given")
    parser.add_argument("--seconds", type=float, default=15.0, help="seconds of bursts for each call (15)")
    parser.add_argument("--write", action="store_true", help="put the figures into docs/integrations.json")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(measured(options.one, options.seconds)))
        return 0
    known = cases()
    if unknown := sorted(set(options.call) - set(known)):
        parser.error(f"unknown: {', '.join(unknown)}; there are {', '.join(known)}")
    figures, lost = {}, list[str]()
    with started() as endpoint:
        for number, name in enumerate(options.call or known):
            print(f"{name}: {options.seconds:.0f} s", file=sys.stderr)
            figures[name], faults = asked(name, number, endpoint, options.seconds)
            lost += faults
    rows = [line(name, found) for name, found in figures.items() if found]
    print(f"{where()}\n\n{table(['one-row call', 'alone, µs', 'added, µs', 'ratio'], rows)}\n")
    if lost:
        print("\n".join(lost), file=sys.stderr)
        return 1
    print("Every prediction arrived once.")
    if options.write:
        write(figures)
        print("Wrote docs/integrations.json. Next: scripts/docs")
    return 0


if __name__ == "__main__":
    sys.exit(main())
