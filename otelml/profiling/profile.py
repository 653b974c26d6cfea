"""One profile, from its start to its event: the object that ``otelml.profile()`` gives."""

from __future__ import annotations

import os
import threading
from contextvars import ContextVar
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Any, Self

from opentelemetry import trace

from otelml import _sdk, semconv
from otelml._guard import guard
from otelml.profiling import stacks
from otelml.profiling.sampling import Sampling

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from types import TracebackType

    from otelml.profiling.profiles import Profiles

MAX_THREADS = 16
"""Threads of one request that are sampled."""
current: ContextVar[Profile | None] = ContextVar("otelml-profile", default=None)
"""The profile that is being taken of this context; follows a request into its threads."""


class Profile:
    """Profiles what runs between ``with`` and its end, in this thread or task; does nothing inside of another one.

    One profile is taken at a time in a process. After the end ``top`` holds the functions with most time of their own,
    as lines of text, and ``path`` the file; empty and None where no profile was taken, or no file is asked for.
    """

    def __init__(self, profiles: Profiles | None, name: str | None = None, trigger: str = "call") -> None:
        self.id = os.urandom(8).hex()
        self.top: tuple[str, ...] = ()
        self.path: Path | None = None
        self._profiles, self._name, self._trigger = profiles, name, trigger
        self._sampling: Sampling | None = None
        self._threads: list[stacks.Stacks] = []

    @property
    def taken(self) -> bool:
        """Return whether this profile is, or was, taken: not while otelml is off, nor inside of another one."""
        return self._sampling is not None

    @property
    def abandoned(self) -> bool:
        """Return whether it has lasted so long that its place may be had: its end may never come."""
        return self._sampling is not None and self._sampling.expired

    def __enter__(self) -> Self:
        with guard("profiling.start"):
            if self._profiles is not None and _slot.take(self):
                self._start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._end(apart=self._trigger != "call")

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, tb)

    def _start(self) -> None:
        sampling = Sampling()
        if not sampling.start():  # the application profiles itself
            _slot.give(self)
            return
        self._sampling, self._threads = sampling, [sampling.stacks]
        self._where, self._pid, self._began = _sdk.get_current(), os.getpid(), monotonic()
        current.set(self)
        trace.get_current_span().set_attribute(semconv.PROFILE_ID, self.id)

    def _end(self, *, apart: bool) -> None:
        """Stop sampling, and make of it what was asked for: in a thread of its own, or here where somebody waits."""
        sampling = self._sampling
        if sampling is None:
            return
        with guard("profiling.stop"):
            sampling.stop()
            took = monotonic() - self._began
            if current.get() is self:  # else it ends in another context than it began in
                current.set(None)
            if not _slot.give(self) or self._pid != os.getpid():
                return  # another one has its place; or this is a forked child, and the profile is the parent's
            if apart:
                threading.Thread(target=self._tell, args=(took,), name="otelml-profile").start()
            else:
                self._tell(took)

    def _tell(self, took: float) -> None:
        with guard("profiling.tell"):
            threads = list(self._threads)
            self.top = tuple(stacks.top(threads, took))
            if self._profiles is not None:
                facts = {
                    semconv.PROFILE_ID: self.id,
                    semconv.PROFILE_NAME: self._name,
                    semconv.PROFILE_TRIGGER: self._trigger,
                    semconv.PROFILE_DURATION: took,
                    semconv.PROFILE_SAMPLES: sum(each.samples for each in threads),
                    semconv.PROFILE_TOP: list(self.top),
                }
                self.path = self._profiles.file(self.id, threads)
                self._profiles.tell(facts, self.path, self._where)

    def sampled(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return a function that is sampled too, in the thread that it is called in."""
        return partial(self._run, function)

    def _run(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        sampling = Sampling(tasks=False)
        with guard("profiling.thread"):
            if len(self._threads) < MAX_THREADS and sampling.start():
                self._threads.append(sampling.stacks)
        try:
            return function(*args, **kwargs)
        finally:
            sampling.stop()


class _Slot:
    """The place of the one profile that a process takes at a time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._holder: Profile | None = None
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._after_fork)

    def take(self, profile: Profile) -> bool:
        """Return whether the place was free; it is taken then."""
        with self._lock:
            if self._holder is None or self._holder.abandoned:
                self._holder = profile
            return self._holder is profile

    def give(self, profile: Profile) -> bool:
        """Return whether this profile had the place; it is free then."""
        with self._lock:
            had = self._holder is profile
            if had:
                self._holder = None
            return had

    def _after_fork(self) -> None:
        self._lock = threading.Lock()  # another thread may have held it


_slot = _Slot()
