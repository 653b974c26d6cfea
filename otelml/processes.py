"""What kind of process this is: the application's own, a child of multiprocessing's, or a helper of that or Ray's."""

from __future__ import annotations

import os
import sys
import weakref
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_CHILDREN = ("--multiprocessing-fork", "multiprocessing.forkserver", "popen_loky_posix", "popen_loky_win32")
_HELPERS = ("from multiprocessing.forkserver import", "resource_tracker import main")
_OF_RAY = ("dashboard/", "autoscaler/_private/monitor.py", "_private/log_monitor.py", "_private/runtime_env/agent/")
"""Programs of Ray's that serve a node; where they are in its package."""
DIGITS = 8


def is_child() -> bool:
    """Say whether multiprocessing or loky started this process, or the one it was forked from, by a command."""
    return any(mark in word for word in sys.orig_argv for mark in _CHILDREN)


def is_helper() -> bool:
    """Say whether this process serves multiprocessing alone, its fork server or a tracker of its resources; or Ray.

    Children are forked from the fork server, which must have no threads: they start otelml themselves. Ray's dashboard
    and its agents have OpenTelemetry providers of their own, for Ray's metrics, and run nothing of the application's.
    """
    marks = (*_HELPERS, *(f"/ray/{path}" for path in _OF_RAY))
    return any(mark in word for word in sys.orig_argv for mark in marks)


def instance_id(given: str) -> str:
    """Return a ``service.instance.id`` of this process alone that begins with the application's own."""
    return f"{given}-{os.urandom(DIGITS // 2).hex()}"


def in_each_child(method: Callable[[], object]) -> None:
    """Call a bound method in every process that is forked from this one, as long as its object lives."""
    if hasattr(os, "register_at_fork"):
        own = weakref.WeakMethod(method)
        os.register_at_fork(after_in_child=lambda: (alive := own()) and alive())
