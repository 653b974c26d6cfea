"""How a process ends: one shutdown with one limit, at the interpreter's end or by SIGTERM, whichever comes first."""

from __future__ import annotations

import atexit
import os
import signal
import threading
from time import monotonic
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

GRACE = 0.5


class Ending:
    """The end of one process: begun by whoever comes first, with so many seconds for all there is to do.

    Args:
        limit: Seconds that the end may take, flushes before the shutdown included.
    """

    def __init__(self, limit: float) -> None:
        self.limit = self.left = limit
        self._process = os.getpid()
        self._lock = threading.Lock()
        self._began = 0.0
        self._at_work = False
        self._signal = 0

    @property
    def begun(self) -> bool:
        """Return whether the shutdown has begun."""
        return self._lock.locked()

    def elsewhere(self) -> bool:
        """Say whether this is the parent's: a child that gets a signal as soon as it is forked must not send it."""
        return self._process != os.getpid()

    def begin(self) -> bool:
        """Begin the shutdown; False where it was begun before, or is the parent's."""
        if self.begun or self.elsewhere():
            return False
        self._began = monotonic()
        self._at_work = self._lock.acquire(blocking=False)
        return self._at_work

    def finish(self) -> None:
        """Note that a flush or the shutdown is done; a signal that came meanwhile is sent again."""
        self._at_work = False
        if self._signal:
            number, self._signal = self._signal, 0
            os.kill(os.getpid(), number)

    def take(self, flush: Callable[[float], object]) -> None:
        """Flush with what is left of the limit, and leave the rest to those who come later."""
        if self._at_work:
            return
        self._began, self._at_work = monotonic(), True
        flush(self.left)
        self.left = max(0.0, self.left - (monotonic() - self._began))
        self.finish()

    def by_signal(self, number: int, shutdown: Callable[[float], object]) -> None:
        """Shut down and end by a signal; where the end is at work, which this may have interrupted, after that."""
        late = monotonic() - self._began > self.limit + GRACE
        if self._at_work and not (late or self.elsewhere()):
            self._signal = number
            return
        # In a thread: the interrupted code may hold a lock that flushing needs, and then only the deadline helps.
        thread = threading.Thread(target=shutdown, args=(self.left,), daemon=True)
        thread.start()
        thread.join(self.left + GRACE)
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)


def at_exit(shutdown: Callable[[float | None], object], ending: Callable[[], Ending]) -> None:
    """Shut down at the interpreter's end, and at SIGTERM where the application has no handler of its own."""
    atexit.register(shutdown, None)
    if threading.current_thread() is not threading.main_thread() or signal.getsignal(signal.SIGTERM) != signal.SIG_DFL:
        return  # the application handles SIGTERM itself and ends normally

    def flush_and_end(number: int, _: FrameType | None) -> None:
        ending().by_signal(number, shutdown)

    signal.signal(signal.SIGTERM, flush_and_end)
