"""A call of a pipeline while it runs: its stages, as methods of the pipeline reach them, and what is found on the way.

The methods are those of many classes. Each class's are replaced at its first call, so nothing is imported for it.
"""

from __future__ import annotations

import threading
from functools import wraps
from inspect import isgenerator
from typing import TYPE_CHECKING, Any

from otelml._guard import guard
from otelml.integrations._sklearn_calls import Inner, outer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from otelml.integrations._library_calls import Call

MOST_STAGES = 64
"""Stages of one call that are recorded; a list of many inputs has more."""
_STAGE = guard("runs.stage")


class Run(Inner):
    """The measured call of an object whose methods are stages; others find in ``outer`` that they are inside one."""

    __slots__ = ("attach", "call", "generation", "generations", "left", "owner")

    def __init__(self, owner: object, call: Call, *, attach: bool = True, stages: bool = True) -> None:
        super().__init__(None, None, None, two=False)
        self.owner, self.call, self.attach = owner, call, attach
        self.left = MOST_STAGES if stages else 0
        self.generation: Any = None
        """What is being generated, and what has been."""
        self.generations: list[Any] = []

    def enter(self, name: str) -> Any:
        """Begin a stage; None where none is to be recorded."""
        if self.left <= 0:
            return None
        self.left -= 1
        with _STAGE:
            return self.call.prediction.stage(name).begin(attach=self.attach)
        return None


def _end(stage: Any, error: BaseException | None = None) -> None:
    if stage is not None:
        stage.finish(error)


class Staged:
    """The methods of classes that were replaced."""

    def __init__(self, names: Mapping[str, str]) -> None:
        self._names = names
        self._lock = threading.Lock()
        self._known: set[type] = set()
        self._replaced: list[tuple[type, str, Any, Any]] = []

    def see(self, kind: type) -> None:
        """Replace the methods of a class and its bases, once."""
        if kind in self._known:
            return
        with self._lock:
            self._known.add(kind)
            ours = {(owner, name) for owner, name, _, _ in self._replaced}
            for owner in kind.__mro__:
                for name, stage in self._names.items():
                    found = vars(owner).get(name)
                    if callable(found) and (owner, name) not in ours:
                        put = _staged(found, stage)
                        setattr(owner, name, put)
                        self._replaced.append((owner, name, found, put))

    def undo(self) -> None:
        """Put back what nobody else has replaced."""
        with self._lock:
            for owner, name, found, put in self._replaced:
                if vars(owner).get(name) is put:
                    setattr(owner, name, found)
            self._replaced.clear()
            self._known.clear()


def _staged(original: Callable[..., Any], name: str) -> Callable[..., Any]:
    @wraps(original)
    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        run = outer.get()
        if type(run) is not Run or run.owner is not self:
            return original(self, *args, **kwargs)
        stage = run.enter(name)
        run.owner = None  # what the method calls of its own class is part of it
        try:
            result = original(self, *args, **kwargs)
        except BaseException as error:
            _end(stage, error)
            raise
        finally:
            run.owner = self
        if isgenerator(result):
            return _steps(result, run, name, stage)
        _end(stage)
        return result

    return call


def _steps(items: Iterator[Any], run: Run, name: str, stage: Any) -> Iterator[Any]:
    """Give what a method of steps gives; each step is in a stage, what its receiver does is not."""
    while True:
        try:
            item = next(items)
        except StopIteration:
            _end(stage)
            return
        except BaseException as error:
            _end(stage, error)
            raise
        _end(stage)
        yield item
        stage = run.enter(name)
