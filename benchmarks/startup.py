"""What starting costs: ``python benchmarks/startup.py`` compares ``auto_instrument()`` with the SDK by hand.

Each start is a fresh process, in rounds (A B, A B, ...); both configure three signals over OTLP/HTTP. The clocks run
from the first import to the end of configuration. Modules that nobody asked for are a failure: exit 1.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from tables import table, where

if TYPE_CHECKING:
    from collections.abc import Mapping

HERE = Path(__file__).parent
UNWANTED = (
    *("sklearn", "torch", "tensorflow", "xgboost", "lightgbm", "onnxruntime", "transformers", "pandas"),
    *("numpy", "pynvml", "grpc", "prometheus_client", "fastapi"),
)
"""Frameworks, numpy (imported when the first prediction ends), NVML, and exporters that are not configured."""

MEASURE = """
import json, os, sys, time, warnings
filters, wall, cpu = len(warnings.filters), time.perf_counter(), time.process_time()
{start}
wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
found = [name for name in {unwanted!r} if name in sys.modules]
print(json.dumps(dict(wall=wall * 1e3, cpu=cpu * 1e3, modules=len(sys.modules), unwanted=found,
                      filters=len(warnings.filters) - filters)), flush=True)
os._exit(0)  # exporting what the start recorded is not part of it
"""
STARTS = {
    "OpenTelemetry SDK by hand": "from _contenders import sdk; sdk.start()",
    "otelml": "import otelml; otelml.auto_instrument()",
    "otelml, import alone": "import otelml",
}
BY_HAND, OTELML, *_ = STARTS


def environment(compiled: str) -> dict[str, str]:
    """Return the environment of a start; byte code is kept in the folder ``compiled``, as an installation has it."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("OTEL")}
    own.pop("PYTHONDONTWRITEBYTECODE", None)
    return own | {
        "PYTHONPATH": str(HERE),
        "PYTHONPYCACHEPREFIX": compiled,
        # Nothing listens there: starting contacts no endpoint.
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9",
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
    }


def measure(start: str, env: Mapping[str, str]) -> dict[str, Any]:
    """Start once in a fresh process; times in ms."""
    program = MEASURE.format(start=start, unwanted=UNWANTED)
    done = subprocess.run([sys.executable, "-c", program], env=env, capture_output=True, text=True, check=True)
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--markdown", action="store_true", help="print the table as docs/performance.md has it")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every figure to FILE")
    parser.add_argument("--quick", action="store_true", help="one round: proves what is imported, nothing of time")
    options = parser.parse_args()
    if options.quick:
        options.rounds = 1
    return options


def measured(rounds: int) -> dict[str, list[dict[str, Any]]]:
    """Return the figures of every start, by name."""
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in STARTS}
    with TemporaryDirectory() as compiled:
        env = environment(compiled)
        for start in STARTS.values():
            measure(start, env)  # compiles
        for _ in range(rounds):
            for name, start in STARTS.items():
                runs[name].append(measure(start, env))
    return runs


def faults(run: Mapping[str, Any]) -> list[str]:
    """Return what a start of otelml does that it must not."""
    found = [f"otelml imports {name}" for name in run["unwanted"]]
    # Each one costs a random forest's one-row prediction a few percent: its threads copy them.
    return found + ([f"otelml leaves {run['filters']} warning filters"] if run["filters"] else [])


def main() -> int:
    """Measure, print the table, and fail when something was imported that nobody asked for."""
    options = arguments()
    runs = measured(options.rounds)
    median = {n: {k: statistics.median(r[k] for r in of) for k in ("wall", "cpu", "modules")} for n, of in runs.items()}
    best = {name: min(r["wall"] for r in runs[name]) for name in runs}
    rows = [
        [n, *(f"{x:.1f}" for x in (m["wall"], best[n], m["cpu"])), f"{m['modules']:.0f}"] for n, m in median.items()
    ]
    header = ("ms, median of fresh processes", "wall", "best", "CPU", "modules")
    print(f"{where()}; {options.rounds} rounds\n\n{table(header, rows, markdown=options.markdown)}")
    added = {what: median[OTELML][what] - median[BY_HAND][what] for what in ("wall", "cpu")}
    print(f"\notelml adds {added['wall']:.1f} ms ({added['cpu']:.1f} ms of CPU) to the SDK by hand.")
    found = faults(runs[OTELML][0])
    print("\n".join(found) or "It imports no framework, no NVML, no exporter that is not configured.")
    if options.json is not None:
        options.json.write_text(json.dumps({"added": added, "runs": runs, "faults": found}, indent=1))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
