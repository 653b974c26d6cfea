"""otelml-native in the benchmarks: contenders whose name ends in ``-native`` run with it, all others without."""

from __future__ import annotations

import sys
from importlib.util import find_spec

SUFFIX = "-native"
GET = "pip install ./native"
_MODULE = "otelml_native"


def installed() -> bool:
    """Whether contenders can run with it."""
    return find_spec(_MODULE) is not None


def choose(contender: str) -> str:
    """Have this process run with it, or without, before otelml is imported; return the contender's own name.

    Raises:
        SystemExit: It is wanted and not installed.
    """
    if not contender.endswith(SUFFIX):
        sys.modules[_MODULE] = None  # type: ignore[assignment] # to Python: it can't be imported
        return contender
    if not installed():
        sys.exit(f"{contender} needs otelml-native: {GET}")
    return contender.removesuffix(SUFFIX)


def left_out(contenders: list[str]) -> list[str]:
    """Return those that can't run here."""
    return [] if installed() else [name for name in contenders if name.endswith(SUFFIX)]
