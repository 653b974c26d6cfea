"""Queues between the application and exporters: exact counts, deadlines, forks."""

import os
import threading
import time

import pytest
from opentelemetry.sdk.trace.export import SpanExportResult

from otelml.encoding import Encoded, Home
from otelml.export import BatchQueue
from otelml.outage import Outage


class Sink:
    """An exporter that keeps what it gets; ``behave`` runs first and may block or raise."""

    def __init__(self, behave=lambda _: SpanExportResult.SUCCESS):
        self.items, self.batches, self.behave, self.stopped = [], [], behave, threading.Event()

    def export(self, batch):
        """Do as told; keep the batch when that is success."""
        result = self.behave(batch)
        if result is SpanExportResult.SUCCESS:
            self.items += batch
            self.batches.append(len(batch))
        return result

    def shutdown(self):
        """Note that it was asked to give up."""
        self.stopped.set()


class Drops:
    """Counts what is dropped."""

    def __init__(self):
        self.counts = {}

    def __call__(self, what, where, n):
        """Add up, as `on_drop`."""
        self.counts[what, where] = self.counts.get((what, where), 0) + n


@pytest.fixture
def queue():
    """Make queues and close them at the end."""
    made = []

    def make(sink, drops=None, **options):
        made.append(BatchQueue("span", lambda: sink, drops or Drops(), Outage(), **options))
        return made[-1]

    yield make
    for one in made:
        one.shutdown(0.5)


def test_every_item_arrives_in_order_and_in_batches(queue):
    """Items of one thread are exported in order, no batch is larger than asked for, and a flush waits for all."""
    sink = Sink()
    q = queue(sink, batch=10, delay=60.0)
    assert all(q.put(i) for i in range(95))
    assert q.force_flush(5.0)
    assert sink.items == list(range(95))
    assert max(sink.batches) <= 10


def test_a_full_batch_wakes_the_worker_before_the_delay(queue):
    """With a delay of a minute, a full batch is exported at once."""
    sink = Sink()
    q = queue(sink, batch=4, delay=60.0)
    for i in range(4):
        q.put(i)
    deadline = time.monotonic() + 5
    while len(sink.items) < 4 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert sink.items == [0, 1, 2, 3]


def test_what_is_left_of_a_full_batch_waits_for_others(queue):
    """Full batches go at once; what is left of them goes with others, or when the delay is over, whichever is first."""
    sink = Sink()
    q = queue(sink, batch=4, delay=1.0)
    started = time.monotonic()
    for i in range(6):
        q.put(i)
    while len(sink.items) < 6 and time.monotonic() < started + 5:
        time.sleep(0.01)
    took = time.monotonic() - started
    assert sink.items == list(range(6))
    assert sink.batches == [4, 2]
    assert 0.5 < took < 4


def test_a_full_queue_drops_the_newest_and_counts_it(queue):
    """While the exporter is stuck, what does not fit is dropped and counted; the older items arrive."""
    release, entered = threading.Event(), threading.Event()

    def block(_):
        entered.set()
        release.wait(10)
        return SpanExportResult.SUCCESS

    sink, drops = Sink(block), Drops()
    q = queue(sink, drops, capacity=5, batch=1, delay=60.0)
    q.put("first")
    assert entered.wait(5)
    kept = [q.put(i) for i in range(8)]
    assert kept == [True] * 5 + [False] * 3
    assert drops.counts == {("span", "queue"): 3}
    release.set()
    assert q.force_flush(5.0)
    assert sink.items == ["first", 0, 1, 2, 3, 4]


def test_parts_are_written_when_they_are_exported(queue):
    """Parts of messages wait as they are, count as messages, and are written in order, for each home apart."""
    sink, drops, written = Sink(), Drops(), []

    def write(number):
        written.append(number)
        return b"%d," % number

    one, other = Home(None, None, write), Home(None, None, write)
    q = queue(sink, drops, capacity=800, batch=1000, delay=60.0)
    kept = [q.put_parts((i,), one if i % 2 else other) for i in range(803)]
    assert (len(q), kept.count(False), written) == (800, 3, [])
    assert drops.counts == {("span", "queue"): 3}
    assert q.force_flush(5.0)
    assert len(q) == 0
    for home, first in ((one, 1), (other, 0)):
        data = b"".join(item.data for item in sink.items if item.home is home)
        assert data == b"".join(b"%d," % i for i in range(first, 800, 2))
    assert sum(item.count for item in sink.items) == 800


def test_parts_and_items_fill_a_queue_together(queue):
    """Both count for a batch, which is exported without a flush, and for the room that there is."""
    sink, drops = Sink(), Drops()
    home = Home(None, None, lambda n: b"%d," % n)
    q = queue(sink, drops, capacity=12, batch=8, delay=60.0)
    assert q.put_parts((0,), home)
    assert q.put(Encoded(b"abc", home, 3))
    assert [q.put_parts((number,), home) for number in range(1, 4)] == [True] * 3
    assert (len(q), sink.items) == (7, [])
    assert q.put_parts((4,), home)
    for _ in range(500):
        if sum(item.count for item in sink.items) == 8:
            break
        time.sleep(0.01)
    assert sorted(item.data for item in sink.items) == [b"0,1,2,3,4,", b"abc"]
    entered, release = threading.Event(), threading.Event()
    sink.behave = lambda _: (entered.set(), release.wait(5), SpanExportResult.SUCCESS)[-1]
    assert q.put(Encoded(b"12345678", home, 8))
    assert entered.wait(5)
    assert q.put(Encoded(b"abc", home, 3))
    assert [q.put_parts((number,), home) for number in range(12)] == [True] * 9 + [False] * 3
    assert (len(q), drops.counts) == (12, {("span", "queue"): 3})
    release.set()
    assert q.force_flush(5.0)
    assert sum(item.count for item in sink.items) == 8 + 8 + 12


def test_parts_that_cannot_be_written_are_counted(queue):
    """What fails to be written is dropped and counted, the worker goes on, and other homes' parts arrive."""
    sink, drops = Sink(), Drops()
    q = queue(sink, drops, batch=100, delay=60.0)
    broken, sound = Home(None, None, lambda n: b"x" * (1 // n)), Home(None, None, lambda n: b"y" * n)
    for home, number in ((broken, 0), (sound, 2), (sound, 1)):
        assert q.put_parts((number,), home)
    q.force_flush(5.0)
    assert [item.data for item in sink.items] == [b"yyy"]
    assert drops.counts == {("span", "export"): 1}
    q.put_parts((3,), sound)
    assert q.force_flush(5.0)
    assert sink.items[-1].data == b"yyy"


@pytest.mark.parametrize("how", ["returns failure", "raises"])
def test_a_failed_export_is_counted_and_flush_says_so(queue, how):
    """A failure, returned or raised, loses its batch, is counted exactly, and the next export works."""
    broken = [True]

    def behave(_):
        if not broken[0]:
            return SpanExportResult.SUCCESS
        if how == "raises":
            raise ConnectionError("down")
        return SpanExportResult.FAILURE

    sink, drops = Sink(behave), Drops()
    q = queue(sink, drops, batch=10, delay=60.0)
    for i in range(3):
        q.put(i)
    assert not q.force_flush(5.0)
    assert drops.counts == {("span", "export"): 3}
    broken[0] = False
    q.put("later")
    assert q.force_flush(5.0)
    assert sink.items == ["later"]


def test_shutdown_keeps_its_deadline_with_a_silent_endpoint(queue):
    """An exporter that never returns holds up neither flush nor shutdown, and everything lost is counted once."""
    release = threading.Event()

    def hang(_):
        release.wait(30)
        return SpanExportResult.FAILURE

    sink, drops = Sink(hang), Drops()
    q = queue(sink, drops, batch=2, delay=0.01)
    for i in range(7):
        q.put(i)
    started = time.monotonic()
    assert not q.force_flush(0.2)
    assert not q.shutdown(0.3)
    assert time.monotonic() - started < 1.5
    assert sink.stopped.is_set()
    assert q.put("late") is False
    release.set()
    time.sleep(0.2)
    assert sum(drops.counts.values()) == 8
    assert drops.counts["span", "shutdown"] >= 6


def test_counts_are_exact_under_threads(queue):
    """Exported plus dropped is what eight threads put, whatever the exporter does."""
    calls = [0]

    def sometimes(_):
        calls[0] += 1
        return SpanExportResult.FAILURE if calls[0] % 3 == 0 else SpanExportResult.SUCCESS

    sink, drops = Sink(sometimes), Drops()
    q = queue(sink, drops, capacity=500, batch=50, delay=0.005)
    lock = threading.Lock()
    original = drops.__call__
    q._on_drop = lambda *drop: [lock.acquire(), original(*drop), lock.release()]
    threads = [threading.Thread(target=lambda: [q.put(i) for i in range(2000)]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    q.shutdown(5.0)
    assert len(sink.items) + sum(drops.counts.values()) == 16_000


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_starts_empty_with_its_own_exporter(tmp_path):
    """The child exports its own items, through an exporter it made itself; the parent's items are not sent twice."""
    made = []

    class FileSink(Sink):
        def export(self, batch):
            """Leave a file named by process and exporter."""
            (tmp_path / f"{os.getpid()}-{len(made)}").write_text(",".join(map(str, batch)))
            return SpanExportResult.SUCCESS

    def make():
        made.append(FileSink())
        return made[-1]

    q = BatchQueue("span", make, Drops(), Outage(), delay=60.0)
    q.put("parent")
    pid = os.fork()
    if pid == 0:
        q.put("child")
        os._exit(0 if q.force_flush(5.0) else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert q.shutdown(5.0)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {
        f"{pid}-2": "child",
        f"{os.getpid()}-1": "parent",
    }
