"""The overlay that samples, on the real collector: what it promises to keep is kept whole, and a share of the rest."""

import math
import random
import signal
import time

import pytest
import yaml
from running_stack import eventually, settled
from sent import SECOND, put

pytestmark = [pytest.mark.stack, pytest.mark.timeout(180)]
WAIT = 2
"""Seconds until a trace is decided on; as shipped, 10."""
EACH, REST, SHARE = 50, 2000, 0.1
KEPT = {
    "errors": {"status": 2},
    "slow": {"seconds": 1.2},
    "unsure": {"ml.prediction.confidence": 0.49},
    "clueless": {"ml.prediction.confidence": 0.0},
    "drifted": {"ml.drift.detected": True},
}
NOT_KEPT = [
    {"status": 1},
    {"seconds": 0.9},
    {"ml.prediction.confidence": 0.5},
    {"ml.drift.detected": False},
]
"""Just beside what is kept: these are the rest, of which a share is kept."""


@pytest.fixture
def sampling(fresh_stack, monkeypatch):
    """A stack with the overlay, as it is shipped but for the time it waits."""
    monkeypatch.setenv("STACK_DECISION_WAIT", f"{WAIT}s")
    return fresh_stack("tail-sampling")


class Traces:
    """Makes traces of three spans, the last of which has what matters; the ids are the same in every run."""

    def __init__(self, sender, seed):
        self.sender, self.ids = sender, random.Random(seed)  # noqa: S311 - ids are to be the same in every run
        self.made = {}

    def send(self, kind, count, what):
        """Send traces: two spans of each, then all the third ones, in requests of their own."""
        early, late = [], []
        for _ in range(count):
            trace_id = self.ids.randbytes(16)
            self.made[trace_id.hex()] = kind
            early.append(self.sender.trace(2, trace_id=trace_id))
            late.append(special(self.sender.trace(1, trace_id=trace_id), **what))
        for parts, size in ((early, 2), (late, 1)):
            for at in range(0, count, 50):
                together = parts[at]
                for part in parts[at + 1 : at + 50]:
                    together.MergeFrom(part)
                self.sender.deliver("traces", together, size * len(parts[at : at + 50]))

    def stored(self, stack):
        """Return how many traces of each kind are stored, and how many of those lack a span."""
        kinds = dict.fromkeys(self.made.values(), 0)
        torn = 0
        for trace in stack.traces(self.sender.service):
            kinds[self.made[trace["traceID"]]] += 1
            torn += len(trace["spans"]) != 3
        return kinds, torn


def special(request, *, status=0, seconds=0.001, **attributes):
    """Give the one span of a request a status, a duration and attributes."""
    span = request.resource_spans[0].scope_spans[0].spans[0]
    span.status.code = status
    span.end_time_unix_nano = span.start_time_unix_nano + int(seconds * SECOND)
    for key, value in attributes.items():
        put(span.attributes, key, value)
    return request


def undecided(stack):
    """Return how many traces wait for their decision."""
    return stack.own("otelcol_processor_tail_sampling_sampling_traces_on_memory")


def test_what_is_kept(sampling):
    """Every error, slow, unsure and drifted trace, whole; of the rest a tenth within 3 sigma; all in span metrics."""
    traces = Traces(sampling.sender("sampled"), seed=28)
    for kind, what in KEPT.items():
        traces.send(kind, EACH, what)
    for what in NOT_KEPT:
        traces.send("rest", REST // len(NOT_KEPT), what)
    spans = 3 * (EACH * len(KEPT) + REST)
    assert traces.sender.acknowledged["traces"] == spans
    calls = 'sum(traces_span_metrics_calls_total{service_name="sampled"})'
    assert settled(lambda: sampling.number(calls), spans) == spans  # and by then all decisions are made
    time.sleep(WAIT)
    kept = eventually(lambda: all(traces.stored(sampling)[0][kind] == EACH for kind in KEPT), 20)
    kinds, torn = traces.stored(sampling)
    assert kept, kinds
    assert torn == 0
    assert abs(kinds["rest"] - REST * SHARE) <= 3 * math.sqrt(REST * SHARE * (1 - SHARE)), kinds
    assert sampling.own("otelcol_processor_tail_sampling_sampling_trace_dropped_too_early") == 0


def test_spans_that_come_after_the_decision(sampling):
    """A late span follows its trace: stored with one that was kept, not with one that was not, and counted in both."""
    sender, ids = sampling.sender("late"), random.Random(3)  # noqa: S311 - ids are to be the same in every run
    kept, dropped = [ids.randbytes(16) for _ in range(20)], [ids.randbytes(16) for _ in range(20)]
    for trace_id in kept:
        sender.deliver("traces", special(sender.trace(1, trace_id=trace_id), status=2), 1)
    for trace_id in dropped:
        sender.deliver("traces", sender.trace(1, trace_id=trace_id), 1)
    assert eventually(lambda: sampling.spans("late") >= len(kept))
    first = sampling.spans("late")
    for trace_id in kept + dropped:
        sender.deliver("traces", sender.trace(1, trace_id=trace_id), 1)
    stored = {trace["traceID"] for trace in sampling.traces("late")}
    lucky = len(stored & {trace_id.hex() for trace_id in dropped})
    assert lucky < len(dropped) / 2
    assert first == len(kept) + lucky
    assert settled(lambda: sampling.spans("late"), 2 * first) == 2 * first
    calls = 'sum(traces_span_metrics_calls_total{service_name="late"})'
    assert settled(lambda: sampling.number(calls), 80) == 80


@pytest.mark.parametrize(("number", "survive"), [(signal.SIGTERM, 200), (signal.SIGKILL, 0)], ids=["stopped", "killed"])
def test_what_waits_for_its_decision(fresh_stack, monkeypatch, number, survive):
    """Two hundred errors wait when the collector ends: a stop decides on them at once, a kill loses them all."""
    monkeypatch.setenv("STACK_DECISION_WAIT", "60s")
    stack = fresh_stack("tail-sampling")
    traces = Traces(stack.sender("waiting"), seed=5)
    traces.send("errors", 200, KEPT["errors"])
    assert settled(lambda: undecided(stack), 200, 10) == 200
    stack.kill("otelcol", number=number)
    stack.up()
    eventually(lambda: traces.stored(stack)[0]["errors"] == EACH * 4, 5)  # a queue takes 0.2 s
    assert traces.stored(stack) == ({"errors": survive}, 0)


@pytest.mark.parametrize("waits", [True, False], ids=["as-shipped", "control"])
def test_more_traces_than_there_is_room_for(fresh_stack, monkeypatch, tmp_path, waits):
    """With room for 50 traces, 200 errors are all kept: senders wait; without that setting some are lost."""
    monkeypatch.setenv("STACK_DECISION_WAIT", "1s")
    path = tmp_path / "narrow.yaml"
    narrow = {"num_traces": 50, **({} if waits else {"block_on_overflow": False})}
    path.write_text(yaml.safe_dump({"processors": {"tail_sampling": narrow}}))
    stack = fresh_stack("tail-sampling", path)
    sender, ids = stack.sender("many"), random.Random(9)  # noqa: S311 - ids are to be the same in every run
    for _ in range(200):
        sender.deliver("traces", special(sender.trace(1, trace_id=ids.randbytes(16)), status=2), 1)
    eventually(lambda: stack.spans("many") == 200, 8)
    assert (stack.spans("many") == 200) is waits
