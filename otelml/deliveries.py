"""How the exports of a queue went: the last success, the failures since, and of which kind the last one was."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from enum import Enum
from http import HTTPStatus

_said = threading.local()
_PHRASES = {status.phrase: status.value for status in HTTPStatus}


@dataclass(slots=True)
class Deliveries:
    """The exports of one queue in this process. Written by the queue's own thread, read by anyone."""

    succeeded: float | None = None
    """``time.monotonic()`` of the last success."""
    consecutive: int = 0
    """Failures since then."""
    error: str | None = None
    """Kind of the last failure; never its text, which may quote an address, a header or a payload."""

    def worked(self) -> None:
        """Note a success."""
        self.succeeded, self.consecutive = time.monotonic(), 0
        _take_kind()

    def failed(self, error: Exception | None) -> None:
        """Note a failure: what was raised, else what the exporter logged on this thread since the last export."""
        kind = _take_kind()
        self.consecutive, self.error = self.consecutive + 1, type(error).__name__ if error else kind or "failure"


def note_kind(arguments: object) -> None:
    """Keep, on this thread, the kind of failure that an exporter logs."""
    _said.kind = kind_of(arguments) or getattr(_said, "kind", None)


def _take_kind() -> str | None:
    kind: str | None = _said.__dict__.pop("kind", None)
    return kind


def kind_of(arguments: object) -> str | None:
    """Return the kind of failure that a log message's arguments tell of; None where they tell of none.

    It is the class of an exception (``ConnectionError``), a code of gRPC (``UNAVAILABLE``) or ``HTTP 401``.
    """
    known = arguments if isinstance(arguments, tuple) else ()
    error = next((type(each).__name__ for each in known if isinstance(each, BaseException)), None)
    code = next((each.name for each in known if isinstance(each, Enum)), None)
    status = next((each for each in known if type(each) is int), None)
    if status is None:  # while it is tried again, the message has the phrase alone
        status = next((_PHRASES[each] for each in known if type(each) is str and each in _PHRASES), None)
    return error or code or (None if status is None else f"HTTP {status}")
