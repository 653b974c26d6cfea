"""Packages that are installed, as far as metadata tells: real files, found by the real importlib.metadata."""

import socket
import sys

import pytest


class Installed:
    """A folder on ``sys.path`` with distributions in it."""

    def __init__(self, folder):
        self.folder = folder

    def add(self, name, version, *requires, extras=(), entry_points="", module=""):
        """Add a distribution, with a module where it has one."""
        info = self.folder / f"{name.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        lines = [
            *("Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"),
            *(f"Provides-Extra: {extra}" for extra in extras),
            *(f"Requires-Dist: {line}" for line in requires),
        ]
        (info / "METADATA").write_text("\n".join(lines) + "\n")
        (info / "entry_points.txt").write_text(entry_points)
        (info / "top_level.txt").write_text(module)


@pytest.fixture
def installed(tmp_path_factory, monkeypatch):
    """Give a folder that is first on the path; what is really installed is behind it."""
    folder = tmp_path_factory.mktemp("site")
    monkeypatch.setattr(sys, "path", [str(folder), *sys.path])
    return Installed(folder)


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch):
    """Leave the caller's own agents, workers and GPUs out."""
    for name in ("PYTHONPATH", "WEB_CONCURRENCY", "GUNICORN_CMD_ARGS", "CUDA_VISIBLE_DEVICES", "OTEL_PYTHON_DISTRO"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def free_port():
    """Give a port that is free just now."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return taken.getsockname()[1]
