"""Calls of one row each, read many at once: each by itself takes several times as long.

What they gave is compared and counted by numpy, column by column. Whatever is not plain is left to be read by itself,
as ``_sklearn_outputs`` does; both give the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from otelml import values
from otelml._lazy import LazyModule
from otelml.integrations._sklearn_outputs import SUM_TOLERANCE
from otelml.result import Result

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import numpy as np
    from numpy.typing import NDArray

    from otelml.integrations._sklearn_served import Served
else:
    np = LazyModule("numpy")

FEW = 4
"""Calls that are read sooner one by one."""
_LABELS, _NUMBERS = "biufU", "biuf"
"""Kinds of arrays whose items are plain values, and numbers."""
_MATRIX = 2


def read(calls: Iterable[Served]) -> None:
    """Take note of what was predicted, in those of ``calls`` that nobody has read so far and that are alike."""
    groups: dict[Any, list[Served]] = {}
    for call in calls:
        if call.seen is not None and call.observed is None:
            answer, labels, inputs = call.seen
            if type(inputs) is np.ndarray:
                kind = None if labels is None else labels.dtype.kind
                key = call.plan, call.series, answer.shape, answer.dtype, kind, inputs.shape, inputs.dtype
                groups.setdefault(key, []).append(call)
    for alike in groups.values():
        if len(alike) >= FEW and _is_plain(alike[0]):
            _read(alike)


def _is_plain(call: Served) -> bool:
    """Whether a call gave one row of plain values, of which no more is kept than usual."""
    if call.sink.capture != "stats" or call.series.take is not None or call.seen is None:
        return False
    answer, labels, inputs = call.seen
    if not len(answer.shape) or len(answer) != 1 or inputs.dtype.kind not in _NUMBERS or not inputs.size:
        return False
    if call.plan.method == "predict_proba":
        of_classes = labels is not None and labels.ndim == 1 and labels.dtype.kind in _LABELS
        return of_classes and answer.ndim == _MATRIX and answer.size > 0 and answer.dtype.kind == "f"
    kinds = _LABELS if call.plan.kind == "classes" else "f"
    return call.plan.method == "predict" and answer.ndim == 1 and answer.dtype.kind in kinds


def _read(calls: list[Served]) -> None:
    seen = [call.seen for call in calls if call.seen is not None]
    answers = np.concatenate([answer for answer, _, _ in seen])
    inputs = [given for _, _, given in seen]
    shape, dtype = seen[0][0].shape, values.dtype_name(answers.dtype)
    input_shape, input_dtype = inputs[0].shape, values.dtype_name(inputs[0].dtype)
    sorted_ = _of_classes(answers, seen) if calls[0].plan.method == "predict_proba" else _as_given(answers, calls[0])
    for call, missing, known in zip(calls, _missing(inputs), sorted_, strict=True):
        if known is not None:
            result = Result()
            result.rows, result.shape, result.dtype = 1, shape, dtype
            result.input_shape, result.input_dtype, result.missing = input_shape, input_dtype, missing
            for name, value in known:
                setattr(result, name, value)
            call.take(result)


Known = tuple[tuple[str, Any], ...]


def _of_classes(answers: NDArray[Any], seen: list[Any]) -> Iterator[Known | None]:
    """Return class and confidence of each row of probabilities; None where they are no probabilities of one class."""
    sure = np.abs(answers.sum(axis=1) - 1.0) <= SUM_TOLERANCE  # written so that NaN fails
    best, highest = answers.argmax(axis=1).tolist(), answers.max(axis=1).tolist()
    for is_sure, place, confidence, (_, labels, _) in zip(sure.tolist(), best, highest, seen, strict=True):
        fits = is_sure and len(labels) == answers.shape[1]
        yield (("classes", labels.item(place)), ("confidence", confidence)) if fits else None


def _as_given(answers: NDArray[Any], call: Served) -> Iterator[Known]:
    """Return the class, or the value, of each row."""
    return (((call.plan.kind, value),) for value in answers.tolist())


def _missing(inputs: list[NDArray[Any]]) -> list[int]:
    """Return how many inputs of each row are NaN."""
    if inputs[0].dtype.kind != "f":
        return [0] * len(inputs)
    found: list[int] = np.isnan(np.array(inputs)).reshape(len(inputs), -1).sum(axis=1).tolist()
    return found
