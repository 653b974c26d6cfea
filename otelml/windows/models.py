"""The windows of all models: filled by the recorder, judged once a step, read by anybody."""

from __future__ import annotations

import threading
from time import monotonic, sleep
from typing import TYPE_CHECKING

from opentelemetry import trace
from opentelemetry.metrics import CallbackOptions, Observation

from otelml import _sdk, semconv
from otelml._guard import guard
from otelml.windows.alerts import Alert, Alerts
from otelml.windows.sliding import STEPS, Sliding, Window, window_of
from otelml.windows.thresholds import Change, Judge, Rules

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from otelml.columns import Columns
    from otelml.config import Config
    from otelml.events import Events
    from otelml.instruments import Tally

MAX_WINDOWS = 1000
"""Models and versions with a window; calls of further ones are counted as dropped from it."""
TOGETHER = 16
"""Models that are judged at once: about a millisecond."""
IDLE_WINDOWS = 24
"""After so many windows' length without a call a model is forgotten, or after the baseline's where that is longer."""
Model = tuple[str, str | None]


class Windows:
    """One window and one judge for each model and version. ``put`` and ``turn`` are for the recorder."""

    def __init__(
        self,
        length: float,
        rules: Rules,
        *,
        events: Events,
        drop: Callable[[str, str, int], None],
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self.length, self._rules, self._events, self._drop, self._clock = length, rules, events, drop, clock
        self._judging = bool(rules.limits) or rules.deviation is not None
        self.alerts = Alerts(drop)
        self.after_fork()

    def after_fork(self) -> None:
        """Start with nothing: what the parent saw is the parent's to tell."""
        # Re-entrant: a signal handler may look at a window while its thread is inside.
        self._lock = threading.RLock()
        self._known: dict[Model, tuple[Sliding, Judge]] = {}
        self._turned: int | None = None
        self.alerts.after_fork()

    def put(self, columns: Columns, tally: Tally) -> None:
        """Count ended predictions of one model and version."""
        series = columns.series
        key, now = (series.model, series.version), self._clock()
        with self._lock:
            found = self._known.get(key)
            if found is None:
                if len(self._known) >= MAX_WINDOWS:
                    self._drop("window", "limit", len(columns.predictions))
                    return
                found = self._known[key] = Sliding(self.length, now), Judge(self._rules, series.model, STEPS)
            found[0].put(columns, tally, now)

    def read(self, model: str, version: str | None = None) -> Window:
        """Return the window of a model; of all its versions together where none is given."""
        with self._lock:
            now = self._clock()
            wanted = [
                sliding.seen(now)
                for (name, known), (sliding, _) in self._known.items()
                if name == model and (version is None or version == known)
            ]
            return window_of(model, version, wanted)

    def turn(self, pause: float | None = None) -> None:
        """Judge every model, once a step, and forget those without calls.

        With ``pause`` (seconds) other threads get the interpreter after every ``TOGETHER`` models.
        """
        now = self._clock()
        step = int(now * STEPS / self.length)
        if step == self._turned:
            return
        self._turned = step
        alerts = []
        for i, (model, (sliding, judge)) in enumerate(list(self._known.items()), 1):
            if pause is not None and i % TOGETHER == 0:
                sleep(pause)
            idle = now - sliding.used > self.length * max(IDLE_WINDOWS, self._rules.baseline)
            if self._judging or idle:
                with self._lock:
                    window = sliding.window(*model, now)
                    whole = now - sliding.since >= self.length
                    changes = judge.end() if idle else judge.judge(window, step, whole=whole)
                    if idle:
                        del self._known[model]
                alerts += [_alert(model, change, window) for change in changes]
        for alert in alerts:
            with guard("windows.event"):
                self._tell(alert)
        self.alerts.tell(alerts)

    def observe(self, _: CallbackOptions) -> Iterable[Observation]:
        """Return 1 for every threshold that is exceeded, and 0 for the others that are judged."""
        for (name, version), (_sliding, judge) in list(self._known.items()):
            for (figure, kind), raised in judge.active().items():
                labels = {**_model(name, version), semconv.WINDOW_FIGURE: figure, semconv.THRESHOLD_KIND: kind}
                yield Observation(int(raised), labels)

    def stop(self, timeout: float) -> None:
        """Let callbacks end, for ``timeout`` seconds at most."""
        self.alerts.stop(timeout)

    def _tell(self, alert: Alert) -> None:
        row = semconv.EVENT_THRESHOLD_EXCEEDED if alert.raised else semconv.EVENT_THRESHOLD_CLEARED
        known = {
            **_model(alert.model, alert.version),
            semconv.WINDOW_FIGURE: alert.figure,
            semconv.THRESHOLD_KIND: alert.kind,
            semconv.WINDOW_VALUE: alert.value,
            semconv.THRESHOLD_VALUE: alert.threshold,
            semconv.THRESHOLD_REASON: alert.reason,
            semconv.WINDOW_DURATION: alert.window.seconds,
            semconv.WINDOW_REQUESTS: alert.window.requests,
        }
        self._events.emit(
            row.name,
            "warning" if alert.raised else "info",
            alert.sentence(),
            {name: value for name, value in known.items() if value is not None},
            where=_sdk.only_span(trace.INVALID_SPAN),
        )


def windows(config: Config, events: Events, drop: Callable[[str, str, int], None]) -> Windows | None:
    """Return the windows that the settings ask for; None where they are off."""
    if not config.window:
        return None
    rules = Rules(
        config.window_thresholds,
        config.window_deviation,
        config.window_baseline,
        config.window_minimum,
        config.window_hysteresis,
    )
    return Windows(config.window, rules, events=events, drop=drop)


def _alert(model: Model, change: Change, window: Window) -> Alert:
    figure, kind, value, threshold, reason = change
    return Alert(reason is None, *model, figure, kind, value, threshold, reason, window)


def _model(model: str, version: str | None) -> dict[str, str]:
    return {semconv.MODEL_NAME: model} | ({} if version is None else {semconv.MODEL_VERSION: version})
