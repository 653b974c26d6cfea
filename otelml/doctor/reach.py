"""Whether each endpoint takes what it is sent: an empty OTLP request a signal, as the exporters would send it.

An empty export holds no telemetry. It goes over the configured protocol, with the configured TLS, headers and proxy, to
all signals at once. Where it fails, the address is looked at (``peer``), without the headers, to say what is wrong.
"""

from __future__ import annotations

import os
import threading
from dataclasses import replace
from time import monotonic
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from otelml._guard import attempt
from otelml.doctor import blame, clock, over_grpc, over_http
from otelml.doctor.findings import FAULT, NOTE, Finding
from otelml.doctor.over_http import NO_SUCH_PATH
from otelml.doctor.signals import without_secrets
from otelml.settings import SIGNALS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from otelml.config import Config
    from otelml.doctor.clock import Window
    from otelml.settings import Signal

SECONDS = 3.0
"""Time for one request."""
_AFTERWARDS = 6.0
"""Seconds more to find out why a request failed."""
_PROVIDERS = tuple(
    f"OTEL_PYTHON_EXPORTER_OTLP_{protocol}_{of}CREDENTIAL_PROVIDER"
    for protocol in ("HTTP", "GRPC")
    for of in ("", *(f"{signal.upper()}_" for signal in SIGNALS))
)


def endpoints(settings: Config, seconds: float = SECONDS) -> Iterator[Finding]:
    """Send an empty request for each signal that is exported over OTLP, all at once; say what came back."""
    names = [signal for signal in SIGNALS if "otlp" in getattr(settings, f"{signal}_exporter")]
    if settings.sdk_disabled or settings.otel_config or not names:
        return
    provider = next((name for name in _PROVIDERS if os.environ.get(name)), None)
    if provider:
        yield Finding("endpoints", NOTE, f"not tried: credentials come from {provider}", "look at otelml.dropped")
        return
    found = _together(settings, names, seconds)
    for signal in names:
        finding, _ = found.get(signal, (None, None))
        nothing = Finding(what(signal), FAULT, f"no answer from {_place(settings.signal(signal))}", "is it reachable?")
        yield _partly(settings, signal, finding or nothing, found)
    if any(finding.state != FAULT for finding, _ in found.values()):
        yield from clock.skew([window for _, window in found.values() if window is not None])


def _partly(
    settings: Config, signal: str, finding: Finding, found: dict[str, tuple[Finding, Window | None]]
) -> Finding:
    """Return a finding; another one where a receiver takes other signals at this address, and this one alone not."""
    host = urlsplit(settings.signal(signal).endpoint).netloc
    beside = [each for each in found if urlsplit(settings.signal(each).endpoint).netloc == host]
    if NO_SUCH_PATH not in finding.detail or all(found[each][0].state == FAULT for each in beside):
        return finding
    text = f"takes other signals, and no {signal} ({_place(settings.signal(signal))})"
    return replace(
        finding, detail=text, fix=f"send {signal} to a collector, or set OTEL_{signal.upper()}_EXPORTER=none"
    )


def what(signal: str) -> str:
    """Return the name of a signal's finding."""
    return f"{signal} endpoint"


def _together(settings: Config, names: list[str], seconds: float) -> dict[str, tuple[Finding, Window | None]]:
    """Try all signals at the same time; one that hangs, as a name server may, is missing from the result."""
    found: dict[str, tuple[Finding, Window | None]] = {}

    def one(signal: str) -> None:
        found[signal] = trial(signal, settings.signal(signal), seconds)

    threads = [threading.Thread(target=one, args=(signal,), daemon=True) for signal in names]
    for thread in threads:
        thread.start()
    until = monotonic() + seconds + _AFTERWARDS
    for thread in threads:
        thread.join(max(0.0, until - monotonic()))
    return dict(found)


def trial(signal: str, options: Signal, seconds: float) -> tuple[Finding, Window | None]:
    """Send one empty request; return what it says, and between which times the receiver's clock gave which second."""
    over = over_grpc if options.protocol == "grpc" else over_http
    answer, error = attempt(over.send, signal, options, seconds)
    place = _place(options)
    if answer is None:
        state, detail, fix = blame.failed(options, error, seconds)
        return Finding(what(signal), state, f"{detail} ({place})", fix), None
    state, detail, fix = over.judged(signal, options, answer)
    return Finding(what(signal), state, f"{detail} ({place})", fix), answer.window


def _place(options: Signal) -> str:
    """Return host and port, and the path of HTTP."""
    parts = urlsplit(without_secrets(options.endpoint))
    return parts.netloc + ("" if options.protocol == "grpc" else parts.path)
