"""What every check gives: findings, each with its state and its fix."""

from __future__ import annotations

from dataclasses import dataclass

OK, NOTE, FAULT = "ok", "note", "fault"
"""States: as it should be; works, at a cost or with a loss that the settings ask for; to be repaired."""
PROBE = "otelml.doctor"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line: what was looked at, its state, what was found, and what to do about it."""

    what: str
    state: str
    detail: str
    fix: str = ""
