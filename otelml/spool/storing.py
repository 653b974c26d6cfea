"""This process's part of the spool: writes batches, adopts those of dead processes, keeps within bytes and age.

All methods may be called from any thread. None raises: what the disk does not do is said once, and counted.
"""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from otelml import processes
from otelml._guard import attempt, logger
from otelml.spool import folders
from otelml.spool.batches import WHAT, Batch, TornError, decoded, encoded, file_name, of_name, on_disk

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from otelml.export import OnDrop
    from otelml.spool.folders import Folder

LOOK = 5.0
"""Seconds between looks at what other processes have, and have left behind."""
QUIET = 300.0
"""Seconds between two messages that the disk takes nothing."""
_ROOM = 0.9
"""Where the limit is reached, so much of it is kept: or every batch would need room to be made."""


class Spool:
    """The batches of this process, and those it adopted.

    Args:
        root: The directory that all processes share.
        max_bytes: What all of them together may keep, as the disk counts it.
        max_age: Seconds after which a batch is dropped.
        on_drop: Told what is dropped, where and how many.
    """

    def __init__(self, root: Path, max_bytes: int, max_age: float, on_drop: OnDrop) -> None:
        self.root, self.max_bytes, self.max_age, self._on_drop = root, max_bytes, max_age, on_drop
        self.signals: set[str] = set()
        """Signals that this process sends."""
        self._warned: float | None = None
        self._fresh()
        processes.in_each_child(self._after_fork)

    def _fresh(self) -> None:
        self._lock = threading.RLock()
        self._tending = threading.Lock()
        self._own: Folder | None = None
        self._adopted: set[Folder] = set()
        self._kept: dict[Batch, None] = {}
        self._bytes = 0
        self._others = (0, 0)
        """Other folders, and bytes in them, at the last look."""
        self._number = 0
        self._looked: float | None = None
        self._arrived: dict[str, list[Batch]] = {signal: [] for signal in WHAT}

    def _after_fork(self) -> None:
        """Start with nothing in the child: folders, locks and batches are the parent's."""
        for folder in (self._own, *self._adopted):
            if folder is not None:
                folder.forget()
        self._fresh()
        self.signals = set()

    # Writing ----------------------------------------------------------------------------------------------------

    def keep(self, signal: str, items: int, request: bytes, *, packed: bool) -> Batch | None:
        """Write a request to the disk; None where that fails, which is said once."""
        made = time.time_ns()
        content = encoded(signal, items, made, request, packed=packed)
        size = on_disk(len(content))
        with self._lock:
            if self._others[1] + self._bytes + size > self.max_bytes:
                self._make_room(size)
            if self._others[1] + self._bytes + size > self.max_bytes:
                self._failed("OTELML_SPOOL_MAX_BYTES is reached by what other processes keep")
                return None
            self._number += 1
            name = file_name(signal, items, made, self._number, len(content))
        batch = Batch(signal, items, made, size, name=name)
        for again in (False, True):
            folder, error = attempt(self._written, name, content)
            if folder is not None:
                batch.folder = folder
                self._add([batch])
                return batch
            if not isinstance(error, FileNotFoundError) or again:
                self._failed(getattr(error, "strerror", None) or type(error).__name__)
                return None
            self._vanished()
        return None

    def _written(self, name: str, content: bytes) -> Folder:
        with self._lock:
            if self._own is None:
                self._own = folders.make(self.root)
            folder = self._own
        folder.write(name, content)
        return folder

    def _vanished(self) -> None:
        """Forget our folder: somebody deleted it, and what was in it."""
        with self._lock:
            if self._own is not None and not self._own.path.is_dir():
                self._own.forget()
                self._own = None

    def _failed(self, reason: str) -> None:
        now = time.monotonic()
        if self._warned is None or now - self._warned >= QUIET:
            self._warned = now
            logger.warning(
                "otelml: the spool takes nothing (%s: %s). Telemetry is sent without it; what is lost is counted in "
                "otelml.dropped.",
                self.root,
                reason,
            )

    def _add(self, batches: Iterable[Batch]) -> None:
        with self._lock:
            for batch in batches:
                self._kept[batch] = None
                self._bytes += batch.size

    # Sending ----------------------------------------------------------------------------------------------------

    def take(self, batch: Batch) -> bool:
        """Mark a batch as being sent; False where it was dropped meanwhile."""
        with self._lock:
            batch.busy = not batch.gone
            return batch.busy

    def read(self, batch: Batch) -> bytes | None:
        """Return the request of a batch; None where its file is not whole: it is set aside and counted."""
        if batch.data is not None or batch.folder is None:
            return batch.data
        try:
            return decoded(batch.folder.read(batch.name))
        except (OSError, TornError):
            with suppress(OSError):
                batch.folder.set_aside(batch.name)
        self._forget(batch)
        self._leave(batch.folder)
        self._on_drop(WHAT[batch.signal], "spool_torn", batch.items)
        return None

    def back(self, batch: Batch) -> None:
        """Leave a batch for later: on the disk only."""
        batch.busy = False
        if batch.folder is not None:
            batch.data = None

    def remove(self, batch: Batch) -> None:
        """Delete a batch: it has arrived, or never will."""
        self._forget(batch)
        if batch.folder is not None:
            with suppress(OSError):
                batch.folder.remove(batch.name)
            self._leave(batch.folder)

    def _forget(self, batch: Batch) -> None:
        with self._lock:
            if batch in self._kept:
                del self._kept[batch]
                self._bytes -= batch.size
                if batch.folder in self._adopted:
                    batch.folder.left -= 1

    def _leave(self, folder: Folder) -> None:
        """Delete an adopted folder when its last batch is gone."""
        with self._lock:
            done = folder in self._adopted and folder.left <= 0
            self._adopted -= {folder} if done else set()
        if done:
            folder.release()

    def arrived(self, signal: str) -> list[Batch]:
        """Return the batches of a signal that were adopted since the last call, oldest first."""
        with self._lock:
            found, self._arrived[signal] = self._arrived[signal], []
        return found

    # Bounds -----------------------------------------------------------------------------------------------------

    def tend(self, *, now: bool = False) -> None:
        """Every few seconds: look at the other processes' folders, adopt what is left behind, drop what is too old."""
        if not self._tending.acquire(blocking=False):
            return
        try:
            clock = time.monotonic()
            if now or self._looked is None or clock - self._looked >= LOOK:
                self._look()
                self._drop_old()
                self._looked = time.monotonic()
        finally:
            self._tending.release()

    def _look(self) -> None:
        with self._lock:
            mine = {folder.path for folder in (self._own, *self._adopted) if folder is not None}
        others = size = 0
        for path in folders.found(self.root):
            if path in mine:
                continue
            folder, _ = attempt(folders.adopt, path)
            if folder is not None:
                self._adopt(folder)
            elif path.is_dir():
                others += 1
                size += sum(batch.size for name in folders.names(path) if (batch := of_name(name)) is not None)
        with self._lock:
            self._others = (others, size)

    def _adopt(self, folder: Folder) -> None:
        for batch in folder.unfinished():
            self._on_drop(WHAT[batch.signal], "spool_torn", batch.items)
        batches = [batch for batch in folder.batches() if batch.signal in self.signals]
        if not batches:
            folder.release()
            return
        with self._lock:
            folder.left = len(batches)
            self._adopted.add(folder)
            self._add(batches)
            for batch in batches:
                batch.adopted = True
                self._arrived[batch.signal].append(batch)

    def _make_room(self, size: int) -> None:
        """Drop this process's oldest batches while all processes keep too much, and this one more than its share."""
        count, others = self._others
        room = int(self.max_bytes * _ROOM) - size
        share = room // (count + 1)
        for batch in sorted(self._kept, key=lambda batch: batch.made):
            if self._bytes <= share or others + self._bytes <= room:
                break
            self._drop(batch, "spool_full")

    def _drop_old(self) -> None:
        oldest = time.time_ns() - int(self.max_age * 1e9)
        with self._lock:
            for batch in [batch for batch in self._kept if batch.made < oldest]:
                self._drop(batch, "spool_age")
        aside = self.root / folders.ASIDE
        for name in folders.names(aside):
            torn = of_name(name)
            if torn is not None and torn.made < oldest:
                attempt((aside / name).unlink)

    def _drop(self, batch: Batch, where: str) -> None:
        if batch.busy or batch.gone:
            return
        batch.gone, batch.data = True, None
        self.remove(batch)
        self._on_drop(WHAT[batch.signal], where, batch.items)

    # The end ----------------------------------------------------------------------------------------------------

    def waiting(self) -> tuple[int, int]:
        """Return how many items this process keeps on the disk, and bytes."""
        with self._lock:
            return sum(batch.items for batch in self._kept), self._bytes

    def leave(self, signal: str) -> None:
        """Give everything up when the last signal has ended: what is left is anybody's."""
        with self._lock:
            self.signals.discard(signal)
            if self.signals:
                return
            mine = [folder for folder in (self._own, *self._adopted) if folder is not None]
            self._own, self._adopted = None, set()
            self._kept.clear()
            self._bytes = 0
        for folder in mine:
            folder.release()
