"""Keras 3: ``predict``, ``predict_on_batch`` and calls of a model by the application, on any backend.

A call of a model runs its layers; only ``Model`` is given a function of ours, so layers pay nothing. What Keras calls
itself (training, evaluating), what builds a graph (symbolic inputs, ``tf.function``) and ``training=True`` count not.
"""

from __future__ import annotations

import re
import sys
from functools import partial, wraps
from typing import TYPE_CHECKING, Any

import wrapt

from otelml import runtime
from otelml._guard import attempt, guard, guarded
from otelml._lazy import is_numpy
from otelml.integrations import _torch_outputs
from otelml.integrations._answers import of_network
from otelml.integrations._library_calls import LibraryInstrumentor, begin
from otelml.integrations._patching import Patch
from otelml.integrations._sklearn_calls import SILENT, outer
from otelml.values import Outline

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from otelml.integrations._library_calls import Facts

FRAMEWORK = "keras"
LIBRARIES = ("keras.", "tf_keras.")
"""What these call is their own work."""
MOST_READ, MOST_INPUTS = _torch_outputs.MOST_READ, _torch_outputs.MOST_INPUTS
FEW = 8
_TRAINERS = (
    ("tensorflow", "TensorFlowTrainer"),
    ("torch", "TorchTrainer"),
    ("jax", "JAXTrainer"),
)
_BEGIN, _OBSERVE = guard("keras.begin"), guard("keras.observe")


class KerasInstrumentor(LibraryInstrumentor):
    """Measures the predictions of models."""

    framework = FRAMEWORK
    requirement = "keras >= 3.10"
    methods = ()
    _added: Any = None

    def _replaced(self) -> tuple[Patch, ...]:
        self._added = _Added()
        return tuple(
            Patch(f"keras.src.backend.{backend}.trainer", f"{kind}.{name}", partial(_method, name))
            for backend, kind in _TRAINERS
            for name in ("predict", "predict_on_batch")
        )

    def _uninstrument(self, **more: Any) -> None:
        super()._uninstrument(**more)
        added, self._added = self._added, None
        if added is not None:
            added.undo()


class _Added:
    """A function that ``Model`` inherits otherwise."""

    def __init__(self) -> None:
        self._active = True
        self._model: Any = None
        self._ours: Any = None
        wrapt.register_post_import_hook(self._imported, "keras.src.models.model")

    @guarded("keras.patch", None)
    def _imported(self, module: Any) -> None:
        model = module.Model
        if self._active and "__call__" not in vars(model):
            self._model, self._ours = model, _called(model)
            model.__call__ = self._ours

    def undo(self) -> None:
        """Let it be inherited again."""
        self._active = False
        if self._model is not None and vars(self._model).get("__call__") is self._ours:
            del self._model.__call__


def _method(name: str, original: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(original)
    def call_measured(self: Any, x: Any, *args: Any, **kwargs: Any) -> Any:
        return _serve(partial(original, self), self, name, x, (x, *args), kwargs)

    return call_measured


def _called(model: Any) -> Callable[..., Any]:
    inherited = model.__call__

    @wraps(inherited)
    def __call__(self: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: N807 - as it is called
        call = super(model, self).__call__
        if outer.get() is not None or not _of_application(sys._getframe(1), args, kwargs):
            return call(*args, **kwargs)
        first = args[0] if args else next(iter(kwargs.values()), None)
        return _serve(call, self, "__call__", first, args, kwargs)

    return __call__


def _of_application(caller: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> bool:
    """Whether a call serves the application: eager, not in training, and not made by Keras."""
    if kwargs.get("training") or runtime.active is None:
        return False
    module = caller.f_globals.get("__name__")
    if isinstance(module, str) and module.startswith(LIBRARIES):
        return False
    if any(type(each).__name__ == "KerasTensor" for each in _parts([*args, *kwargs.values()])):
        return False
    tensorflow = sys.modules.get("tensorflow")
    return tensorflow is None or attempt(tensorflow.executing_eagerly)[0] is not False


def _parts(values: list[Any]) -> list[Any]:
    """Return values and what lists, tuples and dicts among them hold."""
    found = list(values)
    for value in values:
        found += value.values() if isinstance(value, dict) else value if isinstance(value, (list, tuple)) else ()
    return found


def _serve(  # noqa: PLR0917 - one place for both ways
    function: Callable[..., Any], model: Any, operation: str, given: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    call = None
    with _BEGIN:
        call = begin(model, FRAMEWORK, operation, fallback=_name(model))
    if call is None:
        return function(*args, **kwargs)
    token = outer.set(SILENT)
    try:
        result = function(*args, **kwargs)
    except BaseException as error:
        call.finish(error)
        raise
    finally:
        outer.reset(token)
    with _OBSERVE:
        call.observe({"inputs": _looked_at(given), **_facts(model, result)})
    call.finish()
    return result


def _name(model: Any) -> str:
    """Return the name that the application gave a model; the class of one that Keras named after it."""
    kind, name = type(model).__name__, attempt(getattr, model, "name", None)[0]
    if not isinstance(name, str):
        return kind
    return kind if re.sub(r"_\d+$", "", name).replace("_", "") == kind.lower() else name


def _facts(model: Any, result: Any) -> Facts:
    """Return what the first output says; of one on a device, or too large, its rows."""
    first = _first(result)
    array = _array(first, MOST_READ)
    if array is not None:
        return of_network(array, partial(_activation, model))
    shape = attempt(lambda: tuple(int(size) for size in first.shape))[0]
    return {"rows": shape[0]} if shape else {}


def _first(values: Any) -> Any:
    if isinstance(values, dict):
        values = list(values.values())
    return (values[0] if values else None) if isinstance(values, (list, tuple)) else values


def _array(value: Any, most: int) -> Any:
    """Return a value as an array, where it is one or a small tensor in host memory."""
    if is_numpy(value, "ndarray"):
        return value if value.size <= most else None
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(value, torch.Tensor):
        return _torch_outputs.array_of(value, most)
    eager = hasattr(value, "numpy") and "CPU" in str(attempt(getattr, value, "device", "")[0])
    size = attempt(lambda tensor: tensor.shape.num_elements(), value)[0] if eager else None
    return attempt(value.numpy)[0] if size is not None and size <= most else None


def _looked_at(given: Any) -> Any:
    """Return a small input itself, the outline of a large one, and nothing of a data set or a generator."""
    first = _first(given)
    array = _array(first, MOST_INPUTS)
    if array is not None:
        return array
    told = attempt(lambda: Outline(tuple(int(size) for size in first.shape), str(getattr(first.dtype, "name", ""))))
    return told[0]


def _activation(model: Any) -> str | None:
    """Return the name of the function at the end of a model."""
    for _ in range(FEW):
        layers = attempt(getattr, model, "layers", None)[0]
        if not layers:
            break
        model = layers[-1]
    activation = attempt(getattr, model, "activation", None)[0]
    return getattr(activation, "__name__", type(model).__name__)
