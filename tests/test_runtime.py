"""The runtime in processes of its own, against a real OTLP endpoint: start, flush, end, fork, signals."""

import os
import signal
import subprocess
import sys
import textwrap
import time

import pytest

import otelml
from otelml import config, runtime

PRELUDE = """
import os, sys, time, signal
import otelml
def predict(n=1):
    for _ in range(n):
        with otelml.prediction("m") as p, p.stage("inference"):
            p.result(classes="a", confidence=0.9)
"""


def environment(otlp, **more):
    """Return variables that send everything to the endpoint, and nothing by itself within a test's time."""
    known = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "OTELML_"))}
    return {
        **known,
        "OTEL_EXPORTER_OTLP_ENDPOINT": otlp.endpoint,
        "OTEL_METRIC_EXPORT_INTERVAL": "60000",
        "OTEL_BLRP_SCHEDULE_DELAY": "60000",
        "OTEL_BSP_SCHEDULE_DELAY": "60000",
        "OTELML_GPU": "false",
        "OTELML_HOST": "false",
        **more,
    }


def started(code, otlp, **more):
    """Start a Python process that runs some code after the prelude."""
    script = PRELUDE + textwrap.dedent(code)
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen([sys.executable, "-c", script], env=environment(otlp, **more), **pipes)


def run(code, otlp, **more):
    """Run some code to its end; return what it printed."""
    with started(code, otlp, **more) as process:
        out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert "Traceback" not in err, err
    return out


def test_plain_script_is_flushed_at_exit(otlp):
    """A script that ends without a word has exported every metric, span and event."""
    run("otelml.auto_instrument(service_name='s'); predict(20)", otlp)
    assert otlp.totals("ml.requests") == [20]
    assert otlp.totals("ml.prediction.duration") == [20]
    assert len(otlp.spans()) == 40
    assert otlp.events() == ["ml.prediction"] * 20


def test_script_that_fails_is_flushed(otlp):
    """A script that ends by an exception has exported what came before, and the failure."""
    code = """
    otelml.auto_instrument()
    with otelml.prediction("m"):
        raise SystemExit(3)
    """
    with started(code, otlp) as process:
        process.communicate(timeout=60)
    assert process.returncode == 3
    assert otlp.totals("ml.requests") == [1]


def test_auto_instrument_twice_is_once(otlp):
    """Called again it returns the same runtime, and nothing is counted twice."""
    code = """
    first = otelml.auto_instrument()
    predict()
    second = otelml.auto_instrument(service_name="other")
    predict()
    print(first is second, first.force_flush(), first.shutdown(), first.shutdown(), first.force_flush())
    """
    assert run(code, otlp).split() == ["True"] * 5
    assert otlp.totals("ml.requests") == [2]
    assert len(otlp.spans()) == 4


def test_force_flush_exports_now(otlp):
    """After force_flush() everything recorded so far is at the endpoint, while the process still runs."""
    code = """
    active = otelml.auto_instrument()
    predict(5)
    print(active.force_flush(), flush=True)
    sys.stdin.read()
    """
    with started(code, otlp) as process:
        assert process.stdout.readline() == "True\n"
        assert otlp.totals("ml.requests") == [5]
        assert (len(otlp.spans()), len(otlp.events())) == (10, 5)
        process.kill()


def test_after_shutdown_predictions_do_nothing(otlp):
    """After shutdown() the calls are no-ops again; an open prediction ends without a word."""
    code = """
    active = otelml.auto_instrument()
    predict()
    late = otelml.prediction("m").begin()
    active.shutdown()
    late.finish()
    predict()
    otelml.event("late")
    print(type(otelml.prediction("m")).__name__)
    """
    assert run(code, otlp) == "NoPrediction\n"
    assert otlp.totals("ml.requests") == [1]
    assert otlp.events() == ["ml.prediction"]


def test_existing_providers_are_used_and_left_open(otlp):
    """Providers that the application set get everything, work after our shutdown, and are never replaced."""
    code = """
    from opentelemetry import trace, metrics, _logs
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader
    spans, reader = InMemorySpanExporter(), InMemoryMetricReader()
    tracers, meters = TracerProvider(), MeterProvider([reader])
    tracers.add_span_processor(BatchSpanProcessor(spans))
    trace.set_tracer_provider(tracers)
    metrics.set_meter_provider(meters)
    active = otelml.auto_instrument()
    predict(2)
    assert trace.get_tracer_provider() is tracers and metrics.get_meter_provider() is meters
    print(active.shutdown())
    assert [s.name for s in spans.get_finished_spans()] == ["inference", "predict m"] * 2
    with trace.get_tracer("app").start_as_current_span("after"):
        pass
    tracers.force_flush()
    assert spans.get_finished_spans()[-1].name == "after"
    meters.get_meter("app").create_counter("after").add(1)
    data = reader.get_metrics_data().resource_metrics[0].scope_metrics
    names = {m.name: m for scope in data for m in scope.metrics}
    assert names["ml.requests"].data.data_points[0].value == 2
    assert "after" in names
    """
    assert run(code, otlp) == "True\n"
    assert (otlp.spans(), otlp.totals("ml.requests")) == ([], [])
    assert otlp.events() == ["ml.prediction"] * 2  # the logger provider was ours to make


def test_sdk_disabled_does_nothing(otlp):
    """OTEL_SDK_DISABLED=true starts no thread, exports nothing, and predictions are the no-op ones."""
    code = """
    import threading
    before = threading.active_count()
    active = otelml.auto_instrument()
    predict(3)
    print(type(otelml.prediction("m")).__name__, threading.active_count() - before, active.shutdown())
    """
    assert run(code, otlp, OTEL_SDK_DISABLED="true") == "NoPrediction 0 True\n"
    assert (otlp.spans(), otlp.events(), otlp.totals("ml.requests")) == ([], [], [])


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_forked_children_count_their_own(otlp):
    """Two children count from zero, and the parent's totals are in neither; ids differ between all of them."""
    code = """
    active = otelml.auto_instrument()
    predict(100)
    active.force_flush()
    predict(10)  # in the buffer, or not, when the fork happens: it is the parent's
    children = []
    for n in (3, 4):
        pid = os.fork()
        if not pid:
            predict(n)
            os.write(1, f"{otelml.auto_instrument().force_flush()}\\n".encode())  # at once: both may write together
            os._exit(0)
        children.append(pid)
    for pid in children:
        os.waitpid(pid, 0)
    predict(1)
    """
    assert run(code, otlp) == "True\nTrue\n"
    spans = otlp.spans()
    assert len(spans) == 2 * (100 + 10 + 3 + 4 + 1)
    assert len({span.span_id for span in spans}) == len(spans)
    assert sum(name == "ml.prediction" for name in otlp.events()) == 118
    # Children share the parent's instance id where the SDK does not renew it: compare what each one said last.
    assert set(values(otlp, "ml.requests")) == {3, 4, 100, 111}


def values(otlp, name):
    """Return every exported value of a sum."""
    scopes = [scope for _, scope in otlp._each("metrics")]
    found = [m for scope in scopes for m in scope.metrics if m.name == name]
    return [sum(p.as_int for p in m.sum.data_points) for m in found]


@pytest.mark.parametrize("handled", [False, True], ids=["default", "own handler"])
def test_sigterm(otlp, handled):
    """SIGTERM exports everything and ends by the signal; an application's own handler is left alone."""
    own = "signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))" if handled else ""
    code = f"""
    {own}
    otelml.auto_instrument()
    predict(5)
    print("ready", flush=True)
    time.sleep(60)
    """
    with started(code, otlp) as process:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)
    assert process.returncode == (7 if handled else -signal.SIGTERM)
    assert otlp.totals("ml.requests") == [5]
    assert (len(otlp.spans()), len(otlp.events())) == (10, 5)


def test_sigterm_inside_a_prediction_with_locks_held(otlp):
    """A signal that interrupts a drain on the main thread still ends the process within its limit."""
    code = """
    active = otelml.auto_instrument()
    predict(3)
    active.recorder._drain_lock.acquire()
    print("ready", flush=True)
    time.sleep(60)
    """
    with started(code, otlp, OTELML_SHUTDOWN_TIMEOUT="1") as process:
        assert process.stdout.readline() == "ready\n"
        begin = time.monotonic()
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)
    assert process.returncode == -signal.SIGTERM
    assert time.monotonic() - begin < 10


def test_seeded_processes_have_different_ids(otlp):
    """Two processes that both call random.seed(0) share no id."""
    for _ in range(2):
        run("import random\nrandom.seed(0)\notelml.auto_instrument()\nrandom.seed(0)\npredict(5)", otlp)
    assert len({span.trace_id for span in otlp.spans()}) == 10
    assert len({span.span_id for span in otlp.spans()}) == 20


def test_dead_endpoint_does_not_hold_the_process(otlp):
    """With nobody listening a script ends in time and its predictions are as fast as ever."""
    code = """
    otelml.auto_instrument()
    begin = time.monotonic()
    predict(1000)
    assert time.monotonic() - begin < 5
    """
    otlp.endpoint = "http://127.0.0.1:9"
    begin = time.monotonic()
    with started(code, otlp, OTELML_SHUTDOWN_TIMEOUT="1") as process:
        _, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert time.monotonic() - begin < 20


def test_imports_stay_small():
    """Importing otelml imports no framework, no exporter, no numpy and no NVML."""
    code = (
        "import sys, otelml; "
        "print([m for m in ('sklearn', 'numpy', 'pandas', 'torch', 'pynvml', 'grpc', 'requests') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_wrong_settings_raise_and_start_nothing():
    """Bad settings are all said at once, and otelml stays off."""
    with pytest.raises(otelml.ConfigError) as caught:
        otelml.auto_instrument(capture="everything", config={"low_confidence": 7})
    assert len(caught.value.faults) == 2
    assert runtime.active is None


def test_started_is_idempotent_in_threads(telemetry):
    """While one runtime is active, start() and auto_instrument() return it and read no settings."""
    assert otelml.auto_instrument(capture="nonsense") is telemetry.runtime
    assert runtime.start(config.load({}, {})) is telemetry.runtime


def test_starting_again_after_shutdown_is_warned_about():
    """The providers are closed for good, so a second start says that telemetry goes nowhere; predictions still work."""
    script = """
import logging
logging.basicConfig()
import otelml
otelml.auto_instrument().shutdown()
otelml.auto_instrument()
with otelml.prediction("m"):
    print("done")
"""
    quiet = {f"OTEL_{signal}_EXPORTER": "none" for signal in ("TRACES", "METRICS", "LOGS")}
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, env=os.environ | quiet, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "done\n"
    assert done.stderr.count("only once") == 1
