"""Endpoints, and processes that predict with a spool."""

import os
import struct
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from spool_endpoint import Endpoint

LOAD = Path(__file__).parent / "spool_load.py"
FAST = {"OTELML_FLUSH_INTERVAL": "0.1", "OTEL_BSP_SCHEDULE_DELAY": "200", "OTEL_BLRP_SCHEDULE_DELAY": "200"}
FAST |= {"OTEL_EXPORTER_OTLP_TIMEOUT": "1"}


class Load:
    """A process that predicts."""

    def __init__(self, process, clocks):
        self.process, self._clocks = process, clocks
        self.late = 0.0
        """How many seconds late a thread of it woke up at most."""
        assert process.stdout.readline() == "started\n"

    def made(self):
        """Wait until it has predicted all it should."""
        assert self.process.stdout.readline() == "made\n"

    def kill(self):
        """Kill it; return the ids that ended and how many seconds before the kill each did."""
        self.process.kill()
        killed = time.monotonic()
        self.process.wait()
        return self.ended(killed)

    def ended(self, now):
        """Return what ended, as the number of seconds before ``now`` by number of the prediction."""
        data = self._clocks.read_bytes()
        self.late, *clocks = struct.unpack(f"{len(data) // 8}d", data)
        return {i: now - clock for i, clock in enumerate(clocks) if clock}

    def exit(self, timeout=30):
        """Let it exit."""
        with suppress(BrokenPipeError):
            self.process.stdin.close()
        assert self.process.wait(timeout) == 0


@pytest.fixture
def endpoint(request):
    """Listen; over the protocol that the test gives as a parameter."""
    made = Endpoint(getattr(request, "param", "http/protobuf"))
    yield made
    made.close()


@pytest.fixture
def environ(endpoint, tmp_path):
    """The environment of a process with a spool, and nothing else set."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("OTEL_", "OTELML_"))}
    return (
        clean
        | FAST
        | {
            "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint.url,
            "OTEL_EXPORTER_OTLP_PROTOCOL": endpoint.protocol,
            "OTELML_SPOOL_DIR": str(tmp_path / "spool"),
        }
    )


@pytest.fixture
def load(environ, tmp_path):
    """Start processes that predict; kill at the end what is left of them."""
    started = []

    def start(name, count, *, rate=2000, end="wait", **settings):
        clocks = tmp_path / f"{name}.clocks"
        process = subprocess.Popen(
            [sys.executable, str(LOAD), name, str(count), str(rate), str(clocks), end],
            env={key: value for key, value in (environ | settings).items() if value},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return Load(process, clocks)

    yield start
    for process in started:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()


@pytest.fixture
def cli(environ):
    """Run ``otelml spool``; return what it did."""

    def run(*arguments, **settings):
        return subprocess.run(
            [sys.executable, "-m", "otelml", "spool", *arguments],
            env={key: value for key, value in (environ | settings).items() if value},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return run


@pytest.fixture
def kept(tmp_path):
    """Return a function that gives the number of items of a signal that are on the disk."""

    def items(signal):
        names = [path.name.split("-") for path in (tmp_path / "spool").rglob("*.otlp")]
        return sum(int(name[3]) for name in names if name[2] == signal)

    return items


def wait_for(condition, timeout=20.0):
    """Wait until something is so; return whether it is."""
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


@pytest.fixture
def eventually():
    """Return a function that waits until something is so."""
    return wait_for
