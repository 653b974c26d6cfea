"""This process, from inside: whether it is instrumented, which way telemetry goes, what is near its limit or lost.

``otelml doctor`` sees settings and packages; what a worker really runs with it can only say itself::

    from otelml.doctor.process import report

    for finding in report():
        print(finding.state, finding.what, finding.detail, finding.fix)
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from otelml import _guard, _labels, runtime
from otelml.doctor import scrape
from otelml.doctor.findings import FAULT, NOTE, OK, Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

_AGENTS = ("ddtrace", "newrelic", "elasticapm", "logfire", "openlit", "prometheus_fastapi_instrumentator")


def report() -> list[Finding]:
    """Return what this process says of itself; cheap, sends nothing, and starts nothing."""
    return [*_instrumented(), *_ways(), *_cardinality(), *_lost()]


def _instrumented() -> Iterator[Finding]:
    here = f"process {os.getpid()}"
    active = runtime.active
    if active is None:
        text = f"{here} is not instrumented: auto_instrument() was not called here, or has been shut down"
        yield Finding("instrumented", FAULT, text, "call otelml.auto_instrument() in every worker, or use otelml run")
    else:
        names = ", ".join(sorted(type(each).__name__ for each in active.instrumentors)) or "no integrations"
        yield Finding("instrumented", OK, f"{here}: {names}")
    for name in _AGENTS:
        if name in sys.modules:
            text = f"{name} is loaded beside otelml: what both observe is there twice"
            yield Finding("instrumented", NOTE, text, "start one of them")


def _ways() -> Iterator[Finding]:
    active = runtime.active
    for way in active.ways() if active is not None else ():
        if way.reason is None:
            yield Finding(way.signal, OK, way.taken)
        else:
            yield Finding(way.signal, NOTE, f"{way.taken}: {way.reason.text}", way.reason.fix)


def _cardinality() -> Iterator[Finding]:
    folded = _labels.folded()
    for attribute, known in sorted(_labels.counts().items()):
        yield from scrape.judged(attribute, known, folded.get(attribute, 0))


def _lost() -> Iterator[Finding]:
    active = runtime.active
    for (what, where), count in active.recorder.dropped().items() if active is not None else ():
        if count:
            yield Finding("dropped", FAULT, f"{count} times {what} at {where}", "see docs/troubleshooting.md")
    for where, count in _guard.errors().items():
        fix = "the first of each is in the program's log; please report it"
        yield Finding("errors", FAULT, f"{count} at {where}: faults of otelml itself", fix)
