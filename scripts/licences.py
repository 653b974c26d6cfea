"""Checks the licence of every pinned dependency against what may go with Apache-2.0: ``scripts/licences``.

Licences are read from the installed packages. What users install must be permissive, or stand in ``WEAK`` with its
reason; what only developers install may be under any licence of the two lists. Exit code 1: one is not known to fit.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections import Counter
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, metadata
from typing import TYPE_CHECKING, cast

from _supply import lock

if TYPE_CHECKING:
    from email.message import Message

PERMISSIVE = frozenset(
    {
        *("0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "CC0-1.0", "HPND", "ISC", "MIT", "MIT-0", "MIT-CMU"),
        *("PSF-2.0", "Unlicense", "ZPL-2.1", "Zlib"),
    }
)
WEAK = {
    "MPL-2.0": "copyleft for changes of its own files alone; used unchanged",
    "LGPL-3.0-only": "used unchanged, through its public interface, and replaceable; an extra, never installed unasked",
}
NAMES = {
    "Apache": "Apache-2.0",
    "Apache 2.0": "Apache-2.0",
    "Apache License, Version 2.0": "Apache-2.0",
    "Apache Software License": "Apache-2.0",
    "BSD": "BSD-3-Clause",
    "BSD License": "BSD-3-Clause",
    "3-Clause BSD License": "BSD-3-Clause",
    "CC0": "CC0-1.0",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
    "The Unlicense (Unlicense)": "Unlicense",
}
"""What packages call a licence that has an SPDX name; BSD without a number is taken for the stricter one."""
READ = {
    "promql-parser": "MIT",
    "skops": "MIT",
}
"""Packages whose metadata name none: as their LICENSE file says."""
_PART = re.compile(r"\s+(?:AND|OR)\s+")


@dataclass(frozen=True, slots=True)
class Licensed:
    """One package."""

    name: str
    version: str
    licence: str
    """An SPDX expression, or what the package says where that is none, or empty."""
    users: bool
    """Whether users install it."""

    @property
    def fits(self) -> bool:
        """Whether it is known to go with Apache-2.0."""
        parts = _PART.split(self.licence.strip("()"))
        allowed = PERMISSIVE | WEAK.keys()
        if " OR " in self.licence and " AND " not in self.licence:
            return any(part in allowed for part in parts)
        return all(part in allowed for part in parts)


def main(arguments: list[str]) -> int:
    """Print the table; return the exit code."""
    parser = argparse.ArgumentParser(prog="scripts/licences", description=__doc__.replace("``", ""))
    parser.add_argument("--all", action="store_true", help="a line for each package, not for each licence")
    options = parser.parse_args(arguments)
    found = packages()
    if options.all:
        for each in found:
            print(f"| {each.name} | {each.version} | {each.licence} | {'users' if each.users else 'developers'} |")
    else:
        print(table(found))
    wrong = [each for each in found if not each.fits]
    for each in wrong:
        print(f"{each.name} {each.version}: {each.licence or 'names no licence'}", file=sys.stderr)
    return 1 if wrong else 0


def packages() -> list[Licensed]:
    """Return every pinned package with its licence."""
    users = lock.for_users()
    return [Licensed(name, version, licence(name), name in users) for name, version in lock.pinned().items()]


def licence(name: str) -> str:
    """Return the licence of an installed package as an SPDX expression where its metadata allow that."""
    if name in READ:
        return READ[name]
    try:
        known = cast("Message", metadata(name))  # its documented type lacks half of its methods
    except PackageNotFoundError:
        return "not installed"
    return known.get("License-Expression") or _classified(known) or _named(known)


def _classified(known: Message) -> str:
    """Return what the classifiers say; a package with several is under any of them."""
    lines = [line for line in known.get_all("Classifier") or [] if line.startswith("License :: OSI Approved :: ")]
    names = [line.rpartition(" :: ")[2] for line in lines]
    return " OR ".join(NAMES.get(name, name) for name in names)


def _named(known: Message) -> str:
    first = (known.get("License") or "").strip().partition("\n")[0]
    return NAMES.get(first, first)


def table(found: list[Licensed]) -> str:
    """Return, for each licence, how many packages users and developers install."""
    users = Counter(each.licence for each in found if each.users)
    both = Counter(each.licence for each in found)
    names = {name: [each.name for each in found if each.licence == name] for name in both}
    lines = ["| Licence | Users install | Developers alone | |", "| --- | --: | --: | --- |"]
    for name, count in both.most_common():
        weak = [part for part in _PART.split(name) if part in WEAK]
        note = f"{', '.join(names[name])}: {WEAK[weak[0]]}" if weak else ""
        lines.append(f"| {name} | {users[name]} | {count - users[name]} | {note} |")
    return "\n".join([*lines, f"| all | {users.total()} | {both.total() - users.total()} | |"])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
