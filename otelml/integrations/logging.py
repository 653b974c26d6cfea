"""logging: ordinary log calls become OpenTelemetry log records with trace, request and prediction ids.

The words of a log call are the application's own and go out as they are. Its values (texts and objects among its
arguments and extras) go out scrubbed, as exceptions do, unless the application asks for them; numbers stay. What it
prints to its own handlers is the same in any case.
"""

from __future__ import annotations

import logging
import logging.config
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache, wraps
from typing import TYPE_CHECKING, Any

from opentelemetry.instrumentation.instrumentor import BaseInstrumentor  # type: ignore[attr-defined]  # untyped
from opentelemetry.instrumentation.logging.handler import LoggingHandler
from opentelemetry.instrumentation.utils import is_instrumentation_enabled

from otelml import _scrub, context, events, semconv
from otelml._guard import attempt, guard
from otelml._lazy import is_numpy
from otelml._text import encodable, plain

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

logger = logging.getLogger("otelml")

EXCLUDED = ("otelml", "opentelemetry", "uvicorn.access", "gunicorn.access", "hypercorn.access", "werkzeug")
"""Loggers that are not bridged: our own (they would feed themselves) and access logs (addresses, paths, queries)."""
SCRUBBED = ("urllib3", "requests", "httpx", "httpcore", "aiohttp", "asyncio", "concurrent.futures")
"""Libraries whose texts hold addresses called or exceptions of the application."""
_STANDARD = frozenset((*vars(logging.makeLogRecord({})), "message", "asctime", "taskName"))
"""What every log record has; all else is an extra."""
_IDS = frozenset({semconv.REQUEST_ID, semconv.PREDICTION_ID})
_NUMBERS = (bool, int, float, complex, Decimal, Fraction)
_LONG = 25
_CONFIGURING = ((logging, "basicConfig"), (logging.config, "dictConfig"), (logging.config, "fileConfig"))


class OtelmlLoggingInstrumentor(BaseInstrumentor):  # type: ignore[misc]  # untyped
    """Switches the bridge on and off.

    ``instrument()`` takes three keyword arguments.

    Args:
        logger_provider: Where records go; the global provider when None.
        level: Lowest level that is bridged, a number or a name; everything the loggers let through by default.
        values: Let arguments and extras go out as they are.
    """

    _bridge: Bridge | None = None
    _wrapped: tuple[tuple[Any, str, Any, Any], ...] = ()

    def instrumentation_dependencies(self) -> Collection[str]:
        """Return nothing: logging is always there."""
        return ()

    def _instrument(self, **kwargs: Any) -> None:
        root = logging.getLogger()
        if any(_is_bridge(handler) for handler in root.handlers):
            logger.debug("otelml: logging is bridged already, by another handler")
            return
        level = kwargs.get("level") or logging.NOTSET
        provider, values = kwargs.get("logger_provider"), bool(kwargs.get("values"))
        bridge = self._bridge = Bridge(level=level, logger_provider=provider, values=values)
        root.addHandler(bridge)
        self._wrapped = tuple(_wrap(module, name, bridge) for module, name in _CONFIGURING)

    def _uninstrument(self, **_: Any) -> None:
        for module, name, original, wrapper in self._wrapped:
            if getattr(module, name) is wrapper:
                setattr(module, name, original)
        self._wrapped = ()
        bridge, self._bridge = self._bridge, None
        if bridge is not None:
            logging.getLogger().removeHandler(bridge)


class Bridge(LoggingHandler):
    """The root handler that turns log calls into OpenTelemetry log records."""

    def __init__(self, level: int | str = logging.NOTSET, logger_provider: Any = None, *, values: bool = False) -> None:
        self._values = values
        number = logging.getLevelNamesMapping()[level.upper()] if isinstance(level, str) else level
        super().__init__(level=number, logger_provider=logger_provider)

    def emit(self, record: logging.LogRecord) -> None:
        """Bridge one record."""
        _print_as_without_us(record, self)
        if _within(record.name, EXCLUDED) or not is_instrumentation_enabled():
            return
        with guard("integrations.logging"):
            super().emit(private_copy(record, values=self._values))

    def flush(self) -> None:
        """Do nothing: the provider is flushed by whoever owns it. Upstream starts a thread here, even at exit."""


def private_copy(record: logging.LogRecord, *, values: bool = False) -> logging.LogRecord:
    """Return a copy of ``record`` with the ids of the context, its exceptions and, unless asked for, values scrubbed.

    Other handlers see the record itself, which stays as it is.
    """
    fields = {name: value for name, value in vars(record).items() if name in _STANDARD}
    if len(fields) < len(vars(record)):
        fields |= _extras({name: value for name, value in vars(record).items() if name not in _STANDARD}, values=values)
    fields |= context.ids()
    error = record.exc_info[1] if record.exc_info else None
    fields["exc_info"] = fields["exc_text"] = None
    if error is not None:
        fields |= {
            semconv.EXCEPTION_TYPE: _scrub.type_name(error),
            semconv.EXCEPTION_MESSAGE: _scrub.message(error),
            semconv.EXCEPTION_STACKTRACE: _scrub.stacktrace(error),
        }
    fields["msg"], fields["args"] = _sentence(record, values=values), None
    copy = object.__new__(logging.LogRecord)  # makeLogRecord would first fill in a record of its own, at twice the cost
    copy.__dict__ = fields
    if _within(record.name, SCRUBBED):
        copy.msg = _scrub.scrub(copy.msg)
    return copy


def _sentence(record: logging.LogRecord, *, values: bool) -> str:
    """Return the text of a log call; that without its values where they don't fit, of which Python prints an error."""
    words = record.msg if type(record.msg) is str else plain(_argument(record.msg, values=values))
    if record.args is None or (type(record.args) is tuple and not record.args):
        return encodable(words)
    made, _ = attempt(lambda: str.__str__(words % _arguments(record.args, values=values)))
    return encodable(words if made is None else made)


def _arguments(given: Any, *, values: bool) -> Any:
    if issubclass(type(given), tuple):
        return tuple(_argument(value, values=values) for value in given)
    return {name: _argument(value, values=values) for name, value in given.items()}


def _argument(value: Any, *, values: bool) -> Any:
    """Return what stands for one value in a sentence."""
    kind = type(value)
    if value is None or issubclass(kind, _NUMBERS) or is_numpy(value, "number"):
        return value
    if issubclass(kind, BaseException):
        return _scrub.message(value)
    if values:
        return value
    text = plain(value)
    return text if _is_word(text) else _scrub.scrub(text)


def _extras(given: dict[str, Any], *, values: bool) -> dict[str, Any]:
    cleaned = events.clean(given)
    return cleaned if values else {k: v if k in _IDS else _scrubbed(v) for k, v in cleaned.items()}


def _scrubbed(value: Any) -> Any:
    if isinstance(value, str):
        return value if _is_word(value) else _scrub.scrub(value)
    if isinstance(value, list):
        return [_scrubbed(each) for each in value]
    return {name: _scrubbed(each) for name, each in value.items()} if isinstance(value, dict) else value


def _is_word(text: str) -> bool:
    """Return whether scrubbing would leave a text as it is: one word of letters that is too short for a key."""
    return len(text) < _LONG and text.isalpha()


@lru_cache(maxsize=1024)
def _within(name: str, loggers: tuple[str, ...]) -> bool:
    return any(name == parent or name.startswith(f"{parent}.") for parent in loggers)


def _print_as_without_us(record: logging.LogRecord, bridge: logging.Handler) -> None:
    """Hand ``record`` to Python's handler of last resort when no handler but ours sees it.

    Without this, an application that never configured logging would lose its warnings on stderr.
    """
    last = logging.lastResort
    if last is None or record.levelno < last.level or len(logging.root.handlers) > 1:
        return
    link: logging.Logger | None = logging.getLogger(record.name)
    while link is not None:
        if any(handler is not bridge for handler in link.handlers):
            return
        link = link.parent if link.propagate else None
    last.handle(record)


def _is_bridge(handler: logging.Handler) -> bool:
    """Say whether ``handler`` is an OpenTelemetry bridge: ours, upstream's, or the SDK's deprecated one."""
    return any(
        kind.__name__ == "LoggingHandler" and kind.__module__.startswith("opentelemetry.")
        for kind in type(handler).__mro__
    )


def _wrap(module: Any, name: str, bridge: logging.Handler) -> tuple[Any, str, Any, Any]:
    """Make a function that configures logging run as if the bridge were not there.

    ``basicConfig`` does nothing when the root has a handler; ``dictConfig`` removes those it finds.
    """
    original: Callable[..., Any] = getattr(module, name)

    @wraps(original)
    def configure(*args: Any, **kwargs: Any) -> Any:
        root = logging.getLogger()
        present = bridge in root.handlers
        root.removeHandler(bridge)
        try:
            return original(*args, **kwargs)
        finally:
            if present:
                root.addHandler(bridge)

    setattr(module, name, configure)
    return module, name, original, configure
