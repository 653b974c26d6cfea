"""Logs for people and files: a logger that knows the current request, and a JSON file of every log record.

``JsonFileExporter`` is an OpenTelemetry log record exporter: it writes what goes through the logger provider, the
application's own log calls (through the bridge) and otelml's events alike, one JSON object a line.
"""

from __future__ import annotations

import json
import logging
import math
import os
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from logging.handlers import RotatingFileHandler, TimedRotatingFileHandler
from typing import TYPE_CHECKING, Any

from opentelemetry.sdk._logs.export import LogRecordExporter, LogRecordExportResult

from otelml import _scrub, context, semconv
from otelml._guard import failed, guard
from otelml.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator, MutableMapping, Sequence
    from io import TextIOWrapper

    from opentelemetry.sdk._logs import ReadableLogRecord

MAX_TEXT = 65_536
"""Characters kept of one text; the end of a longer one is cut."""
MAX_DEPTH = 6
ROTATIONS = ("S", "M", "H", "D", "midnight", "W0", "W1", "W2", "W3", "W4", "W5", "W6")
_SEVERITIES = ("TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL")
_EXCEPTION = (
    (semconv.EXCEPTION_TYPE, "type", str),
    (semconv.EXCEPTION_MESSAGE, "message", _scrub.scrub),
    (semconv.EXCEPTION_STACKTRACE, "stacktrace", _scrub.clean_stacktrace),
)


class JsonFileExporter(LogRecordExporter):
    """Writes batches of log records to a file, one JSON object a line; a queue's thread calls it.

    The file is private to its user (mode 0600). Processes that share a file must not rotate it: write ``{pid}`` in the
    path.

    Args:
        path: File to append to; ``{pid}`` stands for the process id.
        max_bytes: Rotate when the file would grow over this size, in bytes; None or 0: never.
        when: Rotate at this time instead (UTC): ``S``, ``M``, ``H``, ``D``, ``midnight`` or ``W0`` to ``W6``.
        backups: Rotated files to keep; with 0 the file never rotates by size, and by time no old file is removed.

    Raises:
        ConfigError: The file can't be written, or the rotation makes no sense.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        max_bytes: int | None = None,
        when: str | None = None,
        backups: int = 5,
    ) -> None:
        faults = rotation_faults(max_bytes, when, backups)
        if faults:
            raise ConfigError(faults)
        self._path, self._rotation = os.fspath(path), (max_bytes, when, backups)
        self._pid = os.getpid()
        self._file = self._open()

    def export(self, batch: Sequence[ReadableLogRecord]) -> LogRecordExportResult:
        """Write one batch; a fault is counted, never raised."""
        with guard("logs.export"):
            if self._pid != os.getpid() and "{pid}" in self._path:
                self._file, self._pid = self._open(), os.getpid()
            for data in batch:
                self._file.handle(_plain_record(json_line(data)))
            return LogRecordExportResult.SUCCESS
        return LogRecordExportResult.FAILURE

    def force_flush(self, timeout_millis: int = 30_000) -> bool:  # noqa: ARG002 - every line is flushed when written
        """Do nothing: each line is flushed when it is written."""
        return True

    def shutdown(self) -> None:
        """Close the file."""
        with guard("logs.shutdown"):
            self._file.close()

    def _open(self) -> logging.Handler:
        max_bytes, when, backups = self._rotation
        path = self._path.replace("{pid}", str(os.getpid()))
        try:
            if when is not None:
                return _TimedFile(path, when=when, backupCount=backups, utc=True, **_TEXT)
            return _SizedFile(path, maxBytes=max_bytes or 0, backupCount=backups, **_TEXT)
        except OSError as error:
            fix = "name a file in a directory that exists and that this process may write"
            raise ConfigError([f"log file {path!r} can't be written: {error.strerror}; {fix}"]) from error


_TEXT: dict[str, Any] = {"encoding": "utf-8", "errors": "backslashreplace"}


class _PrivateFile(logging.FileHandler):
    """What both rotations share: mode 0600, and faults counted instead of printed."""

    def _open(self) -> TextIOWrapper:
        return open(self.baseFilename, "a", encoding=self.encoding, errors=self.errors, opener=_private)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: ARG002, N802 - the standard library's name
        error = sys.exception()
        if error is not None:
            failed("logs.write", error)


class _SizedFile(_PrivateFile, RotatingFileHandler):
    """Rotates by size."""


class _TimedFile(_PrivateFile, TimedRotatingFileHandler):
    """Rotates by time."""


def rotation_faults(max_bytes: int | None, when: str | None, backups: int) -> list[str]:
    """Return what is wrong with a rotation, one sentence a fault, each with the fix."""
    faults = []
    if max_bytes is not None and max_bytes < 0:
        faults.append(f"log file max_bytes is {max_bytes}: give a size in bytes, or 0 for no rotation")
    if when is not None and when not in ROTATIONS:
        faults.append(f"log file when is {when!r}: give one of {', '.join(ROTATIONS)}")
    if backups < 0:
        faults.append(f"log file backups is {backups}: give the number of rotated files to keep, at least 0")
    return faults


def json_line(data: ReadableLogRecord) -> str:
    """Return one log record as a line of JSON, without its line end."""
    return json.dumps(_fields(data), ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def _fields(data: ReadableLogRecord) -> dict[str, Any]:
    record, scope = data.log_record, data.instrumentation_scope
    attributes = dict(record.attributes or {})
    fields = {
        "timestamp": _iso(record.timestamp or record.observed_timestamp or 0),
        "severity": record.severity_text or _severity(record.severity_number),
        "logger": scope.name if scope else None,
        "event_name": record.event_name,
        "message": _plain(record.body),
        "service.name": data.resource.attributes.get("service.name"),
        "trace_id": f"{record.trace_id:032x}" if record.trace_id else None,
        "span_id": f"{record.span_id:016x}" if record.span_id else None,
        "request_id": attributes.pop(semconv.REQUEST_ID, None),
        "prediction_id": attributes.pop(semconv.PREDICTION_ID, None),
        "exception": dict(_exception(attributes)) or None,
        "attributes": _plain(attributes) or None,
    }
    return {name: value for name, value in fields.items() if value is not None}


def _exception(attributes: MutableMapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Take the exception out of ``attributes``, scrubbed: not every record comes through our bridge."""
    for attribute, name, clean in _EXCEPTION:
        value = attributes.pop(attribute, None)
        if value is not None:
            yield name, clean(str(value))


def _iso(nanoseconds: int) -> str:
    moment = datetime.fromtimestamp(nanoseconds // 1_000_000_000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{nanoseconds // 1_000_000 % 1000:03d}Z"


def _severity(number: Any) -> str | None:
    value = number.value if number is not None else 0
    return _SEVERITIES[(value - 1) // 4] if value else None


def _plain(value: Any, depth: int = 0) -> Any:
    """Return ``value`` as JSON can hold it: no NaN, no bytes, bounded depth and text."""
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, str):
        return value if len(value) <= MAX_TEXT else value[:MAX_TEXT] + _scrub.MARK
    if depth < MAX_DEPTH and isinstance(value, Mapping):
        return {str(key): _plain(item, depth + 1) for key, item in value.items()}
    if depth < MAX_DEPTH and isinstance(value, list | tuple):
        return [_plain(item, depth + 1) for item in value]
    return f"{len(value)} bytes" if isinstance(value, bytes) else str(value)[:MAX_TEXT]


def _plain_record(line: str) -> logging.LogRecord:
    return logging.LogRecord("otelml", logging.INFO, "", 0, line, None, None)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


class ContextLogger(logging.LoggerAdapter[logging.Logger]):
    """A logger whose records carry ``ml.request.id`` and ``ml.prediction.id`` while there are any.

    A console format can show them: ``%(ml.request.id)s``, with ``defaults={"ml.request.id": "-"}``.
    """

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        """Add the ids to ``extra``; the caller's own keys stay."""
        with guard("logs.logger"):
            kwargs["extra"] = context.ids() | dict(kwargs.get("extra") or {})
        return msg, kwargs


def logger(name: str | None = None) -> ContextLogger:
    """Return the logger ``name`` (the caller's module when None) that adds request and prediction id.

    It is an ordinary ``logging`` logger otherwise, and works before ``auto_instrument()``.
    """
    return ContextLogger(logging.getLogger(name or _calling_module()), {})


def _calling_module() -> str:
    frame = sys._getframe(1)
    while frame.f_back is not None and _own(frame.f_globals.get("__name__", "")):
        frame = frame.f_back
    return str(frame.f_globals.get("__name__", "root"))


def _own(module: str) -> bool:
    return module == "otelml" or module.startswith("otelml.")
