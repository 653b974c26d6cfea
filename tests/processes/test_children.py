"""Children, threads and tasks: every prediction of every process arrives once, in every way to start otelml."""

import os
import subprocess
import sys
import textwrap
import time
from collections import Counter
from importlib.util import find_spec

import pytest
from received import HERE, INSTANCE, RUN, known
from result_tables import PROCESSES as TABLE

METHODS = ("fork", "forkserver", "spawn")
PROCESSES = (
    *(f"{kind} {m}" for kind in ("multiprocessing", "multiprocessing.Pool", "ProcessPoolExecutor") for m in METHODS),
    "joblib loky",
)
THREADS = ("ThreadPoolExecutor", "threads", "asyncio run_in_executor", "asyncio to_thread")
RAY = "Ray actors"
TASKS, EACH, BEFORE, AFTER = 3, 20, 5, 7

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")


def cells(*models):
    """Return one case for each model and way."""
    return [
        pytest.param(model, way, marks=pytest.mark.process_model(model, way), id=f"{model}-{way}".replace(" ", "_"))
        for model in models
        for way in TABLE.columns
    ]


def run(endpoint, model, way):
    """Run the program; return how many predictions were made while otelml was on, by process."""
    found = endpoint.run(HERE / "children_app.py", model, way, launcher=RUN if way == "otelml run" else ())
    return Counter(found)


def same_trace(endpoint):
    """Assert that what children predicted is below the parent's open prediction, in its trace."""
    spans = {span.span_id: span for span in endpoint.spans()}
    below = [span for span in spans.values() if span.parent_span_id]
    assert len(below) == TASKS * EACH
    (parent,) = {span.parent_span_id for span in below}
    assert {span.trace_id for span in below} == {spans[parent].trace_id}


@pytest.mark.parametrize(("model", "way"), cells(*PROCESSES))
def test_processes(endpoint, model, way):
    """Predictions of parent and children are exact, each process speaks for itself, children are in the trace."""
    made = run(endpoint, model, way)
    assert sum(made.values()) == TASKS * EACH + (0 if way == "child" else BEFORE + 1 + AFTER)
    endpoint.check(made)
    if way != "child":
        same_trace(endpoint)
    idle = 2 if "Pool" in model or "loky" in model else 0  # workers that got nothing to do
    speaking = set().union(*endpoint.speakers.values())
    assert len(made) <= len(speaking) <= len(made) + idle  # no helper of multiprocessing sends anything


@pytest.mark.parametrize(("model", "way"), cells(*THREADS))
def test_threads(endpoint, model, way):
    """Threads count into the one process that they are in; started by a thread, otelml is on from there."""
    made = run(endpoint, model, way)
    expected = TASKS * EACH + AFTER + (0 if way == "child" else BEFORE + 1)
    assert list(made.values()) == [expected]
    endpoint.check(made)
    if way != "child":
        same_trace(endpoint)


@pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed")
@pytest.mark.timeout(180)
@pytest.mark.parametrize(("model", "way"), cells(RAY))
def test_ray(endpoint, model, way):
    """Actors count their own predictions, below the driver's, and are exact once they have flushed."""
    made = run(endpoint, model, way)
    assert sum(made.values()) == TASKS * EACH + (0 if way == "child" else BEFORE + 1 + AFTER)
    endpoint.check(made)
    if way != "child":
        same_trace(endpoint)


PRELUDE = """
import multiprocessing, os, sys, threading, time
import otelml
def predict(n=1):
    for _ in range(n):
        with otelml.prediction("m", str(os.getpid())) as p:
            p.result(classes="a", confidence=0.9)
"""


def script(folder, code):
    """Write a program; return its path."""
    path = folder / "app.py"
    path.write_text(PRELUDE + textwrap.dedent(code))
    return path


END = """
def fails():
    predict(3)
    raise ValueError("on purpose")
def exits():
    predict(3)
    sys.exit(4)
def goes_on():
    def late():
        time.sleep(0.3)
        predict(2)
    predict(1)
    threading.Thread(target=late).start()
def meanwhile():
    active = otelml.runtime.active
    flush, flushed = active.flush_at_end, threading.Event()
    def late():
        flushed.wait()
        predict(2)
    thread = threading.Thread(target=late)
    def slow():
        flush()
        flushed.set()
        thread.join()
    active.flush_at_end = slow
    predict(1)
    thread.start()
def leaves():
    predict(3)
    otelml.force_flush()
    os._exit(5)
if __name__ == "__main__":
    otelml.auto_instrument()
    child = multiprocessing.get_context(sys.argv[1]).Process(target=globals()[sys.argv[2]])
    child.start()
    child.join()
    print(child.exitcode)
"""


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("way", "code"), [("fails", 1), ("exits", 4), ("goes_on", 0), ("leaves", 5)])
def test_ends(endpoint, tmp_path, method, way, code):
    """However a child ends, also with a thread that outlives its function, what it predicted arrives once."""
    ended(endpoint, tmp_path, method, way, code)


@pytest.mark.parametrize("method", ["fork", "forkserver"])
def test_a_thread_ends_while_its_process_flushes(endpoint, tmp_path, method):
    """What it predicts then is flushed too; spawned children flush after their threads, as every program does."""
    ended(endpoint, tmp_path, method, "meanwhile", 0)


def ended(endpoint, tmp_path, method, way, code):
    """Let a child predict three times and end; check its exit code, and that they arrive once."""
    done = subprocess.run(
        [sys.executable, script(tmp_path, END), method, way],
        env=endpoint.environment(),
        capture_output=True,
        text=True,
        timeout=110,
        check=True,
    )
    assert done.stdout == f"{code}\n"
    assert [*endpoint.counts().values()] == [3]
    assert len(endpoint.spans()) == len(endpoint.events()) == 3


SILENT = """
def work(connection):
    predict(3)
    connection.send(time.monotonic())
if __name__ == "__main__":
    active = otelml.auto_instrument()
    context = multiprocessing.get_context(sys.argv[1])
    here, there = context.Pipe()
    child = context.Process(target=work, args=(there,))
    child.start()
    begin = here.recv()
    child.join()
    took = time.monotonic() - begin
    active.shutdown(0)
    print(took)
"""


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_a_silent_endpoint_holds_no_child(endpoint, tmp_path, silent, method):
    """With an endpoint that never answers a child ends within its one limit, however many ends it goes through."""
    where = {"OTEL_EXPORTER_OTLP_ENDPOINT": silent, "OTELML_SHUTDOWN_TIMEOUT": "2"}
    done = subprocess.run(
        [sys.executable, script(tmp_path, SILENT), method],
        env=endpoint.environment(**where),
        capture_output=True,
        text=True,
        timeout=110,
        check=True,
    )
    assert 1 < float(done.stdout) < 2 + 3


INSTANCES = """
def work(queue):
    predict()
    if queue.get():
        child = multiprocessing.get_context(sys.argv[1]).Process(target=work, args=(queue,))
        child.start()
        child.join()
if __name__ == "__main__":
    otelml.auto_instrument(service_name="s")
    context = multiprocessing.get_context(sys.argv[1])
    queue = context.Queue()
    child = context.Process(target=work, args=(queue,))
    child.start()
    queue.put(True)
    queue.put(False)
    child.join()
    predict()
    print("{}")
"""


@pytest.mark.parametrize("method", METHODS)
def test_instance_ids_begin_with_the_applications_own(endpoint, tmp_path, method):
    """The parent has the id it was given, children and their children one that begins with it; settings arrive."""
    endpoint.run(
        script(tmp_path, INSTANCES), method, OTEL_RESOURCE_ATTRIBUTES=f"{INSTANCE}=pod-7,service.namespace=shop"
    )
    instances = sorted({instance for instance, _ in endpoint.counts()}, key=len)
    assert len(instances) == 3
    assert instances[0] == "pod-7"
    assert all(instance.startswith("pod-7-") and len(instance) == 14 for instance in instances[1:])
    resources = [known(r.resource) for request in endpoint.requests for _, all_ in request.ListFields() for r in all_]
    assert {(r["service.name"], r["service.namespace"]) for r in resources} == {("s", "shop")}


BARE = """
def work():
    predict(3)
    assert isinstance(otelml.prediction(), otelml.NoPrediction)
if __name__ == "__main__":
    active = otelml.auto_instrument()
    predict()
    if sys.argv[1] == "shutdown":
        active.shutdown()
    child = multiprocessing.get_context("spawn").Process(target=work)
    child.start()
    child.join()
    print(child.exitcode)
"""


@pytest.mark.parametrize(("way", "setting"), [("shutdown", "true"), ("setting", "false")])
def test_children_are_left_alone(endpoint, tmp_path, way, setting):
    """After shutdown(), and with OTELML_CHILDREN=false, spawned children have no otelml."""
    assert endpoint.run(script(tmp_path, BARE), way, OTELML_CHILDREN=setting) == 0
    assert [*endpoint.counts().values()] == [1]


ALONE = """
import sys
import otelml, otelml.propagate
otelml.auto_instrument()
with otelml.prediction("m", "1"):
    pass
otelml.force_flush()
print(len({"multiprocessing", "concurrent.futures.process"} & set(sys.modules)))
"""


def test_multiprocessing_is_not_imported_for_it(endpoint, tmp_path):
    """An application that uses no processes does not import what they need."""
    path = tmp_path / "app.py"
    path.write_text(ALONE)
    assert endpoint.run(path) == 0
    assert [*endpoint.counts().values()] == [1]


OTHER = """
def work():
    predict()
if __name__ == "__main__":
    otelml.auto_instrument()
    multiprocessing.set_executable(sys.argv[1])
    child = multiprocessing.get_context("spawn").Process(target=work)
    child.start()
    child.join()
    predict()
    print(child.exitcode)
"""


def test_another_interpreter_is_asked_for_nothing(endpoint, tmp_path):
    """Children that run another interpreter, which may have no otelml, get nothing of ours to unpickle."""
    other = tmp_path / "python"
    other.symlink_to(sys.executable)
    assert endpoint.run(script(tmp_path, OTHER), other) in {0, 1}  # 1: a link outside of its environment finds less
    assert [*endpoint.counts().values()] == [1]


WRONG = """
def work():
    predict()
if __name__ == "__main__":
    otelml.auto_instrument(config={"metrics_exporter": "prometheus", "exporter_prometheus_port": int(sys.argv[1])})
    child = multiprocessing.get_context("spawn").Process(target=work)
    child.start()
    child.join()
    print(child.exitcode)
"""


def test_a_child_that_cannot_start_otelml_runs_without(endpoint, tmp_path, free_port):
    """Where the parent's settings do not work in a child, here a port that is taken, it says so and goes on."""
    done = subprocess.run(
        [sys.executable, script(tmp_path, WRONG), str(free_port)],
        env=endpoint.environment(),
        capture_output=True,
        text=True,
        timeout=110,
        check=True,
    )
    assert done.stdout == "0\n"
    assert "otelml: no telemetry from child process" in done.stderr


KILLED = """
otelml.auto_instrument()
predict(5)
print("ready", flush=True)
time.sleep(float(sys.argv[1]))
predict(2)
print("again", flush=True)
time.sleep(60)
"""


def test_a_kill_loses_what_the_last_flush_has_not_taken(endpoint, tmp_path):
    """SIGKILL: what is older than the flush interval has arrived, what is younger is lost, and nothing else."""
    every = {"OTEL_METRIC_EXPORT_INTERVAL": "500", "OTEL_BSP_SCHEDULE_DELAY": "500", "OTEL_BLRP_SCHEDULE_DELAY": "500"}
    command = [sys.executable, script(tmp_path, KILLED), "2.5"]
    with subprocess.Popen(command, env=endpoint.environment(**every), stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "ready\n"
        assert process.stdout.readline() == "again\n"
        process.kill()
    time.sleep(0.2)
    assert 5 <= sum(endpoint.counts().values()) <= 7
    assert 5 <= len(endpoint.spans()) <= 7
