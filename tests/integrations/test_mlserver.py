"""MLServer itself, in its own processes: one trace from the request into the model's worker, batches and gRPC."""

import json
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import joblib
import numpy as np
import pytest
import requests
from server_process import OTELML_RUN, ROOT, free_port, running
from sklearn.linear_model import LogisticRegression

from otelml.integrations.mlserver import MLServerInstrumentor
from otelml.viewer.receiver import Receiver

pytest.importorskip("mlserver", reason="MLServer is not installed; scripts/test-integrations mlserver")
pytestmark = pytest.mark.timeout(240)
HERE = Path(__file__).parent
INFER = "POST /v2/models/{model_name}/infer"
ROW = [0.5, -0.2, 0.1]
TOGETHER = 24


def write(folder, name, **settings):
    """Write the settings of a model."""
    (folder / name).mkdir()
    (folder / name / "model-settings.json").write_text(json.dumps({"name": name, **settings}))


@pytest.fixture
def serve(tmp_path):
    """Return a function that serves three models until the test has ended, and what is received of it."""
    folder = tmp_path / "models"
    folder.mkdir()
    write(folder, "alone", implementation="mlserver_runtime.Churn")
    write(folder, "batched", implementation="mlserver_runtime.Churn", max_batch_size=8, max_batch_time=0.3)
    write(folder, "stock", implementation="mlserver_sklearn.SKLearnModel", parameters={"uri": "./model.joblib"})
    rows = np.random.default_rng(5).normal(size=(80, 3))
    joblib.dump(LogisticRegression().fit(rows, rows[:, 0] > 0), folder / "stock/model.joblib")

    def served(workers):
        ports = {f"{name}_port": free_port() for name in ("http", "grpc", "metrics")}
        (folder / "settings.json").write_text(
            json.dumps({"host": "127.0.0.1", **ports, "parallel_workers": workers, "debug": False})
        )
        command = [
            *OTELML_RUN,
            sys.executable,
            "-c",
            "from mlserver.cli.main import main; main()",
            "start",
            str(folder),
        ]
        settings = {
            "OTEL_SERVICE_NAME": "churn",
            "OTELML_MODEL_NAME": "churn",
            "PYTHONPATH": os.pathsep.join([str(HERE), str(ROOT)]),
        }
        url = f"http://127.0.0.1:{ports['http_port']}"
        ready = f"{url}/v2/health/ready"
        return url, ports["grpc_port"], running(command, ready, tmp_path, receiver.http_endpoint, **settings)

    with Receiver() as receiver:
        served.store = receiver.store
        yield served


def ask(url, model, rows=(ROW,), outputs=None):
    """Ask a model over HTTP."""
    data = np.asarray(rows, dtype=float)
    given = {"inputs": [{"name": "x", "datatype": "FP64", "shape": data.shape, "data": data.ravel().tolist()}]}
    if outputs:
        given["outputs"] = [{"name": name} for name in outputs]
    headers = {"X-Request-ID": "order-1"}
    return requests.post(f"{url}/v2/models/{model}/infer", json=given, headers=headers, timeout=60)


def places(spans):
    """Return the trace and the id of each span."""
    return sorted((span.trace_id, span.span_id) for span in spans)


def above(spans):
    """Return the trace and the parent of each span."""
    return sorted((span.trace_id, span.parent_id) for span in spans)


def ask_grpc(port):
    """Ask a model over gRPC."""
    import grpc  # noqa: PLC0415 - where MLServer is
    from mlserver.grpc import dataplane_pb2, dataplane_pb2_grpc  # noqa: PLC0415 - the same

    given = dataplane_pb2.ModelInferRequest(model_name="alone")
    contents = dataplane_pb2.InferTensorContents(fp64_contents=ROW)
    given.inputs.add(name="x", datatype="FP64", shape=[1, 3], contents=contents)
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        call = dataplane_pb2_grpc.GRPCInferenceServiceStub(channel).ModelInfer
        answer = call(given, timeout=60, metadata=[("x-request-id", "order-1")])
    assert 0 < answer.outputs[0].contents.fp64_contents[0] < 1


def test_requests(serve):
    """A request, over HTTP or gRPC, and its prediction in one of two workers are one trace; each counts once."""
    url, port, server = serve(2)
    with server:
        answers = [ask(url, "alone", [ROW, ROW]) for _ in range(6)] + [ask(url, "stock", outputs=["predict_proba"])]
        failed = ask(url, "alone", [[-1, 0, 0]])
        ask_grpc(port)
    assert {answer.status_code for answer in answers} == {200}
    assert {answer.headers["X-Request-ID"] for answer in answers} == {"order-1"}
    assert failed.status_code == 500
    store = serve.store
    served = [span for span in store.spans(INFER) if span.attributes["http.response.status_code"] == 200]
    served += store.spans("inference.GRPCInferenceService/ModelInfer")
    predicted = store.spans("predict churn")
    assert above(predicted) == places(served)
    assert above(store.spans("inference")) == places(predicted)
    assert len(predicted) == len(answers) + 1
    assert {span.attributes["ml.request.id"] for span in [*predicted, *served]} == {"order-1"}
    server_at = {span.resource["service.instance.id"] for span in served}
    workers_at = {span.resource["service.instance.id"] for span in predicted}
    assert (len(server_at), len(workers_at), len(server_at & workers_at)) == (1, 2, 0)
    assert store.total("ml.requests") == len(answers) + 1
    assert store.total("ml.prediction.confidence") == store.total("ml.predictions") == 14
    assert store.total("http.server.request.duration", **{"http.route": INFER[5:]}) == len(answers) + 1


@pytest.mark.parametrize("workers", [1, 0])
def test_batches(serve, workers):
    """A batch is one prediction with a link to each request; each request's trace holds its share and its wait."""
    url, _, server = serve(workers)
    with server, ThreadPoolExecutor(TOGETHER) as pool:
        answers = list(pool.map(lambda _: ask(url, "batched"), range(TOGETHER)))
        assert ask(url, "batched").status_code == 200
    assert {answer.status_code for answer in answers} == {200}
    assert {len(answer.json()["outputs"][0]["data"]) for answer in answers} == {1}
    store = serve.store
    asked = places(store.spans(INFER))
    spans = store.spans("predict churn")
    batches, within = [span for span in spans if not span.parent_id], [span for span in spans if span.parent_id]
    assert above(within) == asked
    assert len(asked) == TOGETHER + 1
    linked = [(link.trace_id, link.span_id) for span in batches for link in span.links]
    assert len(linked) == len(set(linked))
    assert set(linked) <= set(asked)
    assert max(len(span.links) for span in batches) > 1
    shares = [span for span in within if (span.trace_id, span.parent_id) in set(linked)]
    assert all(0 <= span.attributes["ml.batch.wait"] < 60 for span in shares)
    assert max(span.attributes["ml.batch.wait"] for span in shares) > 0.001
    assert {span.attributes["ml.request.id"] for span in within} == {"order-1"}
    assert all(0.5 <= span.attributes["ml.prediction.confidence"] <= 1 for span in within)
    assert store.total("ml.predictions") == TOGETHER + 1
    assert store.total("ml.requests") == len(batches) + TOGETHER + 1 - len(linked)


def test_undone():
    """Switched off, MLServer has its own functions back."""
    from mlserver.batching.adaptive import AdaptiveBatcher  # noqa: PLC0415 - where it is installed
    from mlserver.parallel.dispatcher import Dispatcher  # noqa: PLC0415 - the same
    from mlserver.parallel.worker import Worker  # noqa: PLC0415 - the same

    def functions():
        return (
            AdaptiveBatcher.predict,
            AdaptiveBatcher._batch_requests,
            Dispatcher.dispatch_request,
            Worker._process_request,
        )

    before = functions()
    one = MLServerInstrumentor()
    one.instrument()
    assert not set(functions()) & set(before)
    one.uninstrument()
    assert functions() == before
