"""What answers at an address, found out by speaking to it and never from the number of its port.

Every question is harmless and holds nothing of the settings but the host's name: no path, no header, no certificate of
the client's, unless ``handshake`` is asked for, which shows what TLS with the configured files says.
"""

from __future__ import annotations

import socket
import ssl
from contextlib import closing
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from otelml.config import Signal

Reached = Literal["yes", "dns", "refused", "unreachable", "no answer"]
HTTP, GRPC = "HTTP", "gRPC"
_STEP = 0.8
"""Seconds for one question at most."""
_HTTP1 = b"OPTIONS * HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n"
_HTTP2 = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00"
"""The preface of HTTP/2 and empty settings: a server answers with settings of its own."""
_SETTINGS = 4
_FRAME = 9
_WANTS_CERTIFICATE = "CERTIFICATE_REQUIRED"
_CLOSED = "it ends the connection, as for want of a client certificate"


@dataclass(frozen=True, slots=True)
class Peer:
    """What was found: ``speaks`` is HTTP, gRPC (any HTTP/2 without HTTP/1) or empty; ``detail`` the system's words."""

    reached: Reached
    detail: str = ""
    tls: bool = False
    speaks: str = ""


def look(host: str, port: int, seconds: float = 2.5) -> Peer:
    """Say what answers at an address, within about so many seconds (a slow name server takes longer)."""
    until = monotonic() + seconds
    try:
        _connect(host, port, until).close()
    except socket.gaierror as error:
        return Peer("dns", error.strerror or "")
    except ConnectionRefusedError:
        return Peer("refused")
    except TimeoutError:
        return Peer("no answer")
    except OSError as error:
        return Peer("unreachable", error.strerror or type(error).__name__)
    tls = _speaks_tls(host, port, until)
    if _ask(host, port, _HTTP1 % host.encode("idna"), "http/1.1" if tls else None, until).startswith(b"HTTP/1."):
        return Peer("yes", tls=tls, speaks=HTTP)
    answer = _ask(host, port, _HTTP2, "h2" if tls else None, until)
    http2 = len(answer) >= _FRAME and answer[3] == _SETTINGS and answer[5:_FRAME] == bytes(4)
    return Peer("yes", tls=tls, speaks=GRPC if http2 else "")


def handshake(host: str, port: int, options: Signal, seconds: float = 1.5) -> str:
    """Try TLS with the configured certificates; return why it fails, empty where it does not.

    Raises:
        OSError: A file of a certificate is no such, or the peer is not there.
    """
    context = ssl.create_default_context(cafile=options.certificate)
    if options.client_certificate:
        context.load_cert_chain(options.client_certificate, options.client_key)
    context.set_alpn_protocols(["h2", "http/1.1"])
    try:
        with (
            closing(_connect(host, port, monotonic() + seconds)) as plain,
            context.wrap_socket(plain, server_hostname=host) as secure,
        ):
            secure.settimeout(_STEP)
            # With TLS 1.3 a missing certificate is told only now. Nothing is said first: the answer could get lost.
            return "" if secure.recv(1) else _CLOSED
    except ssl.SSLCertVerificationError as error:
        return error.verify_message or "certificate verify failed"
    except TimeoutError:
        return ""  # it waits for a request, as it should
    except (ssl.SSLEOFError, ConnectionError):
        return _CLOSED
    except ssl.SSLError as error:
        return "it wants a client certificate" if _WANTS_CERTIFICATE in (error.reason or "") else error.reason or "TLS"


def _connect(host: str, port: int, until: float) -> socket.socket:
    return socket.create_connection((host, port), timeout=_step(until))


def _step(until: float) -> float:
    return max(0.05, min(_STEP, until - monotonic()))


def _any_certificate(protocol: str | None) -> ssl.SSLContext:
    """Return what takes any certificate: nothing of value is sent through it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if protocol:
        context.set_alpn_protocols([protocol])
    return context


def _speaks_tls(host: str, port: int, until: float) -> bool:
    """Return whether the peer answers a greeting of TLS in TLS, be it with an alert."""
    try:
        with (
            closing(_connect(host, port, until)) as plain,
            _any_certificate(None).wrap_socket(plain, server_hostname=host),
        ):
            return True
    except ssl.SSLError as error:
        return "ALERT" in (error.reason or "")
    except OSError:
        return False


def _ask(host: str, port: int, question: bytes, protocol: str | None, until: float) -> bytes:
    """Return the first bytes of an answer, over TLS where a protocol is given to choose there; empty for none."""
    try:
        with closing(_connect(host, port, until)) as plain:
            if protocol is None:
                return _answer(plain, question, until)
            with _any_certificate(protocol).wrap_socket(plain, server_hostname=host) as secure:
                return _answer(secure, question, until)
    except OSError:
        return b""


def _answer(connection: socket.socket, question: bytes, until: float) -> bytes:
    connection.settimeout(_step(until))
    connection.sendall(question)
    answer = b""
    while len(answer) < _FRAME and (more := connection.recv(64)):
        answer += more
    return answer
