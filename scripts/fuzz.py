"""Feeds otelml generated input for as long as it is told to, and prints what was tried and what went wrong.

The targets are those of the tests (``tests/hardening``): every public call, request, file and command. With atheris
(``--atheris``) input is mutated to reach code that no input has reached before; without, Hypothesis makes it up.

usage: scripts/fuzz [--minutes N] [--atheris] [TARGET ...]
"""

from __future__ import annotations

import argparse
import importlib
import os
import random
import signal
import sys
import time
import traceback
from collections import Counter
from contextlib import redirect_stderr, suppress
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(ROOT / "tests" / "hardening")]
MODULES = ("call_targets", "wire_targets", "file_targets")
HANG = 60
"""Seconds after which an example counts as hung."""
LONGEST = 4096
"""Bytes that one example is made of, at most."""
SHOWN = 3
"""Faults of a target that are printed with their places."""


@dataclass
class Found:
    """What came of one target."""

    name: str
    executions: int = 0
    seconds: float = 0.0
    faults: Counter[str] = field(default_factory=Counter)
    note: str = ""


class HungError(Exception):
    """An example took longer than ``HANG`` seconds."""


def main() -> int:
    """Run the targets one after the other, each in a process of its own; return 1 where there were faults."""
    parser = argparse.ArgumentParser(prog="scripts/fuzz", description="Feed otelml generated input.")
    parser.add_argument("targets", nargs="*", metavar="TARGET", help="beginnings of their names (default: all)")
    parser.add_argument("--minutes", type=float, default=10.0, help="for all of them together (default: 10)")
    parser.add_argument("--atheris", action="store_true", help="guided by coverage; needs atheris")
    options = parser.parse_args()
    names = [name for name in _targets() if not options.targets or name.startswith(tuple(options.targets))]
    if not names:
        parser.error(f"no such target; there are {', '.join(_targets())}")
    share = options.minutes * 60 / len(names)
    found = []
    for i, name in enumerate(names, 1):
        left = (len(names) - i + 1) * share / 60
        print(f"[{i}/{len(names)}] {name}: {share:.0f} s, about {left:.1f} min left", file=sys.stderr, flush=True)
        found.append(_in_process(name, share, guided=options.atheris))
    _table(found)
    return 1 if any(each.faults or each.note for each in found) else 0


def _targets() -> dict[str, Any]:
    from otelml import _guard  # noqa: PLC0415 - the path is set above

    _guard.strict = True
    for module in MODULES:
        importlib.import_module(module)
    targets: dict[str, Any] = importlib.import_module("fuzzing").TARGETS
    return targets


def _in_process(name: str, seconds: float, *, guided: bool) -> Found:
    """Run one target in a process of its own, which may hang or die."""
    context = get_context("fork")  # everything is imported once; no thread runs yet
    ours, theirs = context.Pipe()
    process = context.Process(target=_run, args=(name, seconds, theirs, guided))
    process.start()
    found = Found(name, note="no result")
    deadline = time.monotonic() + seconds + 3 * HANG
    while time.monotonic() < deadline and (process.is_alive() or ours.poll()):
        if ours.poll(1.0):
            with suppress(EOFError):
                found = ours.recv()
    if process.is_alive():
        process.kill()
        found.note = "killed: it did not end"
    elif process.exitcode and not guided:
        found.note = f"ended with {process.exitcode}"
    return found


def _run(name: str, seconds: float, out: Connection, guided: bool) -> None:
    signal.signal(signal.SIGALRM, _hung)
    found = Found(name)
    prepare, function = _targets()[name]
    fuzzing = importlib.import_module("fuzzing")
    said = sys.stderr
    with open(os.devnull, "w") as nothing, redirect_stderr(nothing), prepare() as ready:  # noqa: PTH123 - nobody reads it
        began = told = time.monotonic()  # what it takes to prepare is no fuzzing
        one = fuzzing.example(function, ready).hypothesis.fuzz_one_input

        def try_one(data: bytes) -> None:
            nonlocal told
            _try(one, data, found, said)
            now = time.monotonic()
            found.seconds = now - began
            if now - told > 1 or now - began > seconds:
                told = now
                out.send(found)

        if guided:
            _guided(try_one, seconds)
        while time.monotonic() - began < seconds:
            try_one(random.randbytes(random.randint(1, LONGEST)))  # noqa: S311 - any will do
    out.send(found)


def _try(one: Any, data: bytes, found: Found, said: Any) -> None:
    signal.alarm(HANG)
    try:
        one(data)
    except Exception as error:  # noqa: BLE001 - this is what it looks for
        place = traceback.extract_tb(error.__traceback__)[-1]
        key = f"{type(error).__name__} in {Path(place.filename).name}:{place.lineno}"
        found.faults[key] += 1
        if found.faults[key] == 1 and len(found.faults) <= SHOWN:
            lines = traceback.format_exception(error)
            said.write(f"--- {found.name}: {key}\n{''.join(lines)[-3000:]}\n")
            said.flush()
    finally:
        signal.alarm(0)
    found.executions += 1


def _hung(*_: object) -> None:
    raise HungError


def _guided(try_one: Any, seconds: float) -> None:
    """Let atheris choose the input; it ends the process itself."""
    import atheris  # type: ignore[import-untyped]  # noqa: PLC0415 - not a dependency: pip install atheris

    for name in [name for name in sys.modules if name.startswith("otelml.")]:
        _instrument(atheris, sys.modules[name])
    atheris.Setup([sys.argv[0], f"-max_total_time={int(seconds)}", f"-max_len={LONGEST}", "-verbosity=0"], try_one)
    atheris.Fuzz()


def _instrument(atheris: Any, module: Any) -> None:
    """Instrument the functions of a module that was imported before."""
    for name, value in list(vars(module).items()):
        if getattr(value, "__module__", None) == module.__name__ and hasattr(value, "__code__"):
            with suppress(Exception):
                setattr(module, name, atheris.instrument_func(value))


def _table(found: list[Found]) -> None:
    rows = [("Target", "Executions", "Seconds", "Faults")]
    for each in found:
        faults = each.note or "; ".join(f"{key} ({n})" for key, n in each.faults.items()) or "0"
        rows.append((each.name, f"{each.executions:,}", f"{each.seconds:.0f}", faults))
    total = sum(each.executions for each in found)
    rows.append(("all", f"{total:,}", f"{sum(e.seconds for e in found):.0f}", str(sum(len(e.faults) for e in found))))
    widths = [max(len(row[i]) for row in rows) for i in range(3)]
    for i, row in enumerate(rows):
        cells = [row[0].ljust(widths[0]), row[1].rjust(widths[1]), row[2].rjust(widths[2]), row[3]]
        print("| " + " | ".join(cells) + " |")
        if i == 0:
            print("| --- | ---: | ---: | --- |")


if __name__ == "__main__":
    sys.exit(main())
