"""How long a device worked for a call: two events on its stream, read by a later call once the device is past both.

Nothing waits for the device, and it is asked on the application's threads alone: no thread of ours is ever in the way.
"""

from __future__ import annotations

import ctypes
import sys
from collections import deque
from importlib.metadata import version
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, NamedTuple
from weakref import WeakKeyDictionary

from opentelemetry.trace import INVALID_SPAN

from otelml import _sdk, semconv
from otelml._guard import attempt, failed, guard, guarded
from otelml.integrations._torch_outputs import FEW, first
from otelml.processes import in_each_child

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from otelml.prediction import Prediction
    from otelml.runtime import Runtime

SITE, WHAT = "torch.device_time", "device_time"
MOST_WAITING = 1024
"""Calls whose events wait to be read, in all; of more the time is dropped, and counted."""
MOST_READ = 8
"""Calls that one call reads."""
MILLI = 1e-3
_HOST = frozenset({"cpu", "meta"})
_GUARD = guard(SITE)
_histograms: WeakKeyDictionary[Runtime, Any] = WeakKeyDictionary()


class Timed(NamedTuple):
    """One call: its events, and where its time goes. Holds nothing of what the call was given or answered."""

    of: deque[Timed]
    """The calls of the process that it began in."""
    kind: str
    """The type of its device, such as ``cuda``."""
    capturing: Callable[[], bool]
    stream: Any
    start: Any
    end: Any
    record: Callable[..., None]
    attributes: Mapping[str, str]
    ids: int
    """Of its span; 0 where that is not sampled."""
    drop: Callable[[str, str, int], None]

    def seconds(self) -> float | None:
        """Return how long the device took; None where it is not there yet, or must not be asked here."""
        if self.capturing() or not self.end.query():
            return None
        return float(self.start.elapsed_time(self.end)) * MILLI


class Waiting:
    """The calls of this process that have not been read. What is taken out of the queue has one owner: its thread."""

    def __init__(self) -> None:
        self.calls: deque[Timed] = deque()
        self.refused: set[str] = set()
        """Types of devices whose events have no times, or failed."""
        in_each_child(self.leave)

    def leave(self) -> None:
        """Leave the parent's events to the parent: in a forked child not even their end may reach the device."""
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(self.calls))  # so that they outlive the interpreter, too
        self.calls = deque()

    def refuse(self, kind: str, error: Exception) -> None:
        """Leave devices of a type alone from now on."""
        self.refused.add(kind)
        failed(SITE, error)


waiting = Waiting()


def begin(active: Runtime, prediction: Prediction, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Timed | None:
    """Read what the device is done with, and mark where it begins a call; None for a call without one."""
    with _GUARD:
        device = _device(args, kwargs)
        if device is None or device.type in waiting.refused or not hasattr(prediction, "series"):
            return None
        timed, error = attempt(_begin, active, prediction, device)
        if error is not None:
            waiting.refuse(device.type, error)
        return timed
    return None


@guarded(SITE, None)
def end(timed: Timed, *, answered: bool) -> None:
    """Mark where the device is done with a call; one that raised is not kept."""
    if timed.of is not waiting.calls:
        timed.of.append(timed)  # the call forked, and this is the child: see `leave`
        return
    if not answered:
        return
    _, error = attempt(timed.end.record, timed.stream)
    if error is not None:
        waiting.refuse(timed.kind, error)
    elif len(timed.of) < MOST_WAITING:
        timed.of.append(timed)
    else:
        timed.drop(WHAT, "buffer", 1)


@guarded(SITE, None)
def read(most: int | None = None) -> None:
    """Record the calls that the device is done with.

    One that it is not done with goes to the end of the queue, so that a stream that is behind holds up no other.

    Args:
        most: How many calls are looked at, up to the first that it is not done with; all of them when None.
    """
    calls = waiting.calls
    for _ in range(len(calls) if most is None else most):
        timed = _taken(calls)
        if timed is None or (not _recorded(timed, calls) and most is not None):
            return


@guarded(SITE, None)
def stop() -> None:
    """Record what can be, and drop the rest: nobody will read it."""
    read()
    calls = waiting.calls
    while (timed := _taken(calls)) is not None:
        timed.drop(WHAT, "shutdown", 1)


def _device(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    """Return the device of the first tensor that is on one."""
    for given in islice(chain(args, kwargs.values()), FEW):
        tensor = first(given)
        if tensor is not None and tensor.device.type not in _HOST:
            return tensor.device
    return None


def _begin(active: Runtime, prediction: Prediction, device: Any) -> Timed | None:
    torch: Any = sys.modules["torch"]
    capturing = getattr(torch.get_device_module(device), "is_current_stream_capturing", bool)
    if capturing():
        return None
    read(MOST_READ)
    # Without a stream an event is recorded on one of the current device, which need not be the tensors'.
    stream = torch.accelerator.current_stream(device)
    start, ended = (torch.Event(device, enable_timing=True) for _ in range(2))
    timed = Timed(
        *(waiting.calls, device.type, capturing, stream, start, ended),
        *(_histogram(active).record, prediction.series.attributes),
        *(_sdk.sampled_ids(prediction.span.get_span_context()), active.recorder.drop),
    )
    start.record(stream)
    return timed


def _histogram(active: Runtime) -> Any:
    """Return the histogram of a runtime; what waits is read before it flushes."""
    known = _histograms.get(active)
    if known is None:
        row = semconv.PREDICTION_DEVICE_DURATION
        bounds = active.config.buckets.get(row.name, row.buckets)
        meter = active.meter_provider.get_meter(semconv.SCOPE, version("otelml"), semconv.SCHEMA_URL)
        known = meter.create_histogram(row.name, row.unit, row.help, explicit_bucket_boundaries_advisory=bounds)
        _histograms[active] = known
        active.before_flush.append(read)
    return known


def _taken(calls: deque[Timed]) -> Timed | None:
    try:
        return calls.popleft()
    except IndexError:  # another thread was faster
        return None


def _recorded(timed: Timed, calls: deque[Timed]) -> bool:
    """Record the time of a call; where there is none yet, put it back and return False."""
    if timed.kind in waiting.refused:
        timed.drop(WHAT, "unreadable", 1)
        return True
    seconds, error = attempt(timed.seconds)
    if error is not None:
        timed.drop(WHAT, "unreadable", 1)
        waiting.refuse(timed.kind, error)
    elif seconds is None:
        calls.append(timed)
        return False
    elif seconds >= 0:
        span = _sdk.sampled_span(timed.ids) if timed.ids else INVALID_SPAN
        timed.record(seconds, timed.attributes, _sdk.only_span(span))  # the current span is another call's
    else:
        timed.drop(WHAT, "negative", 1)
    return True
