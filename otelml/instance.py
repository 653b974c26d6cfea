"""``service.instance.id``: a name that the user gives is one process's, and each worker of a server adds to it.

Where there is none the SDK makes a random one, in a forked child another one.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from otelml import processes

if TYPE_CHECKING:
    from collections.abc import Mapping

ID = "service.instance.id"


def attributes(given: Mapping[str, str]) -> dict[str, str]:
    """Return the resource attributes of this process, made of those that the user gave."""
    named = dict(given)
    if named.get(ID) and (_is_worker() or processes.is_child()):
        named[ID] = processes.instance_id(named[ID])  # the parent, or another worker, has the same settings
    return named


def _is_worker() -> bool:
    """Return whether a server started this process, maybe among others: their settings are the same."""
    if os.environ.get("SERVER_SOFTWARE", "").startswith("gunicorn/"):
        return True
    billiard = sys.modules.get("billiard.process")  # Celery's multiprocessing
    return billiard is not None and billiard.current_process().name != "MainProcess"
