"""scikit-learn: every estimator's prediction methods, those of the application's own classes too.

The methods are replaced on the classes that define them, never on instances, so models pickle, clone and compare as
before. scikit-learn is not imported by this: a hook waits until the application does it.
"""

from __future__ import annotations

import sys
from copy import copy
from inspect import iscoroutinefunction, isgeneratorfunction
from types import FunctionType, ModuleType
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from opentelemetry.instrumentation.instrumentor import BaseInstrumentor  # type: ignore[attr-defined] # not typed
from wrapt import register_post_import_hook

from otelml._guard import guard, guarded
from otelml.integrations._sklearn_calls import METHODS, Slot, forget_plans, is_measured, measured, switch

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

_HOOK = "__init_subclass__"
_seen: WeakSet[type] = WeakSet()
_waiting = False
_own_hook: Any = None
_hook_before: Any = None


class SklearnInstrumentor(BaseInstrumentor):  # type: ignore[misc] # the same
    """Measures predictions of scikit-learn estimators, loaded before or after.

    ``instrument()`` takes ``model_name`` and ``model_version`` (str or None): they replace the name of the final
    estimator's class, and no version. ``uninstrument()`` puts back every attribute, the same objects as before.
    """

    def instrumentation_dependencies(self) -> Collection[str]:
        """Return the packages this needs, as requirements."""
        return ("scikit-learn >= 1.4",)

    def _instrument(self, **kwargs: Any) -> None:
        switch.model_name = kwargs.get("model_name")
        switch.model_version = kwargs.get("model_version")
        forget_plans()
        switch.on = True
        _wait_for_import()

    def _uninstrument(self, **_kwargs: Any) -> None:
        switch.on = False
        forget_plans()  # it knows the recorder
        _restore()


def _wait_for_import() -> None:
    """Measure the estimators as soon as scikit-learn is imported: now, if it is."""
    global _waiting  # noqa: PLW0603 - an import hook can't be withdrawn, so it is set once for the process
    if _waiting:
        _imported(sys.modules.get("sklearn.base"))
        return
    _waiting = True
    register_post_import_hook(_imported, "sklearn.base")


@guarded("sklearn.import", None)
def _imported(module: ModuleType | None) -> None:
    base = getattr(module, "BaseEstimator", None)
    if base is None or not switch.on:
        return
    _hook_subclasses(base)
    for kind in _family(base):
        _measure(kind)


def _family(base: type) -> Iterator[type]:
    """Yield ``base`` and every class derived from it that exists now."""
    waiting: list[type] = [base]
    met = {base}
    while waiting:
        kind = waiting.pop()
        yield kind
        derived: list[type] = type.__subclasses__(kind)
        fresh = [sub for sub in derived if sub not in met]
        met.update(fresh)
        waiting.extend(fresh)


def _hook_subclasses(base: type) -> None:
    """See each estimator class that is defined from now on; every other ``__init_subclass__`` still runs."""
    global _own_hook, _hook_before  # noqa: PLW0603 - one per process, as BaseEstimator itself
    if _own_hook is not None:
        return
    _hook_before = vars(base).get(_HOOK)
    _own_hook = classmethod(_subclassed(base, _hook_before))
    type.__setattr__(base, _HOOK, _own_hook)


def _subclassed(base: Any, before: Any) -> Any:
    def __init_subclass__(cls: type, **kwargs: Any) -> None:  # noqa: N807 - stands for that method
        if before is None:
            super(base, cls).__init_subclass__(**kwargs)
        else:
            before.__get__(None, cls)(**kwargs)
        if switch.on:
            with guard("sklearn.subclass"):
                _measure(cls)

    return __init_subclass__


def _measure(kind: type) -> None:
    """Replace the prediction methods that ``kind``, or a mixin it derives from, defines.

    Two threads may do this to one class at a time: either function stands for the same original.
    """
    for base in kind.__mro__:
        if base in _seen:
            continue
        _seen.add(base)
        for method in METHODS:
            entry = vars(base).get(method)
            replacement = _replacement(base, method, entry)
            if replacement is not None:
                type.__setattr__(base, method, replacement)


def _replacement(kind: type, method: str, entry: Any) -> Any:
    """Return what stands for ``entry``, None for what can't be measured: properties, static and compiled methods."""
    if isinstance(entry, FunctionType):
        if is_measured(entry) or iscoroutinefunction(entry) or isgeneratorfunction(entry):
            return None
        function = measured(entry, method)
        return Slot(entry, function) if _pickled_by_value(kind) else function
    if isinstance(entry, Slot) or not isinstance(getattr(entry, "fn", None), FunctionType):
        return None
    conditional = copy(entry)
    conditional.fn = measured(entry.fn, method)
    return Slot(entry, conditional)


def _pickled_by_value(kind: type) -> bool:
    module = kind.__module__
    return module == "__main__" or module not in sys.modules or "<locals>" in kind.__qualname__


def _restore() -> None:
    """Put back each attribute that is still ours; one that was replaced over ours stays, and passes calls through."""
    for kind in list(_seen):
        for method in METHODS:
            entry: Any = vars(kind).get(method)
            if is_measured(entry):
                type.__setattr__(kind, method, entry.__wrapped__)
            elif isinstance(entry, Slot):
                type.__setattr__(kind, method, entry.original)
    _seen.clear()
    base = getattr(sys.modules.get("sklearn.base"), "BaseEstimator", object)
    if _own_hook is not None and vars(base).get(_HOOK) is _own_hook:
        _unhook(base)


def _unhook(base: type) -> None:
    global _own_hook, _hook_before  # noqa: PLW0603 - as above
    if _hook_before is None:
        type.__delattr__(base, _HOOK)
    else:
        type.__setattr__(base, _HOOK, _hook_before)
    _own_hook = _hook_before = None
