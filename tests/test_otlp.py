"""The exporter of mixed batches: sends with the official exporter's client, fails and closes as that does."""

import os
import subprocess
import sys

import pytest
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from otelml import encoding
from otelml.encoding import Encoded, Home
from otelml.otlp import MixedExporter, mixed, takes_encoded

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


def test_theirs_alone_go_the_old_way(otlp):
    """A batch without our own is the official exporter's."""
    theirs = ReadableSpan("theirs", CONTEXT, resource=RESOURCE, instrumentation_scope=SCOPE)
    assert exporter(otlp.endpoint).export([theirs]).name == "SUCCESS"
    assert [span.name for span in otlp.spans()] == ["theirs"]


def test_failures_are_told(otlp):
    """A request that is refused, too large or after the shutdown is a failure."""
    batch = [encoded("a", Home(RESOURCE, SCOPE))]
    assert exporter("http://127.0.0.1:9").export(batch).name == "FAILURE"
    assert exporter(otlp.endpoint, max_request_size=10).export(batch).name == "FAILURE"
    closed = exporter(otlp.endpoint)
    closed.shutdown()
    assert closed.export(batch).name == "FAILURE"
    assert otlp.spans() == []


def test_an_exporter_that_is_not_the_official_one_is_left_alone():
    """Without the official exporter's client nothing can be sent encoded, and that is noticed when it is made."""
    made = mixed(InMemorySpanExporter, "traces")()
    assert type(made) is InMemorySpanExporter
    assert not takes_encoded(made)


def test_the_exporters_own_metrics_need_the_exporter(monkeypatch, otlp):
    """Where the SDK is to count what it exports, it encodes everything itself."""
    assert type(exporter(otlp.endpoint)) is MixedExporter
    monkeypatch.setenv("OTEL_PYTHON_SDK_INTERNAL_METRICS_ENABLED", "true")
    assert type(exporter(otlp.endpoint)) is OTLPSpanExporter


@pytest.mark.parametrize("signal", ["traces", "logs"])
def test_the_official_client_is_as_we_know_it(signal):
    """The canary of ``_sdk.sender``: fails when a new release of the exporter is another one."""
    from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter  # noqa: PLC0415 - only here

    make = {"traces": OTLPSpanExporter, "logs": OTLPLogExporter}[signal]
    assert takes_encoded(mixed(make, signal)())


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
print(done, recorder.spans.current.queue is not None, running.events._queue is not None, flush=True)
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
