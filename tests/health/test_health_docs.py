"""docs/health.md: its applications answer over HTTP, its manifest and its health checks are right."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import kubernetes_validate
import pytest
import requests
import yaml

PAGE = (Path(__file__).parents[2] / "docs" / "health.md").read_text("utf-8")
PYTHON, YAML = (re.findall(rf"^```{kind}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL) for kind in ("python", "yaml"))
PROBES = ("startupProbe", "readinessProbe", "livenessProbe")


@pytest.fixture
def served(request, otlp, tmp_path):
    """Serve the application of one snippet by uvicorn; give its process and address."""
    (tmp_path / "app.py").write_text(next(text for text in PYTHON if request.param in text), "utf-8")
    environment = os.environ | {"OTEL_EXPORTER_OTLP_ENDPOINT": otlp.endpoint}
    command = [sys.executable, "-m", "uvicorn", "app:app", "--port", "0"]
    with subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True) as server:
        try:
            yield server, next(found[0] for line in server.stderr if (found := re.search(r"http://[\w.:]+", line)))
        finally:
            server.kill()


@pytest.mark.parametrize("served", ["health.model("], indirect=True)
def test_the_probes_of_the_manifest_are_answered(served, otlp):
    """Each path that the manifest asks is there; readiness asks all checks; nothing is traced."""
    server, url = served
    (container,) = yaml.safe_load(YAML[0])["spec"]["template"]["spec"]["containers"]
    answers = [requests.get(f"{url}{container[probe]['httpGet']['path']}", timeout=10) for probe in PROBES]
    assert [(answer.status_code, answer.json()["status"]) for answer in answers] == [(200, "pass")] * 3
    assert answers[1].json()["checks"].keys() == {"features", "cache", "delay"}
    assert requests.get(f"{url}/health/statusz", timeout=10).json()["service"] == "flights"
    server.terminate()
    server.wait(20)
    assert (otlp.spans(), otlp.totals("http.server.request.duration"), otlp.totals("ml.requests")) == ([], [], [])


@pytest.mark.parametrize("served", ["drain_on_sigterm(5)"], indirect=True)
def test_drained_by_uvicorn(served):
    """At SIGTERM it is not ready and answers on for 5 s, without an end of its own; the second one ends it."""
    server, url = served
    assert requests.get(f"{url}/health/readyz", timeout=10).status_code == 200
    server.send_signal(signal.SIGTERM)
    deadline = time.monotonic() + 4
    while requests.get(f"{url}/health/readyz", timeout=10).status_code == 200:
        assert time.monotonic() < deadline
    assert requests.get(f"{url}/health/livez", timeout=10).status_code == 200
    server.send_signal(signal.SIGTERM)
    assert server.wait(4) in {0, -signal.SIGTERM}


@pytest.mark.parametrize("version", ["1.31", kubernetes_validate.latest_version()])
def test_the_manifest_is_one(version):
    """Kubernetes' own schema takes it, and refuses a probe that is spelt wrong."""
    manifest = yaml.safe_load(YAML[0])
    kubernetes_validate.validate(manifest, version, strict=True)
    wrong = yaml.safe_load(YAML[0].replace("timeoutSeconds", "timeoutSecond"))
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, version, strict=True)


def test_the_health_checks_of_containers_ask_what_is_there():
    """Dockerfile and Compose run the script that the package installs, on a path of the application."""
    project = (Path(__file__).parents[2] / "pyproject.toml").read_text("utf-8")
    command = yaml.safe_load(YAML[1])["services"]["flights"]["healthcheck"]["test"]
    assert command[0] == "CMD"
    assert f'"otelml/health/probe.py" = "{command[1]}"' in project
    assert f'CMD ["{command[1]}", "{command[2]}"]' in PAGE
    assert command[2].endswith("/health/readyz")
