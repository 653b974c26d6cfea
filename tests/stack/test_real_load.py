"""Under load: sent is stored, memory and series stay bounded. Loads are those of benchmarks/stack.py, made short."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from running_stack import settled

pytestmark = [pytest.mark.stack, pytest.mark.timeout(240)]
PROGRAM = Path(__file__).parents[2] / "benchmarks" / "stack.py"
NAMES, LIMIT = 10_000, 2000


def benchmark(tmp_path, *arguments, expect=0, **environment):
    """Run it; return what it found."""
    path = tmp_path / "figures.json"
    command = [sys.executable, PROGRAM, *map(str, arguments), "--json", path]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=200, check=False, env={**os.environ, **environment}
    )
    assert done.returncode == expect, done.stdout + done.stderr
    (result,) = json.loads(path.read_text())
    return result


def test_ten_thousand_spans_a_second(tmp_path):
    """A hundred thousand spans in ten seconds: all acknowledged, all stored, once, and the sender costs little."""
    found = benchmark(tmp_path, "throughput", "--seconds", 10)
    assert found["sent"] == found["stored"]
    assert found["sent"]["traces"] >= 100_000
    assert found["figures"]["sender's CPU, s"] < found["used"]["otelcol"]["cpu"]


def test_jaeger_killed_while_it_writes(tmp_path):
    """Killed twice while it stores as fast as it can: what it answered before its disk had it is there all the same."""
    found = benchmark(tmp_path, "jaeger-killed", "--seconds", 4, "--rate", 5000)
    assert found["figures"]["kills of Jaeger"] == 2
    assert found["sent"] == found["stored"]


def test_backends_killed_at_full_rate(tmp_path):
    """Ten thousand items a second while each backend is killed and started again."""
    found = benchmark(tmp_path, "killed", "--seconds", 7)
    assert found["sent"] == found["stored"]
    assert min(found["sent"].values()) >= 10_000


def test_a_loss_is_seen(tmp_path):
    """The control: backends down, queue in memory, the collector killed: what was acknowledged is missing."""
    control = ("--rate", 3000, "--control", "queue-in-memory")
    found = benchmark(tmp_path, "outage", "--seconds", 3, *control, expect=1)
    assert all(found["stored"][signal] < found["sent"][signal] for signal in found["sent"])
    assert len(found["faults"]) == 3


MIB = 120
LIMITED = {"STACK_MEMORY_MIB": str(MIB), "STACK_MEMORY_SPIKE_MIB": "40"}
HEAVY = ("memory", "--seconds", 4, "--rate", 40_000, "--size", 4096)
"""More than it can take, in requests of a megabyte, while no backend takes any of it."""


def test_memory_is_bounded(tmp_path):
    """With 120 MiB for the collector and all backends down: it refuses, stays below, recovers, and loses nothing."""
    found = benchmark(tmp_path, *HEAVY, **LIMITED)
    assert found["figures"]["refused, sent again"] > 0
    assert found["used"]["otelcol"]["anonymous"] < MIB + 50
    assert found["sent"] == found["stored"]
    assert found["figures"]["waiting at the end of the load"] > 0


def test_with_more_memory_it_takes_more(tmp_path):
    """The control: the same load with a limit it does not reach is not refused."""
    found = benchmark(tmp_path, *HEAVY, STACK_MEMORY_MIB="2000", STACK_MEMORY_SPIKE_MIB="200")
    assert found["figures"]["refused, sent again"] == 0
    assert found["used"]["otelcol"]["anonymous"] > MIB + 50


def attack(stack):
    """Send spans under ten thousand names; return (series of calls, of these with the overflow's label, calls)."""
    sender = stack.sender("attacked")
    for first in range(0, NAMES, 100):
        request = sender.trace(100)
        for number, span in enumerate(request.resource_spans[0].scope_spans[0].spans):
            span.name = f"GET /user/{first + number}"
        sender.deliver("traces", request, 100)
    calls = 'traces_span_metrics_calls_total{service_name="attacked"}'
    assert settled(lambda: stack.number(f"sum({calls})"), NAMES) == NAMES
    overflow = calls.replace("}", ',otel_metric_overflow="true"}')
    return stack.number(f"count({calls})"), stack.number(f"count({overflow})"), stack.number(f"sum({overflow})")


def test_ten_thousand_names_of_spans(stack):
    """The first two thousand get series of their own, the others share one; no call and no span is uncounted."""
    assert attack(stack) == (LIMIT + 1, 1, NAMES - LIMIT)
    assert settled(lambda: stack.spans("attacked"), NAMES) == NAMES
    calm = stack.sender("calm")
    calm.deliver("traces", calm.trace(10), 10)
    mine = 'sum(traces_span_metrics_calls_total{service_name="calm",span_name="work"})'
    assert settled(lambda: stack.number(mine), 10) == 10


def test_without_the_limit_each_name_has_a_series(fresh_stack, tmp_path):
    """The control: what the limit is there for."""
    path = tmp_path / "unlimited.yaml"
    path.write_text(yaml.safe_dump({"connectors": {"span_metrics": {"aggregation_cardinality_limit": 0}}}))
    assert attack(fresh_stack(path)) == (NAMES, 0, 0)
