"""Providers built from settings, against real OTLP receivers over HTTP and gRPC, in processes of their own."""

import gzip
import json
import os
import socket
import subprocess
import sys
import textwrap
import threading
import time
from concurrent import futures
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import grpc
import pytest
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2, logs_service_pb2_grpc
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2, metrics_service_pb2_grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc

_REQUESTS = {
    "/v1/traces": trace_service_pb2.ExportTraceServiceRequest,
    "/v1/metrics": metrics_service_pb2.ExportMetricsServiceRequest,
    "/v1/logs": logs_service_pb2.ExportLogsServiceRequest,
}

EMIT = """
import json, sys, time
from otelml import config, pipeline
drops = []
built = pipeline.build(config.load(), on_drop=lambda *drop: drops.append(drop))
from opentelemetry import trace, metrics, _logs
meter = metrics.get_meter("test")
counter, histogram = meter.create_counter("test.count"), meter.create_histogram("test.time", unit="s")
for i in range(10):
    with trace.get_tracer("test").start_as_current_span("work"):
        counter.add(1)
        histogram.record(0.2)
        _logs.get_logger("test").emit(event_name="test.event", body="done", timestamp=time.time_ns())
"""


class Received:
    """What arrived: spans and events by name, metric values by name, requests with their headers, resources."""

    def __init__(self):
        self.spans, self.events, self.metrics, self.requests, self.resources = [], [], {}, [], []

    def add(self, request):
        """Take a decoded request apart."""
        for resource in getattr(request, "resource_spans", []):
            self._resource(resource)
            self.spans += [span.name for scope in resource.scope_spans for span in scope.spans]
        for resource in getattr(request, "resource_logs", []):
            self._resource(resource)
            self.events += [log for scope in resource.scope_logs for log in scope.log_records]
        for resource in getattr(request, "resource_metrics", []):
            self._resource(resource)
            for scope in resource.scope_metrics:
                self.metrics |= {metric.name: metric for metric in scope.metrics}

    def _resource(self, resource):
        self.resources.append({a.key: a.value.string_value for a in resource.resource.attributes})


@pytest.fixture
def http():
    """Run an OTLP/HTTP receiver; give its address and what it received."""
    received = Received()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            received.requests.append((self.path, dict(self.headers)))
            received.add(_REQUESTS[self.path].FromString(body))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", received
    server.shutdown()
    server.server_close()


@pytest.fixture
def grpc_receiver():
    """Run an OTLP/gRPC receiver; give its address and what it received."""
    received = Received()

    def servicer(base, response):
        class Servicer(base):
            def Export(self, request, context):  # noqa: N802 - gRPC calls it so
                received.requests.append(("grpc", dict(context.invocation_metadata())))
                received.add(request)
                return response()

        return Servicer()

    server = grpc.server(futures.ThreadPoolExecutor(4))
    trace_service_pb2_grpc.add_TraceServiceServicer_to_server(
        servicer(trace_service_pb2_grpc.TraceServiceServicer, trace_service_pb2.ExportTraceServiceResponse), server
    )
    metrics_service_pb2_grpc.add_MetricsServiceServicer_to_server(
        servicer(metrics_service_pb2_grpc.MetricsServiceServicer, metrics_service_pb2.ExportMetricsServiceResponse),
        server,
    )
    logs_service_pb2_grpc.add_LogsServiceServicer_to_server(
        servicer(logs_service_pb2_grpc.LogsServiceServicer, logs_service_pb2.ExportLogsServiceResponse), server
    )
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"http://127.0.0.1:{port}", received
    server.stop(0)


def run(script, **environ):
    """Run a script in a process of its own, without the caller's OTEL_* settings; return the completed process."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("OTEL_", "OTELML_"))}
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        env=clean | environ,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def check_arrived(received):
    """Ten of each, events with their trace."""
    assert received.spans == ["work"] * 10
    assert [log.event_name for log in received.events] == ["test.event"] * 10
    assert all(log.trace_id for log in received.events)
    assert received.metrics["test.count"].sum.data_points[0].as_int == 10
    assert received.metrics["test.time"].histogram.data_points[0].count == 10


def test_three_signals_over_http(http):
    """Spans, events and metrics all arrive over OTLP/HTTP with headers, compression and resource as set."""
    address, received = http
    done = run(
        EMIT + "print(built.shutdown(10), drops)",
        OTEL_EXPORTER_OTLP_ENDPOINT=address,
        OTEL_EXPORTER_OTLP_HEADERS="x-token=a%20b",
        OTEL_EXPORTER_OTLP_COMPRESSION="gzip",
        OTEL_SERVICE_NAME="flights",
        OTEL_RESOURCE_ATTRIBUTES="team=ml",
    )
    assert done.stdout.strip() == "True []", done.stderr
    check_arrived(received)
    assert {path for path, _ in received.requests} == set(_REQUESTS)
    assert all(headers["x-token"] == "a b" for _, headers in received.requests)
    resource = received.resources[0]
    assert (resource["service.name"], resource["team"]) == ("flights", "ml")
    assert resource["telemetry.distro.name"] == "otelml"
    assert len(resource["service.instance.id"]) == 36


def test_three_signals_over_grpc(grpc_receiver):
    """Spans, events and metrics all arrive over OTLP/gRPC, with headers."""
    address, received = grpc_receiver
    done = run(
        EMIT + "print(built.shutdown(10), drops)",
        OTEL_EXPORTER_OTLP_ENDPOINT=address,
        OTEL_EXPORTER_OTLP_PROTOCOL="grpc",
        OTEL_EXPORTER_OTLP_HEADERS="x-token=abc",
        OTEL_EXPORTER_OTLP_COMPRESSION="gzip",
    )
    assert done.stdout.strip() == "True []", done.stderr
    check_arrived(received)
    assert all(metadata["x-token"] == "abc" for _, metadata in received.requests)


def test_force_flush_delivers_and_recording_goes_on(http):
    """After a flush everything is there; what follows arrives with the next one."""
    address, received = http
    done = run(
        EMIT
        + """
print(built.force_flush(10))
counter.add(5)
print(built.force_flush(10), built.shutdown(5), built.shutdown(5))
""",
        OTEL_EXPORTER_OTLP_ENDPOINT=address,
    )
    assert done.stdout.split() == ["True"] * 4, done.stderr
    assert received.spans == ["work"] * 10
    assert received.metrics["test.count"].sum.data_points[0].as_int == 15


@pytest.fixture
def silent():
    """Listen on a port that accepts connections and never answers."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=50)
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    listener.close()


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
@pytest.mark.parametrize("kind", ["refused", "silent"])
def test_a_dead_endpoint_costs_one_warning_and_a_bounded_exit(silent, protocol, kind):
    """Nothing arrives, the exit keeps its deadline of one second, the loss is counted and said once."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        refused = f"http://127.0.0.1:{closed.getsockname()[1]}"
    script = (
        EMIT
        + """
started = time.monotonic()
flushed, closed = built.force_flush(0.5), built.shutdown(1.0)
took = time.monotonic() - started
total = {what: sum(n for kind, _, n in drops if kind == what) for what in ("span", "log", "metric")}
print(json.dumps([flushed, closed, took, total]))
"""
    )
    started = time.monotonic()
    done = run(
        script,
        OTEL_EXPORTER_OTLP_ENDPOINT=silent if kind == "silent" else refused,
        OTEL_EXPORTER_OTLP_PROTOCOL=protocol,
        OTEL_EXPORTER_OTLP_TIMEOUT="10",
    )
    assert time.monotonic() - started < 20
    assert done.returncode == 0, done.stderr
    flushed, closed, took, total = json.loads(done.stdout)
    assert (flushed, closed) == (False, False)
    assert took < 2.2
    assert (total["span"], total["log"]) == (10, 10)
    assert total["metric"] >= 2
    assert done.stderr.count("\n") <= 1, done.stderr


def test_existing_providers_are_used_and_left_alone(http):
    """A provider that the application set stays global, gets no processor of ours, and is not shut down."""
    address, received = http
    done = run(
        """
        from opentelemetry import trace, metrics
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import SimpleSpanProcessor
        from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
        memory = InMemorySpanExporter()
        mine = TracerProvider()
        mine.add_span_processor(SimpleSpanProcessor(memory))
        trace.set_tracer_provider(mine)
        from otelml import config, pipeline
        built = pipeline.build(config.load())
        assert trace.get_tracer_provider() is mine is built.tracer_provider
        assert built.owned == {"metrics", "logs"}, built.owned
        metrics.get_meter("x").create_counter("test.count").add(3)
        assert built.shutdown(5)
        with trace.get_tracer("x").start_as_current_span("after"):
            pass
        print([span.name for span in memory.get_finished_spans()])
        """,
        OTEL_EXPORTER_OTLP_ENDPOINT=address,
    )
    assert done.stdout.strip() == "['after']", done.stderr
    assert received.metrics["test.count"].sum.data_points[0].as_int == 3
    assert received.spans == []


def test_only_the_configured_exporter_is_imported():
    """OTLP over HTTP brings neither gRPC nor prometheus_client, and leaves the warning filters as they were."""
    done = run(
        """
        import sys, warnings
        from otelml import config, pipeline
        before = list(warnings.filters)
        built = pipeline.build(config.load())
        heavy = ("grpc", "prometheus_client", "yaml", "sklearn", "pynvml")
        print([name for name in heavy if name in sys.modules], [f for f in warnings.filters if f not in before])
        built.shutdown(0.2)
        """
    )
    assert done.stdout.strip() == "[] []", done.stderr


def test_disabled_builds_nothing():
    """OTEL_SDK_DISABLED leaves the API's no-op: no thread, no provider."""
    done = run(
        """
        import threading
        from otelml import config, pipeline
        built = pipeline.build(config.load())
        from opentelemetry import trace
        with trace.get_tracer("x").start_as_current_span("y") as span:
            print(span.is_recording(), threading.active_count(), built.owned, built.shutdown(1), built.force_flush(1))
        """,
        OTEL_SDK_DISABLED="true",
    )
    assert done.stdout.strip() == "False 1 frozenset() True True", done.stderr


def test_sampler_none_and_console(http):
    """No trace is exported when the sampler is off, metrics=none sends none, logs go to the console and to OTLP."""
    address, received = http
    done = run(
        EMIT + "built.shutdown(5)",
        OTEL_EXPORTER_OTLP_ENDPOINT=address,
        OTEL_TRACES_SAMPLER="always_off",
        OTEL_METRICS_EXPORTER="none",
        OTEL_LOGS_EXPORTER="console,otlp",
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count('"test.event"') == 10
    assert (received.spans, received.metrics, len(received.events)) == ([], {}, 10)


def test_temporality_and_exponential_histograms(http):
    """The preferences of the conventions reach the exported points."""
    address, received = http
    run(
        EMIT + "built.shutdown(5)",
        OTEL_EXPORTER_OTLP_ENDPOINT=address,
        OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE="delta",
        OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION="base2_exponential_bucket_histogram",
    )
    assert received.metrics["test.count"].sum.aggregation_temporality == 1
    assert received.metrics["test.time"].exponential_histogram.data_points[0].count == 10


def test_buckets_of_other_libraries_can_be_set(http):
    """OTELML_BUCKETS changes the bounds of a histogram that is not ours."""
    address, received = http
    run(EMIT + "built.shutdown(5)", OTEL_EXPORTER_OTLP_ENDPOINT=address, OTELML_BUCKETS="test.time=0.1,0.5")
    assert list(received.metrics["test.time"].histogram.data_points[0].explicit_bounds) == [0.1, 0.5]


def test_declarative_configuration(http, tmp_path):
    """OTEL_CONFIG_FILE builds the providers; flush and shutdown still work and keep their deadline."""
    address, received = http
    path = tmp_path / "otel.yaml"
    path.write_text(
        f"""
file_format: "1.0"
tracer_provider:
  processors:
    - batch:
        exporter:
          otlp_http:
            endpoint: {address}/v1/traces
"""
    )
    done = run(EMIT + "print(sorted(built.owned), built.shutdown(5))", OTEL_CONFIG_FILE=str(path))
    assert done.stdout.strip() == "['traces'] True", done.stderr
    assert received.spans == ["work"] * 10


def test_a_taken_prometheus_port_starts_nothing():
    """The error names the setting; no thread is left and no provider is set."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = run(
            """
            import threading
            from otelml import config, errors, pipeline
            try:
                pipeline.build(config.load())
            except errors.ConfigError as error:
                print(error.faults[0])
            from opentelemetry import trace
            import time; time.sleep(0.3)
            print(type(trace.get_tracer_provider()).__name__, [t.name for t in threading.enumerate()])
            """,
            OTEL_METRICS_EXPORTER="prometheus",
            OTEL_EXPORTER_PROMETHEUS_HOST="127.0.0.1",
            OTEL_EXPORTER_PROMETHEUS_PORT=str(taken.getsockname()[1]),
        )
    fault, state = done.stdout.strip().splitlines()
    assert fault.startswith("OTEL_EXPORTER_PROMETHEUS_PORT=")
    assert "free one" in fault
    assert state == "ProxyTracerProvider ['MainThread']"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_exports_over_its_own_connection(http):
    """Spans of parent and child all arrive once; the parent's unsent ones are not sent by the child."""
    address, received = http
    done = run(
        EMIT
        + """
import os
assert built.force_flush(5)
with trace.get_tracer("test").start_as_current_span("parent"):
    pass
pid = os.fork()
if pid == 0:
    with trace.get_tracer("test").start_as_current_span("child"):
        pass
    os._exit(0 if built.queues["traces"][0].force_flush(5) else 1)
assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
print(built.shutdown(5))
""",
        OTEL_EXPORTER_OTLP_ENDPOINT=address,
    )
    assert done.stdout.strip() == "True", done.stderr
    assert sorted(received.spans) == ["child", "parent", *["work"] * 10]
