"""An endpoint that is down: said once for all signals, with what the exporter says on a thread that exports."""

from __future__ import annotations

import logging
import time
from contextvars import ContextVar
from typing import TYPE_CHECKING

from opentelemetry.context import attach, set_value

from otelml.deliveries import note_kind

if TYPE_CHECKING:
    from collections.abc import Callable

logger = logging.getLogger("otelml")
# What an exporter has said, on the thread of its queue. No thread's local: gevent's greenlets would share one.
_reasons: ContextVar[list[str] | None] = ContextVar("otelml_exporting", default=None)


class Outage:
    """Says once that an endpoint is down, and once that it is back, for all signals together.

    The exporters' own messages (one for every batch and every retry) are withheld while our workers export; the
    last one is the reason we give.
    """

    QUIET_SECONDS = 300.0
    FATE = "what is lost is counted in otelml.dropped"
    LOGGERS = (
        "opentelemetry.exporter.otlp.common.http",
        "opentelemetry.exporter.otlp.proto.grpc.exporter",
        *(
            f"opentelemetry.exporter.otlp.proto.http.{name}"
            for name in ("trace_exporter", "metric_exporter", "_log_exporter")
        ),
    )

    def __init__(self, clock: Callable[[], float] = time.monotonic, fate: str = FATE) -> None:
        self._fate = fate
        self._down: set[str] = set()
        self._warned_at: float | None = None
        self._clock = clock
        for name in self.LOGGERS:
            logging.getLogger(name).addFilter(_withhold)

    def failed(self, what: str, reason: str) -> None:
        """Note a failed export of ``what``; warn when everything worked before."""
        news = not self._down
        self._down.add(what)
        now = self._clock()
        if news and (self._warned_at is None or now - self._warned_at >= self.QUIET_SECONDS):
            self._warned_at = now
            logger.warning(
                "otelml: cannot export telemetry (%s: %s). The application goes on; %s. "
                "Check OTEL_EXPORTER_OTLP_ENDPOINT.",
                what,
                reason,
                self._fate,
            )

    def worked(self, what: str) -> None:
        """Note a successful export of ``what``."""
        if what in self._down:
            self._down.discard(what)
            if not self._down:
                logger.info("otelml: telemetry is exported again")


def _withhold(record: logging.LogRecord) -> bool:
    """Keep an exporter's message back when one of our workers caused it, and remember it as the reason."""
    reasons = _reasons.get()
    if reasons is None:
        return True
    reasons[:] = [record.getMessage()[:300]]
    note_kind(record.args)
    return False


def exporting() -> bool:
    """Return whether this is the thread of a queue."""
    return _reasons.get() is not None


def begin_exporting() -> None:
    """Make this a thread that exports: what it does is neither traced nor logged as telemetry."""
    _reasons.set([])
    # The instrumentations' own switch, by its public name.
    attach(set_value("suppress_instrumentation", True))  # noqa: FBT003 - the API's signature


def take_reason() -> str:
    """Return, once, what the exporter last said on this thread."""
    reasons = _reasons.get()
    return reasons.pop() if reasons else "the exporter reported a failure"
