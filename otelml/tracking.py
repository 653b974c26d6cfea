"""``@otelml.track_prediction``: a function, coroutine or generator whose every call is one prediction."""

from __future__ import annotations

import inspect
from functools import partial, wraps
from typing import TYPE_CHECKING, Any, TypeVar, cast, overload

from otelml import api
from otelml._lazy import is_numpy

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator

    from otelml.off import NoPrediction
    from otelml.prediction import Prediction

F = TypeVar("F", bound="Callable[..., Any]")
_SCALARS = (str, bool, int, float)


@overload
def track_prediction(function: F, /) -> F: ...
@overload
def track_prediction(*, model: str | None = None, version: str | None = None) -> Callable[[F], F]: ...


def track_prediction(function: F | None = None, /, *, model: str | None = None, version: str | None = None) -> Any:
    """Make every call of a function one prediction; with or without parentheses.

    ``model`` is ``OTELML_MODEL_NAME`` by default, else the function's name. A scalar that the function returns is
    taken as its result (a float as a value, anything else as a class) unless it calls
    ``otelml.current_prediction().result(...)``. A generator is a streaming prediction: it starts at the first item,
    records the time to it, ends with the last one or when it is closed, and is current only while it runs.
    """

    def decorate(target: F) -> F:
        if isinstance(target, (staticmethod, classmethod)):
            return cast("F", type(target)(decorate(cast("F", target.__func__))))
        # A callable object or a partial has no name of its own.
        named: str = getattr(target, "__name__", type(target).__name__)

        def start() -> Prediction | NoPrediction:
            return api.prediction(model, version, fallback=named)

        if inspect.isasyncgenfunction(target):
            return cast("F", _async_generator(target, start))
        if inspect.isgeneratorfunction(target):
            return cast("F", _generator(target, start))
        if inspect.iscoroutinefunction(target):
            return cast("F", _coroutine(target, start))
        return cast("F", _function(target, start))

    return decorate if function is None else decorate(function)


def _function(target: Callable[..., Any], start: Callable[[], Prediction | NoPrediction]) -> Callable[..., Any]:
    @wraps(target)
    def call(*args: Any, **kwargs: Any) -> Any:
        with start() as p:
            returned = target(*args, **kwargs)
            if isinstance(returned, _SCALARS) or is_numpy(returned, "generic"):
                p.observe(predictions=returned)
        return returned

    return call


def _coroutine(target: Callable[..., Any], start: Callable[[], Prediction | NoPrediction]) -> Callable[..., Any]:
    @wraps(target)
    async def call(*args: Any, **kwargs: Any) -> Any:
        async with start() as p:
            returned = await target(*args, **kwargs)
            if isinstance(returned, _SCALARS) or is_numpy(returned, "generic"):
                p.observe(predictions=returned)
        return returned

    return call


def _generator(target: Callable[..., Any], start: Callable[[], Prediction | NoPrediction]) -> Callable[..., Any]:
    @wraps(target)
    def call(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        p = start().begin(attach=False)
        inner = target(*args, **kwargs)
        step: Callable[[], Any] = partial(next, inner)
        failure: BaseException | None = None
        try:
            while True:
                try:
                    with p.attached():
                        item = step()
                except StopIteration as end:
                    return end.value
                p.item()
                step = yield from _ask(inner, item)
        except BaseException as error:
            failure = error
            raise
        finally:
            try:
                with p.attached():
                    inner.close()
            finally:
                p.finish(failure)

    return call


def _ask(inner: Generator[Any, Any, Any], item: Any) -> Generator[Any, Any, Callable[[], Any]]:
    """Give one item to the consumer; return what its answer asks of the inner generator."""
    try:
        sent = yield item
    except GeneratorExit:
        raise
    except BaseException as error:  # noqa: BLE001 - whatever the consumer throws in is the inner generator's
        return partial(inner.throw, error)
    return partial(inner.send, sent)


def _async_generator(target: Callable[..., Any], start: Callable[[], Prediction | NoPrediction]) -> Callable[..., Any]:
    @wraps(target)
    async def call(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        p = start().begin(attach=False)
        inner = target(*args, **kwargs)
        step: Callable[[], Any] = inner.__anext__
        failure: BaseException | None = None
        try:
            while True:
                try:
                    with p.attached():
                        item = await step()
                except StopAsyncIteration:
                    return
                p.item()
                try:
                    sent = yield item
                except GeneratorExit:
                    raise
                except BaseException as error:  # noqa: BLE001 - as in _ask, which an async generator can't delegate to
                    step = partial(inner.athrow, error)
                else:
                    step = partial(inner.asend, sent)
        except BaseException as error:
            failure = error
            raise
        finally:
            try:
                with p.attached():
                    await inner.aclose()
            finally:
                p.finish(failure)

    return call
