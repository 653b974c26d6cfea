"""The same stack in Docker, by ``docker compose``."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING

from otelml.stack import laid_out, places, ports, secret_files
from otelml.stack.errors import StackError

if TYPE_CHECKING:
    from collections.abc import Callable

    from otelml.stack.places import State

ANSWER_SECONDS = 20.0
NATIVE = "without Docker the same stack runs as processes: otelml stack up"


def check() -> None:
    """Raise StackError when Docker is missing, its daemon does not answer, or it has no ``compose``."""
    if shutil.which("docker") is None:
        raise StackError("There is no Docker.", ["the command `docker` is not on the PATH", NATIVE])
    for command, fault in (
        (["docker", "info"], "its daemon does not answer: start Docker, or see whether you may use it"),
        (["docker", "compose", "version"], "it has no `docker compose`: install the Compose plugin"),
    ):
        reason = _reason(command)
        if reason is not None:
            raise StackError("Docker can't be used.", [f"{fault} ({reason})", NATIVE])


def _reason(command: list[str]) -> str | None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=ANSWER_SECONDS, check=False)  # noqa: S603 - docker
    except subprocess.TimeoutExpired:
        return f"no answer within {ANSWER_SECONDS:.0f} s"
    return None if done.returncode == 0 else (done.stderr.strip() or "no reason given").splitlines()[-1]


def up(state: State, say: Callable[[str], None]) -> int:
    """Make the secrets, start the containers, wait until they are healthy; return the exit code.

    Raises:
        StackError: When Docker can't be used.
    """
    check()
    for name in secret_files.make(state):
        say(f"made {state.secrets / name}")
    laid_out.lay_out(places.files(), state, ports.DEFAULT)
    return compose(state, "up", "--detach", "--wait")


def compose(state: State, *arguments: str) -> int:
    """Run ``docker compose`` on the stack; return its exit code."""
    file = places.files() / "docker-compose.yml"
    settings = {
        "STACK_STATE_DIR": str(state.root),
        "STACK_SECRETS_DIR": str(state.secrets),
        "STACK_NOTIFY_DIR": str(state.notify),
        "STACK_ALERTMANAGER_CONFIG": str(state.config / "alertmanager" / "alertmanager.yaml"),
    }
    command = ["docker", "compose", "--file", str(file), "--project-name", "otelml", *arguments]
    return subprocess.run(command, env={**os.environ, **settings}, check=False).returncode  # noqa: S603 - docker
