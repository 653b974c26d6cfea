"""When a figure of a window is too far off: over a limit of the settings, or away from earlier windows.

A limit is crossed by a figure that is beyond it. Away from the baseline is a figure whose modified z-score

    z = (x - median(b)) / s,   s = 1.4826 MAD(b) sqrt(max(1, n_b / n))

is beyond ``OTELML_WINDOW_DEVIATION`` in the worse direction, and stays there for a window's length: two windows that
do not overlap must agree. b are the figures of the earlier windows, one for each window's length, none of which
overlaps with x; MAD is their median absolute deviation, and 1.4826 makes it the standard deviation of normal data
(Iglewicz and Hoaglin, "How to Detect and Handle Outliers", 1993; NIST/SEMATECH e-Handbook, 1.3.5.17). What windows
differ by anyway is measured, where a standard error computed from single calls would take them for independent. The
root widens it where this window has fewer calls (n) than those had (median n_b). s is at least 2 % of the median, and
for shares at least their sampling error sqrt(p (1 - p) / n), p being the earlier windows' share with one case added to
either side, so that constant figures have a scale too.
"""

from __future__ import annotations

import math
from collections import deque
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

from otelml import semconv

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from otelml.windows.sliding import Window

LIMIT, BASELINE = "limit", "baseline"
RECOVERED, NO_TRAFFIC = "recovered", "no_traffic"
MIN_BASELINE = 12
"""Earlier windows that are needed to judge by them."""
NORMAL = 1.4826
LEAST = 0.02
_SHARES = frozenset({"error_rate", "low_confidence"})
_OF_ROWS = frozenset({"confidence", "low_confidence"})
Key = tuple[str, str]
"""A figure and a kind of threshold."""


class Rules(NamedTuple):
    """The settings: how thresholds are judged."""

    limits: Mapping[str, float]
    """By figure, or by model and figure: ``p95``, ``delay:p95``."""
    deviation: float | None = None
    baseline: int = 24
    minimum: int = 50
    hysteresis: float = 0.1

    def limit(self, model: str, figure: str) -> float | None:
        """Return the limit of a model's figure: its own, or that of all models."""
        return self.limits.get(f"{model}:{figure}", self.limits.get(figure))


class Bound(NamedTuple):
    """Where a figure's threshold is crossed, and where it is back."""

    crossed: float
    back: float


class Change(NamedTuple):
    """A threshold that was crossed, or cleared for a reason."""

    figure: str
    kind: str
    value: float | None
    threshold: float
    reason: str | None


class _State:
    __slots__ = ("back_since", "hold", "off_since", "raised", "threshold")

    def __init__(self, hold: int) -> None:
        self.hold = hold
        """Steps that it must be off for before it is raised."""
        self.raised = False
        self.threshold = math.nan
        self.off_since: int | None = None
        self.back_since: int | None = None


class Judge:
    """The thresholds of one model and version: what is exceeded now, and the windows before."""

    def __init__(self, rules: Rules, model: str, steps: int) -> None:
        self._rules, self._steps = rules, steps
        self._limits = {f: limit for f in semconv.FIGURES if (limit := rules.limit(model, f)) is not None}
        self._earlier: deque[Window] = deque(maxlen=rules.baseline)
        self._last: Window | None = None
        self._last_at = 0
        self._states: dict[Key, _State] = {}

    def active(self) -> dict[Key, bool]:
        """Return what is judged, and whether it is exceeded."""
        return {key: state.raised for key, state in list(self._states.items())}

    def judge(self, window: Window, step: int, *, whole: bool) -> list[Change]:
        """Return what changed; to be called once a step. ``whole``: the window covers all of its length."""
        changes = []
        for figure in semconv.FIGURES:
            value: float | None = getattr(window, figure)
            if value is None or not self._enough(figure, window, whole=whole):
                continue
            for kind, bound in self._bounds(figure, window):
                hold = self._steps if kind == BASELINE else 0
                state = self._states.setdefault((figure, kind), _State(hold))
                reason = self._turned(state, figure, value, bound, step)
                if reason is not None:
                    changes.append(Change(figure, kind, value, bound.crossed, reason or None))
        if not window.requests:
            changes += self.end(keep="throughput")
        if self._rules.deviation is not None:
            self._keep(window, step, whole=whole)
        return changes

    def end(self, keep: str = "") -> list[Change]:
        """Clear what can't be told without traffic; return what was exceeded."""
        changes = []
        for (figure, kind), state in self._states.items():
            if state.raised and figure != keep:
                state.raised = False
                changes.append(Change(figure, kind, None, state.threshold, NO_TRAFFIC))
        return changes

    def _turned(self, state: _State, figure: str, value: float, bound: Bound, step: int) -> str | None:
        """Return "" where a threshold is crossed now, the reason where it is cleared, None where nothing changes."""
        worse = -1.0 if figure in semconv.LOWER_IS_WORSE else 1.0
        if worse * (value - bound.crossed) > 0:
            state.back_since, state.threshold = None, bound.crossed
            state.off_since = step if state.off_since is None else state.off_since
            if state.raised or step - state.off_since < state.hold:
                return None
            state.raised = True
            return ""
        state.off_since = None
        if not state.raised or worse * (value - bound.back) > 0:
            state.back_since = None
            return None
        if state.back_since is None:
            state.back_since = step
        if step - state.back_since < self._steps:
            return None
        state.raised, state.back_since = False, None
        return RECOVERED

    def _enough(self, figure: str, window: Window, *, whole: bool) -> bool:
        if figure == "throughput":
            return whole
        return (window.confident if figure in _OF_ROWS else window.requests) >= self._rules.minimum

    def _bounds(self, figure: str, window: Window) -> Iterator[tuple[str, Bound]]:
        worse = -1.0 if figure in semconv.LOWER_IS_WORSE else 1.0
        limit, margin = self._limits.get(figure), self._rules.hysteresis
        if limit is not None:
            yield LIMIT, Bound(limit, limit * (1 - worse * margin))
        if self._rules.deviation is not None:
            known = self.baseline(figure, window)
            if known is not None:
                centre, scale = known
                far = worse * self._rules.deviation * scale
                yield BASELINE, Bound(centre + far, centre + far * (1 - margin))

    def baseline(self, figure: str, window: Window) -> tuple[float, float] | None:
        """Return the median of the earlier windows and the scale to measure by; None where they are too few."""
        pairs = [(getattr(w, figure), _cases(figure, w)) for w in self._earlier if self._enough(figure, w, whole=True)]
        if len(pairs) < MIN_BASELINE:
            return None
        values, n = [value for value, _ in pairs], _cases(figure, window)
        centre = float(median(values))
        fewer = 1.0 if figure == "throughput" else max(1.0, median(cases for _, cases in pairs) / n)
        scale = NORMAL * median(abs(value - centre) for value in values) * math.sqrt(fewer)
        if figure in _SHARES:
            total = sum(cases for _, cases in pairs)
            share = (sum(value * cases for value, cases in pairs) + 1) / (total + 2)
            scale = max(scale, math.sqrt(share * (1 - share) / n))
        return centre, max(scale, LEAST * abs(centre))

    def _keep(self, window: Window, step: int, *, whole: bool) -> None:
        """Keep one window for each length; it is an earlier one from when later ones no longer overlap with it."""
        if whole and (self._last is None or step - self._last_at >= self._steps):
            if self._last is not None:
                self._earlier.append(self._last)
            self._last, self._last_at = window, step


def _cases(figure: str, window: Window) -> int:
    return window.confident if figure in _OF_ROWS else window.requests
