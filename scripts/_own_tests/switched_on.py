"""A plugin that switches otelml on, as a program does, before the library is imported and any test is collected.

Calls from modules of the library are its own work and count nothing: its tests are such modules. Here every outermost
call counts, whoever makes it, so that as much of otelml as possible is at work; ``OWN_CALLS=skip`` leaves that as it
is in a program.
"""

from __future__ import annotations

import os
import sys
from typing import Any

import numpy as np

import otelml
from otelml.integrations import _sklearn_calls as calls
from otelml.integrations import keras

LIBRARY = os.environ["LIBRARY"]
if LIBRARY in sys.modules:
    raise RuntimeError(f"{LIBRARY} was imported before otelml was switched on")
otelml.auto_instrument()  # OTEL_SERVICE_NAME is the module: what was measured is counted by it
if os.environ.get("OWN_CALLS") != "skip":
    vars({"sklearn": calls, "keras": keras}[LIBRARY])["LIBRARIES"] = ("no.such.package.",)
if os.environ.get("BROKEN"):
    served = calls.serve

    def doubled(*arguments: Any) -> Any:
        """Answer wrongly, as an instrumentation must not."""
        answer = served(*arguments)
        return answer * 2 if isinstance(answer, np.ndarray) and answer.dtype.kind == "f" else answer

    vars(calls)["serve"] = doubled
