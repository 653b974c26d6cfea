"""The service and the receiver as child processes, and the kills."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import TracebackType

HERE = Path(__file__).parent
START_SECONDS, STOP_SECONDS = 240.0, 30.0
SETTINGS = {
    "OTEL_METRIC_EXPORT_INTERVAL": "1000",
    "OTEL_EXPORTER_OTLP_TIMEOUT": "10",
    "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
    "OPENBLAS_NUM_THREADS": "1",
    "PYTHONUNBUFFERED": "1",
}
"""Metrics every second. An answer may take 10 s, as by default in the SDK: a machine at its limit is no lost answer."""


class FailedError(Exception):
    """A process did not come up, or ended by itself."""


class Receiver:
    """The receiver's process, on one port and one file for as long as this lives."""

    def __init__(self, folder: Path) -> None:
        self.store, self.answered, self.port = folder / "store.db", folder / "answered.txt", free_port()
        self.endpoint = f"http://127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def up(self) -> bool:
        """Whether it runs."""
        return self._process is not None

    def start(self) -> None:
        """Start it and wait until it listens."""
        command = [sys.executable, str(HERE / "receiver.py"), str(self.store), str(self.port), str(self.answered)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE)  # noqa: S603 - ours
        wait_for(self.port, self._process)

    def kill(self) -> None:
        """End it as SIGKILL does, in the middle of whatever it does."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """Let it finish its requests, then end."""
        self._end(None)

    def _end(self, how: signal.Signals | None) -> None:
        process, self._process = self._process, None
        if process is None or process.stdin is None:
            return
        if how is None:
            process.stdin.close()
        else:
            process.send_signal(how)
        process.wait(STOP_SECONDS)
        process.stdin.close()


class Service:
    """The service's process; ``with`` starts it and ends it with SIGTERM, so that it flushes."""

    def __init__(self, endpoint: str, leaks: Iterable[str], output: Path) -> None:
        self.port = free_port()
        self._output = output.open("wb")
        kept = {name: value for name, value in os.environ.items() if not name.startswith("OTEL")}
        self._environment = {**kept, **SETTINGS, "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint}
        self._command = [sys.executable, str(HERE / "service.py"), str(self.port), ",".join(leaks)]

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(  # noqa: S603 - ours
            self._command,
            env=self._environment,
            stdin=subprocess.PIPE,
            stdout=self._output,
            stderr=subprocess.STDOUT,
        )
        try:
            wait_for(self.port, self._process)
        except FailedError:
            self.stop()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """Number of the process."""
        return self._process.pid

    def check(self) -> None:
        """Raise FailedError when it has ended."""
        if self._process.poll() is not None:
            raise FailedError(f"the service ended with exit code {self._process.returncode}")

    def stop(self) -> float:
        """End it; return the seconds that took."""
        began = time.monotonic()
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._output.close()
        return time.monotonic() - began


def wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    """Wait until a process listens; FailedError when it ends, or takes longer than four minutes."""
    deadline = time.monotonic() + START_SECONDS
    while True:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        if process.poll() is not None or time.monotonic() > deadline:
            raise FailedError(f"{process.args!r} did not come up (exit code {process.returncode})")
        time.sleep(0.02)


def free_port() -> int:
    """Return a port of loopback that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
