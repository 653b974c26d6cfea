"""The OTLP exporters of our queues: encoded messages go as they are, everything else through the official encoder.

Requests are sent by the official exporter's own client: its retries, compression, headers, TLS and shutdown. What the
receiver takes a request for but rejects in part is counted as dropped, and never sent again.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, NamedTuple

from otelml import _sdk, exporters
from otelml._guard import guard, logger
from otelml.encoding import Encoded, Home, messages

if TYPE_CHECKING:
    from collections.abc import Callable

    from otelml.config import Config
    from otelml.export import Exporter, OnDrop

LARGEST = 3_670_016
"""Bytes in one request, before compression: 3.5 MiB. The collector takes 4 MiB over gRPC unless told otherwise."""
_SELF_METRICS = "OTEL_PYTHON_SDK_INTERNAL_METRICS_ENABLED"
_OFFICIAL = "opentelemetry.exporter.otlp.proto."
_WHAT = {"traces": "span", "metrics": "metric", "logs": "log"}
_MOST_TEXT = 300


class Outcome(NamedTuple):
    """The result of an export; ``lost`` is the number of items that were not delivered."""

    name: str
    lost: int = 0


class MixedExporter:
    """Exports batches of ``Encoded`` messages and of the SDK's spans or log records, in one request where they fit.

    A batch over the size that receivers take is halved until its parts fit. One item over that size is dropped.
    """

    def __init__(
        self,
        exporter: Exporter,
        sender: _sdk.Sender,
        encode: Callable[[list[Any]], Any],
        too_large: Callable[[int], None] = lambda _: None,
    ) -> None:
        self._exporter, self._sender, self._encode, self._too_large = exporter, sender, encode, too_large
        self._largest = min(LARGEST, sender.largest) if sender.largest > 0 else LARGEST

    def export(self, batch: list[Any], /) -> Outcome:
        """Export one batch; the result's ``name`` is ``SUCCESS`` or ``FAILURE``."""
        lost = self._lost(batch)
        return Outcome("FAILURE" if lost else "SUCCESS", lost)

    def _lost(self, batch: list[Any]) -> int:
        """Send a batch; return the number of messages that did not arrive, without those that are too large."""
        request = self._request(batch)
        if len(request) <= self._largest:
            return self._deliver(request, sum(map(messages, batch)))
        if len(batch) == 1:
            self._too_large(messages(batch[0]))
            return 0
        half = len(batch) // 2
        return self._lost(batch[:half]) + self._lost(batch[half:])

    def _deliver(self, request: bytes, count: int) -> int:
        """Send a request of ``count`` messages; return how many did not arrive."""
        return 0 if self._sender.send(request) else count

    def _request(self, batch: list[Any]) -> bytes:
        homes: dict[Home, list[bytes]] = {}
        others = []
        for item in batch:
            if isinstance(item, Encoded):
                homes.setdefault(item.home, []).append(item.data)
            else:
                others.append(item)
        data = [home.wrap(messages) for home, messages in homes.items()]
        if others:
            data.append(self._encode(others).SerializeToString())
        return data[0] if len(data) == 1 else b"".join(data)

    def shutdown(self) -> None:
        """Close the connection, aborting retries."""
        self._exporter.shutdown()


class Answers:
    """Counts what a receiver rejects of the requests it takes, and says once why."""

    def __init__(self, signal: str, on_drop: OnDrop) -> None:
        self._signal, self._on_drop, self._said = signal, on_drop, False

    def hear(self, body: bytes) -> None:
        """Take the body of an answer that accepts a request; an empty one accepts everything."""
        if not body:
            return
        with guard("otlp.answer"):
            rejected, message = _partial_success(body)
            self._on_drop(_WHAT[self._signal], "rejected", rejected)
            if (rejected or message) and not self._said:
                self._said = True
                logger.warning(
                    "otelml: the receiver rejects %d of a request's %s: %s",
                    rejected,
                    self._signal,
                    message or "no reason",
                )

    def too_large(self, count: int) -> None:
        """Count the messages of an item that no request can hold."""
        self._on_drop(_WHAT[self._signal], "size", count)


def _partial_success(body: bytes) -> tuple[int, str]:
    """Return the number of rejected items and the message; zero and none where the body is not an OTLP answer."""
    from google.protobuf.message import DecodeError  # noqa: PLC0415 - only with an answer
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (  # noqa: PLC0415 - the same
        ExportTraceServiceResponse,
    )

    try:
        said = ExportTraceServiceResponse.FromString(
            body
        ).partial_success  # the three signals' answers are laid out alike
    except DecodeError:
        return 0, ""
    return max(0, said.rejected_spans), said.error_message[:_MOST_TEXT]


def maker(config: Config, signal: str, name: str, on_drop: OnDrop) -> Callable[[], Exporter]:
    """Return what makes the exporter of that name for ``traces``, ``metrics`` or ``logs``."""
    if name != "otlp":
        return exporters.maker(config, signal, name)
    answers = Answers(signal, on_drop)
    return mixed(exporters.maker(config, signal, name, answers.hear), signal, answers)


def mixed(make: Callable[[], Exporter], signal: str, answers: Answers | None = None) -> Callable[[], Exporter]:
    """Return what makes an OTLP exporter that takes ``Encoded`` messages too, if it is for traces or logs.

    Where the official exporter is not as we know it, it is made as it is: ``why_not_encoded`` tells.
    """
    heard = Answers(signal, lambda *_: None) if answers is None else answers

    def made() -> Exporter:
        exporter = make()
        known = take_over(exporter, signal, heard)
        if known is None or _counts_itself():
            return exporter
        return MixedExporter(exporter, *known, heard.too_large)

    return made


def take_over(
    exporter: Exporter, signal: str, answers: Answers
) -> tuple[_sdk.Sender, Callable[[list[Any]], Any]] | None:
    """Hear what an official exporter is answered; return its sender and encoder, if it is for traces or logs.

    None where the exporter is not as we know it: it works on as it is.
    """
    _sdk.keep_random_apart()
    if not _set_stub(exporter, signal, answers) or signal == "metrics":
        return None
    sender, encode = _sdk.sender(exporter), _sdk.encoder(signal)
    return None if sender is None or encode is None else (sender, encode)


def _set_stub(exporter: Exporter, signal: str, answers: Answers) -> bool:
    """Hear what a gRPC exporter is answered; False where it does not let us."""
    if not type(exporter).__module__.startswith(f"{_OFFICIAL}grpc."):
        return True
    from otelml import otlp_grpc  # noqa: PLC0415 - only for this protocol

    return _sdk.set_stub(exporter, otlp_grpc.stub(signal, answers.hear))


def _counts_itself() -> bool:
    return os.environ.get(_SELF_METRICS, "").strip().lower() == "true"


def takes_encoded(exporter: object) -> bool:
    """Return whether ``Encoded`` messages may be put into the exporter's queue."""
    return isinstance(exporter, MixedExporter)


def why_not_encoded(exporter: object) -> tuple[str, str] | None:
    """Return why an exporter takes no ``Encoded`` messages, and what would change that; None where it does."""
    if takes_encoded(exporter):
        return None
    if not type(exporter).__module__.startswith(_OFFICIAL):
        return f"the exporter {type(exporter).__qualname__} takes the SDK's objects", "set the exporter to otlp"
    if _counts_itself():
        reason = f"with {_SELF_METRICS} the exporter counts what it encodes itself"
        return reason, f"unset {_SELF_METRICS}"
    return "the OTLP exporter is another release than otelml knows", "see the checks of the SDK"
