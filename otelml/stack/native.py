"""The stack as processes of this machine: up, down, and how it is."""

from __future__ import annotations

import contextlib
import fcntl
import json
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from otelml.stack import build, laid_out, places, ports, processes, secret_files, services, web
from otelml.stack.errors import StackError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from otelml.stack.places import State
    from otelml.stack.services import Service

START_SECONDS, STOP_SECONDS = 90.0, 30.0
LAST_LINES = 12


@dataclass(frozen=True, slots=True)
class Plan:
    """What the stack was started with; kept in ``STATE/run/stack.json``."""

    ports: Mapping[str, int]
    overlays: tuple[str, ...] = ()
    docker: bool = False

    def write(self, state: State) -> None:
        """Keep it."""
        text = json.dumps({"ports": dict(self.ports), "overlays": self.overlays, "docker": self.docker})
        (state.run / "stack.json").write_text(text, encoding="ascii")

    @classmethod
    def read(cls, state: State) -> Plan | None:
        """Return what was kept, or None when nothing was started."""
        try:
            kept = json.loads((state.run / "stack.json").read_text(encoding="ascii"))
            return cls({**ports.DEFAULT, **kept["ports"]}, tuple(kept["overlays"]), kept["docker"])
        except (OSError, ValueError, KeyError, TypeError):
            return None


def planned(state: State) -> Plan:
    """Return what the stack was started with.

    Raises:
        StackError: When nothing was started.
    """
    plan = Plan.read(state)
    if plan is None:
        raise StackError("The stack is not running.", [f"nothing was started in {state.root}: otelml stack up"])
    return plan


@contextlib.contextmanager
def alone(state: State) -> Iterator[None]:
    """Let one command at a time change the stack of one state directory.

    Raises:
        StackError: When another is at it.
    """
    with (state.run / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise StackError("The stack is being started or stopped.", ["wait for the other command to end"]) from None
        yield


def running(state: State) -> dict[str, psutil.Process]:
    """Return the running processes by name, in the order they start."""
    found = {name: processes.find(name, state.run) for name in names()}
    return {name: process for name, process in found.items() if process is not None}


def names() -> list[str]:
    """Return the names of the processes, in the order they start."""
    return ["prometheus", "loki", "alertmanager", "jaeger", "otelcol"]


def up(state: State, plan: Plan, say: Callable[[str], None]) -> list[Service]:
    """Start what is not running, in order, and wait until all are ready; return all of them.

    Raises:
        StackError: When ports are taken, or a process does not come up; those started here are ended again.
    """
    files = places.files()
    there = running(state)
    if not there:
        ports.check_free(plan.ports)
    for name in secret_files.make(state):
        say(f"made {state.secrets / name}")
    laid_out.lay_out(files, state, plan.ports)
    for name in ("queue", "prometheus", "alertmanager", "loki", "jaeger/keys", "jaeger/values"):
        (state.data / name).mkdir(parents=True, exist_ok=True, mode=0o700)
    plan.write(state)
    wanted = services.services(files, state, plan.ports, plan.overlays)
    started: dict[str, psutil.Process] = {}
    try:
        backends, collector = wanted[:-1], wanted[-1:]
        for group in (backends, collector):  # the collector is last: it finds everyone there
            fresh = [service for service in group if service.name not in there]
            for service in fresh:
                started[service.name] = _start(service, state)
            _wait(fresh, state, say)
    except BaseException:
        processes.end(started, state.run, STOP_SECONDS)
        raise
    return wanted


def _start(service: Service, state: State) -> psutil.Process:
    limit = {"GOMEMLIMIT": f"{services.MEMORY_MIB * 8 // 10}MiB"} if service.name == "otelcol" else {}
    command = [str(build.binary(service.name)), *service.arguments]
    return processes.start(service.name, command, {**service.environment, **limit}, state.run, state.logs)


def _wait(waiting: Sequence[Service], state: State, say: Callable[[str], None]) -> None:
    """Wait until each is ready; raise StackError with the last lines of those that ended or did not get there."""
    begun = time.monotonic()
    left, faults = list(waiting), []
    while left and time.monotonic() - begun < START_SECONDS:
        for service in tuple(left):
            if is_ready(service):
                say(f"{service.name:13} ready after {time.monotonic() - begun:4.1f} s   {service.address}")
                left.remove(service)
            elif processes.find(service.name, state.run) is None:
                faults.append(_obituary(service, "ended by itself", state))
                left.remove(service)
        time.sleep(0.1 if left else 0)
    faults += [_obituary(service, f"is not ready after {START_SECONDS:.0f} s", state) for service in left]
    if faults:
        raise StackError("The stack did not start.", faults)


def is_ready(service: Service) -> bool:
    """Say whether a process answers that it is ready."""
    return web.is_ok(service.ready)


def _obituary(service: Service, what: str, state: State) -> str:
    log = state.logs / f"{service.name}.log"
    return "\n    ".join([f"{service.name} {what}; {log} ends:", *processes.last_lines(log, LAST_LINES)])


def down(state: State) -> tuple[list[str], list[str]]:
    """End the processes, the collector first; return (names ended, names of those that had to be killed).

    What the collector still has to send waits on disk, and is sent after the next start.
    """
    there = running(state)
    collector = {name: process for name, process in there.items() if name == "otelcol"}
    backends = {name: process for name, process in there.items() if name != "otelcol"}
    killed = processes.end(collector, state.run, STOP_SECONDS) + processes.end(backends, state.run, STOP_SECONDS)
    (state.run / "stack.json").unlink(missing_ok=True)
    return list(there), killed


def delete(state: State) -> None:
    """Delete everything that was made or stored; what the user wrote into ``notify`` stays."""
    for path in (state.data, state.config, state.logs, state.run, state.secrets):
        shutil.rmtree(path, ignore_errors=True)
    for path in (state.notify, state.root):
        with contextlib.suppress(OSError):  # not empty: the user's own files
            Path(path).rmdir()


@dataclass(frozen=True, slots=True)
class Condition:
    """How one process is: ``ready``, ``starting`` or ``down``."""

    name: str
    state: str
    address: str
    pid: int | None = None
    seconds: float = 0.0
    memory: int = 0


def conditions(state: State, plan: Plan) -> list[Condition]:
    """Return how each process is; memory in bytes, resident."""
    there = running(state)
    return [_condition(s, there.get(s.name)) for s in services.services(places.files(), state, plan.ports)]


def _condition(service: Service, process: psutil.Process | None) -> Condition:
    if process is None:
        return Condition(service.name, "down", service.address)
    try:
        age, memory = time.time() - process.create_time(), process.memory_info().rss
    except psutil.Error:
        return Condition(service.name, "down", service.address)
    word = "ready" if is_ready(service) else "starting"
    return Condition(service.name, word, service.address, process.pid, age, memory)
