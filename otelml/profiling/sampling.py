"""pyinstrument at work in one thread: it looks at the stack every millisecond in which Python does something.

Its sampler is asked, not its ``Profiler``, which keeps every sample: a request of a minute would be hundreds of
megabytes.
"""

from __future__ import annotations

from importlib.util import find_spec
from time import monotonic
from typing import Any

from otelml._guard import attempt, guard
from otelml.errors import MissingExtraError
from otelml.profiling.stacks import ELSEWHERE, WAITS, Stacks

INTERVAL = 0.001
"""Seconds between two samples."""
MAX_SECONDS = 300.0
"""After so long a profile goes on without sampling."""


def need_pyinstrument() -> None:
    """Raise MissingExtraError where the extra ``profile`` is not installed."""
    if find_spec("pyinstrument") is None:
        raise MissingExtraError("a profile", "profile")


class Sampling:
    """Samples the thread that starts it; with ``tasks``, what other tasks of an event loop do is told apart."""

    def __init__(self, *, tasks: bool = True) -> None:
        self.stacks = Stacks()
        self._tasks, self._ended, self._until = tasks, False, monotonic() + MAX_SECONDS
        self._target = self._saw

    def start(self) -> bool:
        """Start; False where another profiler is at work here."""
        _, error = attempt(_subscribe, self._target, tasks=self._tasks)
        return error is None

    @property
    def expired(self) -> bool:
        """Return whether it has lasted as long as one may."""
        return monotonic() > self._until

    def stop(self) -> None:
        """Stop; from another thread than it was started in, it ends at its next sample."""
        self._ended = True
        attempt(_unsubscribe, self._target)

    def _saw(self, stack: list[str], seconds: float, state: Any) -> None:
        with guard("profiling.sample"):  # an error here would be raised in the middle of the application
            if self._ended or self.expired:
                attempt(_unsubscribe, self._target)
            elif state is not None and state.state != "in_context":
                waits = state.state == "out_of_context_awaited"
                self.stacks.add([*(state.info or ()), WAITS if waits else ELSEWHERE], seconds)
            else:
                self.stacks.add(stack, seconds)


def _subscribe(target: Any, *, tasks: bool) -> None:
    from pyinstrument.stack_sampler import get_stack_sampler  # noqa: PLC0415 - only with a profile

    get_stack_sampler().subscribe(target, desired_interval=INTERVAL, use_async_context=tasks)


def _unsubscribe(target: Any) -> None:
    from pyinstrument.stack_sampler import get_stack_sampler  # noqa: PLC0415 - only with a profile

    get_stack_sampler().unsubscribe(target)
