"""BentoML's own server in its own processes: requests, predictions, batches and services that call services."""

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests
from server_process import OTELML_RUN, free_port, running

from otelml.viewer.receiver import Receiver

pytest.importorskip("bentoml", reason="BentoML is not installed; scripts/test-integrations bentoml")
pytestmark = pytest.mark.timeout(240)
HERE = Path(__file__).parent
ROW = [0.5, -0.2, 0.1]


@pytest.fixture
def serve(tmp_path):
    """Return a function that serves a service until the test has ended, and what is received of it."""

    def served(service, **settings):
        port = free_port()
        own = {"BENTOML_HOME": str(tmp_path), "BENTOML_DO_NOT_TRACK": "True", "OTEL_SERVICE_NAME": "churn", **settings}
        where = ["--working-dir", str(HERE), "--port", str(port), "--host", "127.0.0.1"]
        command = [*OTELML_RUN, sys.executable, "-m", "bentoml", "serve", f"bento_services:{service}", *where]
        url = f"http://127.0.0.1:{port}"
        return url, running(command, f"{url}/readyz", tmp_path, receiver.http_endpoint, **own)

    with Receiver() as receiver:
        served.store = receiver.store
        yield served


def post(url, **given):
    """Ask a method, over a connection of its own: any worker may answer."""
    return requests.post(url, json=given, headers={"Connection": "close", "X-Request-ID": "order-1"}, timeout=60)


def parents(store, name):
    """Return the name of the span above each span of that name, and whether it is of the same trace."""
    spans = {span.span_id: span for span in store.spans()}
    found = [(span, spans[span.parent_id]) for span in store.spans(name)]
    assert all(span.trace_id == parent.trace_id for span, parent in found)
    return [parent.name for _, parent in found]


def test_requests(serve):
    """Two workers: every request once, its prediction below it, errors by their status, no span of probes."""
    url, server = serve("Churn", OTELML_MODEL_NAME="churn")
    with server:
        answers = [post(f"{url}/score", row=ROW) for _ in range(20)]
        assert post(f"{url}/broken").status_code == 500
    store = serve.store
    assert {answer.status_code for answer in answers} == {200}
    assert {answer.headers["X-Request-ID"] for answer in answers} == {"order-1"}
    own = {answer.headers["X-BentoML-Request-ID"] for answer in answers}
    assert own == {span.span_id for span in store.spans("POST /score")}
    assert store.counts_by_span_name() == {
        "POST /score": 20,
        "POST /broken": 1,
        "predict churn": 20,
        "inference": 20,
    }
    assert set(parents(store, "predict churn")) == {"POST /score"}
    assert store.total("ml.requests") == store.total("ml.predictions") == store.total("ml.prediction.confidence") == 20
    assert store.total("http.server.request.duration", **{"http.route": "/score"}) == 20
    assert store.total("http.server.request.duration", **{"http.response.status_code": 500}) == 1
    assert store.total("http.server.request.duration") == 21


def test_batches(serve):
    """A batch is one prediction with a link to each request; each request's trace holds its share."""
    url, server = serve("Churn", OTELML_MODEL_NAME="churn")
    sent = 60
    with server, ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda _: post(f"{url}/together", rows=[ROW]), range(sent)))
    assert {answer.status_code for answer in answers} == {200}
    store = serve.store
    asked = {(span.trace_id, span.span_id) for span in store.spans("POST /together")}
    assert len(asked) == sent
    spans = store.spans("predict churn")
    batches = [span for span in spans if not span.parent_id]
    within = [span for span in spans if span.parent_id]
    assert {(span.trace_id, span.parent_id) for span in within} == asked
    assert len(within) == sent
    linked = [(link.trace_id, link.span_id) for span in batches for link in span.links]
    assert len(linked) == len(set(linked)) == sum(int(span.attributes["ml.batch.size"]) for span in batches)
    assert max(len(span.links) for span in batches) > 1
    assert store.total("ml.predictions") == sent
    assert store.total("ml.requests") == len(batches) + sent - len(linked)


def test_services_that_call_services(serve):
    """A request through two services is one trace, over processes."""
    url, server = serve("Front", OTELML_MODEL_NAME="churn")
    with server:
        assert post(f"{url}/ask", row=ROW).status_code == 200
    store = serve.store
    (request,) = store.spans("POST /ask")
    names = sorted(span.name for span in store.spans(trace_id=request.trace_id))
    client = ["POST"] if "POST" in names else []  # by aiohttp's instrumentation, which newer versions require
    assert names == [*client, "POST /ask", "POST /score", "inference", "predict churn"]
    assert parents(store, "predict churn") == ["POST /score"]
    assert parents(store, "POST /score") == (client or ["POST /ask"])
