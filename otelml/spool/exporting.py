"""The exporters of queues that have a spool: each request is on the disk before it is sent."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from otelml import _sdk, otlp
from otelml._guard import logger
from otelml.otlp import MixedExporter, Outcome
from otelml.outage import Outage
from otelml.spool.delivery import Delivery, UnknownExporterError
from otelml.spool.sending import Sending
from otelml.spool.storing import Spool

if TYPE_CHECKING:
    from collections.abc import Callable

    from otelml.config import Config
    from otelml.export import Exporter, OnDrop

_FATE = "it waits in OTELML_SPOOL_DIR, as far as there is room"


class SpooledExporter(MixedExporter):
    """Exports spans or log records: done when a batch is on the disk. ``settle`` tells when it has arrived."""

    def __init__(self, sending: Sending, delivery: Delivery, encode: Callable[[list[Any]], Any]) -> None:
        super().__init__(sending, delivery.sender, encode, delivery.answers.too_large)  # type: ignore[arg-type] # only its shutdown
        self._sending = sending
        self.settle = sending.settle

    def _deliver(self, request: bytes, count: int) -> int:
        return 0 if self._sending.put(request, count) else count


class SpooledMetricExporter:
    """Exports metrics the same way; all of a collection is one request."""

    def __init__(self, sending: Sending) -> None:
        from opentelemetry.exporter.otlp.proto.common.metrics_encoder import (  # noqa: PLC0415 - only with this exporter
            encode_metrics,
        )

        self._sending, self._encode = sending, encode_metrics
        self.settle, self.shutdown = sending.settle, sending.shutdown

    def export(self, data: Any, /) -> Outcome:
        """Export a collection; the result's ``name`` is ``SUCCESS`` or ``FAILURE``."""
        request = self._encode(data)
        count = points(request)
        if not count or self._sending.put(request.SerializeToString(), count):
            return Outcome("SUCCESS")
        return Outcome("FAILURE", count)


def points(request: Any) -> int:
    """Return the number of data points in a request."""
    return sum(
        len(getattr(metric, kind).data_points)
        for resource in request.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
        if (kind := metric.WhichOneof("data"))
    )


class Spooled:
    """Makes the exporters of the three signals, which share one spool."""

    def __init__(self, config: Config, on_drop: OnDrop) -> None:
        self._config, self._on_drop = config, on_drop
        self.spool = Spool(Path(config.spool_dir or "."), config.spool_max_bytes, config.spool_max_age, on_drop)
        self._outage = Outage(fate=_FATE)

    def maker(self, signal: str) -> Callable[[], Exporter]:
        """Return what makes the exporter of ``traces``, ``metrics`` or ``logs``."""

        def made() -> Exporter:
            try:
                delivery = Delivery(self._config, signal, self._on_drop)
            except UnknownExporterError:
                return self._without(signal)
            encode = None if signal == "metrics" else _sdk.encoder(signal)
            if signal != "metrics" and encode is None:
                return self._without(signal)
            sending = Sending(signal, self.spool, delivery, self._on_drop, self._outage)
            return SpooledMetricExporter(sending) if encode is None else SpooledExporter(sending, delivery, encode)

        return made

    def _without(self, signal: str) -> Exporter:
        logger.warning(
            "otelml: %s are not kept in OTELML_SPOOL_DIR: the OTLP exporter is another release than otelml knows",
            signal,
        )
        return otlp.maker(self._config, signal, "otlp", self._on_drop)()
