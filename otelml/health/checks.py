"""One check: called on a thread of its own under a limit, one call at a time, its answer kept for a while.

A check that hangs costs whoever asks its limit once; until it returns, it has failed and nobody waits for it again. So
there is never more than one thread for it. What runs in there is not observed: no prediction of otelml's, no span, no
event, no call that an instrumentation would count.
"""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import Future
from concurrent.futures import wait as wait_for
from contextlib import suppress
from functools import partial
from random import getrandbits
from time import monotonic, time
from typing import TYPE_CHECKING, Any

from opentelemetry import trace
from opentelemetry.context import Context, attach
from opentelemetry.instrumentation.utils import suppress_instrumentation

from otelml._guard import attempt, logger
from otelml._lazy import is_numpy
from otelml.health.results import FAIL, PASS, WARN, Result

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

RETRY = 1.0
"""Seconds for which a failure is kept, at most: who recovers is found soon."""
_MOST_TEXT = 100


class Run:
    """One call of a check, in progress or ended."""

    def __init__(self, limit: float) -> None:
        self.limit, self.started = limit, monotonic()
        self.ended = self.at = 0.0
        self.error: Future[str | None] = Future()
        """What is wrong, None where nothing is; set when the call has ended, however late."""

    def left(self) -> float:
        """Return the seconds to wait for it yet."""
        return 0.0 if self.error.done() else max(0.0, self.limit - (monotonic() - self.started))

    def end(self, error: str | None) -> None:
        """Take its answer: one that is late is a failure."""
        self.ended, self.at = monotonic(), time()
        late = error is None and self.ended - self.started > self.limit
        self.error.set_result("timeout" if late else error)


class Check:
    """Something to ask, and its last answer.

    Args:
        name: What the answer is called.
        call: Raises, or returns False, where something is wrong.
        kind: ``dependency`` or ``model``.
        limit: Seconds it may take.
        keep: Seconds for which an answer holds; a failure holds for a second at most.
        critical: Whether its failure is one of the whole.
    """

    def __init__(
        self, name: str, call: Callable[[], object], *, kind: str, limit: float, keep: float, critical: bool = True
    ) -> None:
        self.name, self.kind, self.limit, self.keep, self.critical = name, kind, limit, keep, critical
        self._call = call
        self.after_fork()

    def after_fork(self) -> None:
        """Forget the parent's answer, and a call whose thread is the parent's."""
        self._lock = threading.Lock()
        self._run: Run | None = None
        self.seen: Result | None = None
        """The last answer that somebody was given."""

    def begin(self) -> Run:
        """Return the call that counts now: the last one while it holds, the one in progress, or a new one."""
        with self._lock:
            run = self._run
            if run is None or (run.error.done() and not self._holds(run)):
                run = self._run = Run(self.limit)
                work = threading.Thread(target=self._work, args=(run,), name=f"otelml-health-{self.name}", daemon=True)
                _, error = attempt(work.start)
                if error is not None:  # no thread is to be had
                    run.end(type(error).__name__)
        return run

    def _holds(self, run: Run) -> bool:
        return monotonic() - run.ended < (self.keep if run.error.result() is None else min(self.keep, RETRY))

    def _work(self, run: Run) -> None:
        error: str | None = "ended"  # by SystemExit, say
        try:
            error = _unobserved(self._call)
        finally:
            run.end(error)

    def outcome(self, run: Run) -> Result:
        """Return how a call went that was waited for; one still in progress has failed."""
        done = run.error.done()
        error = run.error.result() if done else "timeout"
        seconds = (run.ended if done else monotonic()) - run.started
        status = PASS if error is None else FAIL if self.critical else WARN
        before, self.seen = self.seen, Result(self.name, status, self.kind, seconds, error, run.at if done else time())
        if status != (PASS if before is None else before.status):
            self._tell(self.seen)
        return self.seen

    def _tell(self, result: Result) -> None:
        if result.status == PASS:
            logger.info("otelml: the health check %s passes again", self.name)
        else:
            logger.warning("otelml: the health check %s fails: %s", self.name, result.error)


def wait(runs: Iterable[Run]) -> None:
    """Wait until each call has ended or its limit is over."""
    for run in runs:
        wait_for((run.error,), run.left())


async def settled(runs: Iterable[Run]) -> None:
    """Do what ``wait`` does in an asyncio task, without a thread and without blocking the loop; blocks another loop."""
    loop = attempt(asyncio.get_running_loop)[0]
    if loop is None:
        wait(runs)
        return
    for run in runs:
        left = run.left()
        if left > 0:
            done = asyncio.Event()
            run.error.add_done_callback(partial(_wake, loop, done))
            with suppress(TimeoutError):
                await asyncio.wait_for(done.wait(), left)


def _wake(loop: asyncio.AbstractEventLoop, done: asyncio.Event, _: object) -> None:
    attempt(loop.call_soon_threadsafe, done.set)  # the loop may be closed by now


def _unobserved(call: Callable[[], object]) -> str | None:
    """Call where nothing is observed; return what is wrong, None where nothing is."""
    # Not sampled: spans that the application starts itself are left out too, as far as its sampler asks the parent.
    unsampled = trace.SpanContext(getrandbits(128) or 1, getrandbits(64) or 1, is_remote=False)
    attach(trace.set_span_in_context(trace.NonRecordingSpan(unsampled), Context()))
    with suppress_instrumentation():
        answer, error = attempt(call)
    if error is not None:
        return type(error).__name__[:_MOST_TEXT]
    return "refused" if _is_false(answer) else None


def _is_false(answer: Any) -> bool:
    return answer is False or (is_numpy(answer, "bool_") and not answer)
