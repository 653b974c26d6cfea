"""Ray Serve as a process: applications of a configuration, on a node that ends with the block."""

import os
import shutil
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

import psutil
import requests
from server_process import running

SECONDS = 240
QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_AUTH_MODE": "disabled", "RAY_ADDRESS": "local"}
"""Nobody is called, no file is written at home, and no node that runs already is used."""


@contextmanager
def node(launcher, configuration, port, endpoint, **settings):
    """Run ``serve run`` with a configuration, of that port, until the end of the block; give the URL."""
    folder = Path(tempfile.mkdtemp(prefix="ray", dir="/tmp"))  # the names of sockets must be short
    (folder / "config.yaml").write_text(configuration)
    given = {**QUIET, "RAY_TMPDIR": str(folder), **settings}
    url = f"http://127.0.0.1:{port}"
    try:
        with running([*launcher, "serve", "run", "config.yaml"], f"{url}/-/healthz", folder, endpoint, **given):
            yield url
    finally:
        _end(folder)


def ready(url, **options):
    """Ask until an application answers; a node starts slowly where the machine is busy."""
    deadline = time.monotonic() + SECONDS
    while (answer := requests.request(url=url, timeout=60, **options)).status_code != requests.codes.ok:
        assert time.monotonic() < deadline, answer.text
        time.sleep(0.2)


def _end(folder):
    """End what is left of a node: its processes have its folder in their environments."""
    for process in psutil.process_iter():
        try:
            if process.environ().get("RAY_TMPDIR") == str(folder) and process.pid != os.getpid():
                process.kill()
        except psutil.Error:
            continue
    shutil.rmtree(folder, ignore_errors=True)
