"""Traffic for tests of windows: predictions of known durations, and a clock that is set by hand."""

from contextlib import suppress

import otelml


class Clock:
    """Seconds, moved by the test."""

    def __init__(self, now=1000.0):
        self.now = now

    def __call__(self):
        """Return the time."""
        return self.now


def predict(durations, model="delay", version="3", *, failed=False, **result):
    """Make a prediction of each duration in seconds."""
    for seconds in durations:
        with suppress(ValueError), otelml.prediction(model, version) as p:
            if result:
                p.result(**result)
            if failed:
                raise ValueError
        p.ended = p.started + round(seconds * 1e9)  # it waits for the recorder


def watched(telemetry, now=1000.0):
    """Return the windows of a recording and the clock that they read from here on."""
    windows = telemetry.runtime.windows
    windows._clock = Clock(now)
    return windows, windows._clock


def events(telemetry):
    """Return (exceeded or cleared, figure) of the thresholds' events so far."""
    return [
        (log.event.rpartition(".")[2], log.attributes["ml.window.figure"])
        for log in telemetry.logs()
        if log.event.startswith("ml.threshold.")
    ]
