"""Runs the tests of integrations against the versions of libraries that ``tests/integrations/environments.toml`` names.

Each environment is made once under ``.environments``, and again when its requirements or the project's change. Its
tests, and the rows of the conformance suite that are its own, run there. Exit code 1: something failed, or no test ran.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
import tomllib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
TABLE = ROOT / "tests/integrations/environments.toml"
FACTS, MEASURED = ROOT / "docs/integrations.toml", ROOT / "docs/integrations.json"
PLACE = ROOT / ".environments"
CONFORMANCE = "tests/integrations/test_conformance.py"
TOOLS = ("hypothesis", "joblib", "pytest>=8.3", "pytest-rerunfailures>=15", "pytest-timeout")
AGES = ("newest", "oldest")
INSTALL, TEST = 1200, 1500
"""Seconds that each may take."""


@dataclass(frozen=True)
class Environment:
    """One age of one row of the table."""

    name: str
    age: str
    requirements: tuple[str, ...]
    tests: tuple[str, ...]
    packages: tuple[str, ...]
    """What the conformance suite's rows are of."""
    heavy: bool
    """Of gigabytes: installed past uv's cache, and removed in continuous integration once it has passed."""
    viewer: bool
    """With the viewer, whose receiver most tests send to."""
    alone: bool
    """Tested after all others, by itself: what starts a cluster wants the machine for itself."""
    compiled: bool
    """Some of it is compiled when it is installed, which takes a C compiler."""

    def __str__(self) -> str:
        """Return the name by which it is asked for."""
        return f"{self.name}-{self.age}"

    @property
    def folder(self) -> Path:
        """Where it is."""
        return PLACE / str(self)

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.folder / "bin/python"

    @property
    def state(self) -> str:
        """What it is made of."""
        folders = [ROOT / name for name in self.requirements if name.startswith("./")]
        sources = [path for folder in folders for path in (folder / "pyproject.toml", *sorted(folder.glob("src/*")))]
        texts = [path.read_text("utf-8") for path in (ROOT / "pyproject.toml", *sources)]
        told = json.dumps([self.requirements, TOOLS, sys.version, texts])
        return hashlib.sha256(told.encode()).hexdigest()


@dataclass(frozen=True)
class Result:
    """What became of an environment's tests."""

    environment: Environment
    ok: bool
    said: str
    """The last line of the tests, or why there were none."""
    output: str
    seconds: float


def environments(wanted: list[str]) -> list[Environment]:
    """Return those that are named, by name or by name and age; all where none is.

    Raises:
        SystemExit: A name is unknown.
    """
    table = tomllib.loads(TABLE.read_text("utf-8"))
    every = [
        Environment(
            *(name, age, tuple(row[age]), tuple(row["tests"]), tuple(row.get("packages", ()))),
            *(row.get("heavy", False), row.get("viewer", True), row.get("alone", False), row.get("compiled", False)),
        )
        for name, row in table.items()
        for age in AGES
        if age in row
    ]
    known = {each.name for each in every} | {str(each) for each in every}
    if unknown := sorted(set(wanted) - known):
        sys.exit(f"test-integrations: unknown: {', '.join(unknown)}; there are {', '.join(sorted(known))}")
    return [each for each in every if not wanted or each.name in wanted or str(each) in wanted]


def run(environment: Environment, options: list[str]) -> Result:
    """Make an environment, where it is not there yet, and run its tests."""
    began = time.monotonic()
    done = _made(environment)
    if done is None:
        done = _tested(environment, options)
    lines = [line for line in done.stdout.splitlines() if line.strip()] or ["nothing was said"]
    counts = next((line for line in reversed(lines) if re.search(r"\d+ (passed|failed|error)", line)), lines[-1])
    ok = done.returncode == 0 and " passed" in counts
    if environment.heavy and ok and os.environ.get("CI"):
        shutil.rmtree(environment.folder, ignore_errors=True)
    result = Result(environment, ok, counts.strip("= "), done.stdout, time.monotonic() - began)
    print(f"    {environment}: {result.said}", flush=True)
    return result


def _made(environment: Environment) -> subprocess.CompletedProcess[str] | None:
    """Install what is wanted; return what failed, None where nothing did."""
    note = environment.folder / "otelml-state"
    if note.exists() and note.read_text("utf-8") == environment.state:
        return None
    shutil.rmtree(environment.folder, ignore_errors=True)
    uv = shutil.which("uv", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")
    if uv is None:
        return subprocess.CompletedProcess([], 1, "uv is not installed: pip install uv")
    made = _run([uv, "venv", "--quiet", "--python", sys.executable, str(environment.folder)], INSTALL)
    if made.returncode == 0:
        what = [
            *(["--no-cache"] if environment.heavy else []),
            "--editable",
            ".[view]" if environment.viewer else ".",
            *TOOLS,
            *environment.requirements,
        ]
        made = _run([uv, "pip", "install", "--quiet", "--python", str(environment.python), *what], INSTALL)
    if made.returncode == 0:
        note.write_text(environment.state, "utf-8")
        return None
    return made


def _tested(environment: Environment, options: list[str]) -> subprocess.CompletedProcess[str]:
    tests = [*environment.tests, *([CONFORMANCE] if environment.packages else [])]
    how = [*options, "-rfE", "--color=no", "--timeout=300", "--reruns=1"]
    return _run(
        [str(environment.python), "-m", "pytest", *tests, *how],
        TEST,
        TEST_ENVIRONMENT=environment.name,
        PYTHONPATH=str(ROOT),
    )


def _run(command: list[str], limit: float, **more: str) -> subprocess.CompletedProcess[str]:
    settings = {"UV_NATIVE_TLS": "true", "UV_SYSTEM_CERTS": "true", **os.environ, **more}
    try:
        return subprocess.run(  # noqa: S603 - uv and pytest
            command,
            env=settings,
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=limit,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        said = error.stdout.decode(errors="replace") if isinstance(error.stdout, bytes) else error.stdout or ""
        return subprocess.CompletedProcess(command, 124, f"{said}\nnot done after {limit:.0f} s")


VERSION = """import importlib.metadata, sys
found = {each.metadata["Name"].lower().replace("_", "-"): each.version for each in importlib.metadata.distributions()}
print(next((found[name] for name in sys.argv[1:] if name in found), ""))"""


def write_versions(environments: list[Environment]) -> None:
    """Note the versions of the libraries that passed in these environments and in this one, beside those of others."""
    facts = tomllib.loads(FACTS.read_text("utf-8"))
    known = json.loads(MEASURED.read_text("utf-8")) if MEASURED.exists() else {}
    versions: dict[str, dict[str, str]] = {name: known.get("versions", {}).get(name, {}) for name in facts}
    ran = [(str(each), each.python, {Path(test).name for test in each.tests}) for each in environments]
    for where, python, tests in (*ran, ("development", Path(sys.executable), None)):
        for name, row in facts.items():
            if tests is None or row.get("tests", f"test_{name}.py") in tests:
                distributions = row.get("distributions", [row["library"].lower()])
                found = _run([str(python), "-c", VERSION, *distributions], TEST).stdout.strip()
                versions[name] |= {where: found} if found else {}
    text = json.dumps(
        {**known, "versions": {name: dict(sorted(had.items())) for name, had in versions.items()}}, indent=1
    )
    MEASURED.write_text(f"{text}\n", "utf-8")


def can_be_made(environment: Environment) -> bool:
    """Whether there is a compiler for one that wants it; in continuous integration there has to be one."""
    if not environment.compiled or shutil.which("cc") is not None or os.environ.get("CI"):
        return True
    print(
        f"    {environment}: left out, it needs a C compiler: apt-get install gcc libc6-dev, or xcode-select --install"
    )
    return False


def main() -> int:
    """Run what the command line names."""
    parser = argparse.ArgumentParser(prog="scripts/test-integrations", description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("name", nargs="*", help="environments: torch, torch-newest; all where none is given")
    parser.add_argument("--jobs", type=int, default=2, help="environments at a time (2)")
    parser.add_argument("--write-tables", action="store_true", help="write what was found into docs/integrations.md")
    given = parser.parse_args()
    wanted = [each for each in environments(given.name) if given.name or can_be_made(each)]
    print(f"==> {len(wanted)} environments of libraries, {given.jobs} at a time, under .environments", flush=True)
    options = ["--write-tables"] if given.write_tables else []
    wanted.sort(key=lambda each: (each.alone, not each.heavy))  # what takes longest first
    with ThreadPoolExecutor(1 if given.write_tables else given.jobs) as pool:
        results = list(pool.map(lambda each: run(each, options), [each for each in wanted if not each.alone]))
    results += [run(each, options) for each in wanted if each.alone]
    for result in results:
        if not result.ok:
            print(f"\n==> {result.environment} failed\n{result.output}")
    width = max(len(str(each)) for each in wanted)
    print(f"\n{'environment':{width}}  result  seconds  tests")
    for result in results:
        state = "ok" if result.ok else "FAILED"
        print(f"{result.environment!s:{width}}  {state:6}  {result.seconds:7.0f}  {result.said}")
    if given.write_tables:
        write_versions([result.environment for result in results if result.ok])
        print("Wrote the versions that were tested. Next: scripts/docs")
    return 0 if all(result.ok for result in results) else 1


if __name__ == "__main__":
    sys.exit(main())
