"""Nothing that was acknowledged is lost: exact counts in three stores after kills, and a control that does lose."""

import signal
import threading
import time

import grpc
import pytest
import yaml
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from running_stack import eventually, settled

BACKENDS = ("prometheus", "loki", "jaeger")
pytestmark = [pytest.mark.stack, pytest.mark.timeout(240)]


def counts(stack, service):
    """Return how many spans, points and lines of a service are stored."""
    return stack.spans(service), stack.points(service), stack.lines(service)


def acknowledged(sender):
    """Return how many spans, points and lines were acknowledged."""
    return tuple(sender.acknowledged[signal] for signal in ("traces", "metrics", "logs"))


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
def test_the_test_sees_loss(fresh_stack, tmp_path, overlay):
    """The same with the `batch` processor before the disk queue, or with the queue in memory: acknowledged and lost."""
    path = tmp_path / "lossy.yaml"
    path.write_text(yaml.safe_dump(overlay))
    stack = fresh_stack(path)
    sent, stored = killed_with_a_full_queue(stack)
    assert sent == (1000, 1000, 1000)
    assert max(stored(5)) < 1000


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
