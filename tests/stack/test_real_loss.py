"""Nothing that was acknowledged is lost: exact counts in three stores after kills, and a control that does lose."""

import json
import os
import signal
import subprocess
import sys
import threading
import time

import grpc
import pytest
import yaml
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from running_stack import eventually, settled
from sent import SECOND

from otelml.stack import secret_files, web

BACKENDS = ("prometheus", "loki", "jaeger")
pytestmark = [pytest.mark.stack, pytest.mark.timeout(240)]


def counts(stack, service):
    """Return how many spans, points and lines of a service are stored."""
    return stack.spans(service), stack.points(service), stack.lines(service)


def acknowledged(sender):
    """Return how many spans, points and lines were acknowledged."""
    return tuple(sender.acknowledged[signal] for signal in ("traces", "metrics", "logs"))


FAILING = """
import contextlib
import otelml

running = otelml.auto_instrument("faulty")
for _ in range(3):
    with contextlib.suppress(ValueError), otelml.prediction("basket", version="3"):
        raise ValueError
assert running.force_flush(20)
"""


def run_service(stack, program):
    """Run a service that sends to the stack, and nothing else of the environment's telemetry."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("OTEL_", "OTELML_"))}
    clean["OTEL_EXPORTER_OTLP_ENDPOINT"] = stack.url("otlp-http")
    clean["OTEL_EXPORTER_OTLP_HEADERS"] = f"authorization=Bearer%20{secret_files.token(stack.state)}"
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, env=clean, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


class Load:
    """Threads that send until they are told to stop, each again until it is acknowledged."""

    def __init__(self, stack, service, threads=2):
        self.senders = [stack.sender(service) for _ in range(threads)]
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(sender,)) for sender in self.senders]

    def _run(self, sender):
        while not self._stop.is_set():
            sender.send(100)
            time.sleep(0.1)  # what is sent is to be read back in a test's time

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        for thread in self._threads:
            thread.join(60)

    def acknowledged(self):
        """Return how many spans, points and lines were acknowledged to all of them."""
        return tuple(map(sum, zip(*map(acknowledged, self.senders), strict=True)))


def killed_with_a_full_queue(stack, items=1000):
    """All backends down, items acknowledged, the collector killed, everything back; return (sent, stored)."""
    stack.kill(*BACKENDS)
    sender = stack.sender("killed")
    sender.send(items)
    stack.kill("otelcol")
    stack.up()
    sent = acknowledged(sender)
    return sent, lambda seconds: settled(lambda: counts(stack, "killed"), sent, seconds)


def test_backends_down_and_the_collector_killed(stack):
    """A thousand spans, points and lines each, acknowledged while no backend runs, survive a SIGKILL."""
    sent, stored = killed_with_a_full_queue(stack)
    assert sent == (1000, 1000, 1000)
    assert stored(60) == sent


BATCH = {
    "processors": {"batch": {"timeout": "1s"}},
    "service": {
        "pipelines": {
            "traces": {"processors": ["memory_limiter", "batch"]},
            "metrics": {"processors": ["memory_limiter", "batch"]},
            "logs": {"processors": ["memory_limiter", "batch"]},
        }
    },
}
MEMORY_QUEUE = {
    "exporters": {
        name: {"sending_queue": {"storage": None}}
        for name in ("otlp_http/prometheus", "otlp_grpc/jaeger", "otlp_http/loki")
    }
}


@pytest.mark.parametrize("overlay", [BATCH, MEMORY_QUEUE], ids=["batch-processor", "queue-in-memory"])
def test_the_test_sees_loss(fresh_stack, tmp_path, overlay, record_property):
    """The same with the `batch` processor before the disk queue, or with the queue in memory: acknowledged and lost."""
    path = tmp_path / "lossy.yaml"
    path.write_text(yaml.safe_dump(overlay))
    stack = fresh_stack(path)
    sent, stored = killed_with_a_full_queue(stack)
    assert sent == (1000, 1000, 1000)
    found = stored(5)
    record_property("spans, points, lines stored", found)  # for docs/stack.md: --junit-xml shows it
    assert max(found) < 1000


def test_each_backend_killed_under_load(stack):
    """Each backend is killed and started again while services send: every acknowledged item is stored, once."""
    with Load(stack, "stormy") as load:
        for name in BACKENDS:
            time.sleep(1)
            stack.kill(name)
            time.sleep(1)
            stack.up()
        time.sleep(1)
    sent = load.acknowledged()
    assert min(sent) > 1000
    assert settled(lambda: counts(stack, "stormy"), sent) == sent
    assert stack.own("otelcol_exporter_enqueue_failed_spans") == 0


def test_the_collector_stopped_under_load(stack):
    """SIGTERM while services send, then a start: the stop is quick, and every acknowledged item is stored."""
    with Load(stack, "stopped") as load:
        time.sleep(2)
        begun = time.monotonic()
        stack.kill("otelcol", number=signal.SIGTERM)
        took = time.monotonic() - begun
        stack.up()
        time.sleep(1)
    sent = load.acknowledged()
    assert took < 30
    assert min(sent) > 500
    assert settled(lambda: counts(stack, "stopped"), sent) == sent


def test_the_collector_killed_under_load(stack):
    """SIGKILL while services send: what was acknowledged is stored, what was on its way is sent again."""
    with Load(stack, "shot") as load:
        time.sleep(2)
        stack.kill("otelcol")
        stack.up()
        time.sleep(1)
    sent = load.acknowledged()
    assert min(sent) > 500
    stored = settled(lambda: counts(stack, "shot"), sent)
    assert all(there >= known for there, known in zip(stored, sent, strict=True)), (stored, sent)


def test_jaeger_killed_after_it_acknowledged(stack):
    """A thousand spans sent to Jaeger itself, killed as soon as it answered: all there after a start."""
    sender = stack.sender("straight")
    with grpc.insecure_channel(f"127.0.0.1:{stack.ports['jaeger-otlp']}") as channel:
        call = channel.unary_unary(
            "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
            request_serializer=lambda request: request.SerializeToString(),
            response_deserializer=ExportTraceServiceResponse.FromString,
        )
        for _ in range(10):
            call(sender.trace(100), timeout=30)
    stack.kill("jaeger")
    stack.up()
    assert settled(lambda: stack.spans("straight"), 1000) == 1000


FULL = {
    "exporters": {
        "otlp_grpc/jaeger": {"sending_queue": {"queue_size": 200, "batch": {"min_size": 50, "max_size": 100}}}
    }
}


def test_a_full_queue_makes_senders_wait(fresh_stack, tmp_path):
    """With room for 200 spans and Jaeger down, the third hundred waits: nothing is dropped or counted twice."""
    path = tmp_path / "small.yaml"
    path.write_text(yaml.safe_dump(FULL))
    stack = fresh_stack(path)
    stack.kill("jaeger")
    sender = stack.sender("waiting")
    done = threading.Thread(target=lambda: [sender.deliver("traces", sender.trace(100), 100) for _ in range(5)])
    done.start()
    eventually(lambda: sender.acknowledged["traces"] >= 200, 10)
    time.sleep(3)
    waiting = sender.acknowledged["traces"]
    stack.up()
    done.join(60)
    assert waiting < 500
    assert sender.acknowledged["traces"] == 500
    assert settled(lambda: stack.spans("waiting"), 500) == 500
    calls = 'sum(traces_span_metrics_calls_total{service_name="waiting"})'
    assert settled(lambda: stack.number(calls), 500) == 500
    assert stack.own("otelcol_exporter_enqueue_failed_spans") == 0


# Nothing is lost on the way to a query either --------------------------------------------------------------------


def test_the_first_export_counts(stack):
    """A counter that begins with its first error: that error is in `increase()`; without a start nobody can tell."""
    sender, begun = stack.sender("newborn"), time.time_ns() - 5 * SECOND
    sender.deliver("metrics", sender.one("sent.born", 1, begun), 1)
    sender.deliver("metrics", sender.one("sent.unknown", 1), 1)
    assert settled(lambda: stack.samples("sent_unknown_total", "newborn"), [1.0]) == [1.0]
    assert stack.samples("sent_born_total", "newborn") == [0.0, 1.0]
    increase = 'sum(increase({}{{service_name="newborn"}}[5m]))'
    assert stack.number(increase.format("sent_born_total")) >= 1
    assert stack.number(increase.format("sent_unknown_total")) == 0


def test_the_first_error_of_a_service_counts(stack):
    """Three predictions fail before the first export: the rate of errors has them at once."""
    run_service(stack, FAILING)
    errors = 'sum(increase(ml_requests_total{service_name="faulty",error_type="ValueError"}[5m]))'
    assert eventually(lambda: stack.number(errors) >= 3), stack.number(errors)


def test_a_gauge_has_no_zero_of_its_start(stack):
    """What some SDKs note as a gauge's start is no measurement; sent to Prometheus itself, it would become one."""
    sender, begun = stack.sender("gauged"), time.time_ns() - 5 * SECOND
    sender.deliver("metrics", sender.one("sent.gauge", 7, begun, gauge=True), 1)
    straight = sender.one("sent.straight", 7, begun, gauge=True).SerializeToString()
    kind = {"Content-Type": "application/x-protobuf"}
    assert web.post(stack.url("prometheus", "/api/v1/otlp/v1/metrics"), straight, kind).ok
    assert settled(lambda: stack.samples("sent_gauge", "gauged"), [7.0]) == [7.0]
    assert stack.samples("sent_straight", "gauged") == [0.0, 7.0]


CARDLIKE = 0.4111111111111111


def test_numbers_survive_the_redaction(stack):
    """A confidence whose digits are a card's comes back as it was: of a span, a log record and a metric."""
    sender, confidence = stack.sender("numeric"), {"ml.prediction.confidence": CARDLIKE}
    sender.deliver("traces", sender.trace(1, **confidence), 1)
    sender.deliver("logs", sender.log(1, body="card 4111111111111111", **confidence), 1)
    sender.deliver("metrics", sender.one("sent.confidence", CARDLIKE, gauge=True), 1)
    assert settled(lambda: stack.samples("sent_confidence", "numeric"), [CARDLIKE]) == [CARDLIKE]
    assert settled(lambda: (stack.spans("numeric"), stack.lines("numeric")), (1, 1)) == (1, 1)
    tags = {tag["key"]: tag for tag in stack.traces("numeric")[0]["spans"][0]["tags"]}
    assert tags["ml.prediction.confidence"] == {
        "key": "ml.prediction.confidence",
        "type": "float64",
        "value": CARDLIKE,
    }
    asked = {"query": '{service_name="numeric"}', "since": "1h"}
    found = web.json_of(stack.url("loki", "/loki/api/v1/query_range"), asked)["data"]["result"]
    assert [row["stream"]["ml_prediction_confidence"] for row in found] == [str(CARDLIKE)]
    assert "4111111111111111" not in json.dumps([row["values"] for row in found])  # the card itself is hashed
