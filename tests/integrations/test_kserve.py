"""KServe's model server is observed without an integration of its own: a FastAPI application over a library's model."""

import sys
from pathlib import Path

import pytest
import requests
from server_process import OTELML_RUN, free_port, running

from otelml.viewer.receiver import Receiver

pytest.importorskip("kserve", reason="KServe is not installed; scripts/test-integrations kserve")
HERE = Path(__file__).parent
SENT = 12


@pytest.mark.timeout(240)
def test_served(tmp_path):
    """Each request once, with its prediction below it, errors too; probes leave no trace."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    options = [f"--http_port={port}", "--enable_grpc=false"]
    command = [*OTELML_RUN, sys.executable, str(HERE / "kserve_service.py"), *options]
    with Receiver() as receiver:
        settings = {"OTEL_SERVICE_NAME": "churn", "OTELML_MODEL_NAME": "churn"}
        with running(command, f"{url}/v2/health/ready", tmp_path, receiver.http_endpoint, **settings):
            for _ in range(SENT):
                rows = {"instances": [[0.5, -0.2, 0.1], [0.1, 0.2, 0.3]]}
                headers = {"Connection": "close", "X-Request-ID": "order-1"}
                answer = requests.post(f"{url}/v1/models/churn:predict", json=rows, headers=headers, timeout=30)
                assert len(answer.json()["predictions"]) == 2
                assert answer.headers["X-Request-ID"] == "order-1"
            wrong = requests.post(f"{url}/v1/models/churn:predict", json={"instances": [[1.0]]}, timeout=30)
            assert wrong.status_code == 500
        store = receiver.store
        name = "POST /v1/models/{model_name}:predict"
        assert store.counts_by_span_name() == {name: SENT + 1, "predict churn": SENT + 1, "inference": SENT + 1}
        servers = {span.span_id: span for span in store.spans(name)}
        assert all(span.trace_id == servers[span.parent_id].trace_id for span in store.spans("predict churn"))
        assert store.total("ml.predictions") == store.total("ml.prediction.confidence") == 2 * SENT
        assert store.total("ml.requests", **{"error.type": None}) == SENT
        assert store.total("ml.requests") == SENT + 1
        assert store.total("http.server.request.duration", **{"http.response.status_code": 200}) == SENT
