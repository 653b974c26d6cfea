"""The folders of a spool: one for each process, which holds a lock on it for as long as it lives.

The kernel releases the lock of a process that dies, however it dies: whoever gets the lock then owns what is left, and
nobody else does. Folders are for their owner only; those of other users, links and strange names are left alone.
"""

from __future__ import annotations

import fcntl
import os
import re
import secrets
import stat
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from otelml.spool.batches import Batch, of_name

if TYPE_CHECKING:
    from pathlib import Path

LOCK = "lock"
ASIDE = "torn"
"""The folder of files that are not whole."""
_OURS = re.compile(r"\d{20}-[0-9a-f]{8}(\.new)?")
_MAKING = ".new"
_MAKING_AGE = 60.0
"""Seconds after which a folder that nobody finished to make is looked at as one that was left behind."""
_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)


class Folder:
    """A folder that this process holds the lock of; ``left`` counts the batches of others that it adopted."""

    def __init__(self, path: Path, lock: int) -> None:
        self.path, self._lock = path, lock
        self.left = 0

    def write(self, name: str, content: bytes) -> None:
        """Write a file that is there whole or not at all, and readable by its owner only.

        It is not synced: it outlives the process, not a power cut.

        Raises:
            OSError: The disk does not take it.
        """
        part = self.path / f"{name}.part"
        file = os.open(part, _FILE, 0o600)
        try:
            try:
                rest = memoryview(content)
                while rest:
                    rest = rest[os.write(file, rest) :]
            finally:
                os.close(file)
            part.rename(self.path / name)
        except OSError:
            with suppress(OSError):
                part.unlink()
            raise

    def read(self, name: str) -> bytes:
        """Return what a file holds.

        Raises:
            OSError: It cannot be read.
        """
        return (self.path / name).read_bytes()

    def remove(self, name: str) -> None:
        """Delete a file.

        Raises:
            OSError: It is gone already, or cannot be deleted.
        """
        (self.path / name).unlink()

    def set_aside(self, name: str) -> None:
        """Move a file to the folder of those that are not whole.

        Raises:
            OSError: That is not possible.
        """
        aside = self.path.parent / ASIDE
        aside.mkdir(0o700, exist_ok=True)
        (self.path / name).rename(aside / name)

    def batches(self) -> list[Batch]:
        """Return the batches in it, oldest first."""
        return [batch for name in sorted(names(self.path)) if (batch := of_name(name, self)) is not None]

    def unfinished(self) -> list[Batch]:
        """Return, and delete, the files that were being written when their process died."""
        found = []
        for name in names(self.path):
            batch = of_name(name.removesuffix(".part"), self) if name.endswith(".part") else None
            if batch is not None:
                with suppress(OSError):
                    self.remove(name)
                    found.append(batch)
        return found

    def release(self) -> None:
        """Give the lock back; a folder without batches is deleted."""
        with suppress(OSError):
            if not set(names(self.path)) - {LOCK}:
                (self.path / LOCK).unlink()
                self.path.rmdir()
        self.forget()

    def forget(self) -> None:
        """Close the lock's file: in a forked child the lock stays the parent's."""
        with suppress(OSError):
            os.close(self._lock)


def make(root: Path) -> Folder:
    """Make this process's folder; its lock is held before anybody else sees it.

    Raises:
        OSError: There is no room, or no right, for it.
    """
    root.mkdir(0o700, parents=True, exist_ok=True)
    path = root / f"{time.time_ns():020d}-{secrets.token_hex(4)}"
    making = path.with_name(path.name + _MAKING)
    making.mkdir(0o700)
    lock = os.open(making / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        making.rename(path)
    except OSError:
        os.close(lock)
        raise
    return Folder(path, lock)


def adopt(path: Path) -> Folder | None:
    """Return a folder whose process is dead, with its lock; None where somebody holds it.

    Raises:
        OSError: It cannot be opened.
    """
    lock = os.open(path / LOCK, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(lock).st_nlink:  # 0: its folder was deleted meanwhile
            return Folder(path, lock)
    except BlockingIOError:
        pass
    os.close(lock)
    return None


def found(root: Path) -> list[Path]:
    """Return the folders of all processes of this user, oldest first."""
    paths = []
    for name in sorted(filter(_OURS.fullmatch, names(root))):
        path = root / name
        with suppress(OSError):
            facts = path.lstat()
            fresh = name.endswith(_MAKING) and time.time() - facts.st_mtime < _MAKING_AGE
            if stat.S_ISDIR(facts.st_mode) and facts.st_uid == os.geteuid() and not fresh:
                paths.append(path)
    return paths


def names(path: Path) -> list[str]:
    """Return the names in a directory; none where there is no such directory."""
    try:
        return os.listdir(path)  # noqa: PTH208 - there may be tens of thousands, and no more than names is needed
    except OSError:
        return []


def held(path: Path) -> bool:
    """Return whether a living process holds a folder's lock."""
    folder = None
    with suppress(OSError):
        folder = adopt(path)
        if folder is None:
            return (path / LOCK).exists()
        folder.forget()
    return False
