"""Every example, run as its README says: real processes, real OTLP, every span, event and count exact."""

import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from unittest.mock import ANY

import numpy as np
import pytest
import requests
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from otelml.viewer.receiver import Receiver

EXAMPLES = Path(__file__).parent.parent / "examples"
BLOCK = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)
STAGES = ("feature_retrieval", "preprocessing", "inference", "postprocessing")


@pytest.fixture
def store():
    """Receive OTLP over HTTP; give the store of what arrived."""
    with Receiver() as receiver:
        receiver.store.endpoint = receiver.http_endpoint
        yield receiver.store


def commands(example, block=0):
    """Return the lines of one shell block of an example's README."""
    blocks = BLOCK.findall((EXAMPLES / example / "README.md").read_text("utf-8"))
    return blocks[block].splitlines()


def environment(endpoint):
    """Return the environment of a user: our settings only, our programs first on the path."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("OTEL_", "OTELML_"))}
    path = os.pathsep.join([str(Path(sys.executable).parent), clean["PATH"]])
    return clean | {"PATH": path, "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint}


def run(command, example, endpoint):
    """Run one line of a README in the folder of its example; return its output."""
    done = subprocess.run(
        ["sh", "-c", command],
        cwd=EXAMPLES / example,
        env=environment(endpoint),
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done


def bodies(store):
    """Return the texts of the ordinary log records, which have no event name."""
    return [record.body for record in store.logs() if not record.event_name]


def test_every_example_is_tested_here():
    """An example without a README, or without a test, is not an example."""
    found = {path.parent.name for path in EXAMPLES.glob("*/app.py")}
    here = {"quickstart", "fastapi_sklearn", "manual_stages", "zero_code"}
    of_servers = {"bentoml_digits", "fastapi_torch", "grpc_scoring", "mlflow_fastapi"}  # test_example_servers.py
    of_servers |= {"ray_serve_digits"}  # integrations/test_ray_serve.py
    assert found == here | of_servers
    assert all((EXAMPLES / name / "README.md").exists() for name in found)


def classes_without_otelml():
    """Return how often scikit-learn alone predicts each class for the rows of the quickstart."""
    rows, species = load_iris(return_X_y=True)
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(rows, species)
    return np.bincount(model.predict(rows[::10])).tolist()


def test_quickstart(store):
    """Fifteen predictions: spans, events, requests and rows by class all say fifteen, and nothing is on stderr."""
    (command,) = commands("quickstart")
    done = run(command, "quickstart", store.endpoint)
    assert (done.stdout, done.stderr) == ("15 predictions made\n", "")
    assert store.counts_by_span_name() == {"predict iris": 15, "preprocessing": 15, "inference": 15}
    assert store.counts_by_event_name() == {"ml.prediction": 15}
    model = {"ml.model.name": "iris", "ml.model.version": "1"}
    assert store.total("ml.requests", **model, **{"ml.operation": "predict_proba"}) == 15
    assert store.total("ml.prediction.duration", **model) == 15
    by_class = [store.total("ml.predictions", **model, **{"ml.prediction.class": str(i)}) for i in range(3)]
    assert by_class == classes_without_otelml()
    assert store.total("ml.prediction.confidence", **model) == 15
    assert store.total("ml.stage.duration", **model) == 30
    assert store.total("ml.requests.active") == store.total("otelml.dropped") == store.total("otelml.errors") == 0


def test_quickstart_on_the_console(store):
    """The second command of its README prints the same 45 spans and sends nothing."""
    (command,) = commands("quickstart", 1)
    done = run(command, "quickstart", store.endpoint)
    assert done.stdout.count('"name": "predict iris"') == 15
    assert done.stdout.count('"trace_id"') == 45
    assert store.requests == {"traces": 0, "metrics": 0, "logs": 0}


def test_manual_stages(store):
    """Stages, values and business value said by hand arrive; the streaming prediction has its first item."""
    (command,) = commands("manual_stages")
    done = run(command, "manual_stages", store.endpoint)
    assert done.stdout.endswith("hello world\n")
    assert done.stderr == ""
    assert store.counts_by_span_name() == {"predict demand": 3, "predict greeter": 1, **dict.fromkeys(STAGES, 3)}
    assert store.counts_by_event_name() == {"ml.prediction": 4}
    assert store.total("ml.requests", **{"ml.model.name": "demand", "ml.model.version": "2026-11"}) == 3
    assert store.total("ml.prediction.value", **{"ml.model.name": "demand"}) == 3
    assert store.total("ml.prediction.business_value", **{"ml.business_value.unit": "EUR"}) == 3
    assert store.total("ml.prediction.time_to_first_item", **{"ml.model.name": "greeter"}) == 1
    assert [store.total("ml.stage.duration", **{"ml.stage": stage}) for stage in STAGES] == [3, 3, 3, 3]
    ids = {span.attributes["ml.prediction.id"] for span in store.spans("predict demand")}
    assert ids == set(re.findall(r"prediction ([0-9a-f]{32})", done.stdout))


@pytest.mark.parametrize("line", [0, 1], ids=["otelml run", "opentelemetry-instrument"])
def test_zero_code(store, line):
    """An unchanged program: five predictions, five events and its own five log lines, either way it is started."""
    done = run(commands("zero_code")[line], "zero_code", store.endpoint)
    assert done.stderr.count("INFO:diabetes:progression") == 5
    assert store.counts_by_span_name() == {"predict Ridge": 5, "inference": 5}
    assert store.counts_by_event_name() == {"ml.prediction": 5}
    assert [text.split()[0] for text in bodies(store)] == ["progression"] * 5
    assert store.total("ml.requests", **{"ml.model.name": "Ridge", "ml.operation": "predict"}) == 5
    assert store.total("ml.prediction.value", **{"ml.model.name": "Ridge"}) == 5
    assert {span.resource["service.name"] for span in store.spans()} == {"diabetes"}


def free_port():
    """Return a port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def served(command, example, endpoint, port):
    """Run a server from a README until the end of the block; it must answer, and end when it is interrupted."""
    with subprocess.Popen(
        ["sh", "-c", f"exec {command}"],
        cwd=EXAMPLES / example,
        env=environment(endpoint),
        stderr=subprocess.PIPE,
        text=True,
    ) as server:
        try:
            wait_for(f"http://127.0.0.1:{port}/health/livez", server)
            yield
        finally:
            server.send_signal(signal.SIGINT)
            _, errors = server.communicate(timeout=30)
    assert "Traceback" not in errors, errors


def wait_for(url, server):
    """Wait until the server answers."""
    deadline = time.monotonic() + 60
    while True:
        try:
            requests.get(url, timeout=5)
        except (requests.ConnectionError, requests.Timeout):
            assert server.poll() is None, server.stderr.read()
            assert time.monotonic() < deadline
            time.sleep(0.1)
        else:
            return


def curl(line):
    """Do what a curl line of a README does, without needing curl; return status, request id and answer."""
    command, *rest = shlex.split(line)
    assert command == "curl"
    headers = dict(value.split(": ") for option, value in pairwise(rest) if option == "-H")
    answer = requests.get(rest[-1], headers=headers, timeout=10)
    return answer.status_code, answer.headers["X-Request-ID"], answer.json()


def test_fastapi_sklearn(store):
    """Served by uvicorn, called over HTTP: two traces, the request's id on each signal, no span of the health check."""
    port = free_port()
    (serve,), calls = commands("fastapi_sklearn"), commands("fastapi_sklearn", 1)
    with served(serve.replace("8000", str(port)), "fastapi_sklearn", store.endpoint, port):
        answers = [curl(line.replace("localhost:8000", f"127.0.0.1:{port}")) for line in calls]
    assert [(status, request_id) for status, request_id, _ in answers[::2]] == [(200, "order-42"), (422, ANY)]
    assert [answers[0][2]["species"], answers[1][2]["species"], answers[3][2]["status"]] == [
        "setosa",
        "virginica",
        "pass",
    ]
    assert store.counts_by_span_name() == {"GET /predict": 3, "predict iris": 2, "inference": 2}
    assert store.counts_by_event_name() == {"ml.prediction": 2}
    assert bodies(store) == ["answered setosa", "answered virginica"]
    assert store.total("ml.requests", **{"ml.model.name": "iris", "ml.model.version": "2"}) == 2
    assert store.total("ml.predictions", **{"ml.prediction.class": "0"}) == 1
    assert store.total("http.server.request.duration", **{"http.response.status_code": 200}) == 2
    assert store.total("http.server.request.duration", **{"http.response.status_code": 422}) == 1
    assert_one_request_is_followed(store, "order-42")


def assert_one_request_is_followed(store, request_id):
    """The id of one request is on its server span, prediction span, event and log line, all of one trace."""
    server, prediction = (
        next(span for span in store.spans(name) if span.attributes.get("ml.request.id") == request_id)
        for name in ("GET /predict", "predict iris")
    )
    assert prediction.trace_id == server.trace_id
    assert prediction.parent_id == server.span_id
    logs = store.logs(trace_id=server.trace_id)
    assert sorted(record.event_name for record in logs) == ["", "ml.prediction"]
    assert {record.attributes["ml.request.id"] for record in logs} == {request_id}
