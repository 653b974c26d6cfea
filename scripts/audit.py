"""Audits the pinned dependencies against a database of advisories: ``scripts/audit``.

With a network: pip-audit asks PyPI about every line of the lock file that holds here. Without: ``--database`` names a
checkout of https://github.com/pypa/advisory-database, which is read instead.

Exit code 0: every package was looked up and none has an advisory; 1: some have; 2: this says nothing, because the
database can't be reached, does not know some package, or is older than ``--days`` allows.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from _supply import lock
from packaging.version import InvalidVersion, Version

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

CLEAN, FOUND, UNKNOWN = 0, 1, 2
_MODIFIED = re.compile(r'^modified: "?(\d{4}-\d{2}-\d{2})', re.MULTILINE)


def main(arguments: list[str]) -> int:
    """Audit; return the exit code."""
    parser = argparse.ArgumentParser(prog="scripts/audit", description=__doc__.replace("``", ""))
    parser.add_argument("--lock", type=Path, default=lock.LOCK, help="lock file (default: requirements-dev.lock)")
    parser.add_argument("--database", type=Path, help="checkout of pypa/advisory-database, instead of the network")
    parser.add_argument("--days", type=int, default=30, help="age of the database that is still good (default: 30)")
    options = parser.parse_args(arguments)
    pins = lock.pinned(options.lock)
    if options.database is None:
        return _by_network(pins)
    return _by_database(pins, options.database, options.days)


def _by_network(pins: Mapping[str, str]) -> int:
    with tempfile.TemporaryDirectory() as folder:
        listed = Path(folder, "requirements.txt")
        listed.write_text("".join(f"{name}=={version}\n" for name, version in pins.items()), "utf-8")
        command = [sys.executable, "-m", "pip_audit", "--format", "json", "--no-deps", "--disable-pip"]
        command += ["--progress-spinner", "off", "--requirement", str(listed)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - ours
    try:
        answers = {each["name"]: each for each in json.loads(done.stdout)["dependencies"]}
    except (ValueError, KeyError):
        print(done.stderr[-2000:], file=sys.stderr)
        print("pip-audit gave no answer: nothing was audited.", file=sys.stderr)
        return UNKNOWN
    return _said(pins, judged(pins, answers), "PyPI, today")


def judged(pins: Mapping[str, str], answers: Mapping[str, Mapping[str, Any]]) -> dict[str, list[str] | None]:
    """Return the advisories of each package, None for one that was not looked up.

    pip-audit leaves a package aside that its source does not know, and is content: a source that knows none of them
    (a mirror without that interface answers 404) would make everything look clean.
    """
    found: dict[str, list[str] | None] = {}
    for name, version in pins.items():
        answer = answers.get(name, {})
        known = answer.get("version") == version and "skip_reason" not in answer
        found[name] = [each["id"] for each in answer["vulns"]] if known else None
    return found


def _by_database(pins: Mapping[str, str], database: Path, days: int) -> int:
    advisories = database / "vulns"
    newest = newest_of(advisories.rglob("*.yaml"))
    found: dict[str, list[str] | None] = {
        name: [a["id"] for a in _of(advisories / name) if hits(a, name, version)] for name, version in pins.items()
    }
    print(f"{database.name}: its newest advisory was modified on {newest or 'no day: it is empty'}")
    code = _said(pins, found, f"advisories up to {newest}")
    if newest is None or datetime.fromisoformat(newest).replace(tzinfo=UTC) < datetime.now(UTC) - timedelta(days=days):
        print(f"That is older than {days} days: it says nothing about what was found since.", file=sys.stderr)
        return code or UNKNOWN
    return code


def newest_of(files: Iterable[Path]) -> str | None:
    """Return the day, as YYYY-MM-DD, on which the newest of these advisories was modified."""
    days = (match[1] for file in files if (match := _MODIFIED.search(file.read_text("utf-8"))))
    return max(days, default=None)


def _of(folder: Path) -> list[dict[str, Any]]:
    return [yaml.safe_load(file.read_text("utf-8")) for file in sorted(folder.glob("*.yaml"))]


def hits(advisory: Mapping[str, Any], name: str, version: str) -> bool:
    """Whether an advisory in the OSV format is about this version of a package, and was not withdrawn."""
    if advisory.get("withdrawn"):
        return False
    for affected in advisory["affected"]:
        if affected["package"]["name"].lower().replace("_", "-") != name:
            continue
        if version in affected.get("versions", ()):
            return True
        if any(_within(each, version) for each in affected.get("ranges", ()) if each["type"] == "ECOSYSTEM"):
            return True
    return False


def _within(affected: Mapping[str, Any], version: str) -> bool:
    """Whether a version lies in a range: after the last event before it, it is either affected or not."""
    within = False
    for event in sorted(affected["events"], key=lambda event: _parsed(next(iter(event.values())))):
        ((kind, at),) = event.items()
        if kind == "last_affected" and _parsed(version) > _parsed(at):
            within = False
        elif kind != "last_affected" and _parsed(version) >= _parsed(at):
            within = kind == "introduced"
    return within


def _parsed(version: str) -> Version:
    try:
        return Version(version)
    except InvalidVersion:
        return Version("0")


def _said(pins: Mapping[str, str], found: Mapping[str, list[str] | None], source: str) -> int:
    """Print the result and return the exit code."""
    for name, advisories in found.items():
        if advisories:
            print(f"{name} {pins[name]}: {', '.join(advisories)}")
    unknown = [name for name, advisories in found.items() if advisories is None]
    affected = sum(bool(advisories) for advisories in found.values())
    print(f"{len(found) - len(unknown)} of {len(found)} packages looked up ({source}), {affected} with advisories")
    if unknown:
        print(f"Not looked up, so not audited: {', '.join(unknown)}", file=sys.stderr)
    return FOUND if affected else UNKNOWN if unknown or not found else CLEAN


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
