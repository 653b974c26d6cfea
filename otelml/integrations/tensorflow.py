"""TensorFlow: the signatures of a SavedModel, ``loaded.signatures["serving_default"]``, whatever exported it.

A signature is a function of a class that loading alone makes: that class is given a call of ours, all other functions
of TensorFlow pay nothing. Loading notes of which folder a signature is; one that was there before is known by what
TensorFlow calls its graph. What builds a graph, and what a gradient tape records, does not count.
"""

from __future__ import annotations

import os
import sys
from functools import partial, wraps
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, NamedTuple
from weakref import WeakKeyDictionary, ref

from otelml import runtime
from otelml._guard import attempt, guard
from otelml.integrations._library_calls import LibraryInstrumentor, begin, observed
from otelml.integrations._patching import Inherited, Patch
from otelml.integrations._sklearn_calls import outer
from otelml.integrations._tensors import answer, first, looked_at, rows

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from otelml.integrations._library_calls import Call, Facts

FRAMEWORK = "tensorflow"
UNKNOWN = "SavedModel"
"""Name of a model whose folder is not known."""
FUNCTIONS = (
    ("tensorflow.python.saved_model.load", "_WrapperFunction"),
    ("tensorflow.python.saved_model.function_deserialization", "RestoredFunction"),
    ("tensorflow.python.eager.wrap_function", "WrappedFunction"),
)
"""Classes of what is loaded: signatures, functions of their names (``loaded.serve``), signatures of TensorFlow 1."""
GRAPH = "signature_wrapper"
"""How TensorFlow begins the name of a signature's graph, when it saves one."""
PROBABILITIES = "prob"
"""How outputs begin that are called probabilities: of several outputs it is them that tell."""
_BEGIN, _NOTE = guard("tensorflow.begin"), guard("tensorflow.note")


class Signature(NamedTuple):
    """Of what a function is the signature."""

    name: str
    root: ref[Any]
    """What ``tf.saved_model.load`` gave, which the application may watch."""
    model: str | None
    version: str | None


_signatures: WeakKeyDictionary[Any, Signature] = WeakKeyDictionary()


class TensorFlowInstrumentor(LibraryInstrumentor):
    """Measures the calls of loaded signatures."""

    framework = FRAMEWORK
    requirement = "tensorflow >= 2.20"
    methods = ()

    def _replaced(self) -> tuple[Patch, ...]:
        calls = (Inherited(module, f"{kind}.__call__", _called) for module, kind in FUNCTIONS)
        return (Patch("tensorflow.python.saved_model.load", "load_partial", _noted), *calls)


# Loading --------------------------------------------------------------------------------------------------------------


def _noted(original: Callable[..., Any]) -> Callable[..., Any]:
    """Return what stands for the function that ``tf.saved_model.load`` calls."""

    @wraps(original)
    def load_partial(*args: Any, **kwargs: Any) -> Any:
        loaded = original(*args, **kwargs)
        with _NOTE:
            _note(loaded.get("root"), args[0] if args else kwargs.get("export_dir"))
        return loaded

    return load_partial


def _note(root: Any, folder: Any) -> None:
    known = attempt(lambda: dict(root.signatures.items()))[0] or {}
    model, version = _named(folder)
    for name, function in known.items():
        same = attempt(getattr, root, name, None)[0]
        for each in (function, same) if type(same).__name__ == "RestoredFunction" else (function,):
            _signatures[each] = Signature(name, ref(root), model, version)


def _named(folder: Any) -> tuple[str | None, str | None]:
    """Return the name and the version that a folder tells: ``models/flights/3`` is version 3 of ``flights``."""
    path = attempt(lambda: PurePath(os.path.abspath(folder)))[0]  # noqa: PTH100 - an address may be no path
    if path is None:
        return None, None
    if path.name.isdecimal() and path.parent.name:
        return path.parent.name, path.name
    return path.name or None, None


# Calling --------------------------------------------------------------------------------------------------------------


def _called(kind: Any) -> Callable[..., Any]:
    inherited = kind.__call__

    @wraps(inherited)
    def __call__(self: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: N807 - as it is called
        run = super(kind, self).__call__
        call = None
        if runtime.active is not None and outer.get() is None:
            with _BEGIN:
                call = _begun(self)
        return run(*args, **kwargs) if call is None else observed(call, run, args, kwargs, partial(_read, args, kwargs))

    return __call__


def _begun(function: Any) -> Call | None:
    """Return the call of a signature that serves; None of any other function, of a graph's part and of training."""
    known = _signatures.get(function)
    if known is None:
        graph = attempt(lambda: function.graph.name)[0]
        known = Signature("__call__", ref(function), None, None) if str(graph).startswith(GRAPH) else None
    if known is None or not _serving():
        return None
    model = known.root()
    active = runtime.active
    if model is None or (active is not None and active.models.name_of(function)[0] is not None):
        model = function
    return begin(model, FRAMEWORK, known.name, fallback=known.model or UNKNOWN, fallback_version=known.version)


def _serving() -> bool:
    """Whether calls run here, rather than become part of a graph or of what gradients are found of."""
    if attempt(sys.modules["tensorflow"].executing_eagerly)[0] is False:
        return False
    records = getattr(sys.modules.get("tensorflow.python.eager.record"), "could_possibly_record", None)
    return records is None or attempt(records)[0] is not True


def _read(args: tuple[Any, ...], kwargs: Mapping[str, Any], result: Any) -> Facts:
    """Return the facts of a call: of inputs, where there is one, and of the output that tells."""
    given = (*args, *kwargs.values())
    return {"inputs": looked_at(given[0]) if len(given) == 1 else None, **_answered(result)}


def _answered(result: Any) -> Facts:
    named = result if isinstance(result, dict) else {}
    told = next((value for name, value in named.items() if str(name).lower().startswith(PROBABILITIES)), first(result))
    if attempt(lambda: told.dtype.name)[0] == "string":  # text may be anything that the model has written
        return rows(told)
    return answer(told, _unknown)


def _unknown() -> None:
    """Do not tell the function at the end: a SavedModel has no layers."""
