"""What else instruments the same program: other distributions, agents and libraries, as far as it shows from outside.

A package that is only installed may never be started: that is a note where it would double what otelml does, and
none where it would not. An agent that this environment starts is a fault.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import TYPE_CHECKING

from otelml.distro import COVERED
from otelml.doctor import packages
from otelml.doctor.findings import FAULT, NOTE, OK, Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from otelml.config import Config


@dataclass(frozen=True, slots=True)
class Other:
    """A package that instruments: how its start shows (in PYTHONPATH, in variables), what is double, what to do."""

    name: str
    doubles: str
    fix: str
    path: str = ""
    variables: tuple[str, ...] = ()


OTHERS = (
    Other(
        "ddtrace",
        *("traces requests and calls to its own agent", "start the program without ddtrace-run, or without otelml"),
        path="ddtrace/bootstrap",
        variables=("DD_PATCH_MODULES", "_DD_TRACE_INJECT", "DD_INSTRUMENTATION"),
    ),
    Other(
        "newrelic",
        *("traces requests and scikit-learn to its own service", "start the program without newrelic-admin"),
        path="newrelic/bootstrap",
        variables=("NEW_RELIC_CONFIG_FILE", "NEW_RELIC_LICENSE_KEY"),
    ),
    Other("elastic-apm", "traces requests to its own server", "take its middleware out of the program"),
    Other("logfire", "instruments requests with spans of its own", "call logfire.instrument_*() or otelml, not both"),
    Other("openlit", "sets up providers and instruments libraries", "call openlit.init() or otelml, not both"),
    Other("traceloop-sdk", "sets up providers and instruments libraries", "call Traceloop.init() or otelml, not both"),
    Other(
        "prometheus-fastapi-instrumentator",
        *("measures requests a second time, under names of its own", "take one set of metrics of requests"),
    ),
    Other("opentelemetry-instrumentation-sklearn", "makes spans in every predict()", "uninstall it: otelml does it"),
)
_INSTRUMENT = "opentelemetry/instrumentation/auto_instrumentation"
_CHOICE = "set OTEL_PYTHON_DISTRO=otelml and OTEL_PYTHON_CONFIGURATOR=otelml, or start with otelml run"


def instrumented(_: Config) -> Iterator[Finding]:
    """Say what else would instrument the program."""
    found = [*_distributions(), *_chosen(), *_others()]
    yield from found or [Finding("instrumented", OK, "by otelml alone, as far as this environment shows")]


def _distributions() -> Iterator[Finding]:
    """Say whose distributions and configurators ``opentelemetry-instrument`` could take, where nobody says which."""
    for group, variable in (
        ("opentelemetry_distro", "OTEL_PYTHON_DISTRO"),
        ("opentelemetry_configurator", "OTEL_PYTHON_CONFIGURATOR"),
    ):
        names = sorted({entry.name for entry in entry_points(group=group)})
        if len(names) > 1 and not os.environ.get(variable):
            text = f"{' and '.join(names)}: opentelemetry-instrument takes the one it finds first"
            yield Finding("instrumented", NOTE, text, _CHOICE)


def _chosen() -> Iterator[Finding]:
    for variable in ("OTEL_PYTHON_DISTRO", "OTEL_PYTHON_CONFIGURATOR"):
        chosen = os.environ.get(variable)
        if chosen and chosen != "otelml":
            upstream = sorted({entry.name for entry in entry_points(group="opentelemetry_instrumentor")} & COVERED)
            text = f"{variable}={chosen}: opentelemetry-instrument starts that, with upstream's {', '.join(upstream)}"
            fix = f"unset {variable}, or leave out auto_instrument() and use otelml's calls alone"
            yield Finding("instrumented", FAULT if _started() else NOTE, text, fix)


def _started() -> bool:
    """Say whether this environment starts ``opentelemetry-instrument`` in every Python program."""
    return any(_INSTRUMENT in entry.replace(os.sep, "/") for entry in _path())


def _path() -> list[str]:
    return os.environ.get("PYTHONPATH", "").split(os.pathsep)


def _others() -> Iterator[Finding]:
    here = packages.installed()
    for other in OTHERS:
        sign = _sign(other)
        if sign:
            yield Finding(
                "instrumented", FAULT, f"{other.name} is started here ({sign}): it {other.doubles}", other.fix
            )
        elif other.name in here:
            text = f"{other.name} is installed: where the program starts it, it {other.doubles}"
            yield Finding("instrumented", NOTE, text, other.fix)


def _sign(other: Other) -> str:
    """Return what shows that an agent is started; its values are not shown."""
    if other.path and any(other.path in entry.replace(os.sep, "/") for entry in _path()):
        return "PYTHONPATH"
    if f"{other.name}.bootstrap" in sys.modules:
        return "it is loaded"
    return next((name for name in other.variables if os.environ.get(name)), "")
