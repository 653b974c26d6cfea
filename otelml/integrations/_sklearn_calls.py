"""One scikit-learn call becomes one prediction: who counts, under which name, in which stages.

The outermost call made by the application counts; whatever it calls in turn does not. Two things tell them apart:

- ``outer``, a context variable, holds the call in progress: calls inside it count nothing.
- The caller's frame. A prediction method called straight from scikit-learn's own code (a scorer, cross-validation,
  early stopping, ``score``, a tree of a forest in a joblib thread or process) serves nobody. Reading one frame needs
  no patch of ``fit`` or joblib, and holds in threads and worker processes, where context variables are empty.
"""

from __future__ import annotations

import sys
from contextvars import ContextVar
from functools import lru_cache, wraps
from operator import itemgetter
from types import CodeType, FrameType, FunctionType, TracebackType
from typing import TYPE_CHECKING, Any

from opentelemetry.instrumentation.utils import is_instrumentation_enabled

from otelml import api, runtime
from otelml._guard import guard, guarded
from otelml.integrations._sklearn_outputs import facts

if TYPE_CHECKING:
    from collections.abc import Callable

FRAMEWORK = "scikit-learn"
METHODS = ("predict", "predict_proba", "predict_log_proba", "decision_function", "score_samples")
LIBRARIES = ("sklearn.", "imblearn.", "sklearnex.")
"""Callers in these packages are estimators at work, not the application."""
UNBOUND = "sklearn.utils._available_if"
"""The frame between the application and ``Pipeline.predict(model, X)``, called through the class."""
OWN_METHODS = frozenset({"fit", "fit_predict", "fit_transform", "partial_fit", "score", "transform"})
"""A prediction called straight from one of these methods of the application's own estimators serves nobody."""
REMEMBERED = 256
"""Estimator classes about which something is remembered; bounded, as classes can be made without end."""
MAX_WRAPPED = 16
"""Pipelines and searches within each other that are looked through for the final estimator."""
WRAPPER_MODULES = ("sklearn.pipeline", "sklearn.frozen._frozen")


class Switch:
    """Whether calls are measured, and the names that replace those of the classes."""

    __slots__ = ("model_name", "model_version", "on")

    def __init__(self) -> None:
        self.on = False
        self.model_name: str | None = None
        self.model_version: str | None = None


class Call:
    """The call in progress: its prediction, the stage that is open, the final estimator while it is waited for."""

    __slots__ = ("final", "method", "prediction", "stage", "transforms", "waiting")

    def __init__(
        self, prediction: api.Prediction | api.NoPrediction | None, method: str, final: object, *, transforms: bool
    ) -> None:
        self.prediction = prediction
        self.method = method
        self.final = final
        self.transforms = transforms
        self.waiting: object = None
        self.stage: Any = None

    def start(self) -> None:
        """Open the first stage, unless the application has marked one itself."""
        if self.prediction is None or self.prediction.stage_open:
            return
        two = self.transforms and is_seen(type(self.final), self.method)  # type: ignore[arg-type] # a class is hashable, mypy takes its instances'
        self.open("preprocessing" if two else "inference")
        self.waiting = self.final if two else None

    def open(self, name: str) -> None:
        """Start stage ``name``."""
        if self.prediction is not None:
            self.stage = self.prediction.stage(name)
            self.stage.__enter__()

    def close(
        self,
        kind: type[BaseException] | None = None,
        error: BaseException | None = None,
        trace: TracebackType | None = None,
    ) -> None:
        """End the stage that is open, if any."""
        stage, self.stage = self.stage, None
        if stage is not None:
            stage.__exit__(kind, error, trace)

    def observe(self, result: object, inputs: object) -> None:
        """Hand what the call was given and gave to its prediction."""
        if self.prediction is not None:
            found = facts(self.method, result, self.final)
            self.prediction.observe(inputs=inputs, framework=FRAMEWORK, **found)

    def reached(self) -> None:
        """The transformers are done: the final estimator starts."""
        self.waiting = None
        with guard("sklearn.stage"):
            self.close()
            self.open("inference")


switch = Switch()
outer: ContextVar[Call | None] = ContextVar("otelml_sklearn_outer", default=None)
SILENT = Call(None, "", None, transforms=False)
_NOTHING: dict[str, Any] = {}


def measured(original: Callable[..., Any], method: str) -> Callable[..., Any]:
    """Return the function that stands for ``original`` on its class."""

    @wraps(original)
    def call_measured(self: Any, /, *args: Any, **kwargs: Any) -> Any:
        if runtime.active is None or not switch.on:
            return original(self, *args, **kwargs)
        call = outer.get()
        if call is None:
            return serve(original, method, self, args, kwargs)
        if call.waiting is self:
            call.reached()
        return original(self, *args, **kwargs)

    return call_measured


MEASURED_CODE: CodeType = measured(len, "").__code__
"""All our functions share it, and no other wrapper copies it as ``functools.wraps`` copies attributes."""


def is_measured(function: Any) -> bool:
    """Whether ``function`` was made by ``measured``."""
    return isinstance(function, FunctionType) and function.__code__ is MEASURED_CODE


def serve(original: Callable[..., Any], method: str, model: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Run a call that no measured call surrounds; return exactly what ``original`` returns, raise what it raises."""
    if _unserved(sys._getframe(2)) or not is_instrumentation_enabled():
        return _silently(original, model, args, kwargs)
    final, transforms = final_estimator(model)
    current = api.current_prediction()
    if current is not None:
        return _run(Call(current, method, final, transforms=transforms), original, model, args, kwargs)
    started = api.prediction(
        switch.model_name,
        switch.model_version,
        operation=method,
        framework=FRAMEWORK,
        fallback=type(final).__name__,
    )
    with started as prediction:
        return _run(Call(prediction, method, final, transforms=transforms), original, model, args, kwargs)


def _unserved(caller: FrameType) -> bool:
    """Whether an estimator makes this call for purposes of its own."""
    module = caller.f_globals.get("__name__")
    if isinstance(module, str) and module.startswith(LIBRARIES):
        return module != UNBOUND
    if caller.f_code.co_name not in OWN_METHODS:
        return False
    # Only here, where it is rare: reading a frame's locals makes a copy of them.
    return isinstance(caller.f_locals.get("self"), sys.modules["sklearn.base"].BaseEstimator)


def _silently(original: Callable[..., Any], model: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    token = outer.set(SILENT)
    try:
        return original(model, *args, **kwargs)
    finally:
        outer.reset(token)


def _run(call: Call, original: Callable[..., Any], model: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    with guard("sklearn.stage"):
        call.start()
    token = outer.set(call)
    try:
        result = original(model, *args, **kwargs)
    except BaseException:
        with guard("sklearn.stage"):
            call.close(*sys.exc_info())
        raise
    finally:
        outer.reset(token)
    with guard("sklearn.observe"):
        call.close()
        call.observe(result, args[0] if args else kwargs.get("X"))
    return result


@guarded("sklearn.final", (None, False))
def final_estimator(model: Any) -> tuple[Any, bool]:
    """Return the estimator behind pipelines and searches, and whether transformers run before it."""
    transforms = False
    for _ in range(MAX_WRAPPED):
        attribute = _wrapped_in(type(model))  # type: ignore[arg-type] # a class is hashable, mypy takes its instances'
        inner = getattr(model, "__dict__", _NOTHING).get(attribute)
        if inner is None:
            break
        if attribute == "steps":
            transforms = transforms or _any_transformer(inner)
            model = inner[-1][1]
        else:
            model = inner
    return model, transforms


def _any_transformer(steps: list[tuple[str, Any]]) -> bool:
    for index in range(len(steps) - 1):
        step = steps[index][1]
        if step is not None and type(step) is not str:  # "passthrough"
            return True
    return False


@lru_cache(maxsize=REMEMBERED)
def _wrapped_in(kind: type) -> str:
    """Return the attribute that holds the estimator which this class works for, if it is of that kind."""
    names = {base.__name__ for base in kind.__mro__ if base.__module__ in WRAPPER_MODULES}
    if "Pipeline" in names:
        return "steps"
    return "estimator" if "FrozenEstimator" in names else "best_estimator_"


@lru_cache(maxsize=REMEMBERED)
def is_seen(kind: type, method: str) -> bool:
    """Whether this method of the class passes through one of our functions, so that its start can be noticed."""
    entry = next((vars(base)[method] for base in kind.__mro__ if method in vars(base)), None)
    return is_measured(entry) or isinstance(entry, Slot)


class Slot:
    """Stands on a class for ``original`` where a plain function would not do.

    That is a method behind a condition (``available_if``), whose own descriptor stays in charge, and any method of a
    class that is pickled by value (defined in ``__main__`` or in a function): the pickle holds the original, so that
    it loads where otelml is not installed.
    """

    __slots__ = ("original", "target")

    def __init__(self, original: Any, target: Any) -> None:
        self.original = original
        self.target = target

    def __get__(self, instance: object, owner: type | None = None) -> Any:
        return self.target.__get__(instance, owner)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.original, name)

    def __reduce__(self) -> tuple[Any, ...]:
        return itemgetter(0), ((self.original,),)
