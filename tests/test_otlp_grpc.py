"""Encoded requests over OTLP/gRPC, against real servers: the same messages, RetryInfo, deadlines, partial success."""

import os
import select
import socket
import subprocess
import sys
import threading
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial

import grpc
import pytest
from canonical import canonical
from google.protobuf.any_pb2 import Any
from google.rpc.error_details_pb2 import BadRequest, RetryInfo
from google.rpc.status_pb2 import Status
from opentelemetry import trace
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

import otelml
from otelml import _labels, config, encoding, exporters, otlp_grpc, runtime
from otelml._drops import Drops
from otelml.encoding import Encoded, Home
from otelml.export import BatchQueue
from otelml.otlp import LARGEST, maker, takes_encoded
from otelml.outage import Outage
from otelml.pipeline import Pipeline
from otelml.processors import LogQueueProcessor, SpanQueueProcessor
from otelml.testing import CountingIds, SteppingClock

RESOURCE, SCOPE = Resource({"service.name": "s"}), InstrumentationScope("otelml", "1")
HOME = Home(RESOURCE, SCOPE)
CONTEXT = trace.SpanContext(1, 2, is_remote=False)
SERVICES = {
    "opentelemetry.proto.collector.trace.v1.TraceService": ExportTraceServiceRequest,
    "opentelemetry.proto.collector.metrics.v1.MetricsService": ExportMetricsServiceRequest,
    "opentelemetry.proto.collector.logs.v1.LogsService": ExportLogsServiceRequest,
}
UNAVAILABLE, EXHAUSTED = grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED


def encoded(name):
    """Return a span of ours."""
    return Encoded(encoding.span(name, CONTEXT, None, (1, 2), {}), HOME)


BATCH = [encoded(f"span{i}") for i in range(100)]


class Server:
    """A server of gRPC's own defaults (4 MiB a message) with the three services, and answers for the next calls.

    An answer is a serialized message, or a status code and trailing metadata.
    """

    def __init__(self):
        self.seen, self.metadata, self.at, self.answers = [], [], [], deque()
        self._server = grpc.server(ThreadPoolExecutor(4))
        self._server.add_generic_rpc_handlers([self._handler(*service) for service in SERVICES.items()])
        self.endpoint = f"http://127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"
        self._server.start()

    def _handler(self, service, request):
        method = grpc.unary_unary_rpc_method_handler(partial(self._export, request))
        return grpc.method_handlers_generic_handler(service, {"Export": method})

    def _export(self, request, body, context):
        self.at.append(time.monotonic())
        self.metadata.append((dict(context.invocation_metadata()), context.time_remaining()))
        answer = self.answers.popleft() if self.answers else b""
        if not isinstance(answer, bytes):
            code, trailing = answer
            context.set_trailing_metadata(trailing)
            context.abort(code, "not now")
        self.seen.append(request.FromString(body))
        return answer

    def spans(self):
        """Return the names of all spans."""
        found = (rs for r in self.seen for rs in getattr(r, "resource_spans", ()))
        return [span.name for rs in found for ss in rs.scope_spans for span in ss.spans]

    def close(self):
        """Drop every connection."""
        self._server.stop(0).wait()


class Counting:
    """A line to a server that counts the bytes sent to it."""

    def __init__(self, endpoint):
        self.sent, self._to = 0, int(endpoint.rpartition(":")[2])
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.endpoint = f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def _pass_on(self):
        here, _ = self._listener.accept()
        there = socket.create_connection(("127.0.0.1", self._to))
        ways = {here: there, there: here}
        with here, there:
            while True:
                for one in select.select(list(ways), [], [])[0]:
                    data = one.recv(65_536)
                    if not data:
                        return
                    self.sent += len(data) if one is here else 0
                    ways[one].sendall(data)

    def __enter__(self):
        self._thread = threading.Thread(target=self._pass_on, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._thread.join(5)
        self._listener.close()


@pytest.fixture
def server():
    """Run a server."""
    made = Server()
    yield made
    made.close()


def exporter(endpoint, drops=None, signal="traces", **settings):
    """Return the exporter of a signal to a server."""
    given = {
        "exporter_otlp_protocol": "grpc",
        "exporter_otlp_endpoint": endpoint,
        "exporter_otlp_timeout": 5.0,
        **settings,
    }
    count = (lambda *_: None) if drops is None else (lambda *drop: drops.append(drop))
    made = maker(config.load(given, {}), signal, "otlp", count)()
    assert takes_encoded(made) == (signal != "metrics")
    return made


def test_ours_and_theirs_go_in_one_request(server):
    """Both kinds arrive in one call with the exporter's metadata, user agent and deadline."""
    made = exporter(server.endpoint, exporter_otlp_headers="x-token=abc")
    theirs = ReadableSpan("theirs", CONTEXT, resource=RESOURCE, instrumentation_scope=SCOPE)
    assert made.export([encoded("a"), theirs]) == ("SUCCESS", 0)
    assert made.export([theirs]) == ("SUCCESS", 0)
    assert server.spans() == ["a", "theirs", "theirs"]
    metadata, left = server.metadata[0]
    assert metadata["x-token"] == "abc"
    assert metadata["user-agent"].startswith("OTel-OTLP-Exporter-Python/")
    assert 0 < left <= 5
    made.shutdown()
    assert made.export(BATCH) == ("FAILURE", 100)


def test_gzip_arrives(server):
    """With compression the same spans arrive in a fraction of the bytes."""
    sizes = []
    for compression in ("none", "gzip"):
        with Counting(server.endpoint) as line:
            made = exporter(line.endpoint, exporter_otlp_compression=compression)
            assert made.export(BATCH).name == "SUCCESS"
            made.shutdown()
        sizes.append(line.sent)
    assert server.seen[0] == server.seen[1]
    assert sizes[1] < sizes[0] / 3


def test_large_batches_are_split(server):
    """A batch over the 4 MiB that a server takes by default arrives in several calls; one item over it is counted."""
    drops = []
    made = exporter(server.endpoint, drops)
    names = [f"{i:03}" + "x" * 100_000 for i in range(60)]
    assert made.export([*map(encoded, names), encoded("y" * LARGEST)]) == ("SUCCESS", 0)
    assert server.spans() == names
    assert 2 <= len(server.seen) <= 8
    assert max(request.ByteSize() for request in server.seen) <= LARGEST
    assert drops == [("span", "size", 1)]
    made.shutdown()


def details(*messages):
    """Return the trailing metadata of a status with details, as every gRPC library sends them."""
    status = Status(code=8, message="not now")
    for message in messages:
        packed = Any()
        packed.Pack(message)
        status.details.append(packed)
    return (("grpc-status-details-bin", status.SerializeToString()),)


def delay(seconds):
    """Return a RetryInfo."""
    info = RetryInfo()
    info.retry_delay.FromMilliseconds(int(seconds * 1000))
    return info


@pytest.mark.parametrize("code", [UNAVAILABLE, EXHAUSTED], ids=lambda code: code.name)
@pytest.mark.parametrize(
    ("trailing", "least", "most"),
    [
        (details(BadRequest(), delay(0.1)), 0.1, 0.7),
        (details(delay(2)), 2.0, 3.0),
        ((("google.rpc.retryinfo-bin", delay(0.1).SerializeToString()),), 0.1, 0.7),
        (details(BadRequest()), 0.7, 1.7),
        ((("grpc-status-details-bin", b"\xff\xff"),), 0.7, 1.7),
        ((), 0.7, 1.7),
    ],
    ids=["short", "long", "official", "without", "malformed", "none"],
)
def test_retry_info_is_honoured(server, code, trailing, least, most):
    """The request comes again when the server asked for it, else after a backoff of about a second."""
    server.answers.append((code, trailing))
    made = exporter(server.endpoint)
    assert made.export(BATCH) == ("SUCCESS", 0)
    assert least <= server.at[1] - server.at[0] < most
    assert len(server.spans()) == 100
    made.shutdown()


@pytest.mark.parametrize("trailing", [details(delay(60)), ()], ids=["asked-to-wait", "backoff"])
def test_the_timeout_is_kept(server, trailing):
    """Nobody waits longer than an export may take, whatever the server asks for."""
    server.answers.extend([(UNAVAILABLE, trailing)] * 10)
    made = exporter(server.endpoint, exporter_otlp_timeout=1.5)
    started = time.monotonic()
    assert made.export(BATCH) == ("FAILURE", 100)
    assert time.monotonic() - started < 2.5
    made.shutdown()


@pytest.mark.parametrize("code", ["INVALID_ARGUMENT", "UNAUTHENTICATED", "UNIMPLEMENTED"])
def test_other_errors_are_final(server, code):
    """What the specification does not let a client try again is lost at once."""
    server.answers.append((grpc.StatusCode[code], ()))
    made = exporter(server.endpoint)
    assert made.export(BATCH) == ("FAILURE", 100)
    assert len(server.at) == 1
    made.shutdown()


def test_partial_success_is_counted_and_not_sent_again(server, caplog):
    """Rejected items are dropped, with the server's reason logged once, though the export succeeds."""
    said = ExportTraceServiceResponse(partial_success={"rejected_spans": 7, "error_message": "too old"})
    server.answers.extend([said.SerializeToString()] * 2)
    drops = []
    made = exporter(server.endpoint, drops)
    assert [made.export(BATCH), made.export(BATCH)] == [("SUCCESS", 0)] * 2
    assert drops == [("span", "rejected", 7)] * 2
    assert len(server.at) == 2
    assert caplog.text.count("too old") == 1
    made.shutdown()


def test_shutdown_aborts_the_wait_for_a_retry(server):
    """An export that waits for its next attempt ends as soon as the exporter is closed."""
    server.answers.extend([(UNAVAILABLE, details(delay(20)))] * 3)
    made, results = exporter(server.endpoint, exporter_otlp_timeout=30.0), []
    thread = threading.Thread(target=lambda: results.append(made.export(BATCH)))
    started = time.monotonic()
    thread.start()
    while not server.at:
        time.sleep(0.01)
    time.sleep(0.1)
    made.shutdown()
    thread.join(5)
    assert results == [("FAILURE", 100)]
    assert time.monotonic() - started < 5


def test_a_call_without_metadata_has_no_retry_info():
    """An error that never came from a server is handled too."""

    class Failed(grpc.RpcError):
        def trailing_metadata(self):
            """Return nothing."""

    assert otlp_grpc.retry_info(Failed()) is None


SCRIPT = """
import os, sys
import otelml

def predict():
    with otelml.prediction("m", version="1") as p, p.stage("inference"):
        p.result(classes="a", confidence=0.5)

running = otelml.auto_instrument()
predict()
assert running.force_flush(10)
pid = os.fork() if sys.argv[1] == "fork" else -1
predict()
done = running.force_flush(10)
told = (done, running.recorder.spans.current.queue is not None, running.events._queue is not None)
os.write(1, (" ".join(map(str, told)) + "\\n").encode())  # at once: the other process may write too
if pid == 0:
    os._exit(0)
if pid > 0:
    os.waitpid(pid, 0)
"""


def run(server, *arguments, **environ):
    """Run a whole process that sends to a server; return what it said."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("OTEL_", "OTELML_"))}
    settings = {"OTEL_EXPORTER_OTLP_ENDPOINT": server.endpoint, "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}
    command = [sys.executable, "-c", SCRIPT, *arguments]
    done = subprocess.run(
        command, env=clean | settings | environ, capture_output=True, text=True, timeout=60, check=False
    )
    return done.stdout.splitlines(), done.stderr


@pytest.mark.parametrize(
    ("how", "times"),
    [("alone", 2), pytest.param("fork", 3, marks=pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here"))],
)
def test_a_whole_process(server, how, times):
    """With our own providers spans and events go encoded over gRPC, beside the metrics; a forked child's too."""
    said, errors = run(server, how)
    assert said == ["True True True"] * (times - 1), errors
    assert sorted(server.spans()) == ["inference"] * times + ["predict m"] * times
    assert {type(request) for request in server.seen} == set(SERVICES.values())


class Way:
    """otelml at work over gRPC: spans and events encoded by us, or by the official exporter as it comes."""

    def __init__(self, endpoint, *, encoded):
        settings = config.load({"exporter_otlp_protocol": "grpc", "exporter_otlp_endpoint": endpoint}, {})
        drops, outage = Drops(), Outage()

        def queue(what, signal):
            make = maker(settings, signal, "otlp", drops.add) if encoded else exporters.maker(settings, signal, "otlp")
            return BatchQueue(what, make, drops.add, outage, delay=30.0)

        self.queues = [queue("span", "traces"), queue("log", "logs")]
        tracers = TracerProvider(resource=RESOURCE, shutdown_on_exit=False, id_generator=CountingIds())
        tracers.add_span_processor(SpanQueueProcessor(self.queues[0], takes_encoded=encoded))
        loggers = LoggerProvider(RESOURCE, shutdown_on_exit=False)
        loggers.add_log_record_processor(LogQueueProcessor(self.queues[1], takes_encoded=encoded))
        made = Pipeline(tracers, MeterProvider(shutdown_on_exit=False), loggers)
        self.runtime = runtime._assemble(settings, made, drops, CountingIds())

    def send(self):
        """Send everything and close; return whether spans and events were put in encoded."""
        self.runtime.recorder.drain()
        kinds = {type(item) for queue in self.queues for item in queue._items}
        for queue in self.queues:
            assert queue.shutdown(5)
        return kinds == {Encoded}


def predictions():
    """Predictions with stages, results, a failure and ids."""
    with otelml.prediction("delay", version="3") as p:
        for name in ("feature_retrieval", "inference"):
            with p.stage(name):
                pass
        p.result(classes="late", confidence=0.83)
    with otelml.prediction("price", operation="regression") as p:
        p.result(values=1.5)
    with suppress(ValueError), otelml.prediction("bad"):
        raise ValueError("no")


def test_both_ways_send_equal_messages(server, monkeypatch):
    """What we encode is, field by field, what the official gRPC exporter sends for the same predictions."""
    found = []
    for ours in (False, True):
        _labels.reset()
        with SteppingClock().installed():
            way = Way(server.endpoint, encoded=ours)
            monkeypatch.setattr(runtime, "active", way.runtime)
            predictions()
            monkeypatch.setattr(runtime, "active", None)
            assert way.send() == ours
        found.append(sorted(server.seen, key=lambda request: type(request).__name__))
        server.seen.clear()
    theirs, encoded = found
    assert [type(request) for request in theirs] == [ExportLogsServiceRequest, ExportTraceServiceRequest]
    assert canonical(encoded) == canonical(theirs)
    assert len(encoded) == len(theirs)
