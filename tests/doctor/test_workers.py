"""Several workers, read from what servers read."""

import pytest

from otelml import config
from otelml.doctor import workers

PULL = {"OTEL_METRICS_EXPORTER": "prometheus"}


def found(folder, **settings):
    """Return the findings for a folder."""
    return list(workers.workers(config.load({}, settings), folder))


@pytest.mark.parametrize(
    ("variable", "value", "text"),
    [
        ("WEB_CONCURRENCY", "4", ""),
        ("GUNICORN_CMD_ARGS", "--bind=:8000 --workers 4 --preload", ""),
        ("GUNICORN_CMD_ARGS", "-w 4", "workers = 2\n"),
        ("UNUSED", "", "import os\nworkers = 4\nbind = ':8000'\n"),
    ],
)
def test_several_workers(tmp_path, monkeypatch, variable, value, text):
    """Their number is found where gunicorn and uvicorn find it; pulled metrics are a fault, pushed ones are fine."""
    monkeypatch.setenv(variable, value)
    (tmp_path / "gunicorn.conf.py").write_text(text)
    pushed, pulled = found(tmp_path)[0], found(tmp_path, **PULL)[0]
    assert (pushed.state, pulled.state) == ("ok", "fault")
    assert pushed.detail.startswith("4 by ")
    assert "OTEL_METRICS_EXPORTER=otlp" in pulled.fix


def test_one_id_for_all_workers(tmp_path, monkeypatch):
    """A service.instance.id in the settings is one for all of them, which is said."""
    monkeypatch.setenv("WEB_CONCURRENCY", "2")
    (finding,) = found(tmp_path, OTEL_RESOURCE_ATTRIBUTES="service.instance.id=mine")
    assert finding.state == "note"


def test_preload_without_post_fork(tmp_path):
    """Preloading is told of where no hook runs in the worker."""
    (tmp_path / "gunicorn.conf.py").write_text("workers = 2\npreload_app = True\n")
    assert [each.state for each in found(tmp_path)] == ["ok", "note"]
    (tmp_path / "gunicorn.conf.py").write_text("workers = 2\npreload_app = True\ndef post_fork(a, b):\n    pass\n")
    assert [each.state for each in found(tmp_path)] == ["ok"]


@pytest.mark.parametrize(
    "text", ["", "workers = 1\n", "workers = os.cpu_count()\n", "this is no Python", "raise SystemExit"]
)
def test_one_worker_or_none_known(tmp_path, text):
    """Nothing is said where there is one, where nobody knows, or where the file is broken; it is never run."""
    (tmp_path / "gunicorn.conf.py").write_text(text)
    assert found(tmp_path) == []


@pytest.mark.parametrize("arguments", ["--workers", "--workers many", "'", "--workers=4 '"])
def test_odd_arguments(tmp_path, monkeypatch, arguments):
    """What gunicorn itself would refuse says nothing here."""
    monkeypatch.setenv("GUNICORN_CMD_ARGS", arguments)
    assert found(tmp_path) == []
