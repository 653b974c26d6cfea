"""Runs a library's own tests with otelml off and on and compares the outcome of every one of them.

The tests are those in the installed package: scikit-learn's, or Keras's with ``--library keras``. Each module runs in
two processes: bare, and switched on by a plugin before anything is collected, exporting to a receiver in this process.
Exit code 1: an outcome differs, no prediction was measured, or otelml counted a fault of its own. ``--quick`` runs one
module: pipelines, or sequential models.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from otelml.viewer.receiver import Receiver

MODULES = {
    "sklearn": (
        "tests/test_pipeline.py",
        *(f"ensemble/tests/test_{name}.py" for name in ("bagging", "base", "bootstrap", "common", "forest")),
        *(f"ensemble/tests/test_{name}.py" for name in ("gradient_boosting", "iforest", "stacking", "voting")),
        "ensemble/tests/test_weight_boosting.py",
        "ensemble/_hist_gradient_boosting/tests",
        "tests/test_calibration.py",
        "tests/test_multiclass.py",
        "tests/test_multioutput.py",
        "tests/test_metaestimators.py",
        "tests/test_metaestimators_metadata_routing.py",
        "model_selection/tests/test_search.py",
        "utils/tests/test_estimator_checks.py",
        "tests/test_common.py",
    ),
    "keras": tuple(f"src/models/{name}_test.py" for name in ("sequential", "functional", "model", "cloning")),
}
"""Modules by the library whose package has them; the first is the quick one."""
SILENT = {"ensemble/tests/test_base.py", "ensemble/tests/test_bootstrap.py"}
"""Modules whose tests predict nothing."""
OUTCOMES = ("passed", "skipped", "xfailed", "xpassed", "failed", "error")
HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Compared:
    """One module's tests without and with otelml."""

    module: str
    bare: dict[str, str]
    switched_on: dict[str, str]
    predictions: int
    """Measured while it was on."""
    faults: int
    """Of otelml itself."""

    @property
    def differences(self) -> list[str]:
        """Tests whose outcome is another one, or that ran on one side alone."""
        tests = sorted(self.bare.keys() | self.switched_on.keys())
        pairs = ((test, self.bare.get(test, "not run"), self.switched_on.get(test, "not run")) for test in tests)
        return [f"{test}: {off} without, {on} with" for test, off, on in pairs if off != on]

    @property
    def good(self) -> bool:
        """Whether it passes."""
        seen = self.predictions > 0 or self.module in SILENT
        return bool(self.bare) and seen and not self.differences and not self.faults


def main(arguments: list[str]) -> int:
    """Run and compare; return the exit code."""
    parser = argparse.ArgumentParser(prog="scripts/own_tests", description=__doc__.replace("``", ""))
    parser.add_argument("--library", choices=tuple(MODULES), default="sklearn", help="whose tests (default: sklearn)")
    parser.add_argument("--quick", action="store_true", help="the first module alone")
    parser.add_argument("--jobs", type=int, default=2, help="modules side by side (default: 2)")
    parser.add_argument("--own-calls", choices=("count", "skip"), default="count", help="calls by the library itself")
    parser.add_argument("--markdown", action="store_true", help="the table as docs/hardening.md holds it")
    parser.add_argument("--break", dest="broken", action="store_true", help="break one method, to see that it is seen")
    parser.add_argument("--select", default="", metavar="WORDS", help="tests whose names pytest -k finds by this")
    parser.add_argument("modules", nargs="*", help="such as tests/test_pipeline.py (default: all of the list)")
    options = parser.parse_args(arguments)
    modules = options.modules or MODULES[options.library][: 1 if options.quick else None]
    selected = ("-k", options.select) if options.select else ()
    extra = {"LIBRARY": options.library, "OWN_CALLS": options.own_calls, "BROKEN": "1" if options.broken else ""}
    with Receiver() as receiver, ThreadPoolExecutor(options.jobs) as pool:
        compared = list(pool.map(lambda module: _compare(module, selected, receiver, extra), modules))
    print(table(compared, markdown=options.markdown))
    for each in compared:
        print(*each.differences, sep="\n", end="\n" if each.differences else "")
    return 0 if all(each.good or (options.own_calls == "skip" and not each.differences) for each in compared) else 1


def _compare(module: str, selected: tuple[str, ...], receiver: Receiver, extra: dict[str, str]) -> Compared:
    bare = _run(module, {"LIBRARY": extra["LIBRARY"]}, selected)
    environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.http_endpoint, "OTEL_SERVICE_NAME": module, **extra}
    switched_on = _run(module, environment, (*selected, "-p", "_own_tests.switched_on"))
    compared = Compared(
        module, bare, switched_on, _total(receiver, "ml.requests", module), _total(receiver, "otelml.errors", module)
    )
    print(f"{module}: {len(bare)} tests, {len(compared.differences)} differences", file=sys.stderr)
    return compared


def _total(receiver: Receiver, metric: str, service: str) -> int:
    points = receiver.store.latest(metric)
    return int(sum(p.value or 0 for p in points if p.resource.get("service.name") == service))


def _run(module: str, environment: dict[str, str], arguments: tuple[str, ...]) -> dict[str, str]:
    """Run a module's tests; return the outcome of each."""
    library = environment["LIBRARY"]
    spec = find_spec(library)
    if spec is None or spec.origin is None:
        raise SystemExit(f"{library} is not installed")
    package = Path(spec.origin).parent
    if not (package / module).exists():
        raise SystemExit(f"{module}: not among what {library} installs")
    kept = {name: value for name, value in os.environ.items() if not name.startswith("OTEL")}
    path = os.pathsep.join([str(HERE), str(HERE.parent), *filter(None, [kept.get("PYTHONPATH")])])
    with tempfile.TemporaryDirectory() as folder:
        settings, outcomes = Path(folder, "pytest.ini"), Path(folder, "outcomes")
        settings.write_text("[pytest]\n", "utf-8")
        command = [sys.executable, "-m", "pytest", "-q", "-c", str(settings), "--rootdir", str(package.parent)]
        command += ["-p", "no:cacheprovider", "-p", "_own_tests.outcomes", *arguments, str(package / module)]
        threads = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MPLBACKEND": "agg"}
        env = {**kept, **threads, **environment, "PYTHONPATH": path, "OUTCOMES": str(outcomes)}
        done = subprocess.run(command, env=env, cwd=folder, capture_output=True, text=True, check=False)  # noqa: S603 - ours
        if not outcomes.exists():
            said = done.stdout[-3000:] + done.stderr[-3000:]
            raise SystemExit(f"{module}: pytest ended with {done.returncode}\n{said}")
        return dict(json.loads(line) for line in outcomes.read_text("utf-8").splitlines())


def table(compared: list[Compared], *, markdown: bool) -> str:
    """Return a line for each module, and the sums."""
    heads = ["Module", "Tests", *OUTCOMES, "Differences", "Predictions measured", "Faults of otelml"]
    names, rows = [each.module for each in compared], []
    for each in compared:
        by = Counter(each.switched_on.values())
        figures = [len(each.bare), *(by[name] for name in OUTCOMES)]
        rows.append([*figures, len(each.differences), each.predictions, each.faults])
    rows.append([sum(column) for column in zip(*rows, strict=True)])
    lines = [[name, *(f"{figure:,}" for figure in row)] for name, row in zip([*names, "all"], rows, strict=True)]
    cells = [heads, *lines]
    if markdown:
        rule = ["---", *["--:"] * (len(heads) - 1)]
        return "\n".join(f"| {' | '.join(line)} |" for line in (cells[0], rule, *cells[1:]))
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return "\n".join("  ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)).rstrip() for line in cells)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
