"""One scikit-learn call becomes one prediction: who counts, under which name, in which stages.

The outermost call made by the application counts; whatever it calls in turn does not. Two things tell them apart:

- ``outer``, a context variable, holds the call in progress: calls inside it count nothing.
- The caller's frame. A prediction method called straight from scikit-learn's own code (a scorer, cross-validation,
  early stopping, ``score``, a tree of a forest in a joblib thread or process) serves nobody. Reading one frame needs
  no patch of ``fit`` or joblib, and holds in threads and worker processes, where context variables are empty.

A one-row call takes 150 µs, a tree of a forest 15 µs: what happens on the application's thread is written for speed.
What depends on the class alone is looked up once (``plan``), and what was predicted is read by the recorder's thread.
"""

from __future__ import annotations

import sys
from contextvars import ContextVar
from functools import lru_cache, wraps
from inspect import CO_VARARGS, CO_VARKEYWORDS
from operator import itemgetter
from types import CodeType, FrameType, FunctionType
from typing import TYPE_CHECKING, Any

from otelml import _sdk, api, runtime
from otelml._guard import guard
from otelml.integrations._sklearn_outputs import PROBABILITIES, kind_of_class
from otelml.integrations._sklearn_served import FRAMEWORK, Served, read_now
from otelml.members import TOGETHER, waiting
from otelml.models.description import framework_of
from otelml.spans import KEY

if TYPE_CHECKING:
    from collections.abc import Callable

    from opentelemetry.context.context import Context

    from otelml.integrations._sklearn_outputs import Kind
    from otelml.prediction import Prediction
    from otelml.runtime import Runtime

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
_ANY = CO_VARARGS | CO_VARKEYWORDS
WRAPPER_MODULES = ("sklearn.pipeline", "sklearn.frozen._frozen")
_get_current = _sdk.get_current
_BEGIN, _STAGE, _OBSERVE = guard("sklearn.begin"), guard("sklearn.stage"), guard("sklearn.observe")


class Switch:
    """Whether calls are measured, and the names that replace those of the classes."""

    __slots__ = ("model_name", "model_version", "on")

    def __init__(self) -> None:
        self.on = False
        self.model_name: str | None = None
        self.model_version: str | None = None


switch = Switch()


class Plan:
    """What a method of an estimator class is for every call."""

    __slots__ = ("attribute", "framework", "kind", "labelled", "method", "name", "noticed", "recorder", "series")

    def __init__(self, owner: type, method: str) -> None:
        entry = next((vars(base)[method] for base in owner.__mro__ if method in vars(base)), None)
        self.noticed = is_measured(entry) or isinstance(entry, Slot)
        """Whether the method passes through one of our functions, so that its start is noticed."""
        names = {base.__name__ for base in owner.__mro__ if base.__module__ in WRAPPER_MODULES}
        self.attribute = "steps" if "Pipeline" in names else "best_estimator_"
        """What holds the estimator that this class works for, where it is of that kind."""
        if "FrozenEstimator" in names:
            self.attribute = "estimator"
        self.name, self.method = owner.__name__, method
        self.framework = framework_of(owner) or FRAMEWORK
        """Of the class that predicts: XGBoost's are scikit-learn estimators, and say what they are."""
        self.labelled = method in PROBABILITIES
        self.kind: Kind = kind_of_class(owner) if method == "predict" else "classes"
        self.recorder: Any = None
        self.series: Any = None

    def resolve(self, active: Runtime) -> None:
        """Find the series of these predictions."""
        config = active.config
        name, version = switch.model_name or config.model_name or self.name, switch.model_version
        if version is None and name == config.model_name:
            version = config.model_version
        self.series = active.recorder.series(name, version)
        self.recorder = active.recorder


_plans = lru_cache(maxsize=REMEMBERED)(Plan)
plan: Callable[[Any, str], Plan] = _plans
forget_plans = _plans.cache_clear


class Inner:
    """A call within a prediction that the application made itself: stages and results go there."""

    __slots__ = ("plan", "prediction", "stage", "waiting")

    def __init__(self, prediction: Prediction | None, known: Plan | None, final: Any, *, two: bool) -> None:
        self.prediction, self.plan = prediction, known
        self.stage: Any = None
        self.waiting: object = None
        if prediction is not None and not prediction.stage_open:  # else the application has marked one itself
            self.stage = prediction.stage("preprocessing" if two else "inference").begin()
            self.waiting = final if two else None

    def reached(self) -> None:
        """The transformers are done: the final estimator starts."""
        self.waiting = None
        with _STAGE:
            self.finish()
            if self.prediction is not None:
                self.stage = self.prediction.stage("inference").begin()

    def done(self, result: Any, inputs: Any, final: Any) -> None:
        """Hand what the call was given and gave to the prediction."""
        self.finish()
        if self.prediction is not None and self.plan is not None:
            with _OBSERVE:
                self.prediction.observe(
                    inputs=inputs, framework=self.plan.framework, **read_now(self.plan, result, final)
                )

    def finish(self, error: BaseException | None = None) -> None:
        """End the stage that is open, if any."""
        stage, self.stage = self.stage, None
        if stage is not None:
            stage.finish(error)


outer: ContextVar[Served | Inner | None] = ContextVar("otelml_sklearn_outer", default=None)
_outer_get = outer.get
SILENT = Inner(None, None, None, two=False)
_NOTHING: dict[str, Any] = {}


def measured(original: Callable[..., Any], method: str) -> Callable[..., Any]:
    """Return the function that stands for ``original`` on its class.

    The signatures that nearly all have are spelt out: to pass on any arguments costs a tree of a forest 1 %.
    """
    code: Any = getattr(original, "__code__", None)
    defaults = getattr(original, "__defaults__", None)
    plain = code is not None and not (code.co_flags & _ANY or code.co_kwonlyargcount or code.co_posonlyargcount)
    taken = code.co_varnames[: code.co_argcount] if plain else ()
    if taken == ("self", "X") and not defaults:
        return _of_rows(original, method)
    if taken == ("self", "X", "check_input") and defaults == (True,):
        return _of_checked_rows(original, method)
    return _of_any(original, method)


def _of_rows(original: Callable[..., Any], method: str) -> Callable[..., Any]:
    @wraps(original)
    def call_measured(self: Any, X: Any) -> Any:  # noqa: N803 - scikit-learn's name
        call = _outer_get()
        if call is None:
            return serve(original, method, self, (X,), _NOTHING)
        if call.waiting is self:
            call.reached()
        return original(self, X)

    return call_measured


def _of_checked_rows(original: Callable[..., Any], method: str) -> Callable[..., Any]:
    @wraps(original)
    def call_measured(self: Any, X: Any, check_input: bool = True) -> Any:  # noqa: N803 - scikit-learn's name
        call = _outer_get()
        if call is None:
            return serve(original, method, self, (X, check_input), _NOTHING)
        if call.waiting is self:
            call.reached()
        return original(self, X, check_input)

    return call_measured


def _of_any(original: Callable[..., Any], method: str) -> Callable[..., Any]:
    @wraps(original)
    def call_measured(self: Any, /, *args: Any, **kwargs: Any) -> Any:
        call = _outer_get()
        if call is None:
            return serve(original, method, self, args, kwargs)
        if call.waiting is self:
            call.reached()
        return original(self, *args, **kwargs)

    return call_measured


MEASURED_CODES: tuple[CodeType, ...] = tuple(make(len, "").__code__ for make in (_of_rows, _of_checked_rows, _of_any))
"""All our functions share these, and no other wrapper copies them as ``functools.wraps`` copies attributes."""


def is_measured(function: Any) -> bool:
    """Whether ``function`` was made by ``measured``."""
    return isinstance(function, FunctionType) and any(function.__code__ is code for code in MEASURED_CODES)


def serve(original: Callable[..., Any], method: str, model: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Run a call that no measured call surrounds; return exactly what ``original`` returns, raise what it raises."""
    active = runtime.active
    if active is None or not switch.on:
        return original(model, *args, **kwargs)
    call: Served | Inner = SILENT
    final = None
    with _BEGIN:
        if not _unserved(sys._getframe(2)):
            final, known, two = final_estimator(model, method)
            around = _get_current()
            # An empty context neither suppresses anything nor holds a prediction: so it is in most calls.
            inner = _inner(around, final, known, two=two) if around else None
            if inner is not None:
                call = inner
            else:
                if known.recorder is not active.recorder:
                    known.resolve(active)
                joined = waiting(around) if TOGETHER in around else ()
                call = Served(known, around, final if two else None)
                if joined:
                    call.give_members(joined)
    token = outer.set(call)
    try:
        result = original(model, *args, **kwargs)
    except BaseException as error:
        call.finish(error)
        raise
    finally:
        outer.reset(token)
    call.done(result, args[0] if args else kwargs.get("X"), final)
    return result


def _inner(around: Context, final: Any, known: Plan, *, two: bool) -> Inner | None:
    """Return the call where it is within a prediction of the application's, or not to be measured."""
    if _sdk.is_suppressed(around):
        return SILENT
    current: Any = api.current_prediction()
    return None if current is None else Inner(current, known, final, two=two)


def _unserved(caller: FrameType) -> bool:
    """Whether an estimator makes this call for purposes of its own."""
    module = caller.f_globals.get("__name__")
    if isinstance(module, str) and module.startswith(LIBRARIES):
        return module != UNBOUND
    if caller.f_code.co_name not in OWN_METHODS:
        return False
    # Only here, where it is rare: reading a frame's locals makes a copy of them.
    return isinstance(caller.f_locals.get("self"), sys.modules["sklearn.base"].BaseEstimator)


def final_estimator(model: Any, method: str) -> tuple[Any, Plan, bool]:
    """Return the estimator behind pipelines and searches, its plan, and whether the work before it is a stage."""
    known = plan(type(model), method)
    two = False
    for _ in range(MAX_WRAPPED):
        inner = getattr(model, "__dict__", _NOTHING).get(known.attribute)
        if inner is None:
            break
        if known.attribute == "steps":
            two = two or _any_transformer(inner)
            model = inner[-1][1]
        else:
            model = inner
        known = plan(type(model), method)
    return model, known, two and known.noticed


def _any_transformer(steps: list[tuple[str, Any]]) -> bool:
    for _, step in steps[:-1]:  # noqa: SIM110 - a generator costs four times as much
        if step is not None and type(step) is not str:  # "passthrough"
            return True
    return False


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


if _sdk.native is not None and _sdk.SUPPRESSING is not None:
    _KNOWN = (plan, final_estimator, serve, LIBRARIES, OWN_METHODS, (*_sdk.SUPPRESSING, KEY, TOGETHER))
    serve = _sdk.native.use_calls(vars(runtime), switch, outer, SILENT, *_KNOWN)
