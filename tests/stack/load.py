"""Programs that send to a stack: what they are told, and that they end with the test."""

import os
import socket
import subprocess
import sys

from otelml.demo.services import FAST_EXPORT


def environment(stack, **more):
    """Return what `otelml stack env` gives a service, exporting often enough for a short test."""
    exported = {}
    for line in stack.run("env").splitlines():
        name, _, value = line.removeprefix("export ").partition("=")
        exported[name] = value
    token = stack.state.token_file.read_text(encoding="ascii").strip()
    exported["OTEL_EXPORTER_OTLP_HEADERS"] = f"authorization=Bearer%20{token}"
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("OTEL_", "OTELML_"))}
    return {**kept, **exported, **FAST_EXPORT, **more}


def start(cleanup, *command, **environment):
    """Start a program of ours; it ends with the test."""
    process = subprocess.Popen(
        [sys.executable, *map(str, command)], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT
    )
    cleanup.callback(process.wait, 20)
    cleanup.callback(process.terminate)
    return process


def free_port():
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
