"""Events: OpenTelemetry log records with an ``event_name``, a timestamp and a severity, correlated with the trace."""

from __future__ import annotations

from itertools import islice
from time import time_ns
from typing import TYPE_CHECKING, Any

from opentelemetry._logs import Logger, LogRecord, SeverityNumber

from otelml import _labels, _sdk, context, encoding, semconv
from otelml._lazy import is_numpy
from otelml.encoding import Encoded, Home, Known
from otelml.export import BatchQueue, LogQueueProcessor, exporting
from otelml.prediction import NANO

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opentelemetry.context.context import Context

    from otelml.prediction import Prediction
    from otelml.result import Result

MAX_TEXT = 4096
MAX_ATTRIBUTES = 64
MAX_ITEMS = 128
MAX_DEPTH = 3
"""Levels of lists and mappings inside one attribute; what is deeper is named by its class."""
MAX_KEY = 256
_INT64 = 2**63
SEVERITIES = {
    "trace": SeverityNumber.TRACE,
    "debug": SeverityNumber.DEBUG,
    "info": SeverityNumber.INFO,
    "warning": SeverityNumber.WARN,
    "warn": SeverityNumber.WARN,
    "error": SeverityNumber.ERROR,
    "critical": SeverityNumber.FATAL,
    "fatal": SeverityNumber.FATAL,
}
_PLAIN = (str, bool, int, float)


class Events:
    """Emits events on one OpenTelemetry logger."""

    def __init__(self, logger: Logger) -> None:
        self._logger = logger
        self._seen: tuple[Any, ...] = ()
        self._queue: BatchQueue[Any] | None = None
        self._home: Home | None = None

    def emit(
        self,
        name: str,
        severity: str = "info",
        body: str | None = None,
        attributes: Mapping[str, Any] | None = None,
        *,
        at: int | None = None,
        where: Context | None = None,
    ) -> None:
        """Emit one event, now and here or ``at`` a time (ns since the epoch) and in the context ``where``."""
        number = SEVERITIES.get(severity, SeverityNumber.INFO)
        now = time_ns()
        self._logger.emit(
            LogRecord(
                timestamp=now if at is None else at,
                observed_timestamp=now,
                context=_sdk.get_current() if where is None else where,
                severity_number=number,
                severity_text=number.name,
                body=body if body is not None else name,
                attributes=dict(attributes or {}),
                event_name=name,
            )
        )

    def prediction(self, p: Prediction, attributes: Mapping[str, Any], *, at: int) -> None:
        """Emit the one event of an ended prediction; ``at`` is its end in ns since the epoch."""
        known: dict[str, Any] = {semconv.DURATION: p.seconds}
        if p.first_item:
            known[semconv.TIME_TO_FIRST_ITEM] = (p.first_item - p.start) * NANO
            known[semconv.ITEMS] = p.items
        severity = "info"
        if p.error is not None:
            severity = "error"
            known[semconv.EXCEPTION_TYPE] = p.error.type
            known[semconv.EXCEPTION_MESSAGE] = p.error.message
        body = sentence(p, attributes)
        if not self._put(p, severity, body, (attributes, known), at):
            where = _sdk.only_span(p.span)
            self.emit(semconv.EVENT_PREDICTION.name, severity, body, {**attributes, **known}, at=at, where=where)

    def _put(
        self, p: Prediction, severity: str, body: str, attributes: tuple[Mapping[str, Any], Mapping[str, Any]], at: int
    ) -> bool:
        """Queue the event encoded; False where it has to go the SDK's way."""
        processors = _sdk.log_processors_of(self._logger)
        if processors is not self._seen:
            self._seen = processors
            self._queue = self._own_queue(processors)
        if self._queue is None or exporting():
            return False
        number, home = SEVERITIES[severity], self._home_now()
        try:
            pairs = [pair for part in attributes for pair in encoding.pairs(part)]
            origin = p.span.get_span_context()
            name = semconv.EVENT_PREDICTION.name
            data = encoding.log(name, (number.value, number.name), body, pairs, origin, times=(at, time_ns()))
        except (encoding.Unusual, UnicodeEncodeError):
            return False
        self._queue.put(Encoded(data, home))
        return True

    def _own_queue(self, processors: tuple[Any, ...]) -> BatchQueue[Any] | None:
        """Return our queue where nobody else sees the records and it takes them encoded."""
        if len(processors) != 1:
            return None
        (only,) = processors
        ours = type(only) is LogQueueProcessor and only.takes_encoded
        return only.queue if ours and _sdk.plain_limits(_sdk.log_limits_of(self._logger), "log_record") else None

    def _home_now(self) -> Home:
        resource, scope = _sdk.log_home(self._logger)
        if self._home is None or self._home.resource is not resource:  # it is another one in a forked child
            self._home = Home(resource, scope)
        return self._home


def describe(p: Prediction) -> dict[str, Any]:
    """Return the attributes of a prediction's span and event: everything known but what is too large for them."""
    known = Known(p.series.attributes)
    facts: tuple[tuple[str, Any], ...] = (
        (semconv.OPERATION, p.operation),
        (semconv.MODEL_FRAMEWORK, p.framework),
        (semconv.PREDICTION_ID, p.id),
        (semconv.REQUEST_ID, p.request_id),
        (semconv.ERROR_TYPE, None if p.error is None else p.error.type),
    )
    result = p.outcome()
    for name, value in facts if result is None else (*facts, *_facts(result)):
        if value is not None:
            known[name] = value
    return known


def _facts(result: Result) -> tuple[tuple[str, Any], ...]:
    return (
        (semconv.BATCH_SIZE, result.rows),
        (semconv.INPUT_SHAPE, result.input_shape),
        (semconv.INPUT_DTYPE, result.input_dtype),
        (semconv.INPUT_MISSING, result.missing),
        (semconv.OUTPUT_SHAPE, result.shape),
        (semconv.OUTPUT_DTYPE, result.dtype),
        (semconv.PREDICTION_CLASS, _label(result.classes)),
        (semconv.PREDICTION_CONFIDENCE, _number(result.confidence)),
        (semconv.PREDICTION_VALUE, _number(result.values)),
        (semconv.BUSINESS_VALUE, _number(result.business_value)),
        (semconv.BUSINESS_VALUE_UNIT, result.business_unit),
        (semconv.INPUT_PAYLOAD, result.input_payload),
        (semconv.OUTPUT_PAYLOAD, result.output_payload),
    )


def sentence(p: Prediction, attributes: Mapping[str, Any]) -> str:
    """Return one line for people, such as ``delay predicted late (0.83) in 4.2 ms``."""
    took = f"in {p.seconds * 1e3:.3g} ms"
    if p.error is not None:
        return f"{p.series.model} failed with {p.error.type} {took}"
    rows = attributes.get(semconv.BATCH_SIZE, 1)
    said = attributes.get(semconv.PREDICTION_CLASS, attributes.get(semconv.PREDICTION_VALUE))
    if isinstance(said, float):
        said = f"{said:.6g}"
    what = f"predicted {rows} rows" if said is None else f"predicted {said}"
    confidence = attributes.get(semconv.PREDICTION_CONFIDENCE)
    sure = "" if confidence is None else f" ({confidence:.2f})"
    return f"{p.series.model} {what}{sure} {took}"


def clean(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Return attributes of an application's event as OpenTelemetry takes them: plain, bounded, copied."""
    return _clean_mapping(attributes, MAX_DEPTH)


def with_ids(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Return cleaned attributes and the request and prediction ids of the current context."""
    return {**context.ids(), **clean(attributes)}


def text(value: str) -> str:
    """Return text of at most 4,096 characters that every exporter can encode."""
    short = value if len(value) <= MAX_TEXT else value[: MAX_TEXT - 1] + "…"
    return short if short.isascii() else short.encode("utf-8", "replace").decode()


def _clean_mapping(attributes: Mapping[Any, Any], depth: int) -> dict[str, Any]:
    first = islice(attributes.items(), MAX_ATTRIBUTES)
    return {text(str(key)[:MAX_KEY]): _clean_value(value, depth) for key, value in first}


def _clean_value(value: Any, depth: int) -> Any:
    if is_numpy(value, "generic"):
        value = value.item()
    if isinstance(value, (bytes, bytearray)):
        value = value[:MAX_TEXT].decode("utf-8", "replace")
    if isinstance(value, str):
        return text(value)
    if isinstance(value, int) and not -_INT64 <= value < _INT64:
        return str(value) if value.bit_length() < MAX_KEY else "int"
    if value is None or isinstance(value, _PLAIN):
        return value
    return type(value).__qualname__ if depth == 0 else _clean_items(value, depth - 1)


def _clean_items(value: Any, depth: int) -> Any:
    if is_numpy(value, "ndarray"):
        value = value.ravel()[:MAX_ITEMS].tolist()
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_clean_value(x, depth) for x in islice(value, MAX_ITEMS)]
    if isinstance(value, dict):
        return _clean_mapping(value, depth)
    return type(value).__qualname__


def _number(kept: Any) -> float | None:
    """Return the number of a one-row result; arrays of several rows are for the histograms."""
    if kept is None or isinstance(kept, float):
        return kept
    return float(kept[0]) if kept.size == 1 else None


def _label(kept: Any) -> str | None:
    if is_numpy(kept, "ndarray"):
        kept = kept.tolist()[0] if kept.size == 1 else None
    return None if kept is None else _labels.bounded(semconv.PREDICTION_CLASS, kept)
