"""A model server as a process: started as its documentation says, with otelml, until the end of a block."""

import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import requests

ROOT = Path(__file__).parents[2]
OTELML_RUN = (sys.executable, "-m", "otelml", "run", "--")
SECONDS = 150


def free_port():
    """Return a port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def environment(endpoint, **more):
    """Return a user's environment: our programs first on the path, telemetry to ``endpoint``, nobody else called."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("OTEL_", "OTELML_"))}
    own = {
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), clean["PATH"]]),
        "PYTHONPATH": os.pathsep.join(filter(None, [clean.get("PYTHONPATH"), str(ROOT)])),
        "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
        "OTELML_HOST": "false",
        "OTELML_GPU": "false",
        "DO_NOT_TRACK": "true",
        "OMP_NUM_THREADS": "1",
    }
    return {**clean, **own, **more}


@contextmanager
def running(command, url, folder, endpoint, **more):
    """Run a server in ``folder`` until the end of the block; it answers ``url`` with 200 when it is ready."""
    log = folder / "server.log"
    with (
        log.open("w") as output,
        subprocess.Popen(
            command,
            cwd=folder,
            env=environment(endpoint, **more),
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        ) as server,
    ):
        try:
            _wait(server, url, log)
            yield server
        finally:
            with suppress(ProcessLookupError):
                os.killpg(server.pid, signal.SIGINT)
            try:
                server.wait(90)
            except subprocess.TimeoutExpired:
                os.killpg(server.pid, signal.SIGKILL)
                raise AssertionError(log.read_text()) from None


def _wait(server, url, log):
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        assert server.poll() is None, log.read_text()
        try:
            if requests.get(url, timeout=5).status_code == requests.codes.ok:
                return
        except requests.RequestException:
            pass
        time.sleep(0.2)
    raise AssertionError(log.read_text())
