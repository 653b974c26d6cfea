"""Host and process metrics through psutil, named as in the OpenTelemetry semantic conventions.

A value the platform does not give is left out. Memory is the container's where it has a limit below the host's.
Where several processes of one machine run a probe, each exports the same ``system.*`` values.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any, TypeVar

import psutil

from otelml import semconv
from otelml.probes import cgroup
from otelml.probes.poll import Point, Probe, Source

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

T = TypeVar("T")

UNKNOWN = (psutil.Error, OSError, AttributeError, NotImplementedError, ValueError)
"""What psutil and the kernel raise for a value they do not give."""
ROW = {row.name: row for row in semconv.HOST_METRICS}
CPU_MODES = {
    "user": ("user",),
    "system": ("system",),
    "nice": ("nice",),
    "idle": ("idle",),
    "iowait": ("iowait",),
    "interrupt": ("irq", "softirq", "interrupt", "dpc"),
    "steal": ("steal",),
}
"""psutil's fields by the conventions' mode; a platform has some of them."""
VIRTUAL_INTERFACES = ("lo", "veth", "docker", "br-", "virbr", "cni", "cali", "flannel", "vmnet", "utun")
"""Loopback, and bridges that would count traffic a second time."""


class HostProbe(Probe):
    """Exports CPU, memory, disk, network and pressure of the machine, and what this process uses of them."""

    site = "probes.host"
    rows = semconv.HOST_METRICS

    def _open(self, inherited: Source | None, *, busy: bool) -> Source | None:  # noqa: ARG002 - nothing to inherit
        return Host()


class Host:
    """The machine as one process sees it.

    Args:
        root: Where ``proc`` and ``sys`` are, for control groups and pressure.
    """

    def __init__(self, root: Path = cgroup.ROOT) -> None:
        self._process = psutil.Process(os.getpid())
        self._root = root
        self._system_times: dict[str, float] = {}
        self._process_times: dict[str, float] = {}
        self._process_clock = time.monotonic()

    def groups(self) -> Sequence[Callable[[], Iterable[Point]]]:
        """Return the groups of points."""
        return (
            self._cpu,
            self._memory,
            self._disk,
            self._filesystem,
            self._network,
            self._pressure,
            self._process_cpu,
            self._process_use,
            self._process_switches,
        )

    def close(self) -> None:
        """Hold nothing open."""

    def _cpu(self) -> Iterator[Point]:
        fields = _known(psutil.cpu_times)
        times = _by_mode(fields) if fields is not None else {}
        before, self._system_times = self._system_times, times
        for mode, seconds in times.items():
            yield ROW["system.cpu.time"], seconds, {semconv.CPU_MODE: mode}
        # A counter that went back (idle and iowait do) counts as not having moved.
        spent = {mode: max(seconds - before[mode], 0.0) for mode, seconds in times.items() if mode in before}
        total = sum(spent.values())
        for mode, seconds in spent.items() if total > 0 else ():
            yield ROW["system.cpu.utilization"], seconds / total, {semconv.CPU_MODE: mode}
        yield ROW["system.cpu.logical.count"], _known(psutil.cpu_count), {}

    def _memory(self) -> Iterator[Point]:
        host = _known(psutil.virtual_memory)
        if host is None:
            return
        limit, states = _host_memory(host)
        group = cgroup.memory(self._root)
        if group is not None and group.limit < limit:
            limit, states = group.limit, _group_memory(group)
        yield ROW["system.memory.limit"], limit, {}
        for state, size in states.items():
            yield ROW["system.memory.usage"], size, {semconv.MEMORY_STATE: state}
            yield ROW["system.memory.utilization"], size / limit, {semconv.MEMORY_STATE: state}

    def _disk(self) -> Iterator[Point]:
        total = _known(lambda: psutil.disk_io_counters(nowrap=False))
        if total is None:
            return
        for direction in ("read", "write"):
            attributes = {semconv.DISK_DIRECTION: direction}
            yield ROW["system.disk.io"], getattr(total, f"{direction}_bytes"), attributes
            yield ROW["system.disk.operations"], getattr(total, f"{direction}_count"), attributes

    def _filesystem(self) -> Iterator[Point]:
        mountpoint = os.path.abspath(os.sep)  # noqa: PTH100 - the root of the current drive, as text
        usage = _known(lambda: psutil.disk_usage(mountpoint))
        if usage is None or usage.total <= 0:
            return
        reserved = max(usage.total - usage.used - usage.free, 0)
        for state, size in (("used", usage.used), ("free", usage.free), ("reserved", reserved)):
            attributes = {semconv.FILESYSTEM_MOUNTPOINT: mountpoint, semconv.FILESYSTEM_STATE: state}
            yield ROW["system.filesystem.usage"], size, attributes
            yield ROW["system.filesystem.utilization"], size / usage.total, attributes

    def _network(self) -> Iterator[Point]:
        counters = _known(lambda: psutil.net_io_counters(pernic=True, nowrap=False)) or {}
        cards = [card for name, card in counters.items() if not name.lower().startswith(VIRTUAL_INTERFACES)]
        if not cards:
            return
        for direction, way, short in (("receive", "recv", "in"), ("transmit", "sent", "out")):
            attributes = {semconv.NETWORK_DIRECTION: direction}
            yield ROW["system.network.io"], sum(getattr(card, f"bytes_{way}") for card in cards), attributes
            yield ROW["system.network.packet.count"], sum(getattr(card, f"packets_{way}") for card in cards), attributes
            yield ROW["system.network.packet.dropped"], sum(getattr(card, f"drop{short}") for card in cards), attributes
            yield ROW["system.network.errors"], sum(getattr(card, f"err{short}") for card in cards), attributes

    def _pressure(self) -> Iterator[Point]:
        for resource in ("cpu", "memory", "io"):
            path = self._root / "proc/pressure" / resource
            share = _known(lambda path=path: _stalled(path))  # type: ignore[misc]
            yield ROW["otelml.host.pressure"], share, {semconv.PRESSURE_RESOURCE: resource}

    def _process_cpu(self) -> Iterator[Point]:
        now, fields = time.monotonic(), _known(self._process.cpu_times)
        if fields is None:
            return
        times = {"user": fields.user, "system": fields.system}
        before, self._process_times = self._process_times, times
        elapsed, self._process_clock = now - self._process_clock, now
        available = self._cpus()
        for mode, seconds in times.items():
            attributes = {semconv.CPU_MODE: mode}
            yield ROW["process.cpu.time"], seconds, attributes
            if mode in before and elapsed > 0 and available:
                share = (seconds - before[mode]) / elapsed / available
                yield ROW["process.cpu.utilization"], max(share, 0.0), attributes

    def _cpus(self) -> float | None:
        """Return the CPUs this process may use: its affinity, or the container's quota where that is less."""
        affinity = _known(lambda: len(os.sched_getaffinity(0))) or _known(psutil.cpu_count)
        limits = [limit for limit in (affinity, cgroup.cpus(self._root)) if limit]
        return min(limits, default=None)

    def _process_use(self) -> Iterator[Point]:
        size = _known(self._process.memory_info)
        if size is not None:
            yield ROW["process.memory.usage"], size.rss, {}
            yield ROW["process.memory.virtual"], size.vms, {}
        yield ROW["process.thread.count"], _known(self._process.num_threads), {}
        count = getattr(self._process, "num_fds", None)  # not on Windows
        yield ROW["process.unix.file_descriptor.count"], _known(count) if count else None, {}
        uptime = _known(lambda: time.time() - self._process.create_time())
        yield ROW["process.uptime"], None if uptime is None else max(uptime, 0.0), {}

    def _process_switches(self) -> Iterator[Point]:
        switches = _known(self._process.num_ctx_switches)
        for kind in ("voluntary", "involuntary") if switches is not None else ():
            yield ROW["process.context_switches"], getattr(switches, kind), {semconv.CONTEXT_SWITCH_TYPE: kind}


def _known(read: Callable[[], T]) -> T | None:
    """Return a value, or None where the platform or the rights of this process do not give it."""
    try:
        return read()
    except UNKNOWN:
        return None


def _by_mode(fields: Any) -> dict[str, float]:
    """Return seconds by mode; a mode the platform does not have is absent."""
    names = {mode: [name for name in parts if hasattr(fields, name)] for mode, parts in CPU_MODES.items()}
    return {mode: sum(getattr(fields, name) for name in parts) for mode, parts in names.items() if parts}


def _host_memory(host: Any) -> tuple[int, dict[str, int]]:
    """Return all memory and its states, which add up to it."""
    if not hasattr(host, "cached"):  # not Linux or BSD
        return host.total, {"used": host.total - host.available, "free": host.available}
    states = {"free": host.free, "buffers": host.buffers, "cached": host.cached}
    return host.total, {"used": max(host.total - sum(states.values()), 0)} | states


def _group_memory(group: cgroup.Memory) -> dict[str, int]:
    free = max(group.limit - group.used, 0)
    return {"used": group.used - group.cached, "free": free, "cached": group.cached}


def _stalled(path: Path) -> float:
    """Return the share of the last 10 s in which at least one task waited: ``some avg10=1.25 avg60=...``."""
    words = path.read_text(encoding="ascii").split()
    return float(words[1].removeprefix("avg10=")) / 100
