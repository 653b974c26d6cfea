"""Who is told when a threshold is crossed: callbacks of the application, on a thread of their own."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass
from types import BuiltinMethodType, MethodType
from typing import TYPE_CHECKING

from otelml import _guard
from otelml._guard import attempt

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from otelml.windows.sliding import Window

MAX_WAITING = 256
"""Alerts that wait for a slow callback; later ones are dropped, and counted."""
MAX_CALLBACKS = 16


@dataclass(frozen=True, slots=True)
class Alert:
    """A threshold of a model's window that was crossed (``raised``), or cleared."""

    raised: bool
    """True: crossed just now; False: back for a whole window, or there is no traffic any more."""
    model: str
    """Name of the model."""
    version: str | None
    """Its version; None where it is not known."""
    figure: str
    """What is too far off: ``p95``, ``error_rate``, ...; a field of ``window``."""
    kind: str
    """``limit``: from ``OTELML_WINDOW_THRESHOLDS``; ``baseline``: from earlier windows."""
    value: float | None
    """The figure, in its unit; None where there is no traffic."""
    threshold: float
    """What it was compared with, in the same unit."""
    reason: str | None
    """Why it was cleared: ``recovered`` or ``no_traffic``; None where it was crossed."""
    window: Window
    """All figures of that moment."""

    def sentence(self) -> str:
        """Return one line for people, such as ``delay: p95 is 0.31, over 0.25``."""
        if self.reason is not None:
            return f"{self.model}: {self.figure} is back ({self.reason.replace('_', ' ')})"
        side = "over" if self.value is not None and self.value > self.threshold else "under"
        than = " (from earlier windows)" if self.kind == "baseline" else ""
        return f"{self.model}: {self.figure} is {self.value:.4g}, {side} {self.threshold:.4g}{than}"


_callbacks: list[Callable[[Alert], object]] = []
"""Those of the application; they outlive a runtime, so that they may be given before it starts."""


def on_alert(callback: Callable[[Alert], object]) -> Callable[[], None]:
    """Have ``callback`` called with every `Alert`; returns what takes it off again.

    It runs on a thread of otelml's own, one alert after the other, and may take its time: up to 256 alerts wait, later
    ones are dropped and counted, and nothing else waits for it. What it raises is counted (``otelml.dropped``) and
    logged once. It may be given before ``auto_instrument()``, and may call otelml.

    Raises:
        ValueError: There are 16 already.
    """
    if not _given(callback):
        if len(_callbacks) >= MAX_CALLBACKS:
            raise ValueError(f"on_alert() takes {MAX_CALLBACKS} callbacks: take one off, or give it once, at the start")
        _callbacks.append(callback)

    def remove() -> None:
        _callbacks[:] = [known for known in _callbacks if not _same(known, callback)]

    return remove


def _given(callback: object) -> bool:
    return any(_same(known, callback) for known in _callbacks)


def _same(known: object, callback: object) -> bool:
    """Return whether two callbacks are one: methods are bound anew each time, nothing else is asked if it is equal."""
    if type(known) is MethodType is type(callback):
        return known.__self__ is callback.__self__ and known.__func__ is callback.__func__
    return known is callback or (type(known) is BuiltinMethodType is type(callback) and known == callback)


class Alerts:
    """Calls the callbacks, from a bounded queue."""

    def __init__(self, drop: Callable[[str, str, int], None]) -> None:
        self._drop = drop
        self.after_fork()

    def after_fork(self) -> None:
        """Start with an empty queue and no thread."""
        self._waiting: deque[Alert] = deque()
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None
        self._told = self._stopped = False

    def tell(self, alerts: Iterable[Alert]) -> None:
        """Take alerts for the callbacks. Never waits for one."""
        if not _callbacks:
            return
        for alert in alerts:
            if len(self._waiting) >= MAX_WAITING:
                self._drop("alert", "queue", 1)
            else:
                self._waiting.append(alert)
        if self._waiting and (self._thread is None or not self._thread.is_alive()):
            self._thread = threading.Thread(target=self._run, name="otelml-alerts", daemon=True)
            self._thread.start()
        self._wake.set()

    def stop(self, timeout: float) -> None:
        """Let the callbacks take what waits, for ``timeout`` seconds at most."""
        self._stopped = True
        self._wake.set()
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout)

    def _run(self) -> None:
        wake = self._wake
        while wake is self._wake:
            wake.clear()
            while self._waiting:
                alert = self._waiting.popleft()
                for callback in _callbacks.copy():
                    self._call(callback, alert)
            if self._stopped:
                return
            wake.wait()

    def _call(self, callback: Callable[[Alert], object], alert: Alert) -> None:
        _, error = attempt(callback, alert)
        if error is not None:
            self._drop("alert", "callback", 1)
            if not self._told:
                self._told = True
                what = _guard.describe(error)
                _guard.logger.warning("otelml: a callback of on_alert() failed; later ones are counted\n%s", what)
