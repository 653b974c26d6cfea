"""Servers whose workers end, or change the process, in ways of their own: they are asked to tell us.

An exit hook and a handler of SIGTERM are enough for most programs. uvicorn takes the signal itself, and sends it to the
process again when it has stopped: under gunicorn, or where it imported the application, that is the end, without exit
hooks. A child of Celery's pool ends by ``os._exit``. gevent turns threads into greenlets, at times after a start.

Nothing here imports a server: what is said of one holds once the application has imported it.
"""

from __future__ import annotations

import asyncio
import threading
from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import wrapt

from otelml._guard import guard, guarded

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


REST = 2.0
"""Seconds that a thread may take to end."""


@dataclass
class Tell:
    """Whom servers tell."""

    stopped: Callable[[], object]
    """Called when a server has answered its last request, and the process is about to end; may take seconds."""
    workers: Sequence[Worker]
    """What has threads: they rest while gevent patches the standard library, and are greenlets afterwards."""


@runtime_checkable
class Worker(Protocol):
    """What has a thread of its own."""

    def rest(self) -> None:
        """End the thread."""

    def renew(self) -> None:
        """Start another one."""


_told: Tell | None = None


def tell(whom: Tell) -> None:
    """Have servers tell ``whom``, and nobody else: those that are imported already, and those that will be."""
    global _told
    first, _told = _told is None, whom
    if first:
        for name, ask in _SERVERS.items():
            wrapt.register_post_import_hook(guarded("servers.ask", None)(ask), name)


def _stopped(**_: Any) -> None:
    if _told is not None:
        with guard("servers.stopped"):
            _told.stopped()


def _stopped_meanwhile(**_: Any) -> None:
    with guard("servers.stop"):
        threading.Thread(target=_stopped, name="otelml-end", daemon=True).start()


def _uvicorn(module: Any) -> None:
    """Flush when a server has stopped, before it sends the signal that ended it once more."""
    original = module.Server.shutdown

    @wraps(original)
    async def shutdown(*arguments: Any, **options: Any) -> Any:
        try:
            return await original(*arguments, **options)
        finally:
            await asyncio.to_thread(_stopped)

    module.Server.shutdown = shutdown


def _celery(module: Any) -> None:
    """Flush when a process of the pool ends. Its SIGTERM is Celery's, which lets the task end or fails it."""
    module.worker_process_shutdown.connect(_stopped, weak=False, dispatch_uid="otelml")
    module.worker_shutting_down.connect(_stopped_meanwhile, weak=False, dispatch_uid="otelml")


def _master(kind: str, method: str) -> Callable[[Any], None]:
    """Flush a master while its workers flush, not after them: each of them may take the whole limit."""

    def ask(module: Any) -> None:
        original = getattr(getattr(module, kind), method)

        @wraps(original)
        def stop(*arguments: Any, **options: Any) -> Any:
            _stopped_meanwhile()
            return original(*arguments, **options)

        setattr(getattr(module, kind), method, stop)

    return ask


def _gevent(_: Any) -> None:
    from gevent import events  # type: ignore[import-untyped] # noqa: PLC0415 - the application has it already

    if _patched not in events.subscribers:
        events.subscribers.append(_patched)


def _patched(event: object) -> None:
    kind = type(event).__name__
    for worker in _told.workers if _told is not None else ():
        with guard("servers.patched"):
            if kind == "GeventWillPatchAllEvent":
                worker.rest()
            elif kind == "GeventDidPatchAllEvent":
                worker.renew()


_SERVERS: dict[str, Callable[[Any], None]] = {
    "uvicorn.server": _uvicorn,
    "uvicorn.supervisors.multiprocess": _master("Multiprocess", "terminate_all"),
    "gunicorn.arbiter": _master("Arbiter", "stop"),
    "celery.signals": _celery,
    "gevent": _gevent,
}
