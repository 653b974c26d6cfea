"""The demo's two services as child processes: started, waited for, stopped."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
from typing import IO, TYPE_CHECKING, Self

import requests

from otelml.errors import OtelmlError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

START_SECONDS, STOP_SECONDS = 60.0, 15.0
LINES = 15
FAST_EXPORT = {
    "OTEL_METRIC_EXPORT_INTERVAL": "1000",
    "OTEL_BSP_SCHEDULE_DELAY": "300",
    "OTEL_BLRP_SCHEDULE_DELAY": "300",
}
"""What is shown should be a second old, not a minute. Settings of the user's own win."""
MODEL_SETTINGS = {"OTELML_DRIFT_WINDOW": "10", "OTELML_OUTCOMES_INTERVAL": "1"}
"""Of the service with the model; the same."""


class ServiceFailedError(OtelmlError):
    """A service did not start, or ended by itself; the message has its last lines."""


class Services:
    """The feature service and the prediction service, on free loopback ports; a context manager.

    ``endpoint`` takes their telemetry over OTLP/HTTP; with None the user's own ``OTEL_*`` settings say where it goes.
    ``settings`` are for the prediction service.

    Raises ServiceFailedError when one of them does not come up.
    """

    def __init__(self, endpoint: str | None, settings: Mapping[str, str]) -> None:
        self._settings = {**MODEL_SETTINGS, **settings}
        self._environment = {**FAST_EXPORT, **_environment(endpoint), "PYTHONUNBUFFERED": "1"}
        self._running: list[tuple[str, subprocess.Popen[bytes], IO[bytes]]] = []
        self.predict_url = self.outcomes_url = ""

    def __enter__(self) -> Self:
        try:
            features = self._start("feature_service")
            self._environment = {**self._settings, **self._environment, "FEATURES_URL": features}
            url = self._start("prediction_service")
            self.predict_url, self.outcomes_url = f"{url}/predict", f"{url}/internal/outcomes"
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.stop()

    def check(self) -> None:
        """Raise ServiceFailedError when a service has ended."""
        for name, process, output in self._running:
            if process.poll() is not None:
                raise ServiceFailedError(_obituary(name, process, output))

    def stop(self) -> None:
        """End both with SIGTERM and wait: each flushes its telemetry first."""
        for _, process, _ in self._running:
            process.terminate()
        deadline = time.monotonic() + STOP_SECONDS
        for _, process, output in self._running:
            try:
                process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            output.close()
        self._running.clear()

    def _start(self, name: str) -> str:
        port = _free_port()
        output = tempfile.TemporaryFile()  # noqa: SIM115 - closed in stop()
        command = [sys.executable, "-m", "otelml.demo.serve", name, str(port)]
        process = subprocess.Popen(command, env=self._environment, stdout=output, stderr=subprocess.STDOUT)  # noqa: S603 - ours
        self._running.append((name, process, output))
        url = f"http://127.0.0.1:{port}"
        deadline = time.monotonic() + START_SECONDS
        while not _answers(url):
            self.check()
            if time.monotonic() > deadline:
                raise ServiceFailedError(f"{name} did not answer within {START_SECONDS:.0f} s")
            time.sleep(0.05)
        return url


def _environment(endpoint: str | None) -> dict[str, str]:
    """Return the services' environment; the user's own ``OTEL_*`` may lead away from a receiver of ours."""
    if endpoint is None:
        return dict(os.environ)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    return {**kept, "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint}


def _answers(url: str) -> bool:
    try:
        return requests.get(f"{url}/health/readyz", timeout=1).ok
    except requests.RequestException:
        return False


def _obituary(name: str, process: subprocess.Popen[bytes], output: IO[bytes]) -> str:
    output.seek(0)
    last = output.read().decode("utf-8", "replace").splitlines()[-LINES:]
    return "\n".join([f"{name} ended with exit code {process.returncode}; its last lines:", *last])


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
