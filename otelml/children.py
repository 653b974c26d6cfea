"""Child processes of ``multiprocessing``: they start otelml as their parent did, and flush before they end.

A forked child inherits otelml. Others (spawn, forkserver, loky) begin with an empty interpreter: a note among the
facts that every process of ``multiprocessing`` hands to its children starts it there. Children that were forked end
by ``os._exit``, which runs no ``atexit`` function: they flush as a finaliser of ``multiprocessing``.

Nothing here imports ``multiprocessing``: what is said of it holds once the application has imported it.
"""

from __future__ import annotations

import copyreg
import io
import os
import pickle
import sys
import threading
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import wrapt
from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource

from otelml import _guard, _labels, _sdk_metrics, context, instance, propagate
from otelml._guard import attempt, guard, guarded
from otelml._sdk import attach, get_current, name_instance
from otelml.prediction import current
from otelml.processes import instance_id

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import ModuleType

    from otelml._drops import Drops
    from otelml.runtime import Runtime
    from otelml.spans import RandomIds

NOTE = "otelml"
LAST = -1_000_000
"""Priority of our finaliser: after the application's own, and after children were waited for."""
_POOLS = frozenset({"concurrent.futures.process", "multiprocessing.pool"})


class Note:
    """Travels to a child with the process object, and starts otelml where it arrives."""

    def __init__(self, runtime: Runtime | None) -> None:
        self.runtime = runtime

    def __reduce__(self) -> tuple[Any, ...]:
        """Return what starts otelml in the child; nothing that could fail there, or here."""
        runtime = self.runtime
        if runtime is None or not _same_interpreter():
            return Note, (None,)
        return arrive, (_packed(runtime), os.getpid())


def arrive(packed: bytes, parent: int) -> Note:
    """Start otelml in a child, with its parent's settings; return the note for the child's own children."""
    from otelml import runtime  # noqa: PLC0415 - it wires this module

    if packed and os.getpid() != parent and runtime.active is None:
        _, error = attempt(lambda: runtime.start(pickle.loads(packed)))  # noqa: S301 - our parent's own
        if error is not None:
            _guard.logger.warning("otelml: no telemetry from child process %d: %s", os.getpid(), error)
    return Note(runtime.active)


def offer(runtime: Runtime) -> None:
    """Make the children that this process starts from now on start otelml too."""
    if runtime.config.children:
        wrapt.register_post_import_hook(lambda module: _leave(module, runtime), "multiprocessing.process")


@guarded("children.offer", None)
def _leave(module: ModuleType, runtime: Runtime) -> None:
    if not runtime.closing:
        module.current_process()._config[NOTE] = Note(runtime)


def withdraw() -> None:
    """Leave the children that are started from now on alone: otelml was shut down here."""
    module = sys.modules.get("multiprocessing.process")
    with guard("children.withdraw"):
        if module is not None:
            getattr(module.current_process(), "_config", {}).pop(NOTE, None)


def _same_interpreter() -> bool:
    """Say whether children run the interpreter that we run in: another may have no otelml."""
    spawn = sys.modules.get("multiprocessing.spawn")
    return spawn is None or os.fsdecode(spawn.get_executable() or "") == sys.executable


@guarded("children.pack", b"")
def _packed(runtime: Runtime) -> bytes:
    stream = io.BytesIO()
    pickler = pickle.Pickler(stream, protocol=pickle.HIGHEST_PROTOCOL)
    pickler.dispatch_table = {**copyreg.dispatch_table, MappingProxyType: lambda proxy: (read_only, (dict(proxy),))}
    pickler.dump(runtime.config)
    return stream.getvalue()


def read_only(values: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a mapping that cannot be changed, as settings hold them."""
    return MappingProxyType(dict(values))


# After a fork ---------------------------------------------------------------------------------------------------


def begin_again(runtime: Runtime, drops: Drops, ids: RandomIds) -> None:
    """Give a forked child its own ids, locks, counts and thread: what the parent counted is the parent's to send."""
    _guard.reset()
    _labels.after_fork()
    drops.reset()
    ids.reseed()
    with guard("children.fork"):
        _leave_prediction()
        _sdk_metrics.forget_measurements(runtime.meter_provider)
        parts = (runtime.windows, runtime.models, runtime.recorder, runtime.outcomes)
        for part in parts:
            if part is not None:
                part.after_fork()
    runtime.begin()
    _once_set_up(runtime)


def _leave_prediction() -> None:
    """Leave the prediction that is open to the parent: what the child does is below its span."""
    if current() is not None:
        attach(propagate.outside(get_current()))


@guarded("children.name", None)
def name_child(runtime: Runtime) -> None:
    """Keep the application's own ``service.instance.id`` as the beginning of the child's."""
    given = runtime.config.resource_attributes.get(instance.ID)
    if given:
        made, signals = runtime.pipeline, runtime.pipeline.owned
        own = Resource({instance.ID: instance_id(given)})
        providers = {"traces": made.tracer_provider, "metrics": made.meter_provider, "logs": made.logger_provider}
        for signal in signals:
            name_instance(providers[signal], own)


# The end --------------------------------------------------------------------------------------------------------


def flush_at_end(runtime: Runtime) -> None:
    """Flush at the end of this process, where it is a child that multiprocessing has set up already."""
    _once_set_up(runtime)
    process = sys.modules.get("multiprocessing.process")
    with guard("children.flush_at_end"):
        if process is not None and process.parent_process() is not None:
            _finalise(runtime)


def _once_set_up(runtime: Runtime) -> None:
    """Have multiprocessing call ``_begin`` when it sets this process up; what is made before then it throws away."""
    util = sys.modules.get("multiprocessing.util")
    with guard("children.once_set_up"):
        if util is not None:
            util.register_after_fork(runtime, _begin)


def _begin(runtime: Runtime) -> None:
    """Prepare a child that multiprocessing has just set up."""
    with guard("children.begin"):
        target = getattr(sys.modules["multiprocessing.process"].current_process(), "_target", None)
        if getattr(target, "__module__", None) in _POOLS:
            # It serves many requests: without this, all would be of the trace in which the pool was started.
            attach(Context())
            context.BESIDE.set(None)
        _finalise(runtime)


def _finalise(runtime: Runtime) -> None:
    if runtime.flushes_at_end_of != os.getpid():
        runtime.flushes_at_end_of = os.getpid()
        sys.modules["multiprocessing.util"].Finalize(None, _end, (runtime,), exitpriority=LAST)


def _end(runtime: Runtime) -> None:
    others = _others()  # before the flush: one may predict and end while it lasts
    runtime.flush_at_end()
    if others:
        # The process waits for them, and for this one: what they still predict is flushed too.
        threading.Thread(target=_end_after_others, args=(runtime,), name="otelml-end", daemon=False).start()


def _end_after_others(runtime: Runtime) -> None:
    while others := _others():
        for thread in others:
            thread.join()
    runtime.flush_at_end()


def _others() -> list[threading.Thread]:
    """Return the threads that the process waits for before it ends."""
    not_these = (threading.current_thread(), threading.main_thread())
    return [thread for thread in threading.enumerate() if not thread.daemon and thread not in not_these]
