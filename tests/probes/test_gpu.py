"""The GPU probe against an NVML with the real C interface, loaded the way pynvml loads the driver's own.

Each test runs a program in a process of its own, with LD_LIBRARY_PATH pointing at the library the test compiled
from ``nvml/nvml.c``. The program has a real meter provider; it prints what a metric reader exported.
"""

import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent / "nvml" / "nvml.c"
GIB = 1024**3

PREAMBLE = """
import json, os, sys, threading, time
from pathlib import Path
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from otelml import _guard
from otelml.probes import gpu
assert "pynvml" not in sys.modules

STATE = Path(os.environ["OTELML_TEST_NVML"])
KINDS = {("Gauge", None): "gauge", ("Sum", True): "counter", ("Sum", False): "updown"}

def change(line):
    key = line.rpartition(" ")[0]
    kept = [old for old in STATE.read_text().splitlines() if key.startswith("event") or not old.startswith(key + " ")]
    new = STATE.with_suffix(".new")
    new.write_text("\\n".join([*kept, line, ""]))
    new.rename(STATE)

def export(reader):
    data = reader.get_metrics_data()
    metrics = data.resource_metrics[0].scope_metrics[0].metrics if data else []
    return [
        [m.name, kind(m.data), m.unit, dict(p.attributes), p.value] for m in metrics for p in m.data.data_points
    ]

def kind(data):
    return KINDS[type(data).__name__, getattr(data, "is_monotonic", None)]

def started(readers=1, interval=60.0):
    readers = [InMemoryMetricReader() for _ in range(readers)]
    probe = gpu.GpuProbe(MeterProvider(readers, shutdown_on_exit=False).get_meter("otelml"), interval=interval)
    probe.start()
    return (probe, *readers)

def done(answer):
    assert _guard.errors() == {}, _guard.errors()
    print(json.dumps(answer))
"""

ONE_GPU = f"""driver 550.54.15
count 1
gpu0.uuid GPU-0
gpu0.name NVIDIA H200
gpu0.mig 0
gpu0.util 37
gpu0.encoder 0
gpu0.decoder 12
gpu0.total {140 * GIB}
gpu0.used {35 * GIB}
gpu0.reserved {GIB}
gpu0.temperature 61
gpu0.power 412345
gpu0.energy 987654321012
gpu0.throttle {0x01 | 0x04 | 0x40}
gpu0.compute self:{2 * GIB},1:{5 * GIB}
gpu0.graphics self:{GIB}
"""
LABELS = {"hw.id": "GPU-0", "hw.type": "gpu", "hw.name": "GPU 0"}
DETAILS = {"hw.model": "NVIDIA H200", "hw.vendor": "NVIDIA", "hw.driver_version": "550.54.15"}
THROTTLED = {
    "sw_power_cap": 1,
    "hw_slowdown": 0,
    "sync_boost": 0,
    "sw_thermal_slowdown": 0,
    "hw_thermal_slowdown": 1,
    "hw_power_brake_slowdown": 0,
}
EVERYTHING = [
    ["hw.gpu.utilization", "gauge", "1", LABELS | {"hw.gpu.task": "general"}, 0.37],
    ["hw.gpu.utilization", "gauge", "1", LABELS | {"hw.gpu.task": "encoder"}, 0.0],
    ["hw.gpu.utilization", "gauge", "1", LABELS | {"hw.gpu.task": "decoder"}, 0.12],
    ["hw.gpu.memory.usage", "updown", "By", LABELS, 35 * GIB],
    ["hw.gpu.memory.limit", "updown", "By", LABELS | DETAILS, 140 * GIB],
    ["hw.gpu.memory.utilization", "gauge", "1", LABELS, 0.25],
    ["hw.temperature", "gauge", "Cel", LABELS, 61],
    ["hw.power", "gauge", "W", LABELS, 412.345],
    ["hw.energy", "counter", "J", LABELS, 987654321.012],
    *(
        ["hw.gpu.throttled", "gauge", "", LABELS | {"hw.gpu.throttle.reason": reason}, value]
        for reason, value in THROTTLED.items()
    ),
    ["process.gpu.memory.usage", "updown", "By", LABELS, 2 * GIB],
]


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    """Build the NVML library; CI must have a compiler, a laptop may go without."""
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None or not sys.platform.startswith("linux"):
        reason = "needs Linux and a C compiler (apt-get install gcc, or dnf install gcc)"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    folder = tmp_path_factory.mktemp("nvml")
    target = folder / "libnvidia-ml.so.1"
    subprocess.run([compiler, "-shared", "-fPIC", "-Wall", "-Wextra", "-Werror", "-o", target, SOURCE], check=True)
    return folder


@pytest.fixture
def program(library, tmp_path):
    """Return a function that runs a program on GPUs described by a text and returns what it printed."""
    state = tmp_path / "gpus"

    def run(text, body, folder=library):
        state.write_text(text)
        environment = os.environ | {"LD_LIBRARY_PATH": str(folder), "OTELML_TEST_NVML": str(state)}
        command = [sys.executable, "-c", PREAMBLE + body]
        ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
        assert ended.returncode == 0, ended.stderr
        assert "Traceback" not in ended.stderr, ended.stderr
        return json.loads(ended.stdout)

    run.calls = lambda: Counter(Path(f"{state}.calls").read_text().split()[1::2])
    run.calls_by_pid = lambda: [line.split() for line in Path(f"{state}.calls").read_text().splitlines()]
    return run


def without(text, *keys):
    """Return a description of GPUs less some of its lines."""
    return "".join(line for line in text.splitlines(keepends=True) if line.split()[0] not in keys)


def order(points):
    """Return points in an order of their own, whatever order they were exported in."""
    return sorted(points, key=repr)


EXPORT = "probe, reader = started()\ndone(export(reader))"


def test_exports_all_a_gpu_gives(program):
    """One whole export: names, kinds, units, attributes and values in base units (mJ to J, mW to W, % to share)."""
    assert order(program(ONE_GPU, EXPORT)) == order(EVERYTHING)


UNSUPPORTED = [
    (["gpu0.util"], ["general"]),
    (["gpu0.encoder"], ["encoder"]),
    (["gpu0.used"], ["hw.gpu.memory"]),
    (["gpu0.temperature"], ["hw.temperature"]),
    (["gpu0.power", "gpu0.energy"], ["hw.power", "hw.energy"]),
    (["gpu0.throttle"], ["hw.gpu.throttled"]),
    (["gpu0.compute", "gpu0.graphics"], ["process.gpu"]),
]


@pytest.mark.parametrize(("keys", "gone"), UNSUPPORTED)
def test_unsupported_value_is_left_out(program, keys, gone):
    """A value the GPU does not support has no point, and all others are as they were."""
    expected = [point for point in EVERYTHING if not any(word in repr(point) for word in gone)]
    assert len(expected) < len(EVERYTHING)
    assert order(program(without(ONE_GPU, *keys), EXPORT)) == order(expected)


SENTINELS = [
    ("gpu0.util", 101, "general"),
    ("gpu0.util", 2**32 - 1, "general"),
    ("gpu0.used", 2**64 - 1, "hw.gpu.memory"),
    ("gpu0.total", 0, "hw.gpu.memory"),
    ("gpu0.temperature", 2**31 - 16, "hw.temperature"),
    ("gpu0.temperature", 2**32 - 1, "hw.temperature"),
    ("gpu0.power", 2**32 - 1, "hw.power"),
    ("gpu0.power", 0, "hw.power"),
    ("gpu0.energy", 9223372036854775794, "hw.energy"),
    ("gpu0.energy", 2**64 - 1, "hw.energy"),
    ("gpu0.throttle", 2**64 - 1, "hw.gpu.throttled"),
]


@pytest.mark.parametrize(("key", "value", "gone"), SENTINELS)
def test_number_that_stands_for_unknown_is_left_out(program, key, value, gone):
    """NVML's markers and numbers no GPU can have are no values."""
    expected = [point for point in EVERYTHING if gone not in repr(point)]
    assert order(program(without(ONE_GPU, key) + f"{key} {value}\n", EXPORT)) == order(expected)


@pytest.mark.parametrize("code", [3, 4, 13, 15, 999])
def test_each_error_costs_one_value_only(program, code):
    """Not supported, no permission, function not found, GPU lost or unknown: the rest of the export is whole."""
    text = ONE_GPU + f"error.gpu0.nvmlDeviceGetPowerUsage {code}\n"
    expected = [point for point in EVERYTHING if point[0] != "hw.power"]
    assert order(program(text, EXPORT)) == order(expected)


def test_old_driver(program):
    """A driver without the newer calls: temperature and throttling by their old names, used memory with its reserve."""
    missing = ("nvmlDeviceGetMemoryInfo_v2", "nvmlDeviceGetTemperatureV", "nvmlDeviceGetCurrentClocksEventReasons")
    exported = program(ONE_GPU + "".join(f"error.{name} 13\n" for name in missing), EXPORT)
    values = {point[0]: point[4] for point in exported}
    assert values["hw.gpu.memory.usage"] == 36 * GIB
    assert values["hw.gpu.memory.utilization"] == 36 / 140
    memory = ("hw.gpu.memory.usage", "hw.gpu.memory.utilization")
    kept = [point for point in EVERYTHING if point[0] not in memory]
    assert order(point for point in exported if point[0] not in memory) == order(kept)


def test_own_memory_only(program):
    """Another process's GPU memory is not ours, and a size NVML does not know is no size."""
    other = without(ONE_GPU, "gpu0.compute", "gpu0.graphics") + f"gpu0.compute 1:{GIB}\n"
    assert "process.gpu.memory.usage" not in repr(program(other, EXPORT))
    unknown = without(ONE_GPU, "gpu0.compute", "gpu0.graphics") + f"gpu0.compute self:{2**64 - 1}\n"
    assert "process.gpu.memory.usage" not in repr(program(unknown, EXPORT))


def test_mig(program):
    """Each MIG device has its own id and its GPU as parent; sensors and own memory are told once, not twice."""
    text = without(ONE_GPU, "gpu0.mig", "gpu0.util") + (
        f"gpu0.mig 1\ngpu0.mig2.uuid MIG-2\ngpu0.mig2.name NVIDIA H200 MIG 1g.18gb\ngpu0.mig2.power 412345\n"
        f"gpu0.mig2.total {16 * GIB}\ngpu0.mig2.used {4 * GIB}\ngpu0.mig2.compute self:{3 * GIB}\n"
    )
    labels = {"hw.id": "MIG-2", "hw.type": "gpu", "hw.name": "GPU 0 MIG 2", "hw.parent": "GPU-0"}
    model = {"hw.model": "NVIDIA H200 MIG 1g.18gb"}
    expected = [
        *(p for p in EVERYTHING if p[0] != "process.gpu.memory.usage" and p[3].get("hw.gpu.task") != "general"),
        ["hw.gpu.memory.usage", "updown", "By", labels, 4 * GIB],
        ["hw.gpu.memory.limit", "updown", "By", labels | DETAILS | model, 16 * GIB],
        ["hw.gpu.memory.utilization", "gauge", "1", labels, 0.25],
        ["process.gpu.memory.usage", "updown", "By", labels, 3 * GIB],
    ]
    assert order(program(text, EXPORT)) == order(expected)


def test_no_library(program, tmp_path):
    """Without a driver: no points, no error, one debug line, and one attempt in 60 s however often a reader asks."""
    body = """
import logging
lines = []
logging.getLogger("otelml").addHandler(type("H", (logging.Handler,), {"emit": lambda s, r: lines.append(r)})())
logging.getLogger("otelml").setLevel(logging.DEBUG)
probe, reader = started(interval=0)
answers = [export(reader) for _ in range(3)]
done([answers, [(line.levelname, line.getMessage()) for line in lines]])
"""
    (tmp_path / "empty").mkdir()
    answers, lines = program("", body, folder=tmp_path / "empty")
    assert answers == [[], [], []]
    missing = "libnvidia-ml.so.1: cannot open shared object file: No such file or directory"
    assert lines == [["DEBUG", f"otelml: no GPU metrics: {missing}"]]


def test_driver_that_comes_later_is_tried_once_a_minute(program):
    """A driver that is not loaded is asked once, not at each poll; when it is there at the next attempt it is used."""
    body = """
probe, reader = started(interval=0)
answers = [export(reader) for _ in range(3)]
STATE.write_text(STATE.read_text().replace("error.nvmlInitWithFlags 9\\n", ""))
waiting = export(reader)
calls = Path(f"{STATE}.calls").read_text().count("nvmlInit")
gpu.RETRY = 0
done([answers, waiting, calls, len(export(reader))])
"""
    answers, waiting, calls, found = program(ONE_GPU + "error.nvmlInitWithFlags 9\n", body)
    assert (answers, waiting, calls, found) == ([[], [], []], [], 1, len(EVERYTHING))


def test_lost_gpu_vanishes_and_its_errors_stay(program):
    """A GPU that fell off the bus: its points end, the Xid that says why stays, and the other GPU goes on."""
    text = ONE_GPU.replace("count 1", "count 2") + "gpu1.uuid GPU-1\ngpu1.temperature 50\n"
    body = """
names = "GetUUID GetUtilizationRates GetEncoderUtilization GetDecoderUtilization GetMemoryInfo GetMemoryInfo_v2 " \\
    "GetTemperature GetTemperatureV GetPowerUsage GetTotalEnergyConsumption GetCurrentClocksEventReasons " \\
    "GetCurrentClocksThrottleReasons GetComputeRunningProcesses_v3 GetGraphicsRunningProcesses_v3"
probe, reader = started(interval=0)
before = len(export(reader))
for name in names.split():
    change(f"error.gpu0.nvmlDevice{name} 15")
change("event 0 8 79")
lost = export(reader)
gpu.RETRY = 0
lost_and_looked_again = export(reader)
done([before, lost, lost_and_looked_again])
"""
    before, lost, looked_again = program(text, body)
    assert before == len(EVERYTHING) + 1
    other = {"hw.id": "GPU-1", "hw.type": "gpu", "hw.name": "GPU 1"}
    expected = [
        ["hw.temperature", "gauge", "Cel", other, 50],
        ["hw.errors", "counter", "{error}", LABELS | {"error.type": "xid_79"}, 1],
    ]
    assert order(lost) == order(expected)
    assert order(looked_again) == order(expected)


def test_xid_errors_are_counted_exactly(program):
    """Each Xid counts once, by kind, from the start of the probe; other events and earlier Xids count nothing."""
    body = """
probe, reader = started(interval=0)
first = export(reader)
for line in ["0 8 13", "0 8 13", "0 8 63", "0 1 13", "0 8 13"]:
    change(f"event {line}")
second, third = export(reader), export(reader)
change("event 0 8 63")
done([[point for point in points if point[0] == "hw.errors"] for points in (first, second, third, export(reader))])
"""

    def errors(**counts):
        return [["hw.errors", "counter", "{error}", LABELS | {"error.type": k}, n] for k, n in counts.items()]

    assert program(ONE_GPU + "event 0 8 45\n", body) == [
        [],
        errors(xid_13=3, xid_63=1),
        errors(xid_13=3, xid_63=1),
        errors(xid_13=3, xid_63=2),
    ]


def test_reading_does_not_wait_for_events(program):
    """A poll with no event pending is over at once."""
    body = "probe, reader = started()\nt = time.monotonic()\nexport(reader)\ndone(time.monotonic() - t)"
    assert program(ONE_GPU, body) < 1


def test_one_poll_serves_all_instruments_and_readers(program):
    """Ten instruments and two readers, three collections each: each NVML value is asked for once in the interval."""
    body = "probe, one, two = started(readers=2)\ndone([export(r) for r in (one, two, one, two, one, two)])"
    exports = program(ONE_GPU, body)
    assert all(order(points) == order(EVERYTHING) for points in exports)
    calls = program.calls()
    per_poll = {name: calls[name] for name in calls if "RunningProcesses" not in name}
    assert set(per_poll.values()) == {1}, per_poll
    # pynvml asks for the size first.
    assert calls["nvmlDeviceGetComputeRunningProcesses_v3"] == 2


def test_next_interval_polls_again(program):
    """After the interval the next reader gets fresh values; before it, the same ones."""
    body = """
probe, reader = started(interval=0.5)
def temperature():
    return next(point[4] for point in export(reader) if point[0] == "hw.temperature")
values = [temperature()]
change("gpu0.temperature 70")
values.append(temperature())
time.sleep(0.6)
values.append(temperature())
done(values)
"""
    assert program(ONE_GPU, body) == [61, 61, 70]


def test_nothing_runs_unless_asked(program):
    """Starting the probe opens no NVML, loads no pynvml and starts no thread."""
    body = """
probe, reader = started(interval=0)
time.sleep(0.2)
done(["pynvml" in sys.modules, threading.active_count(), Path(f"{STATE}.calls").exists()])
"""
    assert program(ONE_GPU, body) == [False, 1, False]


def test_stop_gives_nvml_back(program):
    """After stop nothing is exported and every session is closed; start opens a new one."""
    body = """
probe, reader = started(interval=0)
before = len(export(reader))
probe.stop()
stopped = export(reader)
probe.start()
again = len(export(reader))
probe.stop()
probe.stop()
done([before, stopped, again])
"""
    assert program(ONE_GPU, body) == [len(EVERYTHING), [], len(EVERYTHING)]
    calls = program.calls()
    assert calls["nvmlInitWithFlags"] == calls["nvmlShutdown"] == 2
    assert calls["nvmlEventSetCreate"] == calls["nvmlEventSetFree"] == 2


FORK = """
def in_child(work):
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.write(write, json.dumps([os.getpid(), work()]).encode())
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as pipe:
        answer = pipe.read()
    os.waitpid(pid, 0)
    return json.loads(answer or "null")
"""


def test_forked_child_opens_its_own_session(program):
    """A child of a process that has polled gets all values and no Xid of its parent, whose session goes on."""
    body = """
probe, reader = started(interval=0)
export(reader)
change("event 0 8 13")
before = export(reader)
child, seen = in_child(lambda: export(reader))
done([child, seen, before, export(reader)])
"""
    child, seen, before, after = program(ONE_GPU, FORK + body)
    assert [point for point in seen if point[0] != "hw.errors"] == [p for p in before if p[0] != "hw.errors"]
    assert order(point for point in seen if point[0] != "hw.errors") == order(EVERYTHING)
    assert before == after
    opened = [pid for pid, name in program.calls_by_pid() if name == "nvmlInitWithFlags"]
    assert len(opened) == 2
    assert opened[1] == str(child)


def test_fork_before_the_first_poll(program):
    """A server that forks before anything was read: the child opens NVML, the parent never does."""
    body = "probe, reader = started(interval=0)\ndone(in_child(lambda: export(reader)))"
    child, seen = program(ONE_GPU, FORK + body)
    assert order(seen) == order(EVERYTHING)
    assert {pid for pid, _ in program.calls_by_pid()} == {str(child)}


def test_fork_in_the_middle_of_a_poll(program):
    """A child forked while its parent was inside NVML never calls it, so that it cannot hang; it has no GPU points."""
    body = """
probe, reader = started(interval=0)
thread = threading.Thread(target=export, args=(reader,))
thread.start()
while "nvmlDeviceGetPowerUsage" not in (Path(f"{STATE}.calls").read_text() if Path(f"{STATE}.calls").exists() else ""):
    time.sleep(0.01)
child, points = in_child(lambda: [probe._points() for _ in range(3)])  # the SDK's own lock is held in the child
thread.join()
done([child, points, len(export(reader))])
"""
    child, points, after = program(ONE_GPU + "sleep.nvmlDeviceGetPowerUsage 700\n", FORK + body)
    assert points == [{}, {}, {}]
    assert after == len(EVERYTHING)
    assert str(child) not in {pid for pid, _ in program.calls_by_pid()}


def test_hung_driver_does_not_hang_the_other_readers(program):
    """While one reader is stuck inside the driver, another one collects within the bounded wait."""
    body = """
from otelml.probes import poll
poll.LOCK_WAIT = 0.2
probe, one, two = started(readers=2, interval=0)
threading.Thread(target=export, args=(one,), daemon=True).start()
while not Path(f"{STATE}.calls").exists():
    time.sleep(0.01)
t = time.monotonic()
points = probe._points()  # what a callback calls; a second collection would wait for the SDK's own lock
done([points, time.monotonic() - t])
sys.stdout.flush()
os._exit(0)  # without waiting for the thread that hangs
"""
    points, seconds = program(ONE_GPU + "sleep.nvmlDeviceGetPowerUsage 5000\n", body)
    assert points == {}
    assert 0.2 <= seconds < 1
