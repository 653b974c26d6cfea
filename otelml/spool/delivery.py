"""Sends one request with the official exporter's own client, and says what became of it.

What is refused for what it holds will be refused again: it is dropped. Everything else is the endpoint's fault and may
pass: an outage, a wrong password, a proxy in between that knows no such path.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import TYPE_CHECKING, Any

from otelml import _sdk, exporters
from otelml.otlp import Answers
from otelml.outage import take_reason

if TYPE_CHECKING:
    from otelml.config import Config
    from otelml.export import OnDrop

REFUSED = frozenset({400, 413, 415, 422, "INVALID_ARGUMENT"})
"""Answers that say that the request itself is wrong."""
PASSING = frozenset(
    {
        *(None, 408, 429, 502, 503, 504),
        *("CANCELLED", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED", "ABORTED", "OUT_OF_RANGE", "UNAVAILABLE"),
        "DATA_LOSS",
    }
)
"""No answer, and those that the specification of OTLP tells to come again for."""


class Fate(Enum):
    """What became of a request."""

    SENT = auto()
    REFUSED = auto()
    """For good."""
    LATER = auto()
    """Nothing gets through for now."""
    ASIDE = auto()
    """This one was answered with a fault of the endpoint's: others may get through."""


class UnknownExporterError(Exception):
    """The official exporter is another release than otelml knows."""


class Delivery:
    """The official exporter of one signal, given encoded requests.

    Raises:
        UnknownExporterError: It does not take them.
    """

    def __init__(self, config: Config, signal: str, on_drop: OnDrop) -> None:
        self.answers = Answers(signal, on_drop)
        self._code: str | int | None = None
        self.exporter: Any = exporters.maker(config, signal, "otlp", self.answers.hear)()
        if config.signal(signal).protocol == "grpc":
            from otelml import otlp_grpc  # noqa: PLC0415 - only for this protocol

            known = _sdk.set_stub(self.exporter, otlp_grpc.stub(signal, self.answers.hear, self._note))
        else:
            known = True
        sender = _sdk.sender(self.exporter) if known else None
        if sender is None:
            raise UnknownExporterError(type(self.exporter).__qualname__)
        self.sender = sender

    def _note(self, code: str) -> None:
        self._code = code

    def send(self, request: bytes) -> tuple[Fate, str]:
        """Send a request; return what became of it, and the reason where it did not arrive."""
        take_reason()
        self._code = None
        if self.sender.attempt is None:
            sent = self.sender.send(request)
        else:
            sent, self._code = self.sender.attempt(request)
        return (Fate.SENT, "") if sent else (self._fate(), take_reason())

    def _fate(self) -> Fate:
        if self._code in REFUSED:
            return Fate.REFUSED
        return Fate.LATER if self._code in PASSING else Fate.ASIDE

    def shutdown(self) -> None:
        """Close the connection, aborting retries."""
        self.exporter.shutdown()
