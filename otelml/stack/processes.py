"""Processes that outlive the command that started them: started, found again by their pid files, ended."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

SAME_SECONDS = 1.0
"""A process started within this of the time noted is the one noted; another with its number is later."""
LARGEST_LOG = 32 << 20


def start(name: str, command: Sequence[str], environment: Mapping[str, str], run: Path, logs: Path) -> psutil.Process:
    """Start a process in a session of its own; its output goes to ``logs``, its number to ``run``."""
    log = logs / f"{name}.log"
    if log.is_file() and log.stat().st_size > LARGEST_LOG:
        log.replace(log.with_suffix(".log.1"))
    with log.open("ab") as output:
        child = subprocess.Popen(  # noqa: S603 - a binary of the stack
            command,
            env={**_plain_environment(), **environment},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            cwd=logs,
        )
    process = psutil.Process(child.pid)
    note = {"pid": child.pid, "created": process.create_time()}
    (run / f"{name}.json").write_text(json.dumps(note), encoding="ascii")
    return process


def _plain_environment() -> dict[str, str]:
    """Return the environment less what would steer the processes' own OpenTelemetry, or send them through a proxy."""
    return {k: v for k, v in os.environ.items() if not k.startswith("OTEL") and "proxy" not in k.lower()}


def find(name: str, run: Path) -> psutil.Process | None:
    """Return the running process of that name, or None."""
    try:
        note = json.loads((run / f"{name}.json").read_text(encoding="ascii"))
        process = psutil.Process(note["pid"])
        same = abs(process.create_time() - note["created"]) < SAME_SECONDS
        return process if same and process.status() != psutil.STATUS_ZOMBIE else None
    except (OSError, ValueError, KeyError, TypeError, psutil.Error):
        return None


def end(processes: Mapping[str, psutil.Process], run: Path, seconds: float) -> list[str]:
    """End processes with SIGTERM, those left after so many seconds with SIGKILL; return the names of the latter."""
    for process in processes.values():
        _signal(process, signal.SIGTERM)
    deadline = time.monotonic() + seconds
    left = dict(processes)
    while left and time.monotonic() < deadline:
        left = {name: process for name, process in left.items() if _runs(process)}
        time.sleep(0.05 if left else 0)
    for process in left.values():
        _signal(process, signal.SIGKILL)
    psutil.wait_procs(list(left.values()), timeout=5)
    for name in processes:
        (run / f"{name}.json").unlink(missing_ok=True)
    return list(left)


def _runs(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running()) and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def _signal(process: psutil.Process, number: int) -> None:
    try:
        process.send_signal(number)
    except psutil.Error:
        return


def last_lines(log: Path, count: int) -> list[str]:
    """Return the end of a log, as far as there is one."""
    if not log.is_file():
        return []
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - count * 1000))
        return file.read().decode("utf-8", "replace").splitlines()[-count:]
