"""GPU metrics through NVML: GPUs, MIG devices, Xid errors, and the GPU memory of this process.

Where several processes of one machine run a probe, each exports the same GPU; take one of them (``max by (hw.id)``),
except for ``process.gpu.memory.usage``, which is each process's own.
"""

from __future__ import annotations

import logging
import os
import time
from collections import Counter
from typing import TYPE_CHECKING

from otelml import semconv
from otelml._labels import bounded
from otelml.probes.nvml import Device, Nvml, NvmlUnavailableError
from otelml.probes.poll import Point, Probe, Source

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

RETRY = 60.0
"""Seconds between two attempts to open NVML where there is none, and between two looks for new GPUs."""

logger = logging.getLogger("otelml")


class GpuProbe(Probe):
    """Exports what NVML knows of each GPU; without a driver it exports nothing and writes one debug line.

    Every point has ``hw.id`` (UUID), ``hw.type`` and ``hw.name``; a MIG device also has ``hw.parent``.
    ``hw.gpu.memory.limit`` also carries ``hw.model``, ``hw.vendor`` and ``hw.driver_version``, to be joined by
    ``hw.id``. Serial numbers are never read.
    """

    site = "probes.gpu"
    rows = (
        semconv.GPU_UTILIZATION,
        semconv.GPU_MEMORY_USAGE,
        semconv.GPU_MEMORY_LIMIT,
        semconv.GPU_MEMORY_UTILIZATION,
        semconv.GPU_TEMPERATURE,
        semconv.GPU_POWER,
        semconv.GPU_ENERGY,
        semconv.GPU_THROTTLED,
        semconv.HW_ERRORS,
        semconv.PROCESS_GPU_MEMORY,
    )

    def _open(self, inherited: Source | None, *, busy: bool) -> Source | None:
        if busy:
            # The parent was inside NVML when it forked: NVML's own locks may be held here for ever.
            logger.debug("otelml: no GPU metrics in process %d, which was forked during a GPU poll", os.getpid())
            return None
        if inherited is not None:
            inherited.close()  # else NVML takes the parent's session for ours and never opens one for this process
        return _Gpus()


class _Gpus:
    """The GPUs as one process sees them."""

    def __init__(self) -> None:
        self._nvml: Nvml | None = None
        self._tried = self._scanned = float("-inf")
        self._reported = False
        self._driver: str | None = None
        self._devices: list[Device] = []
        self._labels: dict[str, dict[str, str]] = {}
        self._xids: Counter[tuple[str, int]] = Counter()

    def groups(self) -> Sequence[Callable[[], Iterable[Point]]]:
        """Return one group per device and one for the Xid errors."""
        self._scan()
        return [*(lambda device=device: self._device(device) for device in self._devices), self._errors]

    def close(self) -> None:
        """Give NVML back."""
        if self._nvml is not None:
            self._nvml.close()
        self._nvml, self._devices = None, []

    def _scan(self) -> None:
        """Open NVML, and look for GPUs that came or went (MIG devices are made and removed at run time)."""
        if self._nvml is None and not self._connect():
            return
        if self._nvml is None or time.monotonic() - self._scanned < RETRY:
            return
        self._scanned = time.monotonic()
        devices = self._nvml.devices()
        if devices is None:
            self.close()
            return
        self._devices = devices
        self._labels.update({device.uuid: _identity(device) for device in devices})

    def _connect(self) -> bool:
        if time.monotonic() - self._tried < RETRY:
            return False
        self._tried, self._scanned = time.monotonic(), float("-inf")
        try:
            self._nvml = Nvml()
        except NvmlUnavailableError as error:
            if not self._reported:
                logger.debug("otelml: no GPU metrics: %s", error)
            self._reported = True
            return False
        self._driver = self._nvml.driver_version()
        return True

    def _device(self, device: Device) -> Iterator[Point]:
        nvml, labels = self._nvml, self._labels[device.uuid]
        if nvml is None:
            return
        yield semconv.GPU_UTILIZATION, nvml.utilization(device), labels | {semconv.HW_GPU_TASK: "general"}
        yield from self._memory(nvml, device, labels)
        if device.parent is None:  # the sensors belong to the whole GPU, though some drivers answer for a part of it
            yield from self._sensors(nvml, device, labels)

    def _sensors(self, nvml: Nvml, device: Device, labels: dict[str, str]) -> Iterator[Point]:
        yield semconv.GPU_UTILIZATION, nvml.encoder(device), labels | {semconv.HW_GPU_TASK: "encoder"}
        yield semconv.GPU_UTILIZATION, nvml.decoder(device), labels | {semconv.HW_GPU_TASK: "decoder"}
        yield semconv.GPU_TEMPERATURE, nvml.temperature(device), labels
        yield semconv.GPU_POWER, nvml.power(device), labels
        yield semconv.GPU_ENERGY, nvml.energy(device), labels
        for reason, held in nvml.throttled(device).items():
            yield semconv.GPU_THROTTLED, int(held), labels | {semconv.HW_GPU_THROTTLE_REASON: reason}

    def _memory(self, nvml: Nvml, device: Device, labels: dict[str, str]) -> Iterator[Point]:
        memory = nvml.memory(device)
        if memory is not None:
            yield semconv.GPU_MEMORY_USAGE, memory.used, labels
            yield semconv.GPU_MEMORY_LIMIT, memory.total, labels | self._details(device)
            yield semconv.GPU_MEMORY_UTILIZATION, memory.used / memory.total, labels
        if not device.partitioned:  # a GPU in MIG mode lists the processes of its MIG devices a second time
            yield semconv.PROCESS_GPU_MEMORY, nvml.process_memory(device, os.getpid()), labels

    def _errors(self) -> Iterator[Point]:
        """Yield the Xid errors so far, those of a lost GPU too: they tell why it is lost."""
        if self._nvml is not None:
            self._xids.update(self._nvml.xids())
        totals: Counter[tuple[str, str]] = Counter()
        for (uuid, xid), count in self._xids.items():
            totals[uuid, bounded(semconv.ERROR_TYPE, f"xid_{xid}")] += count
        for (uuid, kind), count in totals.items():
            yield semconv.HW_ERRORS, count, self._labels[uuid] | {semconv.ERROR_TYPE: kind}

    def _details(self, device: Device) -> dict[str, str]:
        details = {
            semconv.HW_MODEL: device.model,
            semconv.HW_VENDOR: "NVIDIA",
            semconv.HW_DRIVER_VERSION: self._driver,
        }
        return {name: value for name, value in details.items() if value is not None}


def _identity(device: Device) -> dict[str, str]:
    identity = {semconv.HW_ID: device.uuid, semconv.HW_TYPE: "gpu", semconv.HW_NAME: device.name}
    return identity | {semconv.HW_PARENT: device.parent} if device.parent else identity
