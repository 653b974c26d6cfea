"""The host probe against the kernel's own figures, through a real meter provider and metric reader."""

import os
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.semconv._incubating.metrics import process_metrics, system_metrics

from otelml import _guard, semconv
from otelml.probes import cgroup
from otelml.probes.host import Host, HostProbe

LINUX = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")


@pytest.fixture(autouse=True)
def _no_fault_of_ours():
    before = _guard.errors()
    yield
    assert _guard.errors() == before


@pytest.fixture
def started():
    """Return a function that starts a probe with one reader."""
    probes = []

    def start(interval=60.0):
        reader = InMemoryMetricReader()
        probe = HostProbe(MeterProvider([reader], shutdown_on_exit=False).get_meter("otelml"), interval=interval)
        probe.start()
        probes.append(probe)
        return probe, reader

    yield start
    for probe in probes:
        probe.stop()


def collect(reader):
    """Return what the reader exports: values by (name, sorted attribute values)."""
    data = reader.get_metrics_data()
    metrics = data.resource_metrics[0].scope_metrics[0].metrics if data else []
    return {(m.name, *sorted(p.attributes.values())): p.value for m in metrics for p in m.data.data_points}


@LINUX
def test_every_row_is_exported(started):
    """The second poll has a value of every row (pressure only where the kernel has it), in the row's unit and kind."""
    _, reader = started(interval=0.05)
    collect(reader)
    time.sleep(0.1)
    metrics = reader.get_metrics_data().resource_metrics[0].scope_metrics[0].metrics
    kinds = {("Gauge", None): "observable_gauge", ("Sum", True): "observable_counter"}
    seen = {
        (m.name, kinds.get((type(m.data).__name__, getattr(m.data, "is_monotonic", None)), "observable_updown"), m.unit)
        for m in metrics
    }
    rows = {(row.name, row.kind, row.unit) for row in semconv.HOST_METRICS}
    if not Path("/proc/pressure/cpu").exists():
        rows = {row for row in rows if row[0] != "otelml.host.pressure"}
    assert seen == rows


def test_names_and_units_are_those_of_the_conventions():
    """Each ``system.*`` and ``process.*`` row has a name and a unit that the published conventions have."""
    published = {}
    for module in (system_metrics, process_metrics):
        meter = _Recorder(published)
        for name in dir(module):
            if name.startswith("create_"):
                create = getattr(module, name)
                create(meter, None) if create.__code__.co_argcount > 1 else create(meter)
    ours = {row.name: (row.kind, row.unit) for row in semconv.HOST_METRICS if not row.name.startswith("otelml.")}
    assert ours == {name: published.get(name) for name in ours}


class _Recorder:
    """Stands where a meter does and notes what the conventions ask of it."""

    def __init__(self, published):
        self.published = published

    def __getattr__(self, create):
        kind = {
            "create_counter": "observable_counter",
            "create_up_down_counter": "observable_updown",
            "create_observable_gauge": "observable_gauge",
        }[create]

        def note(name, unit, **_):
            self.published[name] = (kind, unit)

        return note


@LINUX
def test_process_values_are_the_kernels(started):
    """Memory, threads, file descriptors, CPU time and uptime agree with /proc and with what the test did."""
    _, reader = started(interval=0)
    before = collect(reader)
    release = threading.Event()
    threads = [threading.Thread(target=release.wait) for _ in range(3)]
    for thread in threads:
        thread.start()
    block = bytearray(os.urandom(1)) * 64_000_000
    with open(os.devnull, "rb"), open(os.devnull, "rb"):  # noqa: PTH123 - two plain descriptors
        after = collect(reader)
    release.set()
    assert after["process.thread.count",] - before["process.thread.count",] == 3
    assert after["process.unix.file_descriptor.count",] - before["process.unix.file_descriptor.count",] == 2
    assert after["process.memory.usage",] - before["process.memory.usage",] > len(block) * 0.9
    assert after["process.uptime",] == pytest.approx(time.time() - psutil.Process().create_time(), abs=1)
    assert after["process.cpu.time", "user"] == pytest.approx(os.times().user, abs=0.5)
    assert after["process.context_switches", "voluntary"] >= before["process.context_switches", "voluntary"]


@LINUX
def test_cpu_utilization_is_that_of_the_interval(started):
    """A spinning process shows as its share of the CPUs it may use; the first poll, without an interval, has none."""
    _, reader = started(interval=0.3)
    first = collect(reader)
    assert ("process.cpu.time", "user") in first
    assert not [key for key in first if key[0].endswith("cpu.utilization")]
    started_at, cpu = time.monotonic(), time.process_time()
    while time.process_time() - cpu < 0.5:
        pass
    values, elapsed = collect(reader), time.monotonic() - started_at
    available = min(len(os.sched_getaffinity(0)), cgroup.cpus() or 1e9)
    share = values["process.cpu.utilization", "user"] + values["process.cpu.utilization", "system"]
    assert share == pytest.approx(0.5 / elapsed / available, rel=0.15)
    system = [value for key, value in values.items() if key[0] == "system.cpu.utilization"]
    assert sum(system) == pytest.approx(1)
    assert min(system) >= 0


@LINUX
def test_memory_states_add_up(started):
    """The states of memory add up to its limit, and shares to 1; so do those of the root file system."""
    _, reader = started()
    values = collect(reader)
    usage = sum(value for key, value in values.items() if key[0] == "system.memory.usage")
    assert usage == values["system.memory.limit",] <= psutil.virtual_memory().total
    for name in ("system.memory.utilization", "system.filesystem.utilization"):
        assert sum(value for key, value in values.items() if key[0] == name) == pytest.approx(1)
    assert values["system.filesystem.usage", "/", "used"] > 0


def test_one_poll_in_an_interval(started):
    """Within the interval every collection gives the same values; stop ends them and start brings them back."""
    probe, reader = started()
    first = collect(reader)
    sum(range(200_000))
    assert collect(reader) == first
    assert len(first) > 10
    probe.stop()
    assert collect(reader) == {}
    probe.start()
    assert collect(reader).keys() == first.keys()


@LINUX
def test_forked_child_reports_itself(started):
    """After a fork the child's process values are its own: younger and with less CPU time than its parent."""
    _, reader = started()
    parent = collect(reader)
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        child = collect(reader)
        os.write(write, f"{child['process.uptime',]} {child['process.cpu.time', 'user']}".encode())
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as pipe:
        uptime, seconds = (float(word) for word in pipe.read().split())
    os.waitpid(pid, 0)
    assert uptime < parent["process.uptime",]
    assert seconds < parent["process.cpu.time", "user"]


@pytest.fixture
def machine(tmp_path):
    """Return a function that writes files below a root folder, as a kernel would lay them out."""

    def write(**files):
        for name, text in files.items():
            path = tmp_path / name.replace("__", "/").replace("_DOT_", ".")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return tmp_path

    return write


def points(root, name):
    """Return the values of one metric as a host with this root tells them, by attribute value."""
    found = [point for group in Host(root).groups() for point in group() if point[0].name == name]
    return {tuple(attributes.values()): value for _, value, attributes in found}


V2 = {
    "sys__fs__cgroup__cgroup_DOT_controllers": "cpu memory",
    "sys__fs__cgroup__app__memory_DOT_max": "1000000",
    "sys__fs__cgroup__app__memory_DOT_current": "700000",
    "sys__fs__cgroup__app__memory_DOT_stat": "anon 500000\nfile 200000\n",
    "sys__fs__cgroup__app__cpu_DOT_max": "150000 100000",
    "proc__self__cgroup": "0::/app/worker\n",
    "sys__fs__cgroup__app__worker__memory_DOT_max": "max",
    "sys__fs__cgroup__app__worker__memory_DOT_current": "10",
    "sys__fs__cgroup__app__worker__cpu_DOT_max": "max 100000",
}
V1 = {
    "sys__fs__cgroup__memory__memory_DOT_limit_in_bytes": "1000000",
    "sys__fs__cgroup__memory__memory_DOT_usage_in_bytes": "700000",
    "sys__fs__cgroup__memory__memory_DOT_stat": "cache 1\ntotal_cache 200000\n",
    "sys__fs__cgroup__cpu__cpu_DOT_cfs_quota_us": "150000",
    "sys__fs__cgroup__cpu__cpu_DOT_cfs_period_us": "100000",
    "proc__self__cgroup": "7:memory:/docker/abc\n4:cpu,cpuacct:/docker/abc\n",
}


@pytest.mark.parametrize("files", [V2, V1], ids=["v2, limit of an outer group", "v1, path of the host"])
def test_container_limit_is_the_memory(machine, files):
    """In a container the limit, the usage and the CPU quota are those of the control group, and add up."""
    root = machine(**files)
    assert points(root, "system.memory.limit") == {(): 1000000}
    assert points(root, "system.memory.usage") == {("used",): 500000, ("free",): 300000, ("cached",): 200000}
    assert points(root, "system.memory.utilization") == {("used",): 0.5, ("free",): 0.3, ("cached",): 0.2}
    assert cgroup.cpus(root) == 1.5


@pytest.mark.parametrize("limit", ["max", "9223372036854771712", "not a number", ""])
def test_no_container_limit_is_the_host(machine, limit):
    """No limit, one above the host's memory, or a file that makes no sense: the host's memory is the limit."""
    root = machine(**V2 | {"sys__fs__cgroup__app__memory_DOT_max": limit})
    assert points(root, "system.memory.limit") == {(): psutil.virtual_memory().total}


def test_pressure(machine):
    """Pressure is the share of the last 10 s with a task stalled; a kernel that does not tell it has no point."""
    root = machine(proc__pressure__memory="some avg10=12.50 avg60=3.00 avg300=1.00 total=42\nfull avg10=1.00\n")
    assert points(root, "otelml.host.pressure") == {("cpu",): None, ("memory",): 0.125, ("io",): None}
