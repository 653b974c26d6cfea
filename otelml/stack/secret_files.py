"""The stack's secrets: made once, each in a file that its owner alone can read."""

from __future__ import annotations

import os
import secrets
from typing import TYPE_CHECKING

from otelml.stack.errors import StackError

if TYPE_CHECKING:
    from pathlib import Path

    from otelml.stack.places import State

OWNER_ONLY = 0o600


def make(state: State) -> list[str]:
    """Make the secrets that are missing; return their names."""
    wanted = {
        state.token_file: secrets.token_urlsafe(32),
        state.key_file: secrets.token_hex(32),
        state.secrets / "grafana_admin_password": secrets.token_urlsafe(18),
    }
    made = [path.name for path, value in wanted.items() if _write_once(path, value)]
    for path in wanted:
        path.chmod(OWNER_ONLY)
    return made


def _write_once(path: Path, value: str) -> bool:
    try:
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, OWNER_ONLY)
    except FileExistsError:
        return False
    with os.fdopen(file, "w", encoding="ascii") as out:
        out.write(value)
    return True


def token(state: State) -> str:
    """Return the first token that the collector takes.

    Raises:
        StackError: When there is none.
    """
    try:
        return state.token_file.read_text(encoding="ascii").split()[0]
    except (OSError, IndexError):
        raise StackError(
            "There is no token to send with.", [f"{state.token_file} is missing or empty: otelml stack up"]
        ) from None
