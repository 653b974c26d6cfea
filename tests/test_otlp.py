"""The exporter of mixed batches: sends with the official exporter's client, fails and closes as that does."""

import os
import subprocess
import sys

import pytest
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from otelml import _sdk, config, encoding
from otelml._drops import Drops
from otelml.encoding import Encoded, Home
from otelml.export import BatchQueue
from otelml.otlp import Answers, MixedExporter, maker, mixed, takes_encoded, why_not_encoded
from otelml.outage import Outage

CONTEXT = trace.SpanContext(1, 2, is_remote=False)
RESOURCE, SCOPE = Resource({"service.name": "s"}), InstrumentationScope("otelml", "1")


def encoded(name, home):
    """Return a span of ours."""
    return Encoded(encoding.span(name, CONTEXT, None, (1, 2), {}), home)


def exporter(endpoint, **options):
    """Return the exporter for spans."""
    return mixed(lambda: OTLPSpanExporter(f"{endpoint}/v1/traces", timeout=1.0, **options), "traces")()


def test_ours_and_theirs_go_in_one_request(otlp):
    """A batch of both kinds, of two resources, is one request that holds every span once, with its resource."""
    made = exporter(otlp.endpoint)
    other = Home(Resource({"service.name": "child"}), SCOPE)
    theirs = ReadableSpan("theirs", CONTEXT, resource=RESOURCE, instrumentation_scope=SCOPE)
    batch = [encoded("a", Home(RESOURCE, SCOPE)), theirs, encoded("b", other)]
    assert takes_encoded(made)
    assert made.export(batch).name == "SUCCESS"
    assert len(otlp._requests) == 1
    found = [(known["service.name"], span.name) for known, scope in otlp._each("spans") for span in scope.spans]
    assert found == [("s", "a"), ("child", "b"), ("s", "theirs")]


def test_theirs_alone_go_too(otlp):
    """A batch without our own is sent as the official exporter would."""
    theirs = ReadableSpan("theirs", CONTEXT, resource=RESOURCE, instrumentation_scope=SCOPE)
    assert exporter(otlp.endpoint).export([theirs]).name == "SUCCESS"
    assert [span.name for span in otlp.spans()] == ["theirs"]


def test_failures_are_told(otlp):
    """A request that is refused or after the shutdown is a failure, and all of it is lost."""
    batch = [encoded("a", Home(RESOURCE, SCOPE))]
    assert exporter("http://127.0.0.1:9").export(batch) == ("FAILURE", 1)
    closed = exporter(otlp.endpoint)
    closed.shutdown()
    assert closed.export(batch) == ("FAILURE", 1)
    assert otlp.spans() == []


def test_large_batches_are_split(otlp):
    """A batch over the exporter's largest request goes in several, ours and theirs; one item over it is counted."""
    drops, home = [], Home(RESOURCE, SCOPE)
    answers = Answers("traces", lambda *drop: drops.append(drop))
    make = mixed(lambda: OTLPSpanExporter(f"{otlp.endpoint}/v1/traces", max_request_size=400), "traces", answers)
    theirs = ReadableSpan("theirs", CONTEXT, resource=RESOURCE, instrumentation_scope=SCOPE)
    names = [f"span{i}" for i in range(20)]
    batch = [*(encoded(name, home) for name in names), encoded("x" * 500, home), theirs]
    assert make().export(batch) == ("SUCCESS", 0)
    assert [span.name for span in otlp.spans()] == [*names, "theirs"]
    assert len(otlp._requests) > 3
    assert max(request.ByteSize() for request in otlp._requests) <= 400
    assert drops == [("span", "size", 1)]


def test_what_a_lost_part_held_is_told(otlp):
    """Where only a part of a split batch is refused, the rest has arrived and the number of lost items is exact."""
    made, home = exporter(otlp.endpoint, max_request_size=400), Home(RESOURCE, SCOPE)
    send, turns = made._sender.send, iter([True, False, True, True, True, True, True, True])
    made._sender = _sdk.Sender(lambda data: next(turns) and send(data), 400)
    result = made.export([encoded(f"span{i}", home) for i in range(20)])
    assert result.name == "FAILURE"
    assert 0 < result.lost < 20
    assert len(otlp.spans()) == 20 - result.lost


def test_an_exporter_that_is_not_the_official_one_is_left_alone():
    """Without the official exporter's client nothing can be sent encoded, and that is noticed when it is made."""
    made = mixed(InMemorySpanExporter, "traces")()
    assert type(made) is InMemorySpanExporter
    assert not takes_encoded(made)
    assert why_not_encoded(made)[0] == "the exporter InMemorySpanExporter takes the SDK's objects"


def test_the_exporters_own_metrics_need_the_exporter(monkeypatch, otlp):
    """Where the SDK is to count what it exports, it encodes everything itself."""
    assert type(exporter(otlp.endpoint)) is MixedExporter
    monkeypatch.setenv("OTEL_PYTHON_SDK_INTERNAL_METRICS_ENABLED", "true")
    made = exporter(otlp.endpoint)
    assert type(made) is OTLPSpanExporter
    assert "OTEL_PYTHON_SDK_INTERNAL_METRICS_ENABLED" in why_not_encoded(made)[1]


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
@pytest.mark.parametrize("signal", ["traces", "logs"])
def test_the_official_clients_are_as_we_know_them(signal, protocol):
    """The canary of ``_sdk.sender``: fails when a new release of an exporter is another one."""
    settings = config.load({"exporter_otlp_protocol": protocol}, {})
    made = maker(settings, signal, "otlp", lambda *_: None)()
    assert takes_encoded(made)
    assert why_not_encoded(made) is None
    made.shutdown()


def test_an_answer_is_counted_and_said_once(caplog):
    """Rejected items of every accepted request are counted; the reason is logged once; other bodies mean nothing."""
    drops = []
    answers = Answers("logs", lambda *drop: drops.append(drop))
    body = ExportLogsServiceResponse(partial_success={"rejected_log_records": 3, "error_message": "too old"})
    for said in (b"", b"OK", b"\xff\xff", body.SerializeToString(), body.SerializeToString()):
        answers.hear(said)
    assert [drop for drop in drops if drop[2]] == [("log", "rejected", 3)] * 2
    assert [record.getMessage() for record in caplog.records] == [
        "otelml: the receiver rejects 3 of a request's logs: too old"
    ]


SCRIPT = """
import os
import otelml
from otelml import encoding, runtime

def predict():
    with otelml.prediction("m") as p, p.stage("inference"):
        p.result(classes="a")

running = otelml.auto_instrument()
predict()
assert running.force_flush(10)
pid = os.fork()
predict()
done = running.force_flush(10)
recorder = running.recorder
told = (done, recorder.spans.current.queue is not None, running.events._queue is not None)
os.write(1, (" ".join(map(str, told)) + "\\n").encode())  # at once: the other process may write too
if pid == 0:
    os._exit(0)
os.waitpid(pid, 0)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.parametrize(
    ("environ", "taken"), [({}, "True True True"), ({"OTELML_LOG_FILE": "x.log"}, "True True False")]
)
def test_a_whole_process_and_its_child(otlp, tmp_path, environ, taken):
    """With our own providers both go encoded (with a log file, events do not); a forked child's say whose they are."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("OTEL_", "OTELML_"))}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        env=clean | {"OTEL_EXPORTER_OTLP_ENDPOINT": otlp.endpoint} | environ,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout.splitlines() == [taken] * 2, done.stderr
    for kind, messages in (("spans", "spans"), ("logs", "log_records")):
        sent = [known["service.instance.id"] for known, scope in otlp._each(kind) for _ in getattr(scope, messages)]
        each = 2 if kind == "spans" else 1
        assert sorted(sent.count(x) for x in set(sent)) == [each, 2 * each]


@pytest.mark.parametrize("largest", [10_000, 8], ids=["not sent", "too large"])
def test_what_is_lost_counts_every_message(largest):
    """Encoded items hold many messages: a failed export, or one no request can hold, counts each of them."""
    drops = Drops()
    sender = _sdk.Sender(lambda _: False, largest)
    answers = Answers("traces", drops.add)
    home = Home(Resource({}), InstrumentationScope("otelml"))
    items = [Encoded(b"\x12\x00" * 5, home, 5), Encoded(b"\x12\x00" * 3, home, 3), Encoded(b"\x12\x00", home)]

    class Nothing:
        """An exporter that is never asked."""

        def shutdown(self):
            """Close."""

    exporter = MixedExporter(Nothing(), sender, list, answers.too_large)
    queue = BatchQueue("span", lambda: exporter, drops.add, Outage(), delay=60.0)
    for item in items:
        queue.put(item)
    assert len(queue) == 9
    queue.force_flush(5)
    assert len(queue) == 0
    assert sum(drops.counts().values()) == 9
    assert {where for _, where in drops.counts()} == {"export" if largest > 8 else "size"}
    queue.shutdown(1)
