"""Windows of this process: the counts of some time compared with the reference, and an event when an alarm changes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from otelml import semconv
from otelml.drift.alarm import Alarm
from otelml.drift.comparison import compare

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from otelml.drift.alarm import Change
    from otelml.drift.report import DriftReport, FeatureDrift
    from otelml.features.counting import Counted

    Emit = Callable[[str, str, str, dict[str, Any]], None]

ROWS = 100
"""A window with fewer rows goes on: they would say nothing."""


class Windows:
    """The windows of one model and version: each lasts ``seconds``, or longer until it holds enough rows."""

    def __init__(self, counted: Counted, seconds: float, emit: Emit, now: float) -> None:
        self._counted, self._seconds, self._emit = counted, seconds, emit
        self.reset(now)

    def reset(self, now: float) -> None:
        """Begin anew, with no alarm (also in the child after a fork)."""
        self._begun = now
        self._alarm = Alarm()
        self.report: DriftReport | None = None
        """Of the last window that is over."""

    def turn(self, now: float) -> None:
        """End the window if it is over by ``now``: compare it, and emit the alarms that it raises or clears."""
        if now - self._begun < self._seconds:
            return
        window = self._counted.window()
        if window.rows < ROWS:
            return
        self.report = report = compare(self._counted.reference, window, minimum_rows=ROWS)
        lasted, self._begun = now - self._begun, now
        self._counted.turn()
        for change in self._alarm.update(report):
            self._tell(change, report[change.feature], lasted)

    def _tell(self, change: Change, found: FeatureDrift, lasted: float) -> None:
        labels = self._counted.features[change.feature].attributes
        said = "has drifted" if change.raised else "no longer drifts"
        name = labels[semconv.FEATURE_NAME]
        body = f"{labels[semconv.MODEL_NAME]}: {name} {said} (PSI {found.psi:.3f}, {found.test})"
        attributes: dict[str, Any] = {
            **labels,
            semconv.DRIFT_RAISED: change.raised,
            semconv.DRIFT_TEST: found.test,
            semconv.DRIFT_P_VALUE: found.p_value,
            semconv.DRIFT_Q_VALUE: found.q_value,
            semconv.DRIFT_PSI: found.psi,
            semconv.DRIFT_PSI_BIAS: found.psi_bias,
            semconv.DRIFT_JS: found.js,
            semconv.DRIFT_MISSING_CHANGE: found.missing_change,
            semconv.DRIFT_ROWS: found.n,
            semconv.DRIFT_WINDOW: lasted,
        }
        if found.ks is not None:
            attributes[semconv.DRIFT_KS] = found.ks
        self._emit(semconv.EVENT_DRIFT.name, "warning" if change.raised else "info", body, attributes)

    def figures(self, which: str) -> Iterator[tuple[float, dict[str, str]]]:
        """Return (value, attributes) of each feature for ``psi``, ``js`` or ``ks`` of the last window."""
        for found in () if self.report is None else self.report.features:
            value = getattr(found, which)
            if found.n and value is not None:
                yield value, self._counted.features[found.name].attributes

    def raised(self) -> Iterator[tuple[int, dict[str, str]]]:
        """Return (1 where its alarm is raised, attributes) of each feature, once a window is over."""
        raised = self._alarm.raised
        for found in () if self.report is None else self.report.features:
            yield int(found.name in raised), self._counted.features[found.name].attributes
