"""An empty OTLP request over gRPC, and what its answer says."""

from __future__ import annotations

from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from otelml.doctor.findings import FAULT, NOTE, OK

if TYPE_CHECKING:
    from otelml.doctor.blame import Verdict
    from otelml.doctor.clock import Window
    from otelml.settings import Signal

_SERVICES = {"traces": "trace.v1.TraceService", "metrics": "metrics.v1.MetricsService", "logs": "logs.v1.LogsService"}
_NOT_THERE = frozenset({"UNAVAILABLE", "DEADLINE_EXCEEDED", "INTERNAL", "UNKNOWN", "CANCELLED"})
_AUTHORITY = "set OTEL_EXPORTER_OTLP_HEADERS, such as authorization=Bearer%20..., to credentials that may write"
_NO_SERVICE: Verdict = (FAULT, "speaks gRPC, but takes no {signal}", "look at the host and port of OTLP over gRPC")
_VERDICTS: dict[str, Verdict] = {
    "UNAUTHENTICATED": (FAULT, "wants to know who we are", _AUTHORITY),
    "PERMISSION_DENIED": (FAULT, "does not let these credentials write", _AUTHORITY),
    "UNIMPLEMENTED": _NO_SERVICE,
    "NOT_FOUND": _NO_SERVICE,
    "RESOURCE_EXHAUSTED": (NOTE, "takes nothing just now", "look at the receiver's load"),
    "INVALID_ARGUMENT": (NOTE, "is there, and refuses an empty request", "send something and look for it there"),
}
_OTHER: Verdict = (FAULT, "refuses OTLP over gRPC", "look at the endpoint, and at the receiver's log")


class UnansweredError(Exception):
    """No answer came from a gRPC server; the text is the name of gRPC's status."""


class Answer(NamedTuple):
    """The name of gRPC's status, and the seconds that it took; gRPC's answers carry no date."""

    status: str
    took: float
    window: Window | None = None


def send(signal: str, options: Signal, seconds: float) -> Answer:
    """Send one request, as the official exporter does.

    Raises:
        UnansweredError: No gRPC server answered.
        OSError: A file of a certificate is no such.
    """
    import grpc  # noqa: PLC0415 - only for this protocol

    place, tick = urlsplit(options.endpoint).netloc, monotonic()
    with _channel(place, options) as channel:
        call = channel.unary_unary(f"/opentelemetry.proto.collector.{_SERVICES[signal]}/Export")
        headers = tuple((name.lower(), value) for name, value in options.headers.items())
        try:
            call(b"", timeout=seconds, metadata=headers)
        except grpc.RpcError as error:
            status = str(error.code().name)
        else:
            status = "OK"
    if status in _NOT_THERE:
        raise UnansweredError(status)
    return Answer(status, monotonic() - tick)


def _channel(place: str, options: Signal) -> Any:
    import grpc  # noqa: PLC0415 - only for this protocol

    if not secure(options):
        return grpc.insecure_channel(place)
    files = (options.certificate, options.client_key, options.client_certificate)
    contents = (Path(path).read_bytes() if path else None for path in files)
    return grpc.secure_channel(place, grpc.ssl_channel_credentials(*contents))


def secure(options: Signal) -> bool:
    """Say whether the official exporter uses TLS."""
    return options.endpoint.startswith("https:") or options.insecure is False


def judged(signal: str, options: Signal, answer: Answer) -> Verdict:  # noqa: ARG001 - as over HTTP
    """Say what an answer means: state, detail and fix."""
    if answer.status == "OK":
        return OK, f"takes {signal}, in {answer.took * 1e3:.0f} ms", ""
    state, detail, fix = _VERDICTS.get(answer.status, _OTHER)
    return state, f"{detail.format(signal=signal)} ({answer.status})", fix
