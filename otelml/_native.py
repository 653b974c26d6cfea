"""The accelerator, the package ``otelml-native``: where it is installed, it does the common path of predictions in C.

What is not common it leaves to the methods in Python, so that both do the same. ``native/`` holds its source.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any

CONTRACT = 5
"""What the accelerator must be made for: which attributes there are, and what its methods do."""


def _found() -> tuple[Any, str]:
    """Return the accelerator, or None, and what there is to say about it."""
    # Where Python runs without its lock, to import it would switch the lock on for the whole application.
    if not getattr(sys, "_is_gil_enabled", lambda: True)():
        return None, "left alone: this Python runs without its lock"
    try:
        found = import_module("otelml_native")
    except ImportError as error:
        missing = isinstance(error, ModuleNotFoundError) and error.name == "otelml_native"
        return None, "" if missing else f"can't be loaded: {error}"
    made_for = getattr(found, "CONTRACT", None)
    if made_for != CONTRACT:
        return None, f"left alone: made for another version of otelml ({made_for} instead of {CONTRACT})"
    if not found.is_home():
        return None, "left alone: another interpreter of this process uses it"
    return found, "used"


module, said = _found()
"""The accelerator, None where it is not used; and why, empty where it is not installed."""
