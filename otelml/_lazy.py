"""numpy, imported when it is first used: an application that does not use it should not pay for it at start-up."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any


class LazyModule:
    """Stands for a module until an attribute of it is asked for; from then on its names are found directly."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        module = import_module(self._name)
        self.__dict__.update(vars(module))
        return getattr(module, attribute)


def is_numpy(value: object, kind: str) -> bool:
    """Return whether ``value`` is an instance of numpy's class ``kind``; never imports numpy."""
    numpy = sys.modules.get("numpy")
    return numpy is not None and isinstance(value, getattr(numpy, kind, ()))
