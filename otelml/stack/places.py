"""Where things are: the stack's files, its binaries, and the one directory that holds its state."""

from __future__ import annotations

import os
from pathlib import Path

from otelml.stack.errors import StackError


def _home(variable: str, fallback: str) -> Path:
    base = os.environ.get(variable)
    return Path(base) if base else Path.home() / fallback


def cache() -> Path:
    """Return the directory of what can be made again: ``$XDG_CACHE_HOME/otelml/bin``."""
    return _home("XDG_CACHE_HOME", ".cache") / "otelml" / "bin"


def default_state() -> Path:
    """Return where the state is kept unless said otherwise: ``$XDG_STATE_HOME/otelml/stack``."""
    return _home("XDG_STATE_HOME", ".local/state") / "otelml" / "stack"


def files() -> Path:
    """Return the directory that holds ``collector/`` and ``docker-compose.yml``.

    Raises:
        StackError: When they are neither in the package nor beside it.
    """
    here = Path(__file__).parent
    for root in (here / "files", here.parents[1]):
        if (root / "collector" / "otelcol.yaml").is_file():
            return root
    raise StackError("The stack's files are not there.", [f"collector/ is missing from {here}: install otelml again"])


class State:
    """The state directory: ``secrets/`` ``notify/`` ``config/`` ``data/`` ``logs/`` ``run/``, for its owner only."""

    def __init__(self, root: Path) -> None:
        self.root = root.expanduser().absolute()
        self.secrets, self.notify, self.config, self.data, self.logs, self.run = (
            self.root / name for name in ("secrets", "notify", "config", "data", "logs", "run")
        )

    def make(self) -> None:
        """Make what is missing.

        Raises:
            StackError: When it can't be written.
        """
        try:
            for path in (self.root, self.secrets, self.notify, self.config, self.data, self.logs, self.run):
                path.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise StackError(
                "The state can't be kept.", [f"{error.filename}: {error.strerror}; choose another with --state DIR"]
            ) from None

    @property
    def token_file(self) -> Path:
        """Return the file of the tokens that the collector takes, one a line."""
        return self.secrets / "ingest_token"

    @property
    def key_file(self) -> Path:
        """Return the file of the key that redacted values are hashed with."""
        return self.secrets / "redaction_key"
