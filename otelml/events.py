"""Events: OpenTelemetry log records with an ``event_name``, a timestamp and a severity, correlated with the trace."""

from __future__ import annotations

from itertools import islice
from time import time_ns
from typing import TYPE_CHECKING, Any

from opentelemetry._logs import Logger, LogRecord, SeverityNumber

from otelml import _sdk, context, encoding, semconv, templates
from otelml._guard import attempt
from otelml._lazy import is_numpy
from otelml._text import encodable, kind_name, plain
from otelml.descriptions import timing
from otelml.encoding import Encoded, Home
from otelml.outage import exporting
from otelml.processors import LogQueueProcessor

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opentelemetry.context.context import Context

    from otelml.columns import Columns
    from otelml.descriptions import Description, Descriptions
    from otelml.export import BatchQueue
    from otelml.prediction import Prediction

MAX_TEXT = 4096
MAX_ATTRIBUTES = 64
MAX_ITEMS = 128
MAX_DEPTH = 3
"""Levels of lists and mappings inside one attribute; what is deeper is named by its class."""
MAX_KEY = 256
MAX_VALUES = 4096
"""Values of one event, those inside lists and mappings included."""
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

    def predictions(self, columns: Columns, described: Descriptions) -> None:
        """Emit the one event of each ended prediction, in ns since the epoch at its end."""
        if not self._put_all(columns, described):
            for p, description in zip(columns.predictions, described.each, strict=True):
                self._one(p, description)

    def _put_all(self, columns: Columns, described: Descriptions) -> bool:
        """Queue the events encoded together; False where some have to go one by one."""
        queue = self._queue_now()
        if queue is None or columns.special:
            return False
        try:
            messages = templates.events(columns, described.of_events(), described.sentences())
        except (encoding.Unusual, UnicodeEncodeError):
            return False
        put_all(queue, messages, self._home_now())
        return True

    def _one(self, p: Prediction, description: Description) -> None:
        known: dict[str, Any] = timing(p)
        severity, at = "info", p.ended + p.offset
        if p.error is not None:
            severity = "error"
            known[semconv.EXCEPTION_TYPE] = p.error.type
            known[semconv.EXCEPTION_MESSAGE] = p.error.message
        body = description.sentence()
        if not self._put(p, severity, body, (description, known), at):
            attributes = {**description.attributes(), **known}
            where = _sdk.only_span(p.span)
            self.emit(semconv.EVENT_PREDICTION.name, severity, body, attributes, at=at, where=where)

    def _put(
        self, p: Prediction, severity: str, body: str, attributes: tuple[Description, Mapping[str, Any]], at: int
    ) -> bool:
        """Queue the event encoded; False where it has to go the SDK's way."""
        queue, number = self._queue_now(), SEVERITIES[severity]
        if queue is None:
            return False
        description, more = attributes
        try:
            pairs = (description.known, description.pairs() + encoding.pairs(more))
            origin = p.span.get_span_context()
            name = semconv.EVENT_PREDICTION.name
            data = encoding.log(name, (number.value, number.name), body, pairs, origin, times=(at, time_ns()))
        except (encoding.Unusual, UnicodeEncodeError):
            return False
        queue.put(Encoded(data, self._home_now()))
        return True

    def _queue_now(self) -> BatchQueue[Any] | None:
        processors = _sdk.log_processors_of(self._logger)
        if processors is not self._seen:
            self._seen = processors
            self._queue = self._own_queue(processors)
        return None if exporting() else self._queue

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


def put_all(queue: BatchQueue[Any], messages: list[bytes], home: Home) -> None:
    """Queue encoded messages, as many together as the queue takes at once."""
    step = min(queue.batch, encoding.MAX_TOGETHER)
    for i in range(0, len(messages), step):
        some = messages[i : i + step]
        queue.put(Encoded(b"".join(some), home, len(some)))


def clean(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Return attributes of an application's event as OpenTelemetry takes them: plain, bounded, copied."""
    cleaned: dict[str, Any] = _Cleaner().mapping(attributes, MAX_DEPTH)
    return cleaned


def with_ids(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Return cleaned attributes and the request and prediction ids of the current context."""
    return {**context.ids(), **clean(attributes)}


def text(value: object) -> str:
    """Return text of at most 4,096 characters that every exporter can encode; of an object that is no text, its own."""
    whole = value if type(value) is str else plain(value)
    short = whole if len(whole) <= MAX_TEXT else whole[: MAX_TEXT - 1] + "…"
    return short if short.isascii() else encodable(short)


class _Cleaner:
    """Copies the attributes of one event, at most ``MAX_VALUES`` values of all levels together.

    Lists of lists of lists could hold millions, and the application waits.
    """

    def __init__(self) -> None:
        self._left = MAX_VALUES

    def mapping(self, attributes: Mapping[Any, Any], depth: int) -> dict[str, Any]:
        """Return a mapping's items by text; what can't be read is named by its class."""
        first = islice(attributes.items(), MAX_ATTRIBUTES)
        return {text(key)[:MAX_KEY]: self.value(value, depth) for key, value in first if self._left > 0}

    def value(self, value: Any, depth: int) -> Any:
        """Return one value; what raises when it is looked at is named by its class."""
        self._left -= 1
        kind = type(value)
        if value is None or kind is bool or kind is float or (kind is int and -_INT64 <= value < _INT64):
            return value
        if kind is str:
            return text(value)
        found, error = attempt(self._foreign, value, depth)
        return kind_name(value) if error is not None else found

    def _foreign(self, value: Any, depth: int) -> Any:
        if is_numpy(value, "generic"):
            item = value.item()
            return plain(value) if is_numpy(item, "generic") else self.value(item, depth)
        kind = type(value)
        if issubclass(kind, (str, bytes, bytearray)):
            return text(value if issubclass(kind, str) else bytes(value[:MAX_TEXT]))
        if issubclass(kind, int):
            return _whole(int.__pos__(value))
        if issubclass(kind, float):
            return float.__pos__(value)
        return kind_name(value) if depth == 0 else self._items(value, depth - 1)

    def _items(self, value: Any, depth: int) -> Any:
        if is_numpy(value, "ndarray"):
            value = value.ravel()[:MAX_ITEMS].tolist()
        if issubclass(type(value), (list, tuple, set, frozenset)):
            return [self.value(x, depth) for x in islice(value, MAX_ITEMS) if self._left > 0]
        return self.mapping(value, depth) if issubclass(type(value), dict) else kind_name(value)


def _whole(number: int) -> int | str:
    """Return a whole number as it is, as text where OTLP's do not reach."""
    if -_INT64 <= number < _INT64:
        return number
    return str(number) if number.bit_length() < MAX_KEY else "int"
