"""The only place that calls NVML: every value is a plain number in base units, or None when the driver has none.

NVML answers an unsupported value in three ways: with an error, with a sentinel, and with a number that no GPU can
have. All three become None here, never 0.
"""

from __future__ import annotations

import ctypes
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

UNKNOWN_64 = 0x7FFFFFFFFFFFFFF0
"""64-bit numbers from here up are markers for "not available" (9223372036854775792 to ...796, and 2**64 - 1)."""
LIBRARY = "libnvidia-ml.so.1"
"""The driver's library on Linux, by the name that pynvml loads it by."""
MAX_TEMPERATURE = 200
MAX_MILLIWATTS = 20_000_000
MAX_EVENTS = 1000
"""Most events taken in one poll, so that a broken driver cannot keep a poll busy for ever."""

THROTTLE_REASONS = {
    "sw_power_cap": 0x04,
    "hw_slowdown": 0x08,
    "sync_boost": 0x10,
    "sw_thermal_slowdown": 0x20,
    "hw_thermal_slowdown": 0x40,
    "hw_power_brake_slowdown": 0x80,
}
"""Reasons that hold clocks back against the operator's wish; idling and clocks set by hand are not among them."""


class NvmlUnavailableError(Exception):
    """There is no NVML here: no library, no driver, or no right to use it."""


@dataclass(frozen=True, slots=True)
class Device:
    """One GPU, or one MIG device (then ``parent`` is the UUID of its GPU)."""

    handle: Any
    uuid: str
    name: str
    model: str | None
    parent: str | None = None
    partitioned: bool = False


@dataclass(frozen=True, slots=True)
class Memory:
    """GPU memory in bytes."""

    used: int
    total: int


def _look_for_library() -> None:
    """Raise where there is no driver: to import pynvml takes 10 ms, which most machines need not spend."""
    if sys.platform != "linux":
        return  # it is looked for in several places
    try:
        ctypes.CDLL(LIBRARY)
    except OSError as error:
        raise NvmlUnavailableError(str(error)) from error


class Nvml:
    """NVML held open by this process.

    Raises:
        NvmlUnavailableError: NVML cannot be opened.
    """

    def __init__(self) -> None:
        _look_for_library()
        try:
            import pynvml  # noqa: PLC0415 - loads a driver library: only where a metric reader asks for GPU values
        except ImportError as error:
            raise NvmlUnavailableError(str(error)) from error
        self._nvml: Any = pynvml
        self._missing: tuple[type[Exception], ...] = (pynvml.NVMLError, AttributeError)
        try:
            pynvml.nvmlInit()
        except pynvml.NVMLError as error:
            raise NvmlUnavailableError(str(error)) from error
        self._events: Any = self._call("nvmlEventSetCreate")
        self._watched: dict[int, str] = {}

    def close(self) -> None:
        """Give NVML back; the host's own use of NVML goes on, because NVML counts its users."""
        if self._events is not None:
            self._call("nvmlEventSetFree", self._events)
            self._events = None
        self._call("nvmlShutdown")

    def driver_version(self) -> str | None:
        """Return the version of the driver."""
        return _text(self._call("nvmlSystemGetDriverVersion"))

    def devices(self) -> list[Device] | None:
        """Return all GPUs and their MIG devices and watch them for Xid errors; None when NVML does not answer."""
        count = self._call("nvmlDeviceGetCount")
        if count is None:
            return None
        found: list[Device] = []
        for index in range(count):
            device = self._device(self._call("nvmlDeviceGetHandleByIndex", index), f"GPU {index}")
            if device is not None:
                self._watch(device)
                found += [device, *self._partitions(device)]
        return found

    def utilization(self, device: Device) -> float | None:
        """Return the share of time, 0 to 1, in which the GPU ran a kernel."""
        rates = self._call("nvmlDeviceGetUtilizationRates", device.handle)
        return None if rates is None else _share(rates.gpu)

    def encoder(self, device: Device) -> float | None:
        """Return the share of time, 0 to 1, in which the video encoder was busy."""
        return self._task_share("nvmlDeviceGetEncoderUtilization", device)

    def decoder(self, device: Device) -> float | None:
        """Return the share of time, 0 to 1, in which the video decoder was busy."""
        return self._task_share("nvmlDeviceGetDecoderUtilization", device)

    def memory(self, device: Device) -> Memory | None:
        """Return the memory of the device; what the driver keeps for itself counts as used on old drivers only."""
        info = None
        version = getattr(self._nvml, "nvmlMemory_v2", None)
        if version is not None:
            info = self._call("nvmlDeviceGetMemoryInfo", device.handle, version)
        if info is None:
            info = self._call("nvmlDeviceGetMemoryInfo", device.handle)
        if info is None or not 0 < info.total < UNKNOWN_64 or info.used > info.total:
            return None
        return Memory(info.used, info.total)

    def temperature(self, device: Device) -> int | None:
        """Return the temperature of the GPU in degrees Celsius."""
        value = self._call("nvmlDeviceGetTemperatureV", device.handle, 0)
        if value is None:  # a driver before 575, or a pynvml before 12.570
            value = self._call("nvmlDeviceGetTemperature", device.handle, 0)
        return None if value is None or not 0 <= value <= MAX_TEMPERATURE else value

    def power(self, device: Device) -> float | None:
        """Return the power drawn in watts; 0, which no running GPU draws, is unknown."""
        value = self._call("nvmlDeviceGetPowerUsage", device.handle)
        return None if value is None or not 0 < value <= MAX_MILLIWATTS else value / 1000

    def energy(self, device: Device) -> float | None:
        """Return the energy used since the driver was loaded, in joules."""
        value = self._call("nvmlDeviceGetTotalEnergyConsumption", device.handle)
        return None if value is None or value >= UNKNOWN_64 else value / 1000

    def throttled(self, device: Device) -> dict[str, bool]:
        """Return whether clocks are held back, by reason; empty when unknown."""
        mask = self._call("nvmlDeviceGetCurrentClocksEventReasons", device.handle)
        if mask is None:  # a driver before 535 knows the call by its old name only
            mask = self._call("nvmlDeviceGetCurrentClocksThrottleReasons", device.handle)
        if mask is None or mask >= UNKNOWN_64:
            return {}
        return {reason: bool(mask & bit) for reason, bit in THROTTLE_REASONS.items()}

    def process_memory(self, device: Device, pid: int) -> int | None:
        """Return the bytes of GPU memory that process ``pid`` uses; None when it is not known to use any."""
        sizes = [
            process.usedGpuMemory
            for kind in ("Compute", "Graphics")
            for process in self._call(f"nvmlDeviceGet{kind}RunningProcesses", device.handle) or ()
            if process.pid == pid
        ]
        # A process that computes and draws is in both lists, each time with all its memory.
        return max((size for size in sizes if size is not None and size < UNKNOWN_64), default=None)

    def xids(self) -> Iterator[tuple[str, int]]:
        """Yield the Xid errors that came since the last call as (UUID of the GPU, Xid); does not wait for any."""
        for _ in range(MAX_EVENTS if self._events is not None else 0):
            event = self._call("nvmlEventSetWait_v2", self._events, 0)
            if event is None:
                return
            uuid = self._watched.get(_address(event.device))
            if event.eventType == self._nvml.nvmlEventTypeXidCriticalError and uuid is not None:
                yield uuid, event.eventData

    def _call(self, function: str, *args: Any) -> Any:
        """Call NVML; None when the driver or this version of pynvml does not support it, or the GPU is lost."""
        try:
            return getattr(self._nvml, function)(*args)
        except self._missing:
            return None

    def _task_share(self, function: str, device: Device) -> float | None:
        answer = self._call(function, device.handle)
        return None if answer is None else _share(answer[0])

    def _device(self, handle: Any, name: str, parent: str | None = None) -> Device | None:
        uuid = None if handle is None else _text(self._call("nvmlDeviceGetUUID", handle))
        if uuid is None:
            return None
        mode = None if parent else self._call("nvmlDeviceGetMigMode", handle)
        model = _text(self._call("nvmlDeviceGetName", handle))
        return Device(handle, uuid, name, model, parent, partitioned=mode is not None and mode[0] == 1)

    def _partitions(self, device: Device) -> Iterator[Device]:
        if not device.partitioned:
            return
        for index in range(self._call("nvmlDeviceGetMaxMigDeviceCount", device.handle) or 0):
            handle = self._call("nvmlDeviceGetMigDeviceHandleByIndex", device.handle, index)
            partition = self._device(handle, f"{device.name} MIG {index}", device.uuid)
            if partition is not None:
                yield partition

    def _watch(self, device: Device) -> None:
        """Ask for Xid events of a GPU once; the UUID is kept because a lost GPU no longer tells it."""
        address = _address(device.handle)
        if self._events is None or address in self._watched:
            return
        self._watched[address] = device.uuid
        self._call("nvmlDeviceRegisterEvents", device.handle, self._nvml.nvmlEventTypeXidCriticalError, self._events)


def _share(percent: int) -> float | None:
    return percent / 100 if 0 <= percent <= 100 else None  # noqa: PLR2004 - a percentage


def _text(value: str | bytes | None) -> str | None:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def _address(handle: Any) -> int:
    return ctypes.cast(handle, ctypes.c_void_p).value or 0
