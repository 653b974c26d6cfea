"""Why a request got no answer: name, address, TLS or protocol, each with its fix."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from requests.utils import get_environ_proxies

from otelml._guard import attempt
from otelml.doctor import peer
from otelml.doctor.findings import FAULT

if TYPE_CHECKING:
    from otelml.doctor.peer import Peer
    from otelml.settings import Signal

Verdict = tuple[str, str, str]
"""State, detail and fix."""
_ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
WITH_TLS = f"begin {_ENDPOINT} with https://"
_WITHOUT_TLS = f"begin {_ENDPOINT} with http://, or set up TLS at the receiver"
_GRPC = "set OTEL_EXPORTER_OTLP_PROTOCOL=grpc, or take the port of OTLP over HTTP (4318, where nobody changed it)"
_HTTP = (
    "set OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf, or take the port of OTLP over gRPC (4317, where nobody changed it)"
)
_CERTIFICATES = (
    ("hostname mismatch", "use the name that the certificate is for, or a certificate for this name"),
    ("ip address mismatch", "use the name that the certificate is for, or a certificate for this address"),
    ("expired", "renew the receiver's certificate (and look at this machine's clock)"),
    ("not yet valid", "look at this machine's clock"),
    ("client certificate", "set OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE and OTEL_EXPORTER_OTLP_CLIENT_KEY"),
    ("", "set OTEL_EXPORTER_OTLP_CERTIFICATE to the file of the authority that signed the receiver's certificate"),
)


def address(options: Signal) -> tuple[str, int]:
    """Return host and port of an endpoint."""
    parts = urlsplit(options.endpoint)
    usual = 443 if parts.scheme == "https" else 80
    return parts.hostname or "", parts.port or usual


def failed(options: Signal, error: Exception | None, seconds: float) -> Verdict:
    """Look at the address of a request without an answer, and say what is wrong with it."""
    kind = str(error) if type(error).__name__ == "UnansweredError" else type(error).__name__
    if isinstance(error, FileNotFoundError | PermissionError):
        return FAULT, f"a file of a certificate cannot be read ({kind})", "look at OTEL_EXPORTER_OTLP_CERTIFICATE"
    http = options.protocol != "grpc"
    proxies = get_environ_proxies(options.endpoint, no_proxy=None) if http else {}
    if proxies.get(urlsplit(options.endpoint).scheme) or proxies.get("all"):
        return FAULT, f"no answer through the proxy of HTTP_PROXY or HTTPS_PROXY ({kind})", "set NO_PROXY to its host"
    host, port = address(options)
    found = peer.look(host, port)
    return _unreached(found, host) or _mixed_up(options, found, host, port) or _else(found, kind, seconds)


def _unreached(found: Peer, host: str) -> Verdict | None:
    if found.reached == "dns":
        return FAULT, f"no machine is called {host} ({found.detail})", f"look at {_ENDPOINT}, and at the name server"
    if found.reached == "refused":
        return FAULT, "nobody listens there (connection refused)", f"start the receiver, or look at {_ENDPOINT}"
    if found.reached == "unreachable":
        return FAULT, f"there is no way there ({found.detail})", "look at network and address"
    if found.reached == "no answer":
        return FAULT, "no connection comes about: the address is silent", "look at firewalls, and at the address"
    return None


def _mixed_up(options: Signal, found: Peer, host: str, port: int) -> Verdict | None:
    """Compare what the peer speaks with what was sent."""
    grpc = options.protocol == "grpc"
    tls = options.endpoint.startswith("https:") or (grpc and options.insecure is False)
    if found.speaks == peer.GRPC and not grpc:
        return FAULT, "HTTP was sent to a port that speaks gRPC", _GRPC + _and_tls(found, tls=tls)
    if found.speaks == peer.HTTP and grpc:
        return FAULT, "gRPC was sent to a port that speaks HTTP", _HTTP + _and_tls(found, tls=tls)
    if found.tls and not tls:
        return FAULT, f"plain {'gRPC' if grpc else 'HTTP'} was sent to a port that speaks TLS", WITH_TLS
    if tls and not found.tls and found.speaks:
        return FAULT, f"TLS was sent to a port that speaks plain {found.speaks}", _WITHOUT_TLS
    return _certificates(options, host, port) if tls and found.tls else None


def _certificates(options: Signal, host: str, port: int) -> Verdict | None:
    why, error = attempt(peer.handshake, host, port, options)
    if error is not None:
        why = f"{type(error).__name__} with the files of certificates that are set"
    if not why:
        return None
    fix = next(fix for words, fix in _CERTIFICATES if words in why.lower())
    return FAULT, f"TLS fails: {why}", fix


def _and_tls(found: Peer, *, tls: bool) -> str:
    """Return what else has to change where TLS does not fit either."""
    if found.tls == tls:
        return ""
    return f"; it speaks TLS: {WITH_TLS}" if found.tls else f"; it speaks no TLS: {_WITHOUT_TLS}"


def _else(found: Peer, kind: str, seconds: float) -> Verdict:
    if not found.speaks:
        return FAULT, f"it connects, and says nothing that is HTTP or gRPC within {seconds:g} s", "is it the receiver?"
    return FAULT, f"it speaks {found.speaks}, and gives no answer to OTLP ({kind})", "look at the receiver's log"
