"""The essential alerts of ``collector/rules``, evaluated on the store: what would page.

A condition that holds now is looked at again at times before: until it has held for as long as its rule asks it is
``pending``, then ``firing``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from otelml import semconv
from otelml.viewer.api import buckets, curves
from otelml.viewer.api.answer import seconds
from otelml.viewer.api.parameters import Window
from otelml.viewer.api.points import Wanted
from otelml.viewer.rows import NANOS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from otelml.viewer.api.curves import Curve
    from otelml.viewer.store import Store

    Alert = dict[str, Any]
    Check = Callable[[Store, int], Iterator[Alert]]
    Id = tuple[str, ...]

RUNBOOKS = "https://github.com/otelml/otelml/blob/main/docs/runbooks.md#"
FIVE_MINUTES, TEN_MINUTES, SIX_HOURS = 300, 600, 21_600
SILENT = 180
"""A process that has said nothing for so long has stopped reporting."""
FAILED, FEWEST_FAILED = 0.05, 5
SLOW_S, ENOUGH = 0.75, 100
UNSURE = 0.3
FULL = 0.95
_LOST = ("buffer", "queue", "size", "export", "rejected", "shutdown")
_MODEL = ("model", "version")


HELD = {
    ("ModelErrorRatioHigh", "page"): 300,
    ("ModelLatencyHigh", "ticket"): 600,
    ("ModelConfidenceLow", "ticket"): 900,
    ("FeatureDrift", "ticket"): 1800,
    ("ModelDeviceFallback", "ticket"): 300,
    ("GpuMemoryNearlyFull", "ticket"): 600,
    ("HealthCheckFailing", "page"): 180,
    ("HealthCheckFailing", "ticket"): 600,
}
"""Seconds that the condition of a rule must hold; of the other rules none."""
LOOKS, SHORTEST = 20, 15
"""So often a condition is looked at within that time, and no more often than every 15 s, as Prometheus does."""


def alerts(store: Store, now_ns: int) -> list[Alert]:
    """Return the alerts whose conditions hold now, pages first; ``since_ns`` is no later than they began to."""
    found = [alert for check in _CHECKS for alert in _aged(store, check, now_ns)]
    return sorted(found, key=lambda alert: (alert["severity"] != "page", alert["name"], alert["summary"]))


def _aged(store: Store, check: Check, now_ns: int) -> list[Alert]:
    """Return what a check finds now, each with its state by how long it has held."""
    found = {_id(alert): alert for alert in check(store, now_ns)}
    longest = max((_asked(alert) for alert in found.values()), default=0)
    since = dict.fromkeys(found, now_ns)
    going = {key for key, alert in found.items() if _asked(alert)}
    step = max(SHORTEST, longest // LOOKS) * NANOS
    before = now_ns
    while going and before > now_ns - longest * NANOS:
        before -= step
        going &= {_id(alert) for alert in check(store, before)}
        since |= dict.fromkeys(going, before)
    for key, alert in found.items():
        if _asked(alert):
            alert["since_ns"] = since[key]
            alert["state"] = "firing" if now_ns - since[key] >= _asked(alert) * NANOS else "pending"
    return [{key: value for key, value in alert.items() if key != "of"} for alert in found.values()]


def _asked(alert: Alert) -> int:
    return HELD.get((alert["name"], alert["severity"]), 0)


def _id(alert: Alert) -> Id:
    return (alert["name"], alert["severity"], *alert["of"])


def _alert(name: str, severity: str, of: Iterable[str], summary: str, since_ns: int | None = None) -> Alert:
    """Return an alert ``of`` what its labels name, which stays the same while the summary's figures change."""
    runbook = f"{RUNBOOKS}{name.lower()}"
    head = {"name": name, "severity": severity, "state": "firing", "since_ns": since_ns}
    return head | {"summary": summary, "runbook": runbook, "of": tuple(of)}


def _last(now_ns: int, length: int) -> Window:
    return Window(max(0, now_ns - length * NANOS), now_ns, length * NANOS)


def _by_model(store: Store, row: semconv.Metric, span: Window, *by: str) -> dict[tuple[str, ...], list[Curve]]:
    groups: dict[tuple[str, ...], list[Curve]] = {}
    for curve in curves.curves(store, Wanted(row.name, by=(*_MODEL, *by)), span):
        groups.setdefault(curve.labels[:2], []).append(curve)
    return groups


def _failing(store: Store, now_ns: int) -> Iterator[Alert]:
    """Yield models whose calls fail, over the last five minutes."""
    span = _last(now_ns, FIVE_MINUTES)
    for key, group in _by_model(store, semconv.REQUESTS, span, semconv.ERROR_TYPE).items():
        total = curves.total(group, span)
        bad = curves.total([curve for curve in group if curve.labels[-1]], span)
        if bad >= FEWEST_FAILED and bad / total > FAILED:
            yield _alert("ModelErrorRatioHigh", "page", key, f"{' '.join(key)} fails: {bad / total:.1%} of its calls")


def _slow(store: Store, now_ns: int) -> Iterator[Alert]:
    span = _last(now_ns, FIVE_MINUTES)
    for key, group in _by_model(store, semconv.PREDICTION_DURATION, span, semconv.ERROR_TYPE).items():
        good = [curve for curve in group if not curve.labels[-1]]
        (p95,) = buckets.quantiles(good, span, (0.95,))
        if p95 > SLOW_S and curves.total(good, span) >= ENOUGH:
            yield _alert("ModelLatencyHigh", "ticket", key, f"{' '.join(key)} is slow: p95 is {seconds(p95)}")


def _unsure(store: Store, now_ns: int) -> Iterator[Alert]:
    span = _last(now_ns, FIVE_MINUTES)
    low = _by_model(store, semconv.LOW_CONFIDENCE, span)
    for key, group in _by_model(store, semconv.CONFIDENCE_HISTOGRAM, span).items():
        rows, unsure = curves.total(group, span), curves.total(low.get(key, ()), span)
        if rows >= ENOUGH and unsure / rows > UNSURE:
            text = f"{' '.join(key)} is unsure of {unsure / rows:.0%} of its predictions"
            yield _alert("ModelConfidenceLow", "ticket", key, text)


def _now(store: Store, row: semconv.Metric, by: Iterable[str], now_ns: int) -> list[curves.Level]:
    return [
        level
        for level in curves.levels(store, Wanted(row.name, by=tuple(by)), _last(now_ns, FIVE_MINUTES))
        if level.last_ns > now_ns - SILENT * NANOS
    ]


def _drifted(store: Store, now_ns: int) -> Iterator[Alert]:
    drifted: dict[tuple[str, ...], set[str]] = {}
    for level in _now(store, semconv.DRIFT_DETECTED_GAUGE, (*_MODEL, semconv.FEATURE_NAME), now_ns):
        if level.last > 0:
            drifted.setdefault(level.labels[:2], set()).add(level.labels[2])
    for key, features in drifted.items():
        names = ", ".join(sorted(features)[:5])
        text = f"{' '.join(key)}: {len(features)} features have drifted: {names}"
        yield _alert("FeatureDrift", "ticket", key, text)


def _exceeded(store: Store, now_ns: int) -> Iterator[Alert]:
    exceeded = {
        level.labels
        for level in _now(store, semconv.THRESHOLD_ACTIVE, (*_MODEL, semconv.WINDOW_FIGURE), now_ns)
        if level.last > 0
    }
    for model, version, figure in sorted(exceeded):
        of, text = (model, version, figure), f"{model} {version}: {figure} is past its threshold"
        yield _alert("ThresholdExceeded", "ticket", of, text)


def _fallen_back(store: Store, now_ns: int) -> Iterator[Alert]:
    fallbacks = (*_MODEL, semconv.DEVICE_USED, semconv.DEVICE_REQUESTED)
    for level in _now(store, semconv.MODEL_DEVICE_FALLBACK, fallbacks, now_ns):
        if level.last == 1:
            model, version, used, wanted = level.labels
            text = f"{model} {version} runs on {used}, not on {wanted}"
            yield _alert("ModelDeviceFallback", "ticket", level.labels, text)


def _full(store: Store, now_ns: int) -> Iterator[Alert]:
    for level in _now(store, semconv.GPU_MEMORY_UTILIZATION, (semconv.HW_NAME,), now_ns):
        if level.last > FULL:
            text = f"{level.labels[0]}: {level.last:.0%} of its memory is used"
            yield _alert("GpuMemoryNearlyFull", "ticket", level.labels, text)


def _checks(store: Store, now_ns: int) -> Iterator[Alert]:
    best: dict[tuple[str, ...], float] = {}
    for level in _now(store, semconv.HEALTH_STATUS, ("service", semconv.HEALTH_CHECK, semconv.HEALTH_SEVERITY), now_ns):
        best[level.labels] = max(best.get(level.labels, 0.0), level.last)
    for (service, check, severity), passed in sorted(best.items()):
        if not passed:
            text = f"{service}: the health check {check} fails in every process"
            yield _alert("HealthCheckFailing", "page" if severity == "fail" else "ticket", (service, check), text)


def _telemetry(store: Store, now_ns: int) -> Iterator[Alert]:
    """Yield services that lost telemetry, or had errors in otelml, in the last ten minutes."""
    span = _last(now_ns, TEN_MINUTES)
    for name, row, places in (("TelemetryDropped", semconv.DROPPED, _LOST), ("OtelmlErrors", semconv.ERRORS, None)):
        groups: dict[str, list[Curve]] = {}
        for curve in curves.curves(store, Wanted(row.name, by=("service", semconv.DROPPED_WHERE)), span):
            if places is None or curve.labels[1] in places:
                groups.setdefault(curve.labels[0], []).append(curve)
        for service, group in sorted(groups.items()):
            count = curves.total(group, span)
            if count > 0:
                what = "lost telemetry" if places else "had errors inside otelml"
                yield _alert(name, "ticket", (service,), f"{service} {what}: {count:,.0f} times in 10 minutes")


def _silent(store: Store, now_ns: int) -> Iterator[Alert]:
    """Yield services that sent metrics in the last six hours, and none in the last three minutes."""
    sql = """
        SELECT service, max(time_ns) FROM series JOIN points USING (series_id)
        WHERE time_ns > ? AND time_ns <= ? AND service <> '' GROUP BY service HAVING max(time_ns) < ?
    """
    for service, last in store.query(sql, (now_ns - SIX_HOURS * NANOS, now_ns, now_ns - SILENT * NANOS)):
        ago = (now_ns - last) / NANOS / 60
        text = f"{service} has sent no metrics for {ago:.0f} minutes"
        yield _alert("ServiceStoppedReporting", "page", (service,), text, last)


_CHECKS: tuple[Check, ...] = (
    *(_failing, _slow, _unsure, _drifted, _exceeded, _fallen_back, _checks, _full, _telemetry, _silent),
)
