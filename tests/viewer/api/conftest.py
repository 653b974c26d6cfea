"""A store that real otelml processes have sent to: two instances of one version of a model, one of another."""

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

import otelml
from otelml.viewer.api.parameters import Asked
from otelml.viewer.api.routes import ROUTES
from otelml.viewer.receiver import Receiver

PROGRAM = Path(__file__).with_name("served_models.py")
CALLS = {"1": (40, 30), "2": (50,)}
"""Calls of each process, by version; of each ten, the fourth fails."""


def run_program(endpoint, folder, version, count):
    """Run the service to its end."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("OTEL")}
    settings = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
        "OTEL_METRIC_EXPORT_INTERVAL": "300",
        "PYTHONPATH": str(Path(otelml.__file__).parents[1]),
    }
    command = [sys.executable, str(PROGRAM), version, str(count), str(folder)]
    done = subprocess.run(command, env=kept | settings, capture_output=True, text=True, timeout=90, check=False)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="session")
def served(tmp_path_factory):
    """Run the services one after the other; give the store, and ``get(name, **parameters)`` of the API."""
    with Receiver() as receiver:
        for version, counts in CALLS.items():
            for count in counts:
                run_program(receiver.http_endpoint, tmp_path_factory.mktemp("service"), version, count)
        store = receiver.store
        ((last,),) = store.query("SELECT max(time_ns) FROM points")

        def get(name, /, **given):
            given = {key.rstrip("_"): str(value) for key, value in given.items()}
            return ROUTES[name].function(store, Asked(given, now_ns=last + 1))

        yield SimpleNamespace(store=store, get=get, now=last + 1)
    store.close()
