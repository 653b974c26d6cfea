"""What spans and events say of ended predictions: their attributes, and a sentence for people.

Most predictions of one shape differ in numbers and in texts of one length: those attributes are encoded for all of
them at once.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from otelml import _sdk, encoding, semconv
from otelml._lazy import LazyModule
from otelml.encoding import Known, tagged
from otelml.result import Result
from otelml.spans import NANO
from otelml.templates import Template

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from otelml.columns import Columns
    from otelml.prediction import Prediction
    from otelml.series import Series
else:
    np = LazyModule("numpy")

NOTHING = Result()
_ID = 32
"""Letters of a prediction's id."""
_NUMBER = 8
"""Bytes of a number with a fraction."""


class Description:
    """The attributes of a prediction's span and event: everything known but what is too large for them."""

    __slots__ = ("_more", "known", "prediction", "result")

    def __init__(self, p: Prediction) -> None:
        self.prediction = p
        self.result = result = p.outcome() or NOTHING
        self.known = _known(
            *(p.series, p.variant, p.operation, p.framework, None if p.error is None else p.error.type),
            *(result.rows, result.input_shape, result.input_dtype, result.missing),
            *(result.shape, result.dtype, result.label),
        )
        self._more: dict[str, Any] | None = None

    @property
    def more(self) -> dict[str, Any]:
        """Return the attributes that differ between predictions."""
        if self._more is None:
            self._more = {name: value for name, value in self._differing() if value is not None}
        return self._more

    def _differing(self) -> tuple[tuple[str, Any], ...]:
        p, result = self.prediction, self.result
        return (
            (semconv.PREDICTION_ID, p.id),
            (semconv.REQUEST_ID, p.request_id),
            (semconv.PREDICTION_CONFIDENCE, _number(result.confidence)),
            (semconv.PREDICTION_VALUE, _number(result.values)),
            (semconv.BUSINESS_VALUE, _number(result.business_value)),
            (semconv.BUSINESS_VALUE_UNIT, result.business_unit),
            (semconv.INPUT_PAYLOAD, result.input_payload),
            (semconv.OUTPUT_PAYLOAD, result.output_payload),
        )

    def attributes(self) -> dict[str, Any]:
        """Return all attributes by name."""
        return {**self.known, **self.more}

    def pairs(self) -> list[bytes]:
        """Return the attributes that differ between predictions as OTLP.

        Raises:
            encoding.Unusual: A value is one that only the SDK can handle.
        """
        return encoding.pairs(self.more)

    def sentence(self) -> str:
        """Return one line for people, such as ``delay predicted late (0.83) in 4.2 ms``."""
        p, result = self.prediction, self.result
        if p.error is not None:
            return f"{p.series.model} failed with {p.error.type} in {_readable(p.seconds)}"
        return _predicted(p.series.model, _said(result), _number(result.confidence), p.seconds)


def _said(result: Result) -> str:
    """Return what was predicted: the class, else the number, else how many rows."""
    if result.label is not None:
        return result.label
    number = _number(result.values)
    rows = 1 if result.rows is None else result.rows
    return f"{rows} rows" if number is None else f"{number:.6g}"


def _predicted(model: str, said: str, confidence: float | None, seconds: float) -> str:
    sure = "" if confidence is None else f" ({confidence:.2f})"
    return f"{model} predicted {said}{sure} in {_readable(seconds)}"


def _readable(seconds: float) -> str:
    """Return a duration in three digits: milliseconds under a second."""
    millis = f"{seconds * 1e3:.3g}"
    return f"{seconds:,.2f} s" if "e+" in millis else f"{millis} ms"


if _sdk.native is not None:
    _predicted = _sdk.native.use_sentence(_predicted)


class Descriptions:
    """The descriptions of predictions of one shape, in their order."""

    def __init__(self, columns: Columns) -> None:
        self.each = [Description(p) for p in columns.predictions]
        self._columns = columns
        self._rows = None if columns.special else _alike(self.each)

    @property
    def known(self) -> list[Known]:
        """Return the attributes that many predictions share, of each."""
        return [one.known for one in self.each]

    def of_spans(self) -> list[bytes]:
        """Return the attributes that differ as those of each span.

        Raises:
            encoding.Unusual: A value is one that only the SDK can handle.
            UnicodeEncodeError: A text is not one.
        """
        if self._rows is None:
            return [tagged(encoding.SPAN_ATTRIBUTE, one.pairs()) for one in self.each]
        return _filled(encoding.SPAN_ATTRIBUTE, self._rows)

    def of_events(self) -> list[bytes]:
        """Return the attributes that differ as those of each event, and its duration; raises what ``of_spans`` does."""
        rows = self._rows
        if rows is None or any(one.prediction.first_item for one in self.each):
            pairs = [one.pairs() + encoding.pairs(timing(one.prediction)) for one in self.each]
            return [tagged(encoding.LOG_ATTRIBUTE, each) for each in pairs]
        return _filled(encoding.LOG_ATTRIBUTE, [*rows, _numbers(semconv.DURATION, self._columns.seconds)])

    def sentences(self) -> list[str]:
        """Return the line for people of each."""
        if self._rows is None:
            return [one.sentence() for one in self.each]
        model, results = self._columns.series.model, [one.result for one in self.each]  # whose numbers are plain ones
        seconds = self._columns.seconds.tolist()
        return [_predicted(model, _said(r), r.confidence, took) for r, took in zip(results, seconds, strict=True)]  # type: ignore[arg-type]


if TYPE_CHECKING:
    Row = tuple[bytes, NDArray[np.uint8]]
    """One attribute of all predictions: the bytes before its value, and values of shape (n, bytes)."""


def _alike(described: Sequence[Description]) -> list[Row] | None:
    """Return the attributes that differ; None where one has other ones than the first, or texts of another length."""
    predictions, results = [one.prediction for one in described], [one.result for one in described]
    for p, result in zip(predictions, results, strict=True):
        if p.given_id is not None or result.business_value is not None:
            return None
        if result.input_payload is not None or result.output_payload is not None:
            return None
    ids = b"".join([(p.number or p.numbered()).to_bytes(_ID // 2, "big") for p in predictions]).hex()
    found = [_texts(semconv.PREDICTION_ID, ids, len(predictions))]
    requests = [p.request_id or "" for p in predictions]
    lengths = set(map(len, requests))
    if lengths != {0}:
        text = "".join(requests)
        if len(lengths) > 1 or not text.isascii():
            return None
        found.append(_texts(semconv.REQUEST_ID, text, len(requests)))
    for name, numbers in (
        (semconv.PREDICTION_CONFIDENCE, [result.confidence for result in results]),
        (semconv.PREDICTION_VALUE, [result.values for result in results]),
    ):
        kinds = set(map(type, numbers))
        if kinds == {float}:
            found.append(_numbers(name, np.array(numbers)))
        elif kinds != {type(None)}:
            return None
    return found


def _texts(name: str, text: str, n: int) -> Row:
    values = np.frombuffer(text.encode(), np.uint8).reshape(n, -1)
    return encoding.text_head(name, values.shape[1]), values


def _numbers(name: str, numbers: NDArray[np.float64]) -> Row:
    return encoding.float_head(name), np.ascontiguousarray(numbers, "<f8").view(np.uint8).reshape(-1, _NUMBER)


def _filled(tag: bytes, rows: Sequence[Row]) -> list[bytes]:
    """Return attributes of n predictions, each with a tag."""
    template = _template(tuple(part for head, values in rows for part in (tag + head, values.shape[1])))
    data, size = template.fill(*[values for _, values in rows]).tobytes(), template.size
    return [data[i : i + size] for i in range(0, len(data), size)]


@lru_cache(256)
def _template(parts: tuple[bytes | int, ...]) -> Template:
    return Template(parts)


@lru_cache(1024)
def _known(  # noqa: PLR0917 - one a name, in the order of the names below
    series: Series,
    variant: str | None,
    operation: str | None,
    framework: str | None,
    error: str | None,
    rows: int | None,
    input_shape: tuple[int, ...] | None,
    input_dtype: str | None,
    missing: int | None,
    shape: tuple[int, ...] | None,
    dtype: str | None,
    label: str | None,
) -> Known:
    facts = (
        (semconv.FEATURE_FLAG_KEY, None if variant is None else series.model),
        (semconv.FEATURE_FLAG_VARIANT, variant),
        (semconv.OPERATION, operation),
        (semconv.MODEL_FRAMEWORK, framework),
        (semconv.ERROR_TYPE, error),
        (semconv.BATCH_SIZE, rows),
        (semconv.INPUT_SHAPE, input_shape),
        (semconv.INPUT_DTYPE, input_dtype),
        (semconv.INPUT_MISSING, missing),
        (semconv.OUTPUT_SHAPE, shape),
        (semconv.OUTPUT_DTYPE, dtype),
        (semconv.PREDICTION_CLASS, label),
    )
    return Known({**series.measured, **{name: value for name, value in facts if value is not None}})


def timing(p: Prediction) -> dict[str, Any]:
    """Return how long a prediction took, and its first item."""
    known: dict[str, Any] = {semconv.DURATION: p.seconds}
    if p.first_item:
        known[semconv.TIME_TO_FIRST_ITEM] = (p.first_item - p.started) * NANO
        known[semconv.ITEMS] = p.items
    return known


def _number(kept: Any) -> float | None:
    """Return the number of a one-row result; arrays of several rows are for the histograms."""
    if kept is None or isinstance(kept, float):
        return kept
    return float(kept[0]) if kept.size == 1 else None
