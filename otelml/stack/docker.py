"""The same stack in Docker, by ``docker compose``."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from otelml.stack import laid_out, places
from otelml.stack.errors import StackError
from otelml.stack.ports import LOOPBACK

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from otelml.stack.places import State

ANSWER_SECONDS = 20.0
IN_CONTAINER = Path("/etc/alertmanager")
"""Where docker-compose.yml mounts what tells Alertmanager whom to notify."""
NATIVE = "without Docker the same stack runs as processes: otelml stack up"
PUBLISHED = ("otlp-grpc", "otlp-http", "prometheus", "jaeger", "loki", "alertmanager")
"""Ports that docker-compose.yml publishes on the loopback, each from its variable ``PORT_*``."""


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


def up(state: State, ports: Mapping[str, int], say: Callable[[str], None]) -> int:
    """Make the secrets, start the containers, wait until they are healthy; return the exit code.

    Raises:
        StackError: When the secrets can't be made, or nobody can be notified as asked.
    """
    laid_out.lay_out(places.files(), state, ports, IN_CONTAINER)
    make_secrets(state, say)
    return compose(state, ports, "up", "--detach", "--wait")


def make_secrets(state: State, say: Callable[[str], None]) -> None:
    """Run what ``scripts/stack-secrets`` runs: it also hands the files over to who runs the containers.

    Raises:
        StackError: With its last words when it fails.
    """
    script = places.files() / "collector" / "docker" / "secrets.sh"
    done = subprocess.run(["sh", str(script), str(state.root)], capture_output=True, text=True, check=False)  # noqa: S603, S607 - ours
    if done.returncode:
        raise StackError("The secrets can't be made.", done.stderr.strip().splitlines()[-1:])
    for line in done.stdout.splitlines():
        kind, _, path = line.partition(":")
        if kind == "written":
            say(f"made {path.strip()}")


def grafana() -> str:
    """Return the address of Grafana: ``PORT_GRAFANA`` moves it, for it runs in Docker alone."""
    return f"http://{LOOPBACK}:{os.environ.get('PORT_GRAFANA') or 3000}"


def delete_settings(state: State) -> None:
    """Delete the variables that ``make_secrets`` wrote: they lead to what is deleted with them."""
    (state.root / "compose.env").unlink(missing_ok=True)


def compose(state: State, ports: Mapping[str, int], *arguments: str) -> int:
    """Run ``docker compose`` on the stack; return its exit code."""
    settings = {"STACK_ALERTMANAGER": str(state.config / "alertmanager" / "alertmanager.yaml")}
    settings |= {f"PORT_{name.upper().replace('-', '_')}": str(ports[name]) for name in PUBLISHED}
    command = ["docker", "compose", "--file", str(places.files() / "docker-compose.yml"), "--project-name", "otelml"]
    command += ["--env-file", str(state.root / "compose.env"), *arguments]
    return subprocess.run(command, env={**os.environ, **settings}, check=False).returncode  # noqa: S603 - docker
