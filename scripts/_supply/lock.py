"""What the lock file pins for this Python and system, and what of it a user of otelml gets."""

from __future__ import annotations

import tomllib
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
LOCK = ROOT / "requirements-dev.lock"
ENVIRONMENTS = ROOT / "tests/integrations/environments.toml"
HERE = {"fastapi", "scikit-learn", "numpy", "requests", "uvicorn", "sqlalchemy", "duckdb"}
"""Of what stands in those environments, what the lock file has all the same."""


def pinned(lock: Path = LOCK) -> dict[str, str]:
    """Return name and version of each line of a lock file that holds here; hashes are left aside."""
    found: dict[str, str] = {}
    for line in lock.read_text("utf-8").splitlines():
        text = line.partition("#")[0].rstrip("\\ ").strip()
        if not text or text.startswith("--"):
            continue
        requirement = Requirement(text)
        versions = [each.version for each in requirement.specifier if each.operator == "=="]
        if len(versions) != 1:
            raise ValueError(f"not pinned: {text}")
        if requirement.marker is None or requirement.marker.evaluate():
            found[canonicalize_name(requirement.name)] = versions[0]
    return found


def elsewhere() -> set[str]:
    """Return the names of libraries that are tested in environments of their own: the application brings them.

    A library's build without a GPU (``tensorflow-cpu``) stands for the library.
    """
    rows = tomllib.loads(ENVIRONMENTS.read_text("utf-8")).values()
    names = {
        str(canonicalize_name(Requirement(line).name))
        for row in rows
        for line in row.get("newest", ())
        if "compiled" not in row
    }
    return {name.removesuffix("-cpu") for name in names} - HERE


def for_users() -> set[str]:
    """Return the names of what otelml and its extras install, with what that needs in turn, as installed here."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    others = elsewhere()
    extras = [
        line
        for lines in project["optional-dependencies"].values()
        for line in lines
        if canonicalize_name(Requirement(line).name) not in others
    ]
    waiting = [Requirement(line) for line in (*project["dependencies"], *extras)]
    pins = pinned()
    found: set[str] = set()
    seen: set[str] = set()
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        key = f"{name}[{','.join(sorted(requirement.extras))}]"
        if key in seen or name == "otelml":
            continue
        seen.add(key)
        found.add(name)
        if _installed(name) == pins.get(name):  # another version may need something else
            waiting += _needs(name, requirement.extras)
    return found


def _installed(name: str) -> str:
    try:
        return distribution(name).version.removeprefix("v")
    except PackageNotFoundError:
        return "none"


def _needs(name: str, extras: set[str]) -> list[Requirement]:
    wanted = [Requirement(line) for line in distribution(name).requires or []]
    environments = [{"extra": extra} for extra in ("", *extras)]
    return [r for r in wanted if r.marker is None or any(r.marker.evaluate(e) for e in environments)]
