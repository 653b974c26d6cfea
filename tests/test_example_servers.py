"""The examples of servers, run as their READMEs say: real processes, real OTLP, every span and count exact."""

import re
import subprocess
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from importlib.util import find_spec

import pytest
import requests
from test_examples import EXAMPLES, commands, environment, free_port, run, served

from otelml.viewer.receiver import Receiver


@pytest.fixture
def received():
    """Receive OTLP over HTTP; give the store of what arrived."""
    with Receiver() as receiver:
        receiver.store.endpoint = receiver.http_endpoint
        yield receiver.store


@contextmanager
def grpc_server(store, port):
    """Run the scoring service until the end of the block."""
    (line,) = commands("grpc_scoring")
    command = ["sh", "-c", f"exec {line.replace('50051', str(port))}"]
    with subprocess.Popen(
        command,
        cwd=EXAMPLES / "grpc_scoring",
        env=environment(store.endpoint),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as server:
        try:
            assert server.stdout.readline() == "ready\n"
            yield
        finally:
            server.terminate()
            _, errors = server.communicate(timeout=30)
    assert "Traceback" not in errors, errors


def test_grpc_scoring(received):
    """Caller and server are one trace a visit, with its request id on prediction, event and log line."""
    port = free_port()
    (line,) = commands("grpc_scoring", 1)
    with grpc_server(received, port):
        done = run(line.replace("50051", str(port)), "grpc_scoring", received.endpoint)
    ids = re.findall(r"prediction ([0-9a-f]{32})", done.stdout)
    assert done.stdout.splitlines()[2] == "INVALID_ARGUMENT"
    calls = {"visit": 3, "scoring.Scoring/Score": 6}  # of the caller and of the service
    assert received.counts_by_span_name() == {**calls, "predict tumour": 2, "preprocessing": 2, "inference": 2}
    assert [span.attributes["ml.prediction.id"] for span in received.spans("predict tumour")] == ids
    served_by = {span.span_id: span for span in received.spans("scoring.Scoring/Score") if span.kind == "server"}
    visits = sorted(received.spans("visit"), key=lambda span: span.start_ns)
    for number, span in enumerate(received.spans("predict tumour")):
        assert span.trace_id == served_by[span.parent_id].trace_id == visits[number].trace_id
        assert span.attributes["ml.request.id"] == f"visit-{number}"
        logs = received.logs(trace_id=span.trace_id)
        assert sorted(record.event_name for record in logs) == ["", "ml.prediction"]
        assert {record.attributes["ml.request.id"] for record in logs} == {f"visit-{number}"}
    assert {span.resource["service.name"] for span in received.spans()} == {"clinic", "scoring"}
    assert received.total("ml.requests", **{"ml.model.name": "tumour"}) == received.total("ml.requests") == 2
    assert [record.severity_text for record in received.logs() if not record.event_name].count("WARN") == 1


CUSTOMERS = [{"months": 3, "tickets": 4, "price": 55}, {"months": 50, "tickets": 0, "price": 30}]


@pytest.mark.timeout(240)
@pytest.mark.skipif(find_spec("mlflow") is None, reason="MLflow is not installed")
def test_mlflow_fastapi(received, tmp_path, monkeypatch):
    """MLflow's call is the prediction, once; its objectives are rules."""
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    monkeypatch.setenv("MODEL", str(tmp_path / "model"))
    train, serve, rules = commands("mlflow_fastapi")
    run(train.replace(" model", f" {tmp_path / 'model'}"), "mlflow_fastapi", "http://127.0.0.1:9")
    run(rules.replace("rules.yaml", str(tmp_path / "rules.yaml")), "mlflow_fastapi", "http://127.0.0.1:9")
    port = free_port()
    with served(serve.replace("8000", str(port)), "mlflow_fastapi", received.endpoint, port):
        answers = [requests.post(f"http://127.0.0.1:{port}/churn", json=CUSTOMERS, timeout=30) for _ in range(3)]
        assert requests.get(f"http://127.0.0.1:{port}/health/readyz", timeout=30).json()["status"] == "pass"
        assert requests.post(f"http://127.0.0.1:{port}/churn", json=[{}], timeout=30).status_code == 422
    likely, unlikely = answers[0].json()
    assert likely > 0.5 > unlikely
    assert received.counts_by_span_name() == {
        "POST /churn": 4,
        "predict churn": 3,
        "preprocessing": 3,
        "inference": 3,
    }
    assert received.total("ml.requests", **{"ml.model.version": "2026-11"}) == received.total("ml.requests") == 3
    assert received.total("ml.predictions") == received.total("ml.prediction.confidence") == 6
    assert [record.body for record in received.logs() if not record.event_name].count("answered 2 customers") == 3
    assert {point.attributes["ml.model.name"] for point in received.latest("ml.model.loaded")} == {"churn"}
    written = (tmp_path / "rules.yaml").read_text("utf-8")
    assert {"ChurnAvailabilityBudgetBurn", "ChurnLatencyBudgetBurn"} <= set(re.findall(r"alert: (\w+)", written))


@pytest.mark.timeout(240)
@pytest.mark.skipif(find_spec("bentoml") is None, reason="BentoML is not installed; scripts/test-integrations bentoml")
def test_bentoml_digits(received, tmp_path, monkeypatch):
    """Requests are logged and predicted, in batches too; health asks the model and counts nothing."""
    monkeypatch.setenv("BENTOML_HOME", str(tmp_path))
    monkeypatch.setenv("BENTOML_DO_NOT_TRACK", "True")
    port, many = free_port(), 10
    (line,) = commands("bentoml_digits")
    command = f"{line.replace('3000', str(port))} --host 127.0.0.1"
    image = [[0, 0, 8, 15, 8, 0, 0, 0]] * 8
    url = f"http://127.0.0.1:{port}"
    with served(command, "bentoml_digits", received.endpoint, port), ThreadPoolExecutor(many) as pool:
        answer = requests.post(f"{url}/classify", json={"image": image}, headers={"X-Request-ID": "a"}, timeout=30)
        assert answer.json().keys() == {"digit", "confidence"}
        row = [pixel for line in image for pixel in line]
        asked = [pool.submit(requests.post, f"{url}/classify_many", json={"images": [row]}) for _ in range(many)]
        assert {len(each.result().json()) for each in asked} == {1}
        assert requests.get(f"{url}/health/readyz", timeout=30).json()["status"] == "pass"
    names = received.counts_by_span_name()
    assert (names["POST /classify"], names["POST /classify_many"]) == (1, many)
    assert not [name for name in names if "health" in name or "ready" in name]
    model = {"ml.model.name": "digits", "ml.model.version": "1"}
    assert received.total("ml.predictions", **model) == received.total("ml.predictions") == 1 + many
    (request,) = received.spans("POST /classify")
    assert sorted(span.name for span in received.spans(trace_id=request.trace_id)) == [
        "POST /classify",
        "inference",
        "predict digits",
    ]
    (logged,) = [record for record in received.logs(trace_id=request.trace_id) if record.body.startswith("an image")]
    assert logged.attributes["ml.request.id"] == "a"
    linked = sum(len(span.links) for span in received.spans("predict digits") if not span.parent_id)
    alone = sum(1 for span in received.spans("predict digits") if span.parent_id) - 1
    assert alone == many
    assert linked <= many


@pytest.mark.timeout(240)
@pytest.mark.skipif(find_spec("torch") is None, reason="PyTorch is not installed; scripts/test-integrations torch")
def test_fastapi_torch(received):
    """Training counts nothing; each request is one prediction, with its class and how sure it was."""
    port = free_port()
    (line,) = commands("fastapi_torch")
    url = f"http://127.0.0.1:{port}/classify"
    with served(line.replace("8000", str(port)), "fastapi_torch", received.endpoint, port):
        upper = requests.post(url, json={"pixels": [16] * 32 + [0] * 32}, timeout=30).json()
        lower = requests.post(url, json={"pixels": [0] * 32 + [16] * 32}, timeout=30).json()
        assert requests.post(url, json={"pixels": [1]}, timeout=30).status_code == 422
    assert (upper["bright half"], lower["bright half"]) == ("upper", "lower")
    assert received.counts_by_span_name() == {"POST /classify": 3, "predict bright-half": 2, "inference": 2}
    assert received.total("ml.requests", **{"ml.model.name": "bright-half"}) == received.total("ml.requests") == 2
    for span, answer in zip(received.spans("predict bright-half"), (upper, lower), strict=True):
        assert span.attributes["ml.model.framework"] == "pytorch"
        assert round(span.attributes["ml.prediction.confidence"], 3) == answer["confidence"]
    requests_ = {span.span_id for span in received.spans("POST /classify")}
    assert {span.parent_id for span in received.spans("predict bright-half")} <= requests_
