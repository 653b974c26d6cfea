"""An empty OTLP request over HTTP, and what its answer says."""

from __future__ import annotations

from time import monotonic, time
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

import requests

from otelml.doctor import clock, peer
from otelml.doctor.blame import WITH_TLS, Verdict, address
from otelml.doctor.findings import FAULT, NOTE, OK
from otelml.doctor.signals import without_secrets

if TYPE_CHECKING:
    from otelml.doctor.clock import Window
    from otelml.settings import Signal

_PROTOBUF = "application/x-protobuf"
_AUTHORITY = "set OTEL_EXPORTER_OTLP_HEADERS, such as Authorization=Bearer%20..., to credentials that may write"
NO_SUCH_PATH = "has no such path"
_PATH: Verdict = (
    FAULT,
    f"{NO_SUCH_PATH} ({{status}}): {{path}}",
    "OTEL_EXPORTER_OTLP_ENDPOINT gets /v1/{signal} added; OTEL_EXPORTER_OTLP_{upper}_ENDPOINT is taken as it stands",
)
_BUSY: Verdict = (NOTE, "takes nothing just now ({status}); exports are tried again", "look at the receiver's load")
_EMPTY: Verdict = (NOTE, "is there, and refuses an empty request ({status})", "send something and look for it there")
_VERDICTS: dict[int, Verdict] = {
    400: _EMPTY,
    401: (FAULT, "wants to know who we are ({status})", _AUTHORITY),
    403: (FAULT, "does not let these credentials write ({status})", _AUTHORITY),
    404: _PATH,
    405: _PATH,
    411: _EMPTY,
    429: _BUSY,
    502: _BUSY,
    503: _BUSY,
    504: _BUSY,
}
_REDIRECTION: Verdict = (FAULT, "points elsewhere ({status})", "set the endpoint to {where}")
_OTHER: Verdict = (FAULT, "refuses OTLP over HTTP ({status})", "look at the endpoint, and at the receiver's log")


class Answer(NamedTuple):
    """Status, type of the content, where a redirection leads, seconds that it took, and the bounds of the clocks."""

    status: int
    content: str
    location: str
    took: float
    window: Window | None


def send(signal: str, options: Signal, seconds: float) -> Answer:  # noqa: ARG001 - the path names the signal
    """Send one request, as the official exporter does.

    Raises:
        requests.RequestException: No answer came.
        OSError: A file of a certificate is no such.
    """
    pair = (options.client_certificate, options.client_key) if options.client_certificate else None
    sent, tick = time(), monotonic()
    with requests.Session() as session:
        response = session.post(
            options.endpoint,
            data=b"",
            headers={**options.headers, "Content-Type": _PROTOBUF},
            timeout=seconds,
            verify=options.certificate or True,
            cert=pair,  # type: ignore[arg-type] # both or none, as the settings have it
            allow_redirects=False,
            stream=True,  # the body is never read
        )
        took, headers = monotonic() - tick, response.headers
        bounds = clock.window(headers.get("Date"), sent, sent + took)
        response.close()
    return Answer(response.status_code, headers.get("Content-Type", ""), headers.get("Location", ""), took, bounds)


def judged(signal: str, options: Signal, answer: Answer) -> Verdict:
    """Say what an answer means: state, detail and fix."""
    status = answer.status
    if status == 400 and _is_tls(options):  # noqa: PLR2004 - HTTP's number
        return FAULT, "plain HTTP was sent to a port that speaks TLS", WITH_TLS
    if status // 100 == 2:  # noqa: PLR2004 - all of 200 to 299
        if "html" in answer.content:
            return FAULT, "answers with a page for people, not as an OTLP receiver", "look at host, port and path"
        return OK, f"takes {signal}, in {answer.took * 1e3:.0f} ms", ""
    other = _REDIRECTION if status // 100 == 3 else _OTHER  # noqa: PLR2004 - all of 300 to 399
    state, detail, fix = _VERDICTS.get(status, other)
    names = {
        "status": f"HTTP {status}",
        "path": urlsplit(options.endpoint).path,
        "signal": signal,
        "upper": signal.upper(),
        "where": without_secrets(answer.location),
    }
    return state, detail.format(**names), fix.format(**names)


def _is_tls(options: Signal) -> bool:
    """Say whether a server that did not like plain HTTP speaks TLS: some answer in plain HTTP to say so."""
    if options.endpoint.startswith("https:"):
        return False
    return peer.look(*address(options)).tls
