"""Ray Serve's own proxy and replicas: requests, one trace over handles, batches, in processes that Ray starts."""

import shlex
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

import pytest
import requests
from server_process import OTELML_RUN, free_port
from test_examples import EXAMPLES, commands

from otelml.viewer.receiver import Receiver

if not all(map(find_spec, ("ray", "grpc_reflection"))):  # not imported: Ray changes the log records of its process
    pytest.skip("Ray Serve is not installed; scripts/test-integrations ray", allow_module_level=True)
from ray_node import node, ready

pytestmark = pytest.mark.timeout(600)
ROW = [0.5, -0.2, 0.1]
TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
CONFIGURATION = """
http_options: {{host: 127.0.0.1, port: {}}}
applications:
  - {{name: plain, route_prefix: /plain, import_path: "ray_serve_apps:plain"}}
  - {{name: web, route_prefix: /web, import_path: "ray_serve_apps:web"}}
"""
SETTINGS = {"PYTHONPATH": str(Path(__file__).parent), "OTEL_SERVICE_NAME": "churn", "OTELML_MODEL_NAME": "churn"}
ALONE, TOGETHER = 5, 24
SCORE = "POST /plain"


@dataclass
class Served:
    """What was answered, and what was received of it."""

    store: object
    answers: dict = field(default_factory=dict)

    def spans(self, path):
        """Return the spans of the trace of the one request that had a path as its id."""
        (request,) = [s for s in self.store.spans() if s.kind == "server" and s.attributes["ml.request.id"] == path]
        return request, self.store.spans(trace_id=request.trace_id)


def post(url, request_id, row=ROW, **headers):
    """Send a row, under an id of its own."""
    sent = {"X-Request-ID": request_id, **headers}
    body = row if "/score/" in url else {"row": row}
    return requests.post(url, json=body, headers=sent, timeout=60)


@pytest.fixture(scope="module", params=["otelml run", "constructor"])
def served(request):
    """Serve once for all tests, started either way, and ask everything there is to ask."""
    launcher = OTELML_RUN if request.param == "otelml run" else ()
    settings = {**SETTINGS, "START": request.param}
    port = free_port()
    with Receiver() as receiver:
        found = Served(receiver.store)
        with node(launcher, CONFIGURATION.format(port), port, receiver.http_endpoint, **settings) as url:
            ready(f"{url}/plain/health", method="GET")
            ready(f"{url}/web/health", method="GET")
            above = {"traceparent": f"00-{TRACE}-{PARENT}-01"}
            found.answers = {
                "alone": [post(f"{url}/plain", f"alone-{i}") for i in range(ALONE)],
                "traced": [post(f"{url}/plain", "traced", **above)],
                "stream": [post(f"{url}/plain?how=stream", "stream")],
                "broken": [post(f"{url}/plain", "broken", row=[])],
                "web": [post(f"{url}/web/score/smith", "web", **above)],
            }
            with ThreadPoolExecutor(TOGETHER) as pool:
                sent = range(TOGETHER)
                found.answers["together"] = list(
                    pool.map(lambda i: post(f"{url}/plain?how=together", f"together-{i}"), sent)
                )
        yield found


def test_answers(served):
    """Answers are Serve's own: their values and status, and one request id each, which is the one that was sent."""
    for path, answers in served.answers.items():
        assert {answer.status_code for answer in answers} == {500 if path == "broken" else 200}
        for i, answer in enumerate(answers):
            assert answer.headers["X-Request-ID"] == (f"{path}-{i}" if path in {"alone", "together"} else path)
    values = {round(answer.json(), 9) for path in ("alone", "web", "together") for answer in served.answers[path]}
    assert len(values) == 1
    assert [round(each, 9) for each in served.answers["stream"][0].json()] == [*values, *values]


def test_requests(served):
    """Every request is counted once by route and status; probes are not."""
    store = served.store
    plain = ALONE + 3 + TOGETHER
    assert len(store.spans(SCORE)) == plain
    assert len(store.spans("POST /web/score/{account}")) + len(store.spans("POST /score/{account}")) == 1
    assert store.total("http.server.request.duration") == plain + 1
    assert store.total("http.server.request.duration", **{"http.route": "/plain"}) == plain
    assert store.total("http.server.request.duration", **{"http.response.status_code": 500}) == 1
    assert not [name for name in store.counts_by_span_name() if "health" in name]


def test_one_trace(served):
    """A call through a handle is one trace with its request, and with what sent that; the id is on every span."""
    for i in range(ALONE):
        request, spans = served.spans(f"alone-{i}")
        assert sorted(span.name for span in spans) == [SCORE, "inference", "predict churn"]
        (predicted,) = [span for span in spans if span.name == "predict churn"]
        assert predicted.parent_id == request.span_id
        assert predicted.resource["service.instance.id"] != request.resource["service.instance.id"]
        assert predicted.attributes["ml.request.id"] == f"alone-{i}"
        assert 0 < predicted.attributes["ml.prediction.confidence"] <= 1
    for path in ("traced", "web"):
        request, spans = served.spans(path)
        assert (request.trace_id, request.parent_id) == (TRACE, PARENT)
        assert [s.parent_id for s in spans if s.name == "predict churn"].count(request.span_id) == 1
    request, spans = served.spans("stream")
    assert [span.parent_id for span in spans if span.name == "predict churn"] == [request.span_id] * 2


def test_errors(served):
    """An exception is on the span of its request, without the raw values of its message."""
    request, spans = served.spans("broken")
    assert [span.name for span in spans] == [SCORE]
    (event,) = [event for event in request.events if event.name == "exception"]
    assert event.attributes["exception.type"] == "LookupError"
    assert "Smith" not in str([span.attributes for span in served.store.spans()]) + str(request.events)


def test_batches(served):
    """A batch is one prediction with a link to each request; each request's trace holds its share."""
    store = served.store
    asked = {served.spans(f"together-{i}")[0].trace_id: f"together-{i}" for i in range(TOGETHER)}
    spans = store.spans("predict churn")
    batches = [span for span in spans if not span.parent_id]
    within = [span for span in spans if span.trace_id in asked]
    assert sorted(span.trace_id for span in within) == sorted(asked)
    assert all(span.attributes["ml.request.id"] == asked[span.trace_id] for span in within)
    linked = [link.trace_id for span in batches for link in span.links]
    assert len(linked) == len(set(linked))
    assert set(linked) <= set(asked)
    assert max(len(span.links) for span in batches) > 1
    alone = ALONE + 1 + 2 + 1
    assert store.total("ml.predictions") == store.total("ml.prediction.confidence") == alone + TOGETHER
    assert store.total("ml.requests") == alone + len(batches) + TOGETHER - len(linked)


def test_nothing_else(served):
    """Only processes of the application's send, nothing of Ray's own metrics, and nothing is dropped or at fault."""
    store = served.store
    assert {span.resource["service.name"] for span in store.spans()} == {"churn"}
    assert store.total("otelml.dropped") == store.total("otelml.errors") == 0
    assert not [name for name in store.metric_names if name.startswith(("ray", "serve"))]


def test_example():
    """The example, as its README says: each request is one trace over both deployments, with its log line."""
    (line,) = commands("ray_serve_digits")
    settings = dict(word.split("=") for word in shlex.split(line) if "=" in word)
    assert line.endswith(" otelml run -- serve run config.yaml")
    folder, port, many = EXAMPLES / "ray_serve_digits", free_port(), 10
    configuration = (folder / "config.yaml").read_text("utf-8").replace("8000", str(port))
    body = {"image": [[0, 0, 8, 15, 8, 0, 0, 0]] * 8}
    with Receiver() as receiver:
        with node(OTELML_RUN, configuration, port, receiver.http_endpoint, PYTHONPATH=str(folder), **settings) as url:
            ready(f"{url}/digits", method="POST", json=body)
            with ThreadPoolExecutor(many) as pool:
                asked = [pool.submit(requests.post, f"{url}/digits", json=body, timeout=60) for _ in range(many)]
                assert {each.result().json()["digit"] for each in asked} <= set(range(10))
        store = receiver.store
    served = store.spans("POST /digits")
    model = {"ml.model.name": "digits", "ml.model.version": "1"}
    assert store.total("ml.predictions", **model) == store.total("ml.predictions") == len(served) == 1 + many
    for span in served:
        own = {each.name for each in store.spans(trace_id=span.trace_id)}
        assert {"POST /digits", "predict digits"} <= own <= {"POST /digits", "predict digits", "inference"}
        (logged,) = [each for each in store.logs(trace_id=span.trace_id) if each.body == "an image of 8 by 8 pixels"]
        assert logged.attributes["ml.request.id"] == span.attributes["ml.request.id"]


BACK = """
import sys
from importlib import import_module
from otelml.integrations.ray_serve import RayServeInstrumentor

PLACES = {
    "ray.serve._private.common": {"RequestMetadata": ["__init__"]},
    "ray.serve._private.replica": {
        "UserCallableWrapper": ["call_user_method", "call_user_generator", "call_http_entrypoint", "call_destructor"]
    },
    "ray.serve.batching": {"_BatchQueue": ["put", "_process_batch_inner"]},
}

def methods():
    modules = {name: import_module(name) for name in PLACES}
    classes = [(getattr(modules[name], kind), names) for name, kinds in PLACES.items() for kind, names in kinds.items()]
    return [vars(kind)[name] for kind, names in classes for name in names]

one = RayServeInstrumentor()
if sys.argv[1] == "before":
    one.instrument()
    patched = methods()
    originals = [each.__wrapped__ for each in patched]
else:
    originals = methods()
    one.instrument()
    patched = methods()
assert not any(was is now for was, now in zip(originals, patched))
one.uninstrument()
assert all(was is now for was, now in zip(originals, methods())), "not put back"
"""


@pytest.mark.parametrize("when", ["before", "after"])
def test_methods_come_back(when):
    """``uninstrument()`` leaves Serve's own methods, whether Serve was imported before or after ``instrument()``."""
    done = subprocess.run([sys.executable, "-c", BACK, when], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
