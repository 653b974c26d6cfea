"""What arrays and tensors of Keras and TensorFlow say: small ones in host memory their numbers, others their shape.

A tensor on a device is not read, as that would wait until it is computed. Nothing here is kept.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from otelml._guard import attempt
from otelml._lazy import is_numpy
from otelml.integrations import _torch_outputs
from otelml.integrations._answers import of_network
from otelml.values import Outline

if TYPE_CHECKING:
    from collections.abc import Callable

    from otelml.integrations._library_calls import Facts

MOST_READ, MOST_INPUTS = _torch_outputs.MOST_READ, _torch_outputs.MOST_INPUTS


def first(values: Any) -> Any:
    """Return the first of a dict, list or tuple; anything else itself."""
    if isinstance(values, dict):
        values = list(values.values())
    return (values[0] if values else None) if isinstance(values, (list, tuple)) else values


def answer(value: Any, last: Callable[[], str | None]) -> Facts:
    """Return what an output of a network says; of one on a device, or too large, its rows.

    ``last`` returns the name of the function at the end of the network.
    """
    array = array_of(value, MOST_READ)
    return rows(value) if array is None else of_network(array, last)


def rows(value: Any) -> Facts:
    """Return the length of the first axis, where there is one."""
    found = attempt(lambda: int(value.shape[0]))[0]
    return {} if found is None else {"rows": found}


def array_of(value: Any, most: int) -> Any:
    """Return a value as an array, where it is one or a tensor in host memory of no more than so many numbers."""
    if is_numpy(value, "ndarray"):
        return value if value.size <= most else None
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(value, torch.Tensor):
        return _torch_outputs.array_of(value, most)
    eager = hasattr(value, "numpy") and "CPU" in str(attempt(getattr, value, "device", "")[0])
    size = attempt(lambda tensor: tensor.shape.num_elements(), value)[0] if eager else None
    array: Any = attempt(value.numpy)[0] if size is not None and size <= most else None
    return None if is_numpy(array, "ndarray") and array.dtype.kind == "V" else array  # bfloat16 is no number to NumPy


def looked_at(given: Any) -> Any:
    """Return a small input itself, the outline of a large one, and nothing of a data set or a generator."""
    value = first(given)
    array = array_of(value, MOST_INPUTS)
    if array is not None:
        return array
    told = attempt(lambda: Outline(tuple(int(size) for size in value.shape), str(getattr(value.dtype, "name", ""))))
    return told[0]
