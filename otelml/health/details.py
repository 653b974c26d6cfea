"""The detailed status: what otelml knows of this process, without payloads, addresses of callers, or secrets."""

from __future__ import annotations

import re
import sys
from functools import cache
from importlib.metadata import version
from time import monotonic, time
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import psutil

from otelml import _guard, runtime, semconv
from otelml._guard import attempt
from otelml.config import SIGNALS
from otelml.health.checks import Check
from otelml.health.results import STATE, Report, Status
from otelml.models.description import FRAMEWORKS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from otelml.export import BatchQueue
    from otelml.probes.poll import Points
    from otelml.runtime import Runtime

_PACKAGES = {"opentelemetry": "opentelemetry-sdk", "otelml": "otelml"}
_PROCESS = {
    "process.memory.usage": "memory",
    "process.cpu.utilization": "cpu_utilization",
    "process.thread.count": "threads",
    "process.unix.file_descriptor.count": "file_descriptors",
}
_SYSTEM = {
    "system.memory.limit": "memory_limit",
    "system.memory.utilization": "memory_utilization",
    "system.cpu.logical.count": "cpus",
}
_GPU = {
    semconv.GPU_UTILIZATION.name: "utilization",
    semconv.GPU_MEMORY_USAGE.name: "memory",
    semconv.GPU_MEMORY_LIMIT.name: "memory_limit",
    semconv.GPU_TEMPERATURE.name: "temperature",
    semconv.GPU_POWER.name: "power",
}
_WANTED = {semconv.MEMORY_STATE: "used", semconv.HW_GPU_TASK: "general"}
"""Of a value that is given by parts, the part to show; parts of others are summed up."""
_A_PATH = re.compile(r"(?:[a-zA-Z]:)?[\\/]|~|\.\.?[\\/]|[\w+.-]*:[\\/]")


def machine_check() -> Check:
    """Return a check that polls the probes on its own thread: a driver that hangs is not to hang the status."""
    return Check("machine", _poll, kind=STATE, limit=0.5, keep=0.0)


def _poll() -> None:
    _values(runtime.active)


def _values(active: Runtime | None) -> Points:
    found: Points = {}
    for probe in () if active is None else active.probes:
        found |= probe.values()
    return found


def of(report: Report, active: Runtime | None) -> Status:
    """Return the status of this process; without a runtime there is little to tell."""
    started = attempt(lambda: psutil.Process().create_time())[0]
    values: Points = {}
    for probe in () if active is None else active.probes:
        values |= probe.last()
    models = [] if active is None else [_model(known) for known in active.models.loaded()]
    return Status(
        report,
        service=None if active is None else active.config.service_name,
        uptime=None if started is None else max(0.0, round(time() - started, 3)),
        versions=_versions({model.get("framework") for model in models}),
        models=models,
        process=_named(values, _PROCESS),
        system=_named(values, _SYSTEM),
        gpus=_gpus(values),
        recorder={} if active is None else active.recorder.load(),
        exporters=[] if active is None else list(_exporters(active)),
        dropped={} if active is None else _nested(active.recorder.dropped()),
        errors=_guard.errors(),
    )


# Versions and models ---------------------------------------------------------------------------------------------


def _versions(frameworks: Iterable[str | None]) -> dict[str, str]:
    found = {"python": sys.version.split()[0]}
    found |= {name: _release(package) for name, package in _PACKAGES.items()}
    used = set(frameworks)
    for package, name in FRAMEWORKS.items():
        known = getattr(sys.modules.get(package), "__version__", None)
        if name in used and known is not None:
            found[name] = str(known)
    return found


@cache
def _release(package: str) -> str:
    return version(package)


def _model(known: Mapping[str, Any]) -> dict[str, Any]:
    return {key: _without_path(value) if key in {"name", "version"} else value for key, value in known.items()}


def _without_path(name: str) -> str:
    """Return a name; of a path or an address its last part alone."""
    if not (_A_PATH.match(name) or "@" in name):
        return name
    return re.split(r"[\\/@]", name.partition("?")[0].rstrip("\\/"))[-1]


# The machine -----------------------------------------------------------------------------------------------------


def _named(values: Points, names: Mapping[str, str]) -> dict[str, float]:
    found: dict[str, float] = {}
    for metric, name in names.items():
        parts = [p.value for p in values.get(metric, ()) if _shown(p.attributes or {})]
        if parts:
            found[name] = round(sum(parts), 6)
    return found


def _shown(attributes: Mapping[str, Any]) -> bool:
    return all(attributes.get(key, part) == part for key, part in _WANTED.items())


def _gpus(values: Points) -> list[dict[str, Any]]:
    gpus: dict[str, dict[str, Any]] = {}
    for metric, name in _GPU.items():
        for point in values.get(metric, ()):
            known = point.attributes or {}
            if _shown(known):
                gpu = gpus.setdefault(str(known[semconv.HW_ID]), {"id": known[semconv.HW_ID]})
                gpu |= {"name": known.get(semconv.HW_NAME), name: round(point.value, 6)}
    return list(gpus.values())


# Telemetry -------------------------------------------------------------------------------------------------------


def _nested(counts: Mapping[tuple[str, str], int]) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    for (what, where), count in sorted(counts.items()):
        found.setdefault(what, {})[where] = count
    return found


def _exporters(active: Runtime) -> Iterable[dict[str, Any]]:
    for signal in SIGNALS:
        for queue in active.queues(signal):
            yield {"signal": signal, **_exporter(queue), **_endpoint(active, signal, queue)}


def _exporter(queue: BatchQueue[Any]) -> dict[str, Any]:
    known = queue.deliveries
    age = None if known.succeeded is None else round(monotonic() - known.succeeded, 3)
    return {
        "items": queue.what,
        "waiting": len(queue),
        "capacity": queue.capacity,
        "seconds_since_success": age,
        "failures": queue.failures,
        "consecutive_failures": known.consecutive,
        "last_error": known.error,
    }


def _endpoint(active: Runtime, signal: str, queue: BatchQueue[Any]) -> dict[str, str]:
    """Return where an OTLP exporter sends: scheme, host and port, and nothing else of the address."""
    if not any(part in type(queue.exporter).__module__ for part in ("otlp", ".spool.")):
        return {}
    given = active.config.signal(signal).endpoint or ""
    parts, _ = attempt(urlsplit, given if "//" in given else f"//{given}")
    port = None if parts is None else attempt(lambda: parts.port)[0]
    if parts is None or not parts.hostname:
        return {}
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    scheme = f"{parts.scheme}://" if parts.scheme else ""
    return {"endpoint": f"{scheme}{host}{'' if port is None else f':{port}'}"}
