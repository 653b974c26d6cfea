"""numpy, imported when it is first used: an application that does not use it should not pay for it at start-up.

The first use is often on a thread of ours. A child that was forked in the middle of that import would wait for ever
when it imports the module itself, so a fork waits until the import is done.
"""

from __future__ import annotations

import os
import sys
import threading
from contextlib import suppress
from importlib import import_module
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

T = TypeVar("T")
_BUILT_IN = frozenset((bool, int, float, str, bytes, list, tuple, dict, type(None)))
WAIT = 20.0
"""Seconds that a fork waits for an import at most."""


class _Forks:
    """Keeps imports and forks apart."""

    def __init__(self) -> None:
        self.lock = threading.RLock()  # a module may fork while it is imported

    def before(self) -> None:
        """Wait for an import of another thread."""
        self.lock.acquire(timeout=WAIT)

    def after(self) -> None:
        """Let imports go on, in the parent."""
        with suppress(RuntimeError):  # it has waited in vain
            self.lock.release()

    def after_in_child(self) -> None:
        """Let imports go on, in the child: also where the thread that was importing is none of its own."""
        self.lock = threading.RLock()


_forks = _Forks()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_forks.before, after_in_parent=_forks.after, after_in_child=_forks.after_in_child)


class LazyModule:
    """Stands for a module until an attribute of it is asked for; from then on its names are found directly."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        with _forks.lock:
            module = import_module(self._name)
        self.__dict__.update(vars(module))
        return getattr(module, attribute)


def is_numpy(value: object, kind: str) -> bool:
    """Return whether ``value`` is an instance of numpy's class ``kind``, whatever it says; never imports numpy."""
    if type(value) in _BUILT_IN:
        return False
    numpy = sys.modules.get("numpy")
    return numpy is not None and issubclass(type(value), getattr(numpy, kind, ()))


def is_array(value: object) -> bool:
    """Return whether ``value`` is an array of numpy's own, not of a class derived from it; never imports numpy."""
    numpy = sys.modules.get("numpy")
    return numpy is not None and type(value) is getattr(numpy, "ndarray", None)


class computed_once(Generic[T]):  # noqa: N801 - as functools.cached_property, whose lock in Python 3.11 outlives a fork
    """A property that is computed when it is first asked for, without a lock."""

    def __init__(self, function: Callable[[Any], T]) -> None:
        self._function, self.__doc__ = function, function.__doc__

    @overload
    def __get__(self, instance: None, _: type) -> Self: ...

    @overload
    def __get__(self, instance: object, _: type) -> T: ...

    def __get__(self, instance: object | None, _: type) -> Self | T:
        if instance is None:
            return self
        value = instance.__dict__[self._function.__name__] = self._function(instance)
        return value
