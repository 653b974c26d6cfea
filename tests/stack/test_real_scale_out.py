"""Agent, Kafka, two gateways, by overlays alone: nothing lost, each trace whole on one gateway.

The first gateway is a stack with an overlay; the second and the agent are the collector's binary with the same files.
"""

import contextlib
import os
import time
from secrets import token_bytes

import pytest
import yaml
from kafka_broker import NO_JAVA, Broker, fetch, java
from one_collector import Collector, knows
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from running_stack import eventually, make_stack, settled
from sent import Sender

from otelml.stack import secret_files, web

pytestmark = [
    pytest.mark.stack,
    pytest.mark.timeout(240),
    pytest.mark.skipif(os.environ.get("CI") != "true" and java() is None, reason=NO_JAVA),
]
PARTITIONS = 6
TOPICS = ("otlp_spans", "otlp_metrics", "otlp_logs")
STORES = ("prometheus", "loki", "jaeger")
STEPS, TRACES, PARTS = 120, 3000, 4
INSTANCES, SIZE = 24, 25
"""Each step sends one span of a hundred traces, and 25 points and 25 lines of one of 24 processes: 3,000 in all."""

STAMP = {
    "processors": {
        "transform/gateway": {
            "trace_statements": ['set(resource.attributes["gateway"], "${env:STACK_KAFKA_MEMBER}")'],
            "log_statements": ['set(resource.attributes["gateway"], "${env:STACK_KAFKA_MEMBER}")'],
        }
    },
    "service": {
        "pipelines": {
            "traces": {"processors": ["memory_limiter", "redaction/pii", "transform/pii", "transform/gateway"]},
            "logs": {"processors": ["memory_limiter", "redaction/pii", "transform/gateway"]},
        }
    },
}
"""Which gateway it came through, on every span and line."""
FORGETFUL = {
    "exporters": {name: {"sending_queue": {"storage": None}} for name in ("otlp_grpc/jaeger", "otlp_http/loki")}
    | {"otlp_http/prometheus": {"sending_queue": {"storage": None}}}
}
"""Queues in memory: what was read from Kafka counts as read, and a kill takes it away."""


class Topology:
    """An agent, Kafka, and gateways that share the stores of one stack; the first gateway is the stack's."""

    def __init__(self, root, undo, overlays=()):
        stamp = root / "stamp.yaml"
        stamp.write_text(yaml.safe_dump(STAMP))
        self.overlays = ["kafka-gateway", stamp, *overlays]
        self.broker = Broker(root / "kafka")
        undo.callback(self.broker.stop)
        self.broker.start()
        self.broker.make_topics(*TOPICS, partitions=PARTITIONS)
        self.kafka = {"STACK_KAFKA": self.broker.address, "STACK_KAFKA_SESSION": "30s"}
        patch = undo.enter_context(pytest.MonkeyPatch.context())
        for name, value in {**self.kafka, "STACK_KAFKA_MEMBER": "first"}.items():
            patch.setenv(name, value)
        running = make_stack(root / "stack", self.overlays)
        undo.callback(running.close)
        self.stack, self.root, self.undo = next(running), root, undo
        self.agent = self.collector("agent", ["kafka-agent"])

    def collector(self, name, overlays):
        """Start another collector that knows the stack's stores and secrets."""
        made = Collector(name, self.root, overlays, **knows(self.stack), **self.kafka)
        self.undo.callback(made.down)
        made.up()
        return made

    def sender(self, service, instance, agent=None):
        """Return what sends to the agent, or another, as one process of a service."""
        made = Sender(f"http://127.0.0.1:{(agent or self.agent).otlp}", service, secret_files.token(self.stack.state))
        made.instance = f"{service}-{instance}"
        return made

    def lines(self, service):
        """Return (text, gateway) of every line that Loki holds."""
        query = {"query": f'{{service_name="{service}"}}', "limit": "5000", "since": "1h"}
        said = web.json_of(self.stack.url("loki", "/loki/api/v1/query_range"), query)
        streams = said["data"]["result"] if said else []
        return [(line, stream["stream"].get("gateway")) for stream in streams for _, line in stream["values"]]

    def waits(self):
        """Say whether anything is still in a queue of a collector."""
        return any(own("otelcol_exporter_queue_size") for own in (self.agent.own, self.second.own, self.stack.own))

    def stored(self, service):
        """Return how many traces, spans, points and lines are stored, by their ids."""
        traces = self.stack.traces(service, TRACES + 100)
        spans = sum(len({span["spanID"] for span in trace["spans"]}) for trace in traces)
        return len(traces), spans, self.stack.points(service), len({line for line, _ in self.lines(service)})


@contextlib.contextmanager
def topology(root, overlays=()):
    """Start everything, stop it, and leave nothing running."""
    with contextlib.ExitStack() as undo:
        yield Topology(root, undo, overlays)


@pytest.fixture(scope="module")
def two_gateways(tmp_path_factory):
    """An agent, Kafka and two gateways."""
    with topology(tmp_path_factory.mktemp("scale")) as made:
        made.second = made.collector("second", made.overlays)
        half = PARTITIONS * len(TOPICS) // 2
        shares = eventually(lambda: [partitions(own) for own in (made.stack.own, made.second.own)] == [half] * 2)
        assert shares, "the gateways did not share the partitions"
        yield made


def partitions(own):
    """Return how many partitions a gateway has, by its own metrics."""
    return own("otelcol_kafka_receiver_partition_start") - own("otelcol_kafka_receiver_partition_close")


def spans(sender, traces, part):
    """Return one request with the span of that number of each trace; the first is the parent of the others."""
    request = ExportTraceServiceRequest()
    resource = request.resource_spans.add()
    sender._resource(resource.resource)
    made = resource.scope_spans.add().spans
    for trace in traces:
        begun = sender._time(0)
        span = made.add(trace_id=trace, span_id=trace[:7] + bytes([part]), name="work", kind=2)
        span.parent_span_id = trace[:7] + b"\0" if part else b""
        span.start_time_unix_nano, span.end_time_unix_nano = begun, begun + 1_000_000
    return request


def send(made, service, events):
    """Send 3,000 traces of four spans, points and lines, a little at a time; do what ``events`` says at its steps."""
    senders = [made.sender(service, instance) for instance in range(INSTANCES)]
    traces = [token_bytes(16) for _ in range(TRACES)]
    hundreds = [traces[first : first + 100] for first in range(0, TRACES, 100)]
    for step in range(STEPS):
        events.get(step, lambda: None)()
        sender, some = senders[step % INSTANCES], hundreds[step % len(hundreds)]
        sender.deliver("traces", spans(senders[0], some, step // len(hundreds)), len(some))
        sender.deliver("metrics", sender.metric(SIZE), SIZE)
        sender.deliver("logs", sender.log(SIZE, body=f"{sender.instance} {step}"), SIZE)
        time.sleep(0.05)
    assert sum(sender.acknowledged["metrics"] for sender in senders) == TRACES


def gateways_of(trace):
    """Return the gateways that the spans of a trace came through."""
    tags = [tag for process in trace["processes"].values() for tag in process["tags"] if tag["key"] == "gateway"]
    return {tag["value"] for tag in tags}


def all_there(made, service, *, split=0):
    """Check that all is stored once, at most so many traces came through two gateways, and no point was refused."""
    expected = (TRACES, TRACES * PARTS, TRACES, TRACES)
    eventually(lambda: made.stack.lines(service) == TRACES == made.stack.points(service) and not made.waits(), 60)
    assert settled(lambda: made.stored(service), expected, 90) == expected
    traces = made.stack.traces(service, TRACES + 100)
    through = [gateways_of(trace) for trace in traces]
    begun = [own("otelcol_kafka_receiver_partition_start") for own in (made.stack.own, made.second.own)]
    assert sum(len(gateways) > 1 for gateways in through) <= split, f"partitions begun: {begun}"
    shares = {name: through.count({name}) for name in ("first", "second")}
    assert min(shares.values()) > TRACES / 10, shares
    lines = made.lines(service)
    assert {gateway for _, gateway in lines} == {"first", "second"}
    for own in (made.stack.own, made.second.own):
        assert own("otelcol_exporter_send_failed_metric_points") == 0
    doubled = sum(len(trace["spans"]) for trace in traces) - expected[1]
    assert (doubled, len(lines) - TRACES) == (0, 0)


def test_the_broker_and_the_agent_killed_under_load(two_gateways):
    """Kafka is away for a third of the load, the agent killed meanwhile: nothing is lost.

    Every trace has spans before and after. On a machine with nothing else to do none is split; where the gateways come
    back to Kafka one long after the other, the first has all partitions meanwhile.
    """
    made = two_gateways

    def kill_the_agent():
        made.agent.kill()
        made.agent.up()

    send(made, "broker", {40: made.broker.kill, 60: kill_the_agent, 80: made.broker.start})
    all_there(made, "broker", split=TRACES // 4)


def test_a_gateway_killed_under_load(two_gateways):
    """One of two gateways is killed and comes back: it has its partitions again; nothing is lost or split."""
    made = two_gateways
    send(made, "gateway", {40: made.second.kill, 80: made.second.up})
    all_there(made, "gateway")


def test_without_the_key_the_test_sees_split_traces(two_gateways, tmp_path):
    """An agent that spreads spans over the partitions whatever their trace: some traces come through both gateways."""
    made = two_gateways
    path = tmp_path / "spread.yaml"
    path.write_text(yaml.safe_dump({"exporters": {"kafka": {"partition_traces_by_id": False}}}))
    service = f"spread-{token_bytes(4).hex()}"  # once more is another one: the partitions are drawn by lot
    agent = made.collector(service, ["kafka-agent", path])
    sender = made.sender(service, 0, agent)
    traces = [token_bytes(16) for _ in range(100)]
    for part in range(2 * PARTS):  # all on partitions of one gateway: once in 128 times
        sender.deliver("traces", spans(sender, traces, part), len(traces))
        time.sleep(1)  # a batch each, and so a partition each
    assert settled(lambda: made.stack.spans(service), 800) == 800
    assert {len(gateways_of(trace)) for trace in made.stack.traces(service)} == {2}


@pytest.mark.parametrize("overlay", [None, FORGETFUL], ids=["shipped", "queue-in-memory"])
def test_a_gateway_killed_while_the_stores_are_down(tmp_path, overlay):
    """What a gateway read from Kafka survives its kill; with its queues in memory the test sees the loss."""
    path = tmp_path / "more.yaml"
    path.write_text(yaml.safe_dump(overlay or {}))
    with topology(tmp_path, [path] if overlay else []) as made:
        made.stack.kill(*STORES)
        sender = made.sender("read", 0)
        sender.send(1000)
        accepted = [f"otelcol_receiver_accepted_{items}" for items in ("spans", "metric_points", "log_records")]
        assert eventually(lambda: all(made.stack.own(metric) >= 1000 for metric in accepted), 40)
        time.sleep(3)  # it tells Kafka once a second what it has read
        made.stack.kill("otelcol")
        made.stack.up()

        def counts():
            return made.stack.spans("read"), made.stack.points("read"), made.stack.lines("read")

        if overlay:
            assert eventually(lambda: partitions(made.stack.own) == PARTITIONS * len(TOPICS), 40)
            time.sleep(3)  # what there is to be read is read, and was delivered in less
            assert max(counts()) < 1000
        else:
            assert settled(counts, (1000, 1000, 1000)) == (1000, 1000, 1000)


def test_artifacts_are_checked(tmp_path, monkeypatch):
    """A file that is not the one that was listed is refused and not kept."""
    monkeypatch.setattr("kafka_broker.requests.get", lambda *_, **__: Changed())
    with pytest.raises(ValueError, match="not what"):
        fetch(tmp_path, "0" * 64, "org/x/1/x-1.jar")
    assert list(tmp_path.iterdir()) == []


class Changed:
    """An answer with other bytes."""

    content = b"other"

    def raise_for_status(self):
        """It came with 200."""
