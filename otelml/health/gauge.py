"""The metric of health checks: what each of them last said. It asks none of them itself."""

from __future__ import annotations

from importlib.metadata import version
from threading import Lock
from time import time
from typing import TYPE_CHECKING
from weakref import WeakSet

from opentelemetry.metrics import CallbackOptions, Observation

from otelml import _labels, runtime, semconv
from otelml._guard import guard
from otelml.health.results import FAIL, PASS, WARN

if TYPE_CHECKING:
    from collections.abc import Iterable

    from otelml.health.service import Health
    from otelml.runtime import Runtime

STALE = 300.0
"""Seconds, beyond those that an answer holds, after which nobody can be said to have asked."""
_all: WeakSet[Health] = WeakSet()
_observed: WeakSet[Runtime] = WeakSet()
_making = Lock()
"""Never waited for: who finds it taken leaves the instrument to the other, or to the next question."""


def tell_of(health: Health) -> None:
    """Report the checks of ``health`` from now on."""
    _all.add(health)


def observe() -> None:
    """Make the instrument, once for each runtime."""
    active = runtime.active
    if active is None or active in _observed or not _making.acquire(blocking=False):
        return
    with guard("health.gauge"):
        if active not in _observed:
            _observed.add(active)
            meter = active.meter_provider.get_meter(semconv.SCOPE, version("otelml"), semconv.SCHEMA_URL)
            row = semconv.HEALTH_STATUS
            meter.create_observable_gauge(row.name, [_points], row.unit, row.help)
    _making.release()


def _points(_: CallbackOptions) -> Iterable[Observation]:
    found: dict[tuple[str, str], int] = {}
    with guard("health.gauge"):
        now = time()
        for check in [check for health in list(_all) for check in health.checks()]:
            seen = check.seen
            if seen is not None and now - seen.at <= check.keep + STALE:
                known = _labels.bounded(semconv.HEALTH_CHECK, check.name), FAIL if check.critical else WARN
                found[known] = min(found.get(known, 1), int(seen.status == PASS))
    return [
        Observation(value, {semconv.HEALTH_CHECK: name, semconv.HEALTH_SEVERITY: severity})
        for (name, severity), value in found.items()
    ]
