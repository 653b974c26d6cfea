"""The health of this process: its checks, whether it is loading or ending, and the four questions."""

from __future__ import annotations

import inspect
import os
import signal
import threading
from time import sleep
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from otelml import _labels, processes, runtime
from otelml._guard import guard
from otelml.health import details, gauge
from otelml.health.checks import Check, Run, settled, wait
from otelml.health.results import DEPENDENCY, FAIL, MODEL, STATE, Report, Result, Status, report_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import FrameType, TracebackType

MAX_CHECKS = 20
LIMIT = 0.8
"""Seconds that a check may take: Kubernetes gives a probe one second, unless told otherwise."""
STARTUP, SHUTDOWN = "startup", "shutdown"
_RESERVED = (STARTUP, SHUTDOWN)


class Question(NamedTuple):
    """What was asked: answered already, or the calls to wait for."""

    state: Report | None
    calls: Sequence[tuple[Check, Run]] = ()


class Loading:
    """What ``Health.loading`` gives: as a context manager, it is over where the block ends without an error."""

    def __init__(self, health: Health) -> None:
        self._health = health

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        if error is None:
            self._health.loaded()


class Health:
    """Checks, and the answers to: alive, started, ready, and in what state. Safe in any thread and after a fork."""

    def __init__(self) -> None:
        self._checks: dict[str, Check] = {}
        self._loads = 0
        self._begun = self._ending = False
        self._seen = runtime.active
        self._lock = threading.RLock()  # a signal handler may come here while it is held
        self._machine = details.machine_check()
        gauge.tell_of(self)
        processes.in_each_child(self._after_fork)

    def _after_fork(self) -> None:
        self._lock = threading.RLock()
        for check in (*self.checks(), self._machine):
            check.after_fork()

    # What there is to ask -----------------------------------------------------------------------------------

    def check(
        self,
        name: str,
        function: Callable[[], object],
        *,
        timeout: float = LIMIT,
        critical: bool = True,
        cache_seconds: float = 5.0,
    ) -> None:
        """Ask a dependency before saying that this process is ready. A check of the same name is replaced.

        Args:
            name: What the answer is called; 20 checks at most, models included.
            function: Fails by raising or by returning False; called without arguments on a thread of otelml's own.
            timeout: Seconds it may take; later is a failure.
            critical: Whether the process is not ready when it fails; else its answer is a warning.
            cache_seconds: Seconds for which an answer holds; a failure holds for a second at most.

        Raises:
            TypeError: ``function`` can't be called, or is a coroutine function.
            ValueError: The name is empty or one of ours, a number makes no sense, or there are too many checks.
        """
        self._put(name, function, DEPENDENCY, timeout, cache_seconds, critical=critical)

    def model(
        self,
        name: str,
        predict: Callable[[Any], object],
        test_input: Any,
        *,
        accept: Callable[[Any], object] | None = None,
        limit_seconds: float = LIMIT,
        every_seconds: float = 30.0,
    ) -> None:
        """Have a model answer a test input before saying that this process is ready. Never counts as a prediction.

        Args:
            name: What the answer is called, such as the model's name.
            predict: Called with ``test_input`` alone, on a thread of otelml's own.
            test_input: Any input that the model takes; kept, not copied.
            accept: Given the model's answer; fails by raising or by returning False.
            limit_seconds: Seconds the answer may take; later is a failure.
            every_seconds: Seconds for which an answer holds, however often somebody asks.

        Raises:
            TypeError: As ``check`` does.
            ValueError: As ``check`` does.
        """
        _require_callable(predict)

        def answer() -> object:
            answered = predict(test_input)
            return True if accept is None else accept(answered)

        self._put(name, answer, MODEL, limit_seconds, every_seconds)

    def _put(
        self, name: str, call: Callable[[], object], kind: str, limit: float, keep: float, *, critical: bool = True
    ) -> None:
        _require_callable(call)
        known = _labels.text(name)
        if not known or known in _RESERVED:
            raise ValueError(f"a health check can't be called {known!r}")
        if not 0 < limit <= threading.TIMEOUT_MAX or not keep >= 0:
            raise ValueError(f"health check {known}: the limit must be over 0 and what is kept 0 seconds or more")
        with self._lock:
            self._seen = runtime.active or self._seen
            if known not in self._checks and len(self._checks) >= MAX_CHECKS:
                raise ValueError(f"health check {known}: there are {MAX_CHECKS} already")
            self._checks[known] = Check(known, call, kind=kind, limit=limit, keep=keep, critical=critical)

    def remove(self, name: str) -> None:
        """Ask this check or model no longer; does nothing where there is none."""
        with self._lock:
            self._checks.pop(name, None)

    def checks(self) -> list[Check]:
        """Return every check and model, in the order they were given."""
        with self._lock:
            return list(self._checks.values())

    # Its life -----------------------------------------------------------------------------------------------

    def loading(self) -> Loading:
        """Say that this process can't answer until ``loaded()``, or until the ``with`` block ends well."""
        with self._lock:
            self._loads += 1
        return Loading(self)

    def loaded(self) -> None:
        """Say that what was loading is there."""
        with self._lock:
            self._loads = max(0, self._loads - 1)

    def stopping(self) -> None:
        """Say that this process takes no more work: it is not ready from now on. Requests in progress go on."""
        self._ending = True

    def drain_on_sigterm(self, seconds: float = 0.0) -> bool:
        """From SIGTERM on say that this process is not ready; ``seconds`` later whoever handled SIGTERM gets it.

        Call it after ``auto_instrument()``, in the main thread, where the server has its handler already: in the
        lifespan of an ASGI application, or as a gunicorn worker imports the application. A second SIGTERM is handed
        on at once.

        Returns:
            Whether it was done; False in other threads, where Python takes no handlers.
        """
        if threading.current_thread() is not threading.main_thread():
            return False
        before = signal.getsignal(signal.SIGTERM)
        handed_on: list[int] = []

        def handle(number: int, frame: FrameType | None) -> None:
            again, self._ending = self._ending, True
            if again or seconds <= 0:
                handed_on.append(number)
                _hand_on(before, number, frame)
            else:
                threading.Thread(target=_signal_later, args=(handed_on, seconds, number), daemon=True).start()

        signal.signal(signal.SIGTERM, handle)
        return True

    def _state(self) -> Report | None:
        """Return why this process can't be ready, whatever its checks say."""
        self._seen = active = runtime.active or self._seen
        if self._ending or (active is not None and active.closing):
            return report_of([Result(SHUTDOWN, FAIL, STATE, error="stopping")])
        return _loading() if self._loads else None

    # The questions ------------------------------------------------------------------------------------------

    def live(self) -> Report:
        """Say that this process turns. Asks nothing and depends on nothing; its failure is that nobody answers."""
        return Report()

    def ready(self) -> Report:
        """Say whether this process can answer now: it neither loads nor ends, and no critical check or model fails.

        Takes as long as the largest limit of a check, at most.
        """
        return self._wait("readyz")

    def started(self) -> Report:
        """Say whether this process has loaded and every model has answered its test once; from then on, always."""
        return self._wait("startupz")

    def status(self) -> Status:
        """Return everything that is known of this process, with its readiness. Holds no payloads and no secrets."""
        machine = self._machine.begin()
        report = self.ready()
        wait([machine])
        return details.of(report, self._seen)

    async def answer(self, path: str) -> Report | Status:
        """Answer ``livez``, ``readyz``, ``startupz`` or ``statusz`` in an asyncio task, without blocking its loop."""
        question, detailed = self._ask(path), path == "statusz"
        more = [self._machine.begin()] if detailed else []
        await settled([*(run for _, run in question.calls), *more])
        report = self._answer(path, question)
        return details.of(report, self._seen) if detailed else report

    def _wait(self, path: str) -> Report:
        question = self._ask(path)
        wait([run for _, run in question.calls])
        return self._answer(path, question)

    def _ask(self, path: str) -> Question:
        gauge.observe()
        if path == "livez" or (path == "startupz" and self._begun):
            return Question(Report())
        if path == "startupz":
            state, checks = (_loading() if self._loads else None), [c for c in self.checks() if c.kind == MODEL]
        else:
            state, checks = self._state(), self.checks()
        return Question(state, () if state is not None else [(check, check.begin()) for check in checks])

    def _answer(self, path: str, question: Question) -> Report:
        report = question.state or report_of([check.outcome(run) for check, run in question.calls])
        if path == "startupz" and report.ok:
            self._begun = True
        return report


def _loading() -> Report:
    return report_of([Result(STARTUP, FAIL, STATE, error="loading")])


def _require_callable(function: object) -> None:
    if not callable(function):
        raise TypeError(f"a health check calls a function, not {type(function).__name__}")
    if inspect.iscoroutinefunction(function):
        raise TypeError("a health check calls a plain function: it has a thread of its own, and no event loop")


def _signal_later(handed_on: list[int], seconds: float, number: int) -> None:
    sleep(seconds)
    if not handed_on:
        os.kill(os.getpid(), number)


def _hand_on(before: Any, number: int, frame: FrameType | None) -> None:
    """Do with a signal what was done before."""
    if before is signal.SIG_IGN:
        return
    if callable(before):
        before(number, frame)
        return
    active = runtime.active
    if active is not None:
        with guard("health.sigterm"):  # in a thread: the interrupted code may hold a lock that flushing needs
            ending = threading.Thread(target=active.shutdown, daemon=True)
            ending.start()
            ending.join(active.config.shutdown_timeout + 0.5)
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
