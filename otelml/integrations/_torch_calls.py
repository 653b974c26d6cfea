"""One call of a module that no measured call surrounds: whether it is the application's, and what it says."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from otelml import runtime
from otelml._guard import attempt, guard
from otelml.integrations import _device_time
from otelml.integrations._library_calls import begin
from otelml.integrations._sklearn_calls import SILENT, outer
from otelml.integrations._torch_outputs import class_name, read

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import FrameType

FRAMEWORK = "pytorch"
LIBRARIES = ("torch.", "transformers.", "sentence_transformers.", "accelerate.")
"""Callers in these packages are at work for themselves: tracing, checking, evaluating. What they do for the application
is measured where it calls them."""
PASSING = frozenset({
    "torch._dynamo.eval_frame",  # a compiled module calls the one it was made of
    "torch.amp.autocast_mode",  # decorators, which may be put around a module
    "torch.fx.graph_module",
    "torch.utils._contextlib",
})  # fmt: skip
"""Callers between the application and the module."""
WRAPPERS = {"OptimizedModule": "_orig_mod", "DataParallel": "module", "DistributedDataParallel": "module"}
MAX_PASSED, MAX_WRAPPED = 8, 4
_BEGIN, _OBSERVE = guard("torch.begin"), guard("torch.observe")


def serve(original: Callable[..., Any], module: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    """Run a call; return exactly what ``original`` returns, raise what it raises."""
    active = runtime.active
    if active is None:
        return original(module, *args, **kwargs)
    call = timed = None
    with _BEGIN:
        behind = _behind(module)
        if _serving(behind) and _of_application(sys._getframe(2)) and not _traced():
            known = active.models.name_of(module)[0] is not None
            call = begin(module if known else behind, FRAMEWORK, "forward", fallback=class_name(behind))
            if active.config.device_time and call is not None:
                timed = _device_time.begin(active, call.prediction, args, kwargs)
    token = outer.set(SILENT)  # training, too: its inner modules have nothing to ask
    try:
        result = original(module, *args, **kwargs)
    except BaseException as error:
        if timed is not None:
            _device_time.end(timed, answered=False)
        if call is not None:
            call.finish(error)
        raise
    finally:
        outer.reset(token)
    if timed is not None:
        _device_time.end(timed, answered=True)
    if call is not None:
        with _OBSERVE:
            call.observe(read(module, args, kwargs, result))
        call.finish()
    return result


def _serving(module: Any) -> bool:
    """Whether a module is in eval mode; one that torch.export made refuses to be, and has a function that says so."""
    return attempt(getattr, module, "training", None)[0] is False or "eval" in vars(module)


def _traced() -> bool:
    """Whether PyTorch records this call rather than runs it, or runs it anew to find gradients."""
    native = sys.modules["torch"]._C
    return (
        native._get_tracing_state() is not None
        or native._dispatch_tls_is_dispatch_key_included(native.DispatchKey.Python)  # as of fake tensors
        or native._current_graph_task_id() != -1
    )


def _of_application(caller: FrameType | None) -> bool:
    """Whether a call comes from the application: neither from a library, nor from a method of another module.

    A method that runs by itself (``model.forward(x)``, ``model.encode(x)``) calls one part of the model after the
    other: none of them is a request.
    """
    for _ in range(MAX_PASSED):
        if caller is None or caller.f_globals.get("__name__") not in PASSING:
            break
        caller = caller.f_back
    if caller is None:
        return True
    name = caller.f_globals.get("__name__")
    return not (isinstance(name, str) and name.startswith(LIBRARIES)) and not _in_module(caller)


def _in_module(caller: FrameType) -> bool:
    """Whether a function is a method of a module's class, or stands in one; told by its name, without its locals.

    To read a running function's locals would keep them alive until it ends.
    """
    path = caller.f_code.co_qualname.split(".")
    if len(path) == 1:
        return False
    if "forward" in path[1:]:
        return True
    owner = caller.f_globals.get(path[0])
    return isinstance(owner, type) and issubclass(owner, sys.modules["torch"].nn.Module)


def _behind(module: Any) -> Any:
    """Return the module within those that only run it in another way."""
    for _ in range(MAX_WRAPPED):
        attribute = WRAPPERS.get(type(module).__name__)
        inner = None if attribute is None else vars(module).get("_modules", {}).get(attribute)
        if inner is None:
            break
        module = inner
    return module
