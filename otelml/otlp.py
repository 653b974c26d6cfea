"""The OTLP/HTTP exporter of our queues: encoded messages go as they are, everything else through the official encoder.

Requests are sent by the official exporter's own client: its retries, compression, headers, TLS and shutdown.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opentelemetry.sdk.trace.export import SpanExportResult

from otelml import _sdk
from otelml.encoding import Encoded, Home

if TYPE_CHECKING:
    from collections.abc import Callable

    from otelml.export import Exporter


class MixedExporter:
    """Exports batches of ``Encoded`` messages and of the SDK's spans or log records in one request each."""

    def __init__(self, exporter: Exporter, send: Callable[[bytes], bool], encode: Callable[[list[Any]], Any]) -> None:
        self._exporter, self._send, self._encode = exporter, send, encode

    def export(self, batch: list[Any], /) -> Any:
        """Export one batch; the result's ``name`` is ``SUCCESS`` or ``FAILURE``."""
        homes: dict[Home, list[bytes]] = {}
        others = []
        for item in batch:
            if isinstance(item, Encoded):
                homes.setdefault(item.home, []).append(item.data)
            else:
                others.append(item)
        if not homes:
            return self._exporter.export(others)
        data = [home.wrap(messages) for home, messages in homes.items()]
        if others:
            data.append(self._encode(others).SerializeToString())
        return SpanExportResult.SUCCESS if self._send(b"".join(data)) else SpanExportResult.FAILURE

    def shutdown(self) -> None:
        """Close the connection, aborting retries."""
        self._exporter.shutdown()


def mixed(make: Callable[[], Exporter], signal: str) -> Callable[[], Exporter]:
    """Return what makes the exporter of a signal (``traces``, ``logs``) that takes ``Encoded`` messages too.

    Where the official exporter is not as we know it, it is made as it is: ``takes_encoded`` tells.
    """

    def made() -> Exporter:
        exporter = make()
        send, encode = _sdk.sender(exporter), _sdk.encoder(signal)
        return exporter if send is None or encode is None else MixedExporter(exporter, send, encode)

    return made


def takes_encoded(exporter: object) -> bool:
    """Return whether ``Encoded`` messages may be put into the exporter's queue."""
    return type(exporter) is MixedExporter
