"""What is known of ended predictions of one shape, as columns: most of them differ in ids and numbers only."""

from __future__ import annotations

from array import array
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from otelml import _sdk, semconv
from otelml._lazy import LazyModule
from otelml.encoding import Known
from otelml.result import PLAIN, Result

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from otelml.prediction import Prediction
    from otelml.series import Series

    Buffer: TypeAlias = "bytes | array[int] | array[float]"
    Gathered: TypeAlias = tuple[
        list["Key"], Buffer, bool, bool, bytes | None, bytes | None, Buffer | None, Buffer | None
    ]
    """What ``Facts`` holds, in its order."""
else:
    np = LazyModule("numpy")

NOTHING = Result()
_NUMBER = 16
"""Bytes of a prediction's number."""


class Key(NamedTuple):
    """What many predictions have in common: attributes, but for the model's own."""

    series: Series
    variant: str | None
    operation: str | None
    framework: str | None
    rows: int | None
    input_shape: tuple[int, ...] | None
    input_dtype: str | None
    missing: int | None
    shape: tuple[int, ...] | None
    dtype: str | None
    label: str | None
    """The class that was predicted, a bounded label."""

    def attributes(self, error: str | None = None) -> Known:
        """Return them by name; ``error`` is the type of what was raised."""
        return _known(self, error)


class Facts(NamedTuple):
    """What is known of n predictions; a column is None where they are not all of one form."""

    keys: Sequence[Key]
    which: NDArray[np.int64]
    """Which of the keys each is of, of shape (n,)."""
    counted: bool
    """Whether the keys say how many rows there were of which class, and nothing has a business value."""
    streams: bool
    """Whether some gave items one by one."""
    numbers: NDArray[np.uint8] | None
    """Their ids, of shape (n, 16); None where one was given, or has attributes that others have not."""
    requests: NDArray[np.uint8] | None
    """Ids of their requests, of shape (n, letters): no letters where there are no requests."""
    confidence: NDArray[np.float64] | None
    """Of shape (n,), or (0,) where none has one; ``values`` likewise."""
    values: NDArray[np.float64] | None

    @property
    def plain(self) -> bool:
        """Return whether all there is to measure is here."""
        return self.counted and self.confidence is not None and self.values is not None

    @property
    def alike(self) -> bool:
        """Return whether all that their spans and events say is here."""
        columns = (self.numbers, self.requests, self.confidence, self.values)
        return all(column is not None for column in columns)

    def part(self, start: int, size: int) -> Facts:
        """Return what is known of ``size`` of the predictions."""
        columns = (self.which, self.numbers, self.requests, self.confidence, self.values)
        cut = [None if column is None else column[start : start + size] for column in columns]
        which, numbers, requests, confidence, values = cut
        return Facts(self.keys, which, self.counted, self.streams, numbers, requests, confidence, values)  # type: ignore[arg-type] # it is there

    def counts(self) -> list[int]:
        """Return how many predictions are of each key."""
        found: list[int] = np.bincount(self.which, minlength=len(self.keys)).tolist()
        return found


def facts_of(predictions: list[Prediction]) -> Facts:
    """Return what is known of ended predictions of one model and shape, none of which failed."""
    keys, which, counted, streams, numbers, requests, confidence, values = _gathered(predictions)
    n = len(predictions)
    return Facts(
        keys,
        np.frombuffer(which, np.int64),
        counted,
        streams,
        None if numbers is None else np.frombuffer(numbers, np.uint8).reshape(n, -1),
        None if requests is None else np.frombuffer(requests, np.uint8).reshape(n, -1),
        None if confidence is None else np.frombuffer(confidence),
        None if values is None else np.frombuffer(values),
    )


def key_of(p: Prediction, result: Result) -> Key:
    """Return what a prediction may have in common with others."""
    return Key(*_shared(p, result))


def _shared(p: Prediction, result: Result) -> tuple[Any, ...]:
    """Return what its ``Key`` holds: most have the key of another one, and a tuple is made sooner."""
    about, r = (p.series, p.variant, p.operation, p.framework), result
    return (*about, r.rows, r.input_shape, r.input_dtype, r.missing, r.shape, r.dtype, r.label)


def _gathered(predictions: list[Prediction]) -> Gathered:
    results = [p.outcome() or NOTHING for p in predictions]
    keys: dict[tuple[Any, ...], int] = {}
    which = [keys.setdefault(_shared(p, result), len(keys)) for p, result in zip(predictions, results, strict=True)]
    own = any(p.given_id is not None for p in predictions) or any(map(_has_more, results))
    return (
        [Key(*key) for key in keys],
        array("q", which),
        all(map(_is_counted, results)),
        any(p.first_item for p in predictions),
        None if own else b"".join([(p.number or p.numbered()).to_bytes(_NUMBER, "big") for p in predictions]),
        _texts([p.request_id or "" for p in predictions]),
        _numbers([result.confidence for result in results]),
        _numbers([result.values for result in results]),
    )


def _is_counted(result: Result) -> bool:
    return type(result.classes) in PLAIN and result.business_value is None


def _has_more(result: Result) -> bool:
    r = result
    return r.business_value is not None or r.input_payload is not None or r.output_payload is not None


def _texts(texts: list[str]) -> bytes | None:
    """Return texts of one length, None where they are others."""
    whole = "".join(texts)
    alike = len(set(map(len, texts))) == 1 and whole.isascii()
    return whole.encode() if alike else None


def _numbers(numbers: list[Any]) -> array[float] | None:
    """Return numbers where each is one, nothing where none is, else None."""
    kinds = set(map(type, numbers))
    if kinds == {float}:
        return array("d", numbers)
    return array("d") if kinds == {type(None)} else None


if _sdk.native is not None:
    _gathered = _sdk.native.use_facts(_gathered, Key, NOTHING)


@lru_cache(1024)
def _known(key: Key, error: str | None) -> Known:
    facts = (
        (semconv.FEATURE_FLAG_KEY, None if key.variant is None else key.series.model),
        (semconv.FEATURE_FLAG_VARIANT, key.variant),
        (semconv.OPERATION, key.operation),
        (semconv.MODEL_FRAMEWORK, key.framework),
        (semconv.ERROR_TYPE, error),
        (semconv.BATCH_SIZE, key.rows),
        (semconv.INPUT_SHAPE, key.input_shape),
        (semconv.INPUT_DTYPE, key.input_dtype),
        (semconv.INPUT_MISSING, key.missing),
        (semconv.OUTPUT_SHAPE, key.shape),
        (semconv.OUTPUT_DTYPE, key.dtype),
        (semconv.PREDICTION_CLASS, key.label),
    )
    return Known({**key.series.measured, **{name: value for name, value in facts if value is not None}})
