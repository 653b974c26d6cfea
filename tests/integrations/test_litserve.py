"""LitServe's own server in its own processes: one trace from the request into the worker, and batches of requests."""

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests
from server_process import OTELML_RUN, free_port, running

from otelml.viewer.receiver import Receiver

pytest.importorskip("litserve", reason="LitServe is not installed; scripts/test-integrations litserve")
HERE = Path(__file__).parent
ALONE, TOGETHER = 6, 24
EACH = ("/alone", "/streamed", "/tasks", "/streamed_tasks")
BATCHES = ("/batched", "/streamed_batches")
"""What serves a request by itself, and with others."""


def post(url):
    """Ask for the score of a row."""
    answer = requests.post(url, json={"row": [0.5, -0.2, 0.1]}, headers={"X-Request-ID": "order-1"}, timeout=60)
    assert 0 < answer.json()["score"] < 1
    return answer.headers["X-Request-ID"]


def of(span):
    """Return the spans that a span links to."""
    return {(link.trace_id, link.span_id) for link in span.links}


@pytest.mark.timeout(300)
def test_served(tmp_path):
    """A request and its prediction are one trace over processes; a batch links to each request, which has its share.

    So it is with streams, and with tasks that run side by side.
    """
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = [*OTELML_RUN, sys.executable, str(HERE / "litserve_service.py"), str(port)]
    settings = {"OTEL_SERVICE_NAME": "churn", "OTELML_MODEL_NAME": "churn"}
    with Receiver() as receiver:
        with (
            running(command, f"{url}/health", tmp_path, receiver.http_endpoint, **settings),
            ThreadPoolExecutor(TOGETHER) as pool,
        ):
            for path in EACH:
                assert set(pool.map(lambda _, path=path: post(f"{url}{path}"), range(ALONE))) == {"order-1"}
            for path in BATCHES:
                list(pool.map(lambda _, path=path: post(f"{url}{path}"), range(TOGETHER)))
        store = receiver.store
        asked = {path: {(s.trace_id, s.span_id) for s in store.spans(f"POST {path}")} for path in (*EACH, *BATCHES)}
        sent = {**dict.fromkeys(EACH, ALONE), **dict.fromkeys(BATCHES, TOGETHER)}
        assert {path: len(spans) for path, spans in asked.items()} == sent
        spans = store.spans("predict churn")
        batches = [span for span in spans if not span.parent_id]
        within = [(span.trace_id, span.parent_id) for span in spans if span.parent_id]
        assert sorted(within) == sorted(set().union(*asked.values()))
        linked = [link for span in batches for link in of(span)]
        assert len(linked) == len(set(linked)) == sum(len(span.links) for span in batches)
        for path in BATCHES:
            assert max(len(asked[path].intersection(of(span))) for span in batches) > 1
        assert set(linked) <= set().union(*(asked[path] for path in BATCHES))
        assert store.total("ml.predictions") == sum(sent.values())
        assert store.total("ml.requests") == sum(sent.values()) + len(batches) - len(linked)
        assert {span.attributes["ml.request.id"] for span in spans if span.parent_id} == {"order-1"}
