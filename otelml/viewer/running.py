"""Viewers that run on this machine: each leaves its address and token in a file that only its user can read."""

from __future__ import annotations

import contextlib
import json
import os
import stat
import sys
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_PREFIX = "view-"


@dataclass(frozen=True, slots=True)
class Running:
    """A viewer: its page's ``url``, the ``token`` of programs, its process, the store's file and where OTLP goes."""

    url: str
    token: str
    pid: int
    db: str | None
    http: str | None
    grpc: str | None


def folder() -> Path:
    """Return where the files are: ``$XDG_STATE_HOME/otelml``, or what the system has for it."""
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "otelml"
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "otelml"


@contextlib.contextmanager
def announced(viewer: Running) -> Iterator[Path]:
    """Leave a viewer's file while it runs."""
    if viewer.db is not None:
        viewer = replace(viewer, db=str(Path(viewer.db).resolve()))
    path = folder() / f"{_PREFIX}{viewer.pid}-{viewer.url.rstrip('/').rpartition(':')[2]}.json"
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    # Made anew and readable by its user alone from the first byte on; never through somebody's link.
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        json.dump(asdict(viewer), file)
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)


def viewers() -> list[Running]:
    """Return the viewers of this user whose processes are alive, the latest first."""
    found: list[tuple[float, Running]] = []
    for path in folder().glob(f"{_PREFIX}*.json"):
        with contextlib.suppress(OSError, ValueError, TypeError):
            about = path.lstat()
            viewer = Running(**json.loads(path.read_text("utf-8")))
            if _ours(about) and _alive(viewer.pid):
                found.append((about.st_mtime, viewer))
    return [viewer for _, viewer in sorted(found, key=lambda item: -item[0])]


def _ours(about: os.stat_result) -> bool:
    if sys.platform == "win32":
        return True
    return stat.S_ISREG(about.st_mode) and about.st_uid == os.getuid() and not about.st_mode & 0o077


def _alive(pid: int) -> bool:
    import psutil  # noqa: PLC0415 - 30 ms

    return bool(psutil.pid_exists(pid))
