"""What a call of a PyTorch module says about itself, read from arguments and result. Nothing waits for a device.

A tensor on a device has a shape; its numbers are left there, as to read them would wait until it has computed them.
Tensors of the CPU are looked into where they are small enough.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any

from otelml._guard import attempt
from otelml.integrations._answers import of_network
from otelml.values import Outline

if TYPE_CHECKING:
    from collections.abc import Callable

    from otelml.integrations._library_calls import Facts

MOST_READ = 1_000_000
"""Numbers of one tensor that are read: 1 ms."""
MOST_INPUTS = 100_000
"""Numbers of an input that are looked at for missing ones: 0.1 ms."""
SCRIPTED = {"RecursiveScriptModule", "TopLevelTracedModule"}
FEW = 8
"""Parts of a result, or arguments, that are looked at; and modules within each other, for the last one."""


def read(module: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any], result: Any) -> Facts:
    """Return the facts of one call; keeps none of its tensors."""
    given = first(args) if args else None
    if given is None and kwargs:
        given = first(kwargs)
    return {"inputs": looked_at(given), **answer(result, partial(last_layer, module))}


def looked_at(given: Any) -> Any:
    """Return a small input itself, and the outline of one that is large, on a device, or of no type of NumPy's."""
    if given is None:
        return None
    array = array_of(given, MOST_INPUTS) if _numpy_has(given.dtype) else None
    return outline(given) if array is None else array


def answer(result: Any, last: Callable[[], str | None]) -> Facts:
    """Return what the tensors of a result say: of the first one everything, of one on a device its rows."""
    tensor = first(result)
    if tensor is None:
        return {}
    array = array_of(tensor, MOST_READ)
    if array is None:
        shape = attempt(lambda: tuple(tensor.shape))[0]
        return {"rows": int(shape[0])} if shape else {}
    found = of_network(array, last)
    return found if _numpy_has(tensor.dtype) else {**found, "predictions": outline(tensor)}


def first(values: Any) -> Any:
    """Return the first tensor of a tensor, a mapping or a sequence: logits come before what a loss is called."""
    kind: Any = sys.modules["torch"].Tensor
    if isinstance(values, kind):
        return values
    if isinstance(values, Mapping):
        named = values.get("logits")
        return named if isinstance(named, kind) else first(tuple(islice(values.values(), FEW)))
    if isinstance(values, list | tuple):
        return next((value for value in values[:FEW] if isinstance(value, kind)), None)
    return None


def array_of(tensor: Any, most: int) -> Any:
    """Return a view of a tensor in host memory; None where there is none, or where it has more than so many numbers."""
    torch: Any = sys.modules["torch"]
    if type(tensor) not in {torch.Tensor, torch.nn.Parameter} or tensor.device.type != "cpu" or tensor.numel() > most:
        return None
    return attempt(_view, tensor)[0]


def _view(tensor: Any) -> Any:
    if tensor.requires_grad:
        tensor = tensor.detach()
    return tensor.numpy() if _numpy_has(tensor.dtype) else tensor.float().numpy()


def _numpy_has(dtype: Any) -> bool:
    """Whether NumPy has a type, and sums it without losing digits."""
    torch: Any = sys.modules["torch"]
    return dtype is not torch.bfloat16 and dtype is not torch.float16


def outline(tensor: Any) -> Outline | None:
    """Return the shape and the data type of a tensor."""
    return attempt(lambda: Outline(tuple(tensor.shape), str(tensor.dtype).removeprefix("torch.")))[0]


def last_layer(module: Any) -> str | None:
    """Return the class of the module that was added last, of those within each other."""
    for _ in range(FEW):
        inner = getattr(module, "_modules", None)
        values = attempt(lambda each: tuple(each.values()), inner)[0] if inner else None
        if not values:
            break
        module = values[-1]
    return class_name(module)


def class_name(module: Any) -> str:
    name = type(module).__name__
    # A traced or scripted module knows the class that it was made of; others may answer for any attribute.
    scripted = attempt(getattr, module, "original_name", None)[0] if name in SCRIPTED else None
    return scripted if isinstance(scripted, str) else name
