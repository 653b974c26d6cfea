"""Keras 3: ``predict``, ``predict_on_batch`` and calls of a model by the application, on any backend.

A call of a model runs its layers; only ``Model`` is given a function of ours, so layers pay nothing. What Keras calls
itself (training, evaluating), what builds a graph (symbolic inputs, ``tf.function``) and ``training=True`` count not.
"""

from __future__ import annotations

import re
import sys
from functools import partial, wraps
from typing import TYPE_CHECKING, Any

from otelml import runtime
from otelml._guard import attempt, guard
from otelml.integrations._library_calls import LibraryInstrumentor, begin, observed
from otelml.integrations._patching import Inherited, Patch
from otelml.integrations._sklearn_calls import outer
from otelml.integrations._tensors import answer, first, looked_at

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from otelml.integrations._library_calls import Facts

FRAMEWORK = "keras"
LIBRARIES = ("keras.", "tf_keras.")
"""What these call is their own work."""
FEW = 8
_TRAINERS = (
    ("tensorflow", "TensorFlowTrainer"),
    ("torch", "TorchTrainer"),
    ("jax", "JAXTrainer"),
)
_BEGIN = guard("keras.begin")


class KerasInstrumentor(LibraryInstrumentor):
    """Measures the predictions of models."""

    framework = FRAMEWORK
    requirement = "keras >= 3.10"
    methods = ()

    def _replaced(self) -> tuple[Patch, ...]:
        methods = (
            Patch(f"keras.src.backend.{backend}.trainer", f"{kind}.{name}", partial(_method, name))
            for backend, kind in _TRAINERS
            for name in ("predict", "predict_on_batch")
        )
        return (*methods, Inherited("keras.src.models.model", "Model.__call__", _called))


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
        given = args[0] if args else next(iter(kwargs.values()), None)
        return _serve(call, self, "__call__", given, args, kwargs)

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
    return observed(call, function, args, kwargs, partial(_read, model, given))


def _read(model: Any, given: Any, result: Any) -> Facts:
    return {"inputs": looked_at(given), **answer(first(result), partial(_activation, model))}


def _name(model: Any) -> str:
    """Return the name that the application gave a model; the class of one that Keras named after it."""
    kind, name = type(model).__name__, attempt(getattr, model, "name", None)[0]
    if not isinstance(name, str):
        return kind
    return kind if re.sub(r"_\d+$", "", name).replace("_", "") == kind.lower() else name


def _activation(model: Any) -> str | None:
    """Return the name of the function at the end of a model."""
    for _ in range(FEW):
        layers = attempt(getattr, model, "layers", None)[0]
        if not layers:
            break
        model = layers[-1]
    activation = attempt(getattr, model, "activation", None)[0]
    return getattr(activation, "__name__", type(model).__name__)
