"""Calls of transformers' pipelines and of ``generate``: who counts, and what their results say."""

from __future__ import annotations

import sys
from functools import wraps
from pathlib import PurePath
from types import GeneratorType
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary, finalize

from otelml import runtime
from otelml._guard import attempt, guard
from otelml.integrations import _generation
from otelml.integrations._library_calls import begin
from otelml.integrations._runs import Run
from otelml.integrations._sklearn_calls import outer

if TYPE_CHECKING:
    from collections.abc import Callable

    from otelml.integrations._library_calls import Call, Facts
    from otelml.integrations._runs import Staged

FRAMEWORK = "transformers"
CLASSES = frozenset({
    "text-classification", "sentiment-analysis", "image-classification", "audio-classification",
    "video-classification", "zero-shot-classification", "zero-shot-image-classification",
    "zero-shot-audio-classification",
})  # fmt: skip
"""Tasks whose labels are classes of the whole input. Labels of other tasks are parts of it, or text."""
_BEGIN, _OBSERVE = guard("transformers.begin"), guard("transformers.observe")
_streams: WeakKeyDictionary[Any, _Stream] = WeakKeyDictionary()
"""Iterators that pipelines gave, which the application has not read to their end."""


def name_of(model: Any) -> str | None:
    """Return the name of a model on the hub, or of its folder; None of one that was made of a configuration."""
    given = attempt(getattr, model, "name_or_path", None)[0]
    if not isinstance(given, str) or not given:
        return None
    return PurePath(given).name if given.startswith((".", "/", "~")) or given.count("/") > 1 else given


def opened(owner: Any, model: Any, operation: str, framework: str = FRAMEWORK, **how: Any) -> Call | None:
    """Begin the call of something around a model, under the name that either is watched as, or the model has."""
    active = runtime.active
    if active is None or outer.get() is not None:
        return None
    watched = active.models.name_of(owner)[0] is not None
    fallback = name_of(model) or type(owner if model is None else model).__name__
    return begin(owner if watched or model is None else model, framework, operation, fallback=fallback, **how)


def pipeline_call(staged: Staged, original: Callable[..., Any]) -> Callable[..., Any]:
    """Return what stands for ``Pipeline.__call__``."""

    @wraps(original)
    def __call__(self: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: N807 - as it is called
        call = run = None
        with _BEGIN:
            lazy = _is_lazy(inputs)
            call = opened(self, getattr(self, "model", None), "__call__", attach=not lazy, stage=False)
            if call is not None:
                staged.see(type(self))
                run = Run(self, call, attach=not lazy, stages=not call.marked)
        if call is None or run is None:
            return original(self, inputs, *args, **kwargs)
        token = outer.set(run)
        try:
            result = original(self, inputs, *args, **kwargs)
        except BaseException as error:
            call.finish(error)
            raise
        finally:
            outer.reset(token)
        if lazy and call.own and hasattr(type(result), "__next__"):
            with _BEGIN:
                _streams[result] = _Stream(result, run)
            return result
        with _OBSERVE:
            _generation.tell(run)
            call.observe(_said(self, inputs, result))
        call.finish()
        return result

    return __call__


def _is_lazy(inputs: Any) -> bool:
    """Whether a pipeline gives an iterator for such inputs."""
    data: Any = getattr(getattr(sys.modules.get("torch"), "utils", None), "data", None)
    return isinstance(inputs, (GeneratorType, getattr(data, "Dataset", GeneratorType)))


class _Stream:
    """The prediction of an iterator: it ends with the last item, or with the iterator."""

    def __init__(self, iterator: Any, run: Run) -> None:
        self.run, self.rows = run, 0
        self._finish = finalize(iterator, self.end)
        self._finish.atexit = False

    def end(self, error: BaseException | None = None) -> None:
        """End the prediction with the rows that were given."""
        self._finish.detach()
        with _OBSERVE:
            _generation.tell(self.run)
            self.run.call.observe({"rows": self.rows})
        self.run.call.finish(error)


def next_item(original: Callable[..., Any]) -> Callable[..., Any]:
    """Return what stands for ``PipelineIterator.__next__``."""

    @wraps(original)
    def __next__(self: Any) -> Any:  # noqa: N807 - as it is called
        stream = _streams.get(self)
        if stream is None:
            return original(self)
        token = outer.set(stream.run)
        try:
            item = original(self)
        except BaseException as error:
            with _OBSERVE:
                del _streams[self]
                stream.end(None if isinstance(error, StopIteration) else error)
            raise
        finally:
            outer.reset(token)
        stream.rows += 1
        with _OBSERVE:
            stream.run.call.prediction.item()
        return item

    return __next__


def _said(pipeline: Any, inputs: Any, result: Any) -> Facts:
    """Return the facts of a result: its rows; of tasks that classify, class and score of each."""
    many = isinstance(inputs, list | tuple) and isinstance(result, list)
    rows = result if many else [result]
    if getattr(pipeline, "task", None) not in CLASSES:
        return {"rows": len(rows)}
    best = [_best(row) for row in rows]
    found: Facts = {"rows": len(rows)}
    if best and all(each is not None for each in best):
        scores = [score for _, score in best]  # type: ignore[misc] # none is None
        found["classes"] = [label for label, _ in best]  # type: ignore[misc] # the same
        if all(0 <= score <= 1 for score in scores):
            found["confidence"] = scores
    return found


def _best(row: Any) -> tuple[str, float] | None:
    """Return the label with the largest score."""
    if isinstance(row, dict) and isinstance(row.get("labels"), list) and row["labels"]:  # of a zero-shot task
        pairs = list(zip(row["labels"], row["scores"], strict=True))
    else:
        listed = row if isinstance(row, list) else [row]
        pairs = [(each["label"], each["score"]) for each in listed if isinstance(each, dict) and "label" in each]
    label, score = max(pairs, key=lambda pair: pair[1], default=(None, 0.0))
    return None if label is None else (str(label), float(score))


def generate_call(original: Callable[..., Any]) -> Callable[..., Any]:
    """Return what stands for ``GenerationMixin.generate``: within a pipeline it tells its tokens."""

    @wraps(original)
    def generate(self: Any, *args: Any, **kwargs: Any) -> Any:
        call, run = None, outer.get()
        with _BEGIN:
            call = opened(self, self, "generate")
        if call is not None:
            run = Run(self, call, stages=False)
        if type(run) is not Run or run.generation is not None:  # a model that helps another one generates, too
            return original(self, *args, **kwargs)
        token = outer.set(run)
        made = run.generation = _generation.Generation()
        try:
            result = original(self, *args, **kwargs)
        except BaseException as error:
            if call is not None:
                call.finish(error)
            raise
        finally:
            run.generation = None
            outer.reset(token)
        with _OBSERVE:
            rows = _generation.count(made, self, args, kwargs, result)
            run.generations.append(made)
            if call is not None:
                _generation.tell(run)
                call.observe({"rows": rows})
        if call is not None:
            call.finish()
        return result

    return generate


def stepped(original: Callable[..., Any]) -> Callable[..., Any]:
    """Return what stands for the function that ``generate`` calls once the model has answered for a token."""

    @wraps(original)
    def step(self: Any, *args: Any, **kwargs: Any) -> Any:
        run = outer.get()
        if type(run) is Run and run.generation is not None:
            run.generation.step()
        return original(self, *args, **kwargs)

    return step
