"""Functions of libraries, replaced by ours where applications find them, and put back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import wrapt

from otelml._guard import guarded

if TYPE_CHECKING:
    from collections.abc import Callable


def called(owner: Any, name: str) -> Any:
    """Return a function of a module or class, to be called with what it is a method of as its first argument.

    A wrapper of ``wrapt``'s, as other instrumentations put it there, wants to be looked up for that.
    """
    found = vars(owner)[name]
    return getattr(owner, name) if isinstance(found, wrapt.FunctionWrapper) else found


class Patch:
    """A function of a module, or a method of one of its classes; replaced once the application imports the module.

    Args:
        module: The module that applications take it from.
        path: Its name, after that of its class: ``load``, ``Booster.predict``.
        make: Returns what stands for the original.
    """

    def __init__(self, module: str, path: str, make: Callable[[Any], Any]) -> None:
        self._path, self._make = path, make
        self._active = True
        self._owner: Any = None
        self._under: Any = None
        self._ours: Any = None
        wrapt.register_post_import_hook(self._imported, module)

    @guarded("integrations.patch", None)
    def _imported(self, module: Any) -> None:
        *owners, name = self._path.split(".")
        owner = module
        for each in owners:
            owner = getattr(owner, each, None)
        found = None if owner is None else vars(owner).get(name)
        if self._active and callable(found):
            self._owner, self._under, self._ours = owner, found, self._make(called(owner, name))
            setattr(owner, name, self._ours)

    def undo(self) -> None:
        """Put the original back, unless somebody has replaced ours."""
        self._active = False
        name = self._path.rpartition(".")[2]
        if self._owner is not None and vars(self._owner).get(name) is self._ours:
            setattr(self._owner, name, self._under)


class Inherited(Patch):
    """A method that a class inherits: ours stands on that class alone, and is taken off again.

    ``make`` returns it for the class. A class with a method of its own is left as it is.
    """

    @guarded("integrations.patch", None)
    def _imported(self, module: Any) -> None:
        kind, name = self._path.split(".")
        owner: Any = getattr(module, kind, None)
        having = [each for each in getattr(owner, "__mro__", ()) if name in vars(each)]
        if self._active and having and having[0] is not owner:
            self._owner, self._ours = owner, self._make(owner)
            setattr(owner, name, self._ours)

    def undo(self) -> None:
        """Let the class inherit again, unless somebody has replaced ours."""
        self._active = False
        name = self._path.rpartition(".")[2]
        if self._owner is not None and vars(self._owner).get(name) is self._ours:
            delattr(self._owner, name)
