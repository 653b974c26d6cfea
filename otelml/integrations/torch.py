"""PyTorch: the outermost module that the application calls in eval mode, be it eager, compiled, scripted or exported.

``Module.__call__`` is replaced once, for all modules. Modules within a call are many, and pay a look at a context
variable; everything else is done for the outermost one alone (``_torch_calls`` says which calls are no one's).

torch.compile sees nothing of it. Dynamo skips the frame of our function, as it does that of PyTorch's own; where it
meets it inside another one, ``is_dynamo_compiling`` is true there and the rest falls away. A function that the
application compiles is its own: what it calls does not count, be it part of a graph or not.
"""

from __future__ import annotations

import sys
from functools import partial, wraps
from typing import TYPE_CHECKING, Any, TypeAlias

import wrapt
from opentelemetry.instrumentation.instrumentor import BaseInstrumentor  # type: ignore[attr-defined]  # untyped

from otelml._guard import guarded
from otelml.integrations import _device_time
from otelml.integrations._patching import Patch
from otelml.integrations._sklearn_calls import outer
from otelml.integrations._torch_calls import serve

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from types import CodeType

Function: TypeAlias = "Callable[..., Any]"
REQUIREMENT = "torch >= 2.6"
_KNOWN = ("_compiled_call_impl", "_call_impl")
"""Names in ``Module.__call__`` of all versions so far: run the compiled module, else the module."""
_DYNAMO = ("torch._dynamo.utils", "torch._dynamo.variables.nn_module")
_UNPATCHED = "unpatched_nn_module_call"
"""What Dynamo knows as PyTorch's own ``Module.__call__``: it goes past that, straight to ``forward``."""


class TorchInstrumentor(BaseInstrumentor):  # type: ignore[misc]  # untyped
    """Measures the outermost call of a module."""

    _patch: Patch | None = None

    def instrumentation_dependencies(self) -> Collection[str]:
        """Return the packages this needs, as requirements."""
        return (REQUIREMENT,)

    def _instrument(self, **_: Any) -> None:
        # Not where Module is defined: what PyTorch itself takes from there, for tracing, is to be the original.
        self._patch = Patch("torch", "nn.Module.__call__", _measured)

    def _uninstrument(self, **_: Any) -> None:
        patch, self._patch = self._patch, None
        torch = sys.modules.get("torch")
        ours = None if torch is None else torch.nn.Module.__call__
        if patch is not None:
            patch.undo()
        _device_time.stop()
        if torch is not None:
            _tell_dynamo(ours, torch.nn.Module.__call__)


def _measured(original: Callable[..., Any]) -> Callable[..., Any]:
    torch = sys.modules["torch"]
    make = _in_place_of if original.__code__.co_names == _KNOWN else _around
    call = make(original, torch.compiler.is_dynamo_compiling, torch._C._dynamo.eval_frame.get_eval_frame_callback)
    wrapt.register_post_import_hook(partial(_skip, call.__code__), "torch._dynamo.eval_frame")
    _tell_dynamo(original, call)
    return call


@guarded("torch.skip", None)
def _skip(code: CodeType, dynamo: Any) -> None:
    """Let Dynamo pass over the frames of our functions, and go on with what they call."""
    dynamo.skip_code(code)


def _in_place_of(original: Function, compiling: Callable[[], bool], compiled: Callable[[], Any]) -> Function:
    """Return what does for an inner module what PyTorch's function does: to call that would cost four times as much."""
    inside = outer.get

    @wraps(original)
    def __call__(self: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: N807 - as it is called
        if compiling() or inside() is not None or compiled():
            if self._compiled_call_impl is not None:
                return self._compiled_call_impl(*args, **kwargs)
            return self._call_impl(*args, **kwargs)
        return serve(original, self, args, kwargs)

    return __call__


def _around(original: Function, compiling: Callable[[], bool], compiled: Callable[[], Any]) -> Function:
    """Return what calls the function of a version of PyTorch that is not known, or of somebody else's patch."""
    inside = outer.get

    @wraps(original)
    def __call__(self: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: N807 - as it is called
        if compiling() or inside() is not None or compiled():
            return original(self, *args, **kwargs)
        return serve(original, self, args, kwargs)

    return __call__


def _tell_dynamo(before: Any, now: Any) -> None:
    """Let a Dynamo that is loaded take ``now`` for PyTorch's own; one that is loaded later does so by itself."""
    for name in _DYNAMO:
        module = sys.modules.get(name)
        if module is not None and vars(module).get(_UNPATCHED) is before:
            setattr(module, _UNPATCHED, now)
