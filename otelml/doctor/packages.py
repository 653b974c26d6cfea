"""Whether the installed packages fit together: OpenTelemetry's, what OTLP needs, and otelml's own ranges.

Only metadata is read; nothing is imported.
"""

from __future__ import annotations

import platform
import re
from importlib.metadata import Distribution, distributions
from typing import TYPE_CHECKING

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from otelml.doctor.findings import FAULT, NOTE, OK, Finding

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from otelml.config import Config

OURS = "otelml"
_WATCHED = frozenset({"protobuf", "grpcio", "googleapis-common-protos"})
_TELEMETRY = "opentelemetry-"
_NAME = re.compile(r"[\w.-]+")
_EXTRA = re.compile(r"extra\s*==")


def installed() -> dict[str, Distribution]:
    """Return every installed distribution by its canonical name; of several with one name the one that is imported."""
    found: dict[str, Distribution] = {}
    for each in distributions():
        name = each.metadata["Name"] if each.metadata else None
        if name:
            found.setdefault(canonicalize_name(name), each)
    return found


def versions(_: Config) -> Iterator[Finding]:
    """Say what is installed."""
    here = installed()
    names = (OURS, "opentelemetry-sdk", "opentelemetry-instrumentation", "protobuf", "grpcio")
    said = ", ".join(f"{name} {here[name].version}" for name in names if name in here)
    yield Finding("versions", OK, f"{said}, Python {platform.python_version()}")


def clashes(_: Config) -> Iterator[Finding]:
    """Compare what packages ask for with what is there: of OpenTelemetry, of OTLP's own needs, and of ours."""
    here = installed()
    for name in sorted(here):
        own = name == OURS or name.startswith(_TELEMETRY)
        for wanted, optional in _requirements(here[name], every=own):
            finding = _compared(here, name, wanted, own=own, optional=optional)
            if finding is not None:
                yield finding


def _compared(
    here: Mapping[str, Distribution], name: str, wanted: Requirement, *, own: bool, optional: bool
) -> Finding | None:
    there = here.get(canonicalize_name(wanted.name))
    asks = f"{name} {here[name].version} needs {wanted.name}{wanted.specifier}"
    fix = f"pip install '{wanted.name}{wanted.specifier}'"
    if not own:
        fix = f"take a release of {name} for this OpenTelemetry, or keep it in an environment of its own"
    if there is None:
        if optional or not own:
            return None
        return Finding("versions", FAULT, f"{asks}, which is not installed", fix)
    if wanted.specifier.contains(there.version, prereleases=True):
        return None
    return Finding("versions", FAULT if own and not optional else NOTE, f"{asks}; there is {there.version}", fix)


def _is_watched(name: str) -> bool:
    plain = canonicalize_name(name)
    return plain in _WATCHED or plain.startswith(_TELEMETRY)


def _requirements(of: Distribution, *, every: bool) -> Iterator[tuple[Requirement, bool]]:
    """Yield what a distribution needs here, or what of it we watch, and whether only an extra does."""
    extras = of.metadata.get_all("Provides-Extra") or []
    for line in of.requires or ():
        name = _NAME.match(line)
        if not (every or (name and _is_watched(name[0]))):
            continue
        try:
            wanted = Requirement(line)
        except InvalidRequirement:
            continue
        marker = wanted.marker
        if marker is None or marker.evaluate({"extra": ""}):
            yield wanted, False
        elif _EXTRA.search(str(marker)) and any(marker.evaluate({"extra": extra}) for extra in extras):
            yield wanted, True
