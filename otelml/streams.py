"""Generators as streaming predictions: current while they run, never while the consumer does; each item is counted."""

from __future__ import annotations

from functools import partial, wraps
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator

    from otelml.off import NoPrediction
    from otelml.prediction import Prediction


def generator(target: Callable[..., Any], start: Callable[[], Prediction | NoPrediction]) -> Callable[..., Any]:
    """Return a generator function whose every run is one prediction, begun at the first item."""

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


def async_generator(target: Callable[..., Any], start: Callable[[], Prediction | NoPrediction]) -> Callable[..., Any]:
    """Return an async generator function whose every run is one prediction, begun at the first item."""

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
