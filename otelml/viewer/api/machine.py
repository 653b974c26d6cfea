"""GPUs of the services that run a model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from otelml import semconv
from otelml.viewer.api import curves
from otelml.viewer.api.numbers import many
from otelml.viewer.api.points import Wanted

if TYPE_CHECKING:
    from otelml.viewer.api.parameters import Window
    from otelml.viewer.store import Store

_SHOWN = {
    "utilization": semconv.GPU_UTILIZATION,
    "memory_used": semconv.GPU_MEMORY_USAGE,
    "memory_limit": semconv.GPU_MEMORY_LIMIT,
    "temperature": semconv.GPU_TEMPERATURE,
}


def gpus(store: Store, name: str, version: str, span: Window) -> list[dict[str, Any]] | None:
    """Return utilization, memory (bytes) and temperature (Celsius) of each GPU over time; None without one."""
    sql = "SELECT DISTINCT service FROM series WHERE model = ? AND version = ?"
    services = [service for (service,) in store.query(sql, (name, version))]
    found: dict[tuple[str, str], dict[str, list[curves.Level]]] = {}
    for service in services:
        for short, row in _SHOWN.items():
            wanted = Wanted(row.name, service=service, by=(semconv.HW_ID, semconv.HW_NAME))
            for level in curves.levels(store, wanted, span):
                found.setdefault((level.labels[0], level.labels[1]), {}).setdefault(short, []).append(level)
    rows = [
        {"id": gpu, "name": label or gpu, "t": span.starts} | {short: _values(parts.get(short, [])) for short in _SHOWN}
        for (gpu, label), parts in sorted(found.items())
    ]
    return rows or None


def _values(found: list[curves.Level]) -> list[float | int | None] | None:
    values = curves.merged(found, "max")  # processes of one machine see the same GPU
    return None if values is None else many(values)
