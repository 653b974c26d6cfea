"""Device time of PyTorch modules, on a device that gets on when a test says so: ``busy_device.cpp``, no GPU."""

import gc
import multiprocessing
import os
import shutil
import subprocess
import sys
import threading
import traceback
import types
import weakref
from functools import wraps
from pathlib import Path

import pytest

import otelml
from otelml import _guard, semconv
from otelml.integrations import _device_time
from otelml.testing import recording

torch = pytest.importorskip("torch", reason="PyTorch is not installed; scripts/test-integrations torch")
nn = torch.nn
HERE, PYTORCH = Path(__file__).parent, Path(torch.__file__).parent
NAME = "ml.prediction.device.duration"
FORK = multiprocessing.get_context("fork")
ALL = 1_000_000
"""Tasks of a queue, more than there are."""


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    """Build the device; CI must have a compiler, a laptop may go without."""
    compiler = shutil.which("g++") or shutil.which("clang++")
    if compiler is None or not sys.platform.startswith("linux"):
        reason = "needs Linux and a C++ compiler (apt-get install g++, or dnf install gcc-c++)"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(reason)
    target = tmp_path_factory.mktemp("busy") / "busy_device.so"
    flags = ["-std=c++20", "-shared", "-fPIC", "-Wall", "-Wextra", "-Werror"]
    flags += [f"-D_GLIBCXX_USE_CXX11_ABI={int(torch._C._GLIBCXX_USE_CXX11_ABI)}", "-isystem", PYTORCH / "include"]
    libraries = ["-L", PYTORCH / "lib", "-ltorch_cpu", "-lc10"]
    subprocess.run([compiler, *flags, HERE / "busy_device.cpp", "-o", target, *libraries], check=True)
    return target


def module():
    """Return what PyTorch's Python side asks of a device."""
    made = types.ModuleType("torch.busy")
    made.is_available, made.device_count, made.current_device = lambda: True, lambda: 2, lambda: 0
    return made


def on_busy_device(test):
    """Run a test in a child process, which alone has the device: PyTorch takes one of this kind, and for good."""

    def in_child(library):
        torch.ops.load_library(library)
        torch.utils.rename_privateuse1_backend("busy")
        torch._register_device_module("busy", module())
        test()
        assert torch.ops.busy.count("synchronized") == 0  # in every test: nothing ever waits for the device

    @wraps(test)
    def run(library):
        child = FORK.Process(target=in_child, args=(library,))
        child.start()
        child.join(120)
        assert child.exitcode == 0

    del run.__wrapped__  # pytest is to see the fixture
    return run


def measuring(**settings):
    """Measure PyTorch into memory, with the devices' times."""
    return recording(integrations=["torch"], **{"device_time": True, **settings})


class Works(nn.Module):
    """Keeps the device of what it is given at work for so many milliseconds, without waiting for it."""

    def __init__(self, *milliseconds):
        super().__init__()
        self.milliseconds = milliseconds or (250.0,)
        self.eval()

    def forward(self, x, y=None):
        """Put the work into the queue of the current stream."""
        for each in self.milliseconds:
            answer = torch.ops.busy.work(x if y is None else y, each)
        return answer


class OfList(Works):
    """Takes a list."""

    def forward(self, given):
        """Work for the first one."""
        return super().forward(given[0])


def data(device="busy"):
    """Return a tensor on a device."""
    return torch.empty(5, 4, device=device)


def finish(tasks=ALL):
    """Let every queue of the device get on with so many tasks: a call's are its first event, its work, its second."""
    torch.ops.busy.finish(tasks)


def asked(what):
    """Return how often the device was asked for something: recorded, queried, destroyed."""
    return torch.ops.busy.count(what)


def use_stream(number, device=0):
    """Make a stream the current one of this thread."""
    kind = torch.accelerator.current_stream().device_type
    torch.accelerator.set_stream(torch.Stream(stream_id=number, device_index=device, device_type=kind))


# What is measured ---------------------------------------------------------------------------------------------------


@on_busy_device
def test_the_next_call_reads_it():
    """A call ends while the device is at work; once it is done the next call records the device's own time of it."""
    with measuring() as seen:
        model = otelml.watch(Works(250.0, 500.0), "churn", "7")
        model(data())
        assert (seen.total("ml.requests"), asked("recorded"), seen.points(NAME)) == (1, 2, [])
        finish()
        assert (seen.points(NAME), asked("queried")) == ([], 0)  # whoever collects metrics asks no device
        model(data())
        (point,) = seen.points(NAME)
        assert point.attributes == {"ml.model.name": "churn", "ml.model.version": "7"}
        assert (point.count, point.sum, point.unit, point.bounds) == (1, 0.75, "s", semconv.SECONDS)


@on_busy_device
def test_a_device_that_is_not_done_is_asked_once_a_call():
    """While the first of many calls is at work, each later one asks the device once, and records nothing."""
    with measuring() as seen:
        for _ in range(20):
            Works()(data())
        assert (asked("queried"), seen.points(NAME)) == (19, [])


@on_busy_device
def test_a_call_reads_few():
    """However many calls the device is done with, one call reads so many of them; the rest is read by later ones."""
    with measuring() as seen:
        for _ in range(20):
            Works()(data())
        finish()
        for total in (8, 16, 20, 20):
            Works()(data())
            assert seen.total(NAME) == total


@on_busy_device
def test_the_stream_of_the_tensors():
    """Measured is the current stream of the device that the tensors are on, be another device the current one."""
    with measuring() as seen:
        use_stream(3, device=1)
        torch.accelerator.set_device_index(0)
        torch.ops.busy.work(data("busy:0"), 9000.0)
        torch.ops.busy.work(data("busy:1"), 5000.0)
        Works()(data("busy:1"))
        torch.ops.busy.work(data("busy:1"), 7000.0)
        finish()
        seen.runtime.force_flush()
        assert [(point.count, point.sum) for point in seen.points(NAME)] == [(1, 0.25)]


@on_busy_device
def test_a_stream_that_is_behind_holds_up_no_other():
    """A call that the device is not done with does not keep later ones on other streams from being read."""
    with measuring() as seen:
        Works(1.0, 1.0, 1.0)(data())
        use_stream(1)
        Works()(data())
        finish(3)
        for _ in range(2):
            Works()(data())
        assert [(point.count, point.sum) for point in seen.points(NAME)] == [(1, 0.25)]


@on_busy_device
def test_any_argument_says_the_device():
    """The first tensor on a device tells it, behind others of the host, by name, or in a list."""
    with measuring() as seen:
        model = Works()
        model(data("cpu"), data())
        model(data("cpu"), y=data())
        OfList()([data()])
        finish()
        seen.runtime.force_flush()
        assert seen.total(NAME) == 3


@on_busy_device
def test_within_a_prediction_of_the_application():
    """Each call there is measured, under the prediction's model."""
    with measuring() as seen:
        with otelml.prediction("own", "2"):
            Works()(data())
            Works()(data())
        finish()
        seen.runtime.force_flush()
        (point,) = seen.points(NAME)
        assert (point.count, point.attributes) == (2, {"ml.model.name": "own", "ml.model.version": "2"})


@on_busy_device
def test_an_exemplar_points_to_the_call():
    """The exemplar of a time that a later call records is the span of the call that it is of."""
    with measuring() as seen:
        Works()(data())
        finish()
        Works()(data())
        first = next(span for span in seen.spans() if span.name == "predict Works")
        assert [each.exemplars for each in seen.points(NAME)] == [((0.25, first.trace_id, first.span_id),)]


@on_busy_device
def test_bounds_of_the_application():
    """The histogram has the bounds that the settings give."""
    with measuring(buckets={NAME: (0.1, 0.3)}) as seen:
        Works()(data())
        finish()
        seen.runtime.force_flush()
        assert [point.buckets for point in seen.points(NAME)] == [(0, 1, 0)]


# What is not --------------------------------------------------------------------------------------------------------


@on_busy_device
def test_off():
    """By default no event is made."""
    with recording(integrations=["torch"]) as seen:
        Works()(data())
        finish()
        Works()(data())
        seen.runtime.force_flush()
        assert (seen.total("ml.requests"), asked("recorded"), seen.points(NAME)) == (2, 0, [])


@on_busy_device
def test_calls_that_have_no_device():
    """Calls on the host's tensors, on none, in training or within another call have no event of their own."""
    with measuring() as seen:
        nn.Identity().eval()(data("cpu"))
        nn.Identity().eval()(3)
        Works().train()(data())
        assert asked("recorded") == 0
        nn.Sequential(Works(), Works()).eval()(data())
        assert asked("recorded") == 2
        assert seen.total("ml.requests") == 3


@on_busy_device
def test_a_call_that_raises():
    """What a forward raises reaches the application, and its time is not kept."""

    class Raises(Works):
        def forward(self, x):
            super().forward(x)
            raise ValueError("ours")

    with measuring() as seen:
        with pytest.raises(ValueError, match="ours"):
            Raises()(data())
        finish()
        seen.runtime.force_flush()
        assert (asked("recorded"), asked("queried"), seen.points(NAME)) == (1, 0, [])
        assert asked("destroyed") == 1


@on_busy_device
def test_captures_are_left_alone():
    """While the current stream is captured no event is recorded and none is asked, be it by a call or by a flush."""
    capturing = []
    torch.busy.is_current_stream_capturing = lambda: bool(capturing)
    with measuring() as seen:
        Works()(data())
        finish()
        capturing.append(1)
        Works()(data())
        seen.runtime.force_flush()
        assert (asked("recorded"), asked("queried"), seen.points(NAME)) == (2, 0, [])
        capturing.clear()
        seen.runtime.force_flush()
        assert (seen.total(NAME), seen.total("ml.requests")) == (1, 2)


# The end, and what is too much --------------------------------------------------------------------------------------


@on_busy_device
def test_a_full_buffer():
    """Of more calls than may wait the times are dropped and counted, the oldest are kept."""
    _device_time.MOST_WAITING = 2
    with measuring() as seen:
        for milliseconds in (1000.0, 2000.0, 4000.0):
            Works(milliseconds)(data())
        assert seen.points("otelml.dropped")[0].attributes == {"otelml.what": "device_time", "otelml.where": "buffer"}
        assert seen.total("otelml.dropped") == 1
        finish()
        seen.runtime.force_flush()
        assert [(point.count, point.sum) for point in seen.points(NAME)] == [(2, 3.0)]


@on_busy_device
def test_a_flush_reads_what_is_ready():
    """A flush records the calls that the device is done with, and waits for no other."""
    with measuring() as seen:
        Works()(data())
        Works()(data())
        finish(3)
        assert seen.runtime.force_flush()
        assert seen.total(NAME) == 1
        finish()
        assert seen.runtime.force_flush()
        assert seen.total(NAME) == 2


def test_a_shutdown_counts_the_rest(otlp, library, monkeypatch):
    """The shutdown sends the time of the call that the device is done with, and counts the other one as dropped."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", otlp.endpoint)
    monkeypatch.setenv("OTELML_DEVICE_TIME", "true")
    monkeypatch.setenv("OTELML_HOST", "false")

    @on_busy_device
    def test():
        running = otelml.auto_instrument("test")
        Works()(data())
        Works()(data())
        finish(3)
        assert running.shutdown()

    test(library)
    assert otlp.totals(NAME) == [1]
    assert otlp.totals("otelml.dropped") == [1]


# Threads, processes, memory -----------------------------------------------------------------------------------------


@on_busy_device
def test_threads_record_each_call_once():
    """Threads that call and flush at the same time, on streams of their own, record each call exactly once."""
    sys.setswitchinterval(1e-5)
    with measuring() as seen:

        def work(stream):
            use_stream(stream)
            for _ in range(50):
                Works(4.0)(data())
                finish(2)
                seen.runtime.force_flush()

        threads = [threading.Thread(target=work, args=(stream,)) for stream in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        finish()
        seen.runtime.force_flush()
        (point,) = seen.points(NAME)
        assert (point.count, point.sum) == (200, pytest.approx(200 * 0.004))
        assert seen.total("otelml.dropped") == 0


@on_busy_device
def test_a_child_forgets():
    """A forked child neither asks its parent's events nor ends them, that of a call that forks included."""

    class Forks(Works):
        def forward(self, x):
            self.child = os.fork()
            return super().forward(x)

    with measuring() as seen:
        Works()(data())
        model = Forks()
        model(data())
        if not model.child:
            _in_the_child(seen)
        assert os.waitstatus_to_exitcode(os.waitpid(model.child, 0)[1]) == 0
        finish()
        seen.runtime.force_flush()
        assert seen.total(NAME) == 2


def _in_the_child(seen):
    """Look at what a call that forked has left in the child, and measure one there."""
    found = 1
    try:
        assert asked("recorded") == 3  # the second event of the call that forked is the parent's to record
        queried = asked("queried")
        finish()
        Works()(data())
        _device_time.read()
        gc.collect()
        assert (asked("destroyed"), seen.points(NAME)) == (0, [])
        assert asked("queried") == queried + 1  # the child's own
        finish()
        Works()(data())
        assert (seen.total(NAME), asked("destroyed")) == (1, 2)
        found = 0
    finally:
        traceback.print_exc()
        os._exit(found)


@on_busy_device
def test_nothing_is_kept_alive():
    """Models, inputs and answers end while their events wait, and the events when they are read."""
    with measuring() as seen:
        model, given = Works(), data()
        answer = model(given)
        kept = [weakref.ref(each) for each in (model, given, answer)]
        del model, given, answer
        gc.collect()
        assert [each() for each in kept] == [None] * 3
        assert asked("destroyed") == 0
        finish()
        seen.runtime.force_flush()
        assert asked("destroyed") == 2


@on_busy_device
def test_a_device_without_times_is_left_alone():
    """A device whose events have no times is an error of ours, once; later calls make no events, and all calls pass."""
    _guard.strict = False
    torch.ops.busy.have_times(wanted=False)
    with measuring() as seen:
        Works()(data())
        Works()(data())
        finish()
        Works()(data())
        before = asked("recorded")
        Works()(data())
        seen.runtime.force_flush()
        assert asked("recorded") == before
        assert _guard.errors() == {"torch.device_time": 1}
        assert seen.total("ml.requests") == 4
        assert seen.points(NAME) == []


@on_busy_device
def test_a_compiled_module():
    """A compiled module on a device is measured; Dynamo finds the frames that it finds without otelml, and no break."""
    torch.library.register_fake("busy::work", lambda given, _: torch.empty_like(given))

    def compiled():
        torch._dynamo.reset()
        torch._dynamo.utils.counters.clear()
        model = torch.compile(Works(), backend="eager", fullgraph=True)
        model(data())
        model(data())
        return {name: dict(counts) for name, counts in torch._dynamo.utils.counters.items()}

    bare = compiled()
    assert "graph_break" not in bare
    finish()
    with measuring() as seen:
        assert compiled() == bare
        finish()
        seen.runtime.force_flush()
        assert [(point.count, point.sum) for point in seen.points(NAME)] == [(2, 0.5)]
