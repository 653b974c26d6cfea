"""The file a model was loaded from, and its hash, which is made on a thread of its own: files can be large."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from stat import S_ISREG
from typing import Any

from otelml._guard import attempt, guard

CHUNK = 1 << 20


class Artifact:
    """A regular file as it was when the model was loaded. ``done`` is set when the digest is known, or can't be."""

    def __init__(self, path: str, state: tuple[Any, ...]) -> None:
        self.path, self._state = path, state
        self.digest: str | None = None
        """``sha256:`` and 64 hexadecimal digits; None where the file changed since, or can't be read."""
        self.done = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to read the file, unless that was done before."""
        if self._thread is None and not self.done.is_set():
            self._thread = threading.Thread(target=self._read, name="otelml-artifact", daemon=True)
            self._thread.start()

    def after_fork(self) -> None:
        """Begin anew where the thread that read belongs to the parent."""
        if not self.done.is_set():
            self.done, self._thread = threading.Event(), None

    def _read(self) -> None:
        with guard("models.artifact"):
            digest, _ = attempt(_digest, self.path)
            # What was read is what was loaded only if nobody wrote the file in between.
            if digest is not None and _state(self.path) == self._state:
                self.digest = f"sha256:{digest}"
        self.done.set()


def artifact(source: Any) -> Artifact | None:
    """Return the file that a loader was given, as a path; None for open files, bytes, folders and addresses."""
    if not issubclass(type(source), (str, os.PathLike)):
        return None
    path = attempt(lambda: os.fspath(source))[0]
    state = _state(path) if isinstance(path, str) else None
    return None if path is None or state is None else Artifact(path, state)


def _state(path: str) -> tuple[Any, ...] | None:
    found = attempt(os.stat, path)[0]
    if found is None or not S_ISREG(found.st_mode):
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def _digest(path: str) -> str:
    import hashlib  # noqa: PLC0415 - only where a file is read

    made = hashlib.sha256()
    with Path(path).open("rb") as file:
        while chunk := file.read(CHUNK):
            made.update(chunk)
    return made.hexdigest()
