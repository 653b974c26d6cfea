"""``@otelml.track_prediction``: a function, coroutine or generator whose every call is one prediction."""

from __future__ import annotations

import inspect
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar, cast, overload

from otelml import api, streams
from otelml._guard import attempt, logger
from otelml._lazy import is_numpy
from otelml._text import kind_name

if TYPE_CHECKING:
    from collections.abc import Callable

    from otelml.off import NoPrediction
    from otelml.prediction import Prediction

F = TypeVar("F", bound="Callable[..., Any]")
_SCALARS = (str, bool, int, float)


@overload
def track_prediction(function: F, /) -> F: ...
@overload
def track_prediction(
    *, model: str | None = None, version: str | None = None, variant: str | None = None
) -> Callable[[F], F]: ...


def track_prediction(
    function: F | None = None,
    /,
    *,
    model: str | None = None,
    version: str | None = None,
    variant: str | None = None,
) -> Any:
    """Make every call of a function one prediction; with or without parentheses.

    ``model`` is ``OTELML_MODEL_NAME`` by default, else the function's name; ``variant`` is as in ``prediction``. A
    scalar that the function returns is taken as its result (a float as a value, anything else as a class) unless it
    calls ``otelml.current_prediction().result(...)``. A generator is a streaming prediction: it starts at the first
    item, records the time to it, ends with the last one or when it is closed, and is current only while it runs.
    """

    def decorate(target: F) -> F:
        made, error = attempt(_wrapped, target, decorate, {"model": model, "version": version, "variant": variant})
        if error is None:
            return cast("F", made)
        logger.warning("otelml: %s can't be wrapped, and is left as it is", kind_name(target))
        return target

    return decorate if function is None else decorate(function)


def _wrapped(target: Any, decorate: Callable[[Any], Any], given: dict[str, Any]) -> Any:
    """Return the function, coroutine or generator that stands in for ``target``."""
    if isinstance(target, (staticmethod, classmethod)):
        return type(target)(decorate(target.__func__))
    named = getattr(target, "__name__", None)  # a callable object or a partial has none of its own
    fallback = named if type(named) is str else kind_name(target)

    def start() -> Prediction | NoPrediction:
        return api.prediction(**given, fallback=fallback)

    if inspect.isasyncgenfunction(target):
        return streams.async_generator(target, start)
    if inspect.isgeneratorfunction(target):
        return streams.generator(target, start)
    return (_coroutine if inspect.iscoroutinefunction(target) else _function)(target, start)


def _function(target: Callable[..., Any], start: Callable[[], Prediction | NoPrediction]) -> Callable[..., Any]:
    @wraps(target)
    def call(*args: Any, **kwargs: Any) -> Any:
        with start() as p:
            returned = target(*args, **kwargs)
            if issubclass(type(returned), _SCALARS) or is_numpy(returned, "generic"):
                p.observe(predictions=returned)
        return returned

    return call


def _coroutine(target: Callable[..., Any], start: Callable[[], Prediction | NoPrediction]) -> Callable[..., Any]:
    @wraps(target)
    async def call(*args: Any, **kwargs: Any) -> Any:
        async with start() as p:
            returned = await target(*args, **kwargs)
            if issubclass(type(returned), _SCALARS) or is_numpy(returned, "generic"):
                p.observe(predictions=returned)
        return returned

    return call
