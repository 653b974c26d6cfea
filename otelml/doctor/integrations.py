"""Which libraries are observed: those installed, less those left off; a version that is not tested is said.

Only metadata is read; no library is imported.
"""

from __future__ import annotations

from importlib.metadata import packages_distributions, version
from typing import TYPE_CHECKING

from packaging.requirements import Requirement

from otelml import runtime
from otelml.doctor.findings import NOTE, OK, Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from otelml.config import Config

WHAT = "integrations"
ALWAYS = ("logging", "models")
"""They wait for no library."""


def integrations(settings: Config) -> Iterator[Finding]:
    """Say which are on, and of which installed library calls may go unseen."""
    here, on = packages_distributions(), []
    for name, entry in runtime.integrations().items():
        found = _installed(here.get(name.removesuffix("_client"), []))
        if not (found or name in ALWAYS):
            continue
        if runtime.is_left_off(name, settings):
            fix = "take it out of OTEL_PYTHON_DISABLED_INSTRUMENTATIONS to have it observed"
            yield Finding(WHAT, NOTE, f"{name} is left off", fix)
            continue
        on.append(" ".join([name, *found[1:]]))
        yield from _old(entry.load()().instrumentation_dependencies(), found)
    yield Finding(WHAT, OK, ", ".join(on) or "none")


def _installed(names: list[str]) -> tuple[str, ...]:
    """Return the distribution of a package and its version, or nothing."""
    return (names[0], version(names[0])) if names else ()


def _old(requirements: object, found: tuple[str, ...]) -> Iterator[Finding]:
    for text in requirements if isinstance(requirements, tuple) else ():
        wanted = Requirement(text)
        if found and not wanted.specifier.contains(found[1], prereleases=True):
            detail = f"{found[0]} {found[1]} is none that is tested ({wanted}): calls may go unobserved"
            yield Finding(WHAT, NOTE, detail, f"pip install '{found[0]}{wanted.specifier}'")
