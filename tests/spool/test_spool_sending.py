"""What becomes of a batch by the endpoint's answer, over both protocols; the order of sending; flushes and the end."""

import threading
import time

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from otelml import config
from otelml._drops import Drops
from otelml.outage import Outage
from otelml.spool.batches import WHAT
from otelml.spool.delivery import Delivery, Fate
from otelml.spool.sending import Sending
from otelml.spool.storing import Spool

BOTH = pytest.mark.parametrize("endpoint", ["http/protobuf", "grpc"], indirect=True)
SIGNALS = pytest.mark.parametrize("signal", ["traces", "metrics", "logs"])


def named(name):
    """Return a request of one span."""
    request = ExportTraceServiceRequest()
    request.resource_spans.add().scope_spans.add().spans.add(name=name)
    return request.SerializeToString()


def names(endpoint):
    """Return the names of the spans that arrived, in their order."""
    return [m.resource_spans[0].scope_spans[0].spans[0].name for _, m in endpoint.requests]


@pytest.fixture
def settings(endpoint):
    """The settings of an exporter for the endpoint."""
    given = {"endpoint": endpoint.url, "protocol": endpoint.protocol, "timeout": 0.5}
    return config.load({f"exporter_otlp_{name}": value for name, value in given.items()}, {})


@pytest.fixture
def sending(settings, tmp_path):
    """Make the sender of a signal; stop it at the end."""
    made = []

    def start(signal="traces", drops=None, **bounds):
        count = (drops or Drops()).add
        spool = Spool(tmp_path / "spool", bounds.get("max_bytes", 1 << 30), 3600.0, count)
        made.append(Sending(signal, spool, Delivery(settings, signal, count), count, Outage()))
        made[-1].spool = spool
        return made[-1]

    yield start
    for one in made:
        one.shutdown()


def flush(sender, timeout=10.0):
    """Return whether all that was put has arrived."""
    done, said = threading.Event(), []
    sender.settle(lambda ok: (said.append(ok), done.set()))
    assert done.wait(timeout)
    return said[0]


def files(tmp_path):
    """Return how many batches are on the disk."""
    return len(list(tmp_path.rglob("*.otlp")))


@BOTH
@SIGNALS
def test_the_official_clients_take_requests(endpoint, settings, signal):
    """The canary: the exporters of all three signals send bytes as they are, and tell what they were answered."""
    delivery = Delivery(settings, signal, lambda *_: None)
    assert delivery.send(b"") == (Fate.SENT, "")
    endpoint.answer = 400 if endpoint.protocol != "grpc" else "INVALID_ARGUMENT"
    assert delivery.send(b"")[0] is Fate.REFUSED
    endpoint.answer = 503 if endpoint.protocol != "grpc" else "UNAVAILABLE"
    assert delivery.send(b"")[0] is Fate.LATER
    endpoint.answer = 404 if endpoint.protocol != "grpc" else "UNIMPLEMENTED"
    assert delivery.send(b"")[0] is Fate.ASIDE
    endpoint.close()
    assert delivery.send(b"")[0] is Fate.LATER
    endpoint.open()
    endpoint.answer = 200 if endpoint.protocol != "grpc" else "OK"
    assert delivery.send(b"")[0] is Fate.SENT
    delivery.shutdown()
    assert [known for known, _ in endpoint.requests] == [signal] * 2


@BOTH
def test_what_is_refused_for_good_is_dropped(endpoint, sending, tmp_path, caplog):
    """A 400 (INVALID_ARGUMENT) deletes the batch, counts its items, is said once, and is not tried again."""
    endpoint.answer = 400 if endpoint.protocol != "grpc" else "INVALID_ARGUMENT"
    drops = Drops()
    sender = sending(drops=drops)
    for i in range(3):
        assert sender.put(named(f"{i}"), 5)
        assert not flush(sender)
    assert drops.counts() == {("span", "rejected"): 15}
    assert files(tmp_path) == 0
    assert len([r for r in caplog.records if "refuses" in r.getMessage()]) == 1
    endpoint.answer = 200 if endpoint.protocol != "grpc" else "OK"
    assert flush(sender)
    assert endpoint.requests == []


@BOTH
@pytest.mark.parametrize("answers", [(429, "RESOURCE_EXHAUSTED"), (503, "UNAVAILABLE"), (401, "UNAUTHENTICATED")])
def test_what_may_pass_is_kept_and_sent_later(endpoint, sending, tmp_path, answers):
    """An outage, a limit, a wrong password: batches stay on the disk, and all arrive once it is over, in order."""
    endpoint.answer = answers[endpoint.protocol == "grpc"]
    drops = Drops()
    sender = sending(drops=drops)
    for i in range(5):
        assert sender.put(named(f"{i}"), 1)
    assert not flush(sender)
    assert files(tmp_path) == 5
    endpoint.answer = 200 if endpoint.protocol != "grpc" else "OK"
    assert flush(sender)
    assert sorted(names(endpoint)) == ["0", "1", "2", "3", "4"]
    assert files(tmp_path) == 0
    assert drops.counts() == {}


@BOTH
def test_what_is_accepted_in_part_is_not_sent_again(endpoint, sending, tmp_path):
    """A partial success counts what was rejected, and the batch is done."""
    endpoint.body = ExportTraceServiceResponse(partial_success={"rejected_spans": 2}).SerializeToString()
    drops = Drops()
    sender = sending(drops=drops)
    sender.put(named("a"), 5)
    assert flush(sender)
    assert drops.counts() == {("span", "rejected"): 2}
    assert files(tmp_path) == 0
    assert len(endpoint.requests) == 1


def test_one_that_always_fails_does_not_hold_up_the_others(endpoint, sending, tmp_path):
    """A batch that is answered with a 500 each time is put aside: the others arrive, and it stays on the disk."""
    take = endpoint.take

    def poisoned(signal, body):
        endpoint.answer = 500 if body == named("poison") else 200
        return take(signal, body)

    endpoint.take = poisoned
    drops = Drops()
    sender = sending(drops=drops)
    sender.put(named("poison"), 1)
    for i in range(3):
        sender.put(named(f"{i}"), 1)
    deadline = time.monotonic() + 15
    while len(endpoint.requests) < 3 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert sorted(names(endpoint)) == ["0", "1", "2"]
    assert files(tmp_path) == 1
    assert drops.counts() == {}


def test_new_spans_go_before_those_that_waited(endpoint, sending):
    """After an outage new spans arrive at once, and the old ones behind them at a bounded rate."""
    endpoint.close()
    sender = sending()
    for i in range(40):
        sender.put(named(f"old{i}"), 1)
    assert not flush(sender)
    endpoint.open()
    deadline = time.monotonic() + 15
    while not endpoint.requests and time.monotonic() < deadline:
        time.sleep(0.01)
    first = time.monotonic()
    for i in range(5):
        sender.put(named(f"new{i}"), 1)
    while len(endpoint.requests) < 45 and time.monotonic() < deadline:
        time.sleep(0.01)
    took = time.monotonic() - first
    arrived = names(endpoint)
    assert [name for name in arrived if name.startswith("new")] == [f"new{i}" for i in range(5)]
    assert [name for name in arrived if name.startswith("old")] == [f"old{i}" for i in range(40)]
    assert arrived.index("new4") < 12
    assert took > 35 * 0.05


def test_metrics_go_in_the_order_they_were_made(endpoint, sending):
    """Points of one process never go back in time, outage or not: what waited goes before what is new."""
    endpoint.close()
    sender = sending("metrics")
    for i in range(10):
        sender.put(b"\x0a\x00" * (i + 1), 1)
    assert not flush(sender)
    endpoint.open()
    for i in range(10, 20):
        sender.put(b"\x0a\x00" * (i + 1), 1)
    assert flush(sender)
    assert [len(message.resource_metrics) for _, message in endpoint.requests] == list(range(1, 21))


def test_the_end_is_quick_and_what_is_left_stays(endpoint, sending, tmp_path):
    """Shutdown with the endpoint down takes a moment, drops nothing, and leaves the batches for another process."""
    endpoint.close()
    drops = Drops()
    sender = sending(drops=drops)
    for i in range(5):
        sender.put(named(f"{i}"), 1)
    started = time.monotonic()
    sender.shutdown()
    assert time.monotonic() - started < 1.0
    assert files(tmp_path) == 5
    assert drops.counts() == {}
    assert not flush(sender)
    endpoint.open()
    other = sending()
    deadline = time.monotonic() + 15
    while len(endpoint.requests) < 5 and time.monotonic() < deadline:
        time.sleep(0.02)
    assert names(endpoint) == [f"{i}" for i in range(5)]
    other.shutdown()
    assert list((tmp_path / "spool").iterdir()) == []


def test_without_a_disk_it_sends_from_memory(endpoint, sending, tmp_path, caplog):
    """Where the disk takes nothing, batches are sent all the same; those of an outage are lost, and counted."""
    (tmp_path / "spool").write_text("a file where the directory should be")
    drops = Drops()
    sender = sending(drops=drops)
    assert sender.put(named("a"), 1)
    assert flush(sender)
    assert names(endpoint) == ["a"]
    endpoint.close()
    assert sender.put(named("b"), 3)
    assert not flush(sender)
    assert not sender.put(named("c"), 4)  # the queue counts it
    assert drops.counts() == {("span", "export"): 3}
    assert len([r for r in caplog.records if "spool takes nothing" in r.getMessage()]) == 1


def test_every_item_is_somewhere(endpoint, sending, tmp_path):
    """With room for 20 batches and an outage of 100: what arrives later and what is counted are all that was made."""
    endpoint.close()
    drops = Drops()
    sender = sending(drops=drops, max_bytes=20 * 4096)
    for i in range(100):
        sender.put(named(f"{i}"), 1)
        time.sleep(0.002)
    endpoint.open()
    assert flush(sender, 30) or flush(sender, 30)
    dropped = sum(drops.counts().values())
    assert set(drops.counts()) == {("span", "spool_full")}
    assert len(set(names(endpoint))) == len(names(endpoint)) == 100 - dropped
    assert names(endpoint)[-1] == "99"
    assert dropped >= 80
    assert sender._memory == 0
    assert set(WHAT.values()) == {"span", "metric", "log"}
