"""What the database does not take for now: files on this machine, each written to the database as one transaction.

A file is there whole or not at all, so that kill -9 loses none that was written. Processes share a directory; whoever
reaches the database first takes a file over by renaming it.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from otelml._guard import attempt
from otelml.outcomes.rows import Actual, Predicted

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

MAX_BYTES = 256 << 20
STALE = 600.0
"""Seconds after which a file that somebody took over and never finished is anybody's again."""


def directory(given: str | None, address: str) -> Path:
    """Return where a database's spool is: ``$XDG_STATE_HOME/otelml/outcomes`` unless given, and a folder of its own."""
    state = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state")
    root = Path(given).expanduser() if given else state / "otelml" / "outcomes"
    return root.absolute() / hashlib.sha256(address.encode()).hexdigest()[:16]


class Spool:
    """Files of predictions and truths, ``{ns since the epoch}-{items}-{random}.jsonl``, oldest first."""

    def __init__(self, path: Path, max_bytes: int = MAX_BYTES) -> None:
        self.path, self.max_bytes = path, max_bytes

    def add(self, items: Sequence[Predicted | Actual]) -> bool:
        """Write items to a new file, synced to the disk; False where there is no room for it.

        Raises:
            OSError: The disk does not take it.
        """
        lines = "".join(json.dumps([isinstance(item, Actual), *item]) + "\n" for item in items).encode()
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        if sum(size for _, size in self._files()) + len(lines) > self.max_bytes:
            return False
        name = f"{time.time_ns():020d}-{len(items)}-{uuid4().hex}"
        unfinished = self.path / f"{name}.tmp"
        try:
            with open(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:  # noqa: PTH123 - for its owner only
                file.write(lines)
                file.flush()
                os.fsync(file.fileno())
            unfinished.rename(self.path / f"{name}.jsonl")
        except OSError:
            attempt(unfinished.unlink)
            raise
        return True

    def items(self) -> int:
        """Return how many items wait."""
        return sum(_items(path) for path, _ in self._files())

    def take(self) -> Iterator[tuple[list[Predicted | Actual], Taken]]:
        """Take the files over, one after the other, oldest first; each is to be called ``done`` or ``back``."""
        for path, _ in self._files():
            if path.suffix == ".taken" and time.time() - path.stat().st_mtime < STALE:
                continue
            taken = Taken(path)
            _, gone = attempt(taken.claim)
            if gone is None:
                items, unreadable = attempt(_read, taken.path)
                if unreadable is None and items is not None:
                    yield items, taken
                else:
                    taken.path.rename(taken.path.with_suffix(".bad"))

    def _files(self) -> list[tuple[Path, int]]:
        found = []
        for path in sorted(self.path.glob("*")) if self.path.is_dir() else ():
            if path.suffix in {".jsonl", ".taken"}:
                size, _ = attempt(lambda path=path: path.stat().st_size)  # type: ignore[misc] # another process may have it
                found += [] if size is None else [(path, size)]
        return found


class Taken:
    """A file that this process has taken over."""

    def __init__(self, path: Path) -> None:
        self._from = path
        self.path = path.with_name(f"{path.name.partition('.')[0]}.{uuid4().hex[:8]}.taken")
        self.count = _items(path)

    def claim(self) -> None:
        """Rename it; OSError where another process was faster."""
        self._from.rename(self.path)
        os.utime(self.path)

    def done(self) -> None:
        """Delete it: it is in the database."""
        self.path.unlink()

    def back(self) -> None:
        """Leave it for later."""
        self.path.rename(self.path.with_name(f"{self.path.name.partition('.')[0]}.jsonl"))


def _items(path: Path) -> int:
    return int(path.name.split("-")[1])


def _read(path: Path) -> list[Predicted | Actual]:
    found: list[Predicted | Actual] = []
    for line in path.read_text("utf-8").splitlines():
        is_truth, *values = json.loads(line)
        found.append(Actual(*values) if is_truth else Predicted(*values))
    return found
