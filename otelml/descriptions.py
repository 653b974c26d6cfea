"""What spans and events say of ended predictions: their attributes, and a sentence for people.

Most predictions of one shape differ in numbers and in texts of one length: those attributes are encoded for all of
them at once.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from otelml import _sdk, encoding, semconv
from otelml._lazy import LazyModule, computed_once
from otelml.encoding import tagged
from otelml.facts import NOTHING, key_of
from otelml.spans import NANO
from otelml.templates import Template

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from otelml.columns import Columns
    from otelml.encoding import Known
    from otelml.facts import Facts
    from otelml.prediction import Prediction
    from otelml.templates import Column
else:
    np = LazyModule("numpy")

_NUMBER = 8
"""Bytes of a number with a fraction."""


class Description:
    """The attributes of a prediction's span and event: everything known but what is too large for them."""

    __slots__ = ("_more", "known", "prediction", "result")

    def __init__(self, p: Prediction) -> None:
        self.prediction = p
        self.result = result = p.outcome() or NOTHING
        self.known = key_of(p, result).attributes(None if p.error is None else p.error.type)
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
        said = _said(result.label, _number(result.values), result.rows)
        return _predicted(p.series.model, said, _number(result.confidence), p.seconds)


def _said(label: str | None, number: float | None, rows: int | None) -> str:
    """Return what was predicted: the class, else the number, else how many rows."""
    if label is not None:
        return label
    return f"{1 if rows is None else rows} rows" if number is None else f"{number:.6g}"


def _predicted(model: str, said: str, confidence: float | None, seconds: float) -> str:
    sure = "" if confidence is None else f" ({confidence:.2f})"
    return f"{model} predicted {said}{sure} in {_readable(seconds)}"


def _readable(seconds: float) -> str:
    """Return a duration in three digits: milliseconds under a second."""
    millis = f"{seconds * 1e3:.3g}"
    return f"{seconds:,.2f} s" if "e+" in millis else f"{millis} ms"


def _sentences(
    model: str, said: list[str], confidence: NDArray[np.float64] | None, seconds: NDArray[np.float64]
) -> list[str]:
    sure = [None] * len(said) if confidence is None else confidence.tolist()
    return [_predicted(model, *one) for one in zip(said, sure, seconds.tolist(), strict=True)]


if _sdk.native is not None:
    _sentences = _sdk.native.use_sentences(_sentences)


class Descriptions:
    """The descriptions of predictions of one shape, in their order."""

    def __init__(self, columns: Columns) -> None:
        self._columns = columns
        facts = columns.facts
        self._facts = facts if facts is not None and facts.alike else None

    @computed_once
    def each(self) -> list[Description]:
        """Return them one by one."""
        return [Description(p) for p in self._columns.predictions]

    @computed_once
    def _rows(self) -> list[Row]:
        return [] if self._facts is None else _differing(self._facts)

    def of_spans(self) -> tuple[Column, Column]:
        """Return the attributes of each span, encoded: those that many share, and those that differ.

        Raises:
            encoding.Unusual: A value is one that only the SDK can handle.
            UnicodeEncodeError: A text is not one.
        """
        if self._facts is None:
            known = [encoding.of_span(one.known) for one in self.each]
            return known, [tagged(encoding.SPAN_ATTRIBUTE, one.pairs()) for one in self.each]
        return _shared(self._facts, encoding.of_span), _filled(encoding.SPAN_ATTRIBUTE, self._rows)

    def of_events(self) -> tuple[Column, Column]:
        """Return the same of each event, and its duration; raises what ``of_spans`` does."""
        facts = self._facts
        if facts is None or facts.streams:
            pairs = [one.pairs() + encoding.pairs(timing(one.prediction)) for one in self.each]
            known = [encoding.of_log(one.known) for one in self.each]
            return known, [tagged(encoding.LOG_ATTRIBUTE, each) for each in pairs]
        rows = [*self._rows, _numbers(semconv.DURATION, self._columns.seconds)]
        return _shared(facts, encoding.of_log), _filled(encoding.LOG_ATTRIBUTE, rows)

    def sentences(self) -> list[str]:
        """Return the line for people of each."""
        facts = self._facts
        if facts is None or facts.confidence is None:
            return [one.sentence() for one in self.each]
        confidence = facts.confidence if facts.confidence.size else None
        return _sentences(self._columns.series.model, _all_said(facts), confidence, self._columns.seconds)


def _all_said(facts: Facts) -> list[str]:
    """Return what was predicted, of each."""
    if facts.values is None or not facts.values.size:
        said = [_said(key.label, None, key.rows) for key in facts.keys]
        return [said[i] for i in facts.which.tolist()]
    labels = [facts.keys[i].label for i in facts.which.tolist()]
    return [_said(label, number, None) for label, number in zip(labels, facts.values.tolist(), strict=True)]


if TYPE_CHECKING:
    Row = tuple[bytes, NDArray[np.uint8]]
    """One attribute of all predictions: the bytes before its value, and values of shape (n, bytes)."""


def _shared(facts: Facts, encode: Callable[[Known], bytes]) -> Column:
    """Return the attributes that many predictions have in common."""
    encoded = [encode(key.attributes()) for key in facts.keys]
    return encoded[0] if len(encoded) == 1 else [encoded[i] for i in facts.which.tolist()]


def _differing(facts: Facts) -> list[Row]:
    """Return the attributes that differ."""
    ids = None if facts.numbers is None else np.frombuffer(facts.numbers.tobytes().hex().encode(), np.uint8)
    texts = (
        (semconv.PREDICTION_ID, None if ids is None else ids.reshape(len(facts.which), -1)),
        (semconv.REQUEST_ID, facts.requests),
    )
    numbers = ((semconv.PREDICTION_CONFIDENCE, facts.confidence), (semconv.PREDICTION_VALUE, facts.values))
    return [
        *[_texts(name, column) for name, column in texts if column is not None and column.size],
        *[_numbers(name, column) for name, column in numbers if column is not None and column.size],
    ]


def _texts(name: str, texts: NDArray[np.uint8]) -> Row:
    return encoding.text_head(name, texts.shape[1]), texts


def _numbers(name: str, numbers: NDArray[np.float64]) -> Row:
    return encoding.float_head(name), np.ascontiguousarray(numbers, "<f8").view(np.uint8).reshape(-1, _NUMBER)


def _filled(tag: bytes, rows: Sequence[Row]) -> Column:
    """Return attributes of n predictions, each with a tag."""
    template = _template(tuple(part for head, values in rows for part in (tag + head, values.shape[1])))
    return template.fill(*[values for _, values in rows]).tobytes(), template.size


@lru_cache(256)
def _template(parts: tuple[bytes | int, ...]) -> Template:
    return Template(parts)


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
