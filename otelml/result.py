"""What is known of a prediction's inputs and outputs, read from whatever the application gives."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from otelml import _labels, _sdk, semconv, values
from otelml._guard import attempt
from otelml._lazy import is_array, is_numpy
from otelml._text import plain

if TYPE_CHECKING:
    from collections.abc import Callable

    from otelml.features.taking import Taken
    from otelml.values import Labels, Numbers


class Sink(Protocol):
    """What reading needs to know: how much may be kept, and where to count what can't be read."""

    capture: str

    @property
    def drop(self) -> Callable[[str, str, int], None]:
        """Return what counts dropped telemetry: (what, where, number)."""


class ResultFields:
    """What a result holds. Attributes start as the class's own: setting each one would cost more than all the rest."""

    rows: int | None = None
    classes: Labels | None = None
    confidence: Numbers | None = None
    values: Numbers | None = None
    shape: tuple[int, ...] | None = None
    dtype: str | None = None
    input_shape: tuple[int, ...] | None = None
    input_dtype: str | None = None
    missing: int | None = None
    business_value: Numbers | None = None
    business_unit: str | None = None
    input_payload: str | None = None
    output_payload: str | None = None
    features: Taken | None = None
    _label: str | None = None


_NAMES = tuple(ResultFields.__annotations__)
if _sdk.native is not None:
    ResultFields = _sdk.native.ResultFields  # type: ignore[misc]


class Result(ResultFields):
    """What is known of a prediction's inputs and outputs. Arrays are copies of shape (rows,)."""

    __slots__ = ()

    @property
    def label(self) -> str | None:
        """Return the class of a one-row result as a bounded label."""
        if self._label is None and self.classes is not None:
            classes: Any = self.classes
            if is_numpy(classes, "ndarray"):
                if classes.size != 1:
                    return None
                classes = classes.tolist()[0]
            self._label = _labels.bounded(semconv.PREDICTION_CLASS, classes)
        return self._label

    @label.setter
    def label(self, label: str) -> None:
        self._label = label

    def fill(self, other: Result) -> None:
        """Take from ``other`` what is not known here; its features too, where nothing was taken of ours."""
        if self.features is not None and not self.features.data and other.features is not None:
            self.features = None
        for name in _NAMES:
            if getattr(self, name) is None:
                setattr(self, name, getattr(other, name))


PLAIN = frozenset((type(None), str, bool, int, float))
"""Types of values that are kept as they are."""
_NUMBER = frozenset((type(None), float))


def read(  # noqa: C901, PLR0917 - flat: one value after the other; the same seven as Prediction.result(), which takes them by name
    sink: Sink,
    predictions: Any,
    classes: Any,
    confidence: Any,
    numbers: Any,
    inputs: Any,
    business_value: Any = None,
    unit: str | None = None,
) -> Result:
    """Return what may be kept of one call of ``Prediction.result()``; what can't be read is counted as dropped."""
    result = Result()
    if (
        type(classes) in PLAIN
        and type(confidence) in _NUMBER
        and type(numbers) in _NUMBER
        and business_value is None
        and sink.capture == "stats"
    ):
        if inputs is None and type(predictions) in PLAIN:
            return _one_row(result, predictions, classes, confidence, numbers)
        if not (classes is numbers is None) and is_array(predictions) and is_array(inputs):
            return _one_answer(result, predictions, inputs, (classes, confidence, numbers))
    result.rows = _rows(predictions, classes, confidence, numbers, inputs)
    if business_value is not None:
        result.business_value = _keep(sink, "business_value", business_value, values.numbers(business_value))
        result.business_unit = None if unit is None else _labels.bounded(semconv.BUSINESS_VALUE_UNIT, unit)
    if sink.capture == "none":
        return result
    if predictions is not None:
        result.shape, result.dtype = values.shape_of(predictions), values.dtype_of(predictions)
        if classes is None and numbers is None:
            classes, numbers = _sorted(sink, predictions)
    if classes is not None:
        result.classes = _keep(sink, "class", classes, values.labels(classes))
    if confidence is not None:
        result.confidence = _keep(sink, "confidence", confidence, values.row_maximum(confidence))
    if numbers is not None:
        result.values = _keep(sink, "value", numbers, values.numbers(numbers))
    if inputs is not None:
        result.input_shape, result.input_dtype = values.shape_of(inputs), values.dtype_of(inputs)
        result.missing = values.missing_in(inputs)
    if sink.capture == "payload":
        result.input_payload = None if inputs is None else values.payload(inputs)
        result.output_payload = None if predictions is None else values.payload(predictions)
    return result


def _one_row(result: Result, predictions: Any, classes: Any, confidence: float | None, number: float | None) -> Result:
    """Keep plain values of one row as they are."""
    if predictions is not None:
        result.rows = 1
        result.dtype = type(predictions).__name__
        if classes is None and number is None:
            classes, number = (None, predictions) if type(predictions) is float else (predictions, None)
    if classes is not None:
        result.rows = 1
        result.classes = classes
    if confidence is not None:
        result.rows = 1
        result.confidence = confidence
    if number is not None:
        result.rows = 1
        result.values = number
    return result


def _one_answer(result: Result, predictions: Any, inputs: Any, known: tuple[Any, float | None, float | None]) -> Result:
    """Keep plain values of one row, and what arrays say of themselves: what most calls of libraries give."""
    classes, confidence, number = known
    shape, given = predictions.shape, inputs.shape
    result.rows = shape[0] if shape else 1
    result.shape, result.dtype = shape or None, values.dtype_name(predictions.dtype)
    result.input_shape, result.input_dtype = given or None, values.dtype_name(inputs.dtype)
    result.missing = values.missing_in(inputs)
    if classes is not None:
        result.classes = classes
    if confidence is not None:
        result.confidence = confidence
    if number is not None:
        result.values = number
    return result


def _rows(*given: Any) -> int | None:
    for value in given:
        if value is not None:
            return values.rows_of(value)
    return None


def _sorted(sink: Sink, predictions: Any) -> tuple[Any, Any]:
    sorted_, error = attempt(_classes_or_values, predictions)
    if error is not None:
        sink.drop("prediction", "unreadable", values.rows_of(predictions))
    return sorted_ or (None, None)


def _keep(sink: Sink, what: str, given: Any, kept: Any) -> Any:
    if kept is None:
        sink.drop(what, "unreadable", values.rows_of(given))
    return kept


def _classes_or_values(predictions: Any) -> tuple[Any, Any]:
    """Sort a model's output into (classes, values): floats are values, labels of any other kind are classes."""
    if issubclass(type(predictions), float):
        return None, predictions
    dtype = getattr(predictions, "dtype", None)
    # The types of torch and polars have no kind, only a name.
    kind = getattr(dtype, "kind", None)
    is_float = "float" in plain(dtype).lower() if kind is None else kind == "f"
    shape = values.shape_of(predictions) or ()
    is_table = len(shape) > 1 and shape[1:] != (1,)
    if is_float:
        return None, None if is_table else predictions
    first = predictions[0] if issubclass(type(predictions), (list, tuple)) and predictions else None
    if issubclass(type(first), float) or is_numpy(first, "floating"):
        return None, predictions
    if is_table or issubclass(type(predictions), dict) or issubclass(type(first), (list, tuple, dict)):
        return None, None
    return predictions, None
