"""The four questions: what makes each answer, and in what state of the process."""

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from otelml import health as module
from otelml.health import Health


def test_without_checks_all_is_well(health):
    """A process that says nothing about itself is alive, started and ready."""
    assert [answer.status for answer in (health.live(), health.started(), health.ready())] == ["pass"] * 3


def test_liveness_depends_on_nothing(health, gate):
    """With everything down and hung, loading and ending, it is alive, and says so without asking anybody."""
    health.check("db", gate.wait, timeout=5)
    health.model("delay", gate.wait, 5)
    health.loading()
    health.stopping()
    started = time.perf_counter()
    assert health.live().to_dict() == {"status": "pass"}
    assert time.perf_counter() - started < 0.1
    assert [check.seen for check in health.checks()] == [None, None]


def test_a_check_that_is_not_critical_warns(health):
    """The process is ready, with a warning; a critical one beside it makes it a failure."""
    health.check("cache", lambda: False, critical=False)
    assert (health.ready().status, health.ready().code) == ("warn", 200)
    health.check("db", lambda: False)
    assert (health.ready().status, health.ready().code) == ("fail", 503)


def test_a_model_answers_its_test(health):
    """It is asked with the test input; what it answers is judged by ``accept``."""
    asked = []
    health.model("delay", lambda rows: asked.append(rows) or [0.7], [[1.0]], accept=lambda answer: 0 <= answer[0] <= 1)
    assert health.ready().checks[0].kind == "model"
    assert asked == [[[1.0]]]
    health.model("delay", lambda _: [7], [[1.0]], accept=lambda answer: 0 <= answer[0] <= 1)
    assert health.ready().checks[0].error == "refused"
    health.model("delay", lambda _: False, [[1.0]])
    assert health.ready().ok  # it is an answer: on time, say
    health.model("delay", lambda _: 1 / 0, [[1.0]])
    assert health.ready().checks[0].error == "ZeroDivisionError"


def test_not_ready_while_loading(health):
    """Not at the start, nor when another model is loaded later; no check is asked meanwhile. Started, it stays so."""
    calls = []
    health.check("db", lambda: calls.append(1))
    with health.loading():
        with health.loading():
            assert not health.started().ok
        assert [health.started().code, health.ready().code] == [503, 503]
        assert health.ready().checks[0].error == "loading"
        assert calls == []
    assert [health.started().code, health.ready().code] == [200, 200]
    health.loading()
    assert [health.started().code, health.ready().code] == [200, 503]
    health.loaded()
    assert health.ready().ok


def test_a_load_that_fails_is_not_over(health):
    """The exception goes on to its caller, and nobody says that the process has started."""
    with pytest.raises(OSError, match="no such file"), health.loading():
        raise OSError("no such file")
    assert not health.started().ok


def test_started_once_every_model_has_answered_once(health):
    """Dependencies are not asked; a model that fails its test holds the start back, and never again later."""
    works = []
    health.check("db", lambda: False)
    health.model("delay", lambda _: bool(works), 0, accept=bool, every_seconds=0)
    assert not health.started().ok
    works.append(1)
    assert health.started().ok
    works.clear()
    assert health.started().ok
    assert not health.ready().ok


def test_not_ready_while_stopping(health):
    """It is alive and answers what it has begun; it is not ready, whatever its checks say."""
    health.check("db", lambda: True)
    health.stopping()
    assert health.live().ok
    assert health.ready().to_dict()["checks"].keys() == {"shutdown"}


@pytest.mark.parametrize("asked", [True, False])
def test_not_ready_once_the_runtime_shuts_down(health, telemetry, asked):
    """Our shutdown, from whatever signal or exit handler, is the end of readiness, though nobody asked before."""
    health.check("db", lambda: True)
    assert not asked or health.ready().ok
    telemetry.runtime.shutdown()
    assert not health.ready().ok
    assert health.live().ok


@pytest.mark.parametrize("name", ["", "startup", "shutdown"])
def test_names_that_can_not_be(health, name):
    """No name, and the names of the process's own states, are refused at once."""
    with pytest.raises(ValueError, match="can't be called"):
        health.check(name, lambda: True)


@pytest.mark.parametrize("bad", [0, -1, float("nan"), float("inf")])
def test_numbers_that_make_no_sense(health, bad):
    """A limit of no time, or for ever, is refused at once."""
    with pytest.raises(ValueError, match="limit"):
        health.check("db", lambda: True, timeout=bad)
    with pytest.raises(ValueError, match="limit"):
        health.model("db", lambda _: True, 0, every_seconds=-1)


def test_what_can_not_be_called(health):
    """A value, and a coroutine function, which nobody would await, are refused at once."""

    async def ping():
        """Answer, if somebody awaited it."""

    for wrong in (None, 7, ping):
        with pytest.raises(TypeError):
            health.check("db", wrong)
        with pytest.raises(TypeError):
            health.model("db", wrong, 0)


def test_twenty_checks(health):
    """Names are labels of a metric: there are 20 at most. The same name again replaces, and frees nothing else."""
    for n in range(20):
        health.check(f"c{n}", lambda: False)
    with pytest.raises(ValueError, match="20 already"):
        health.check("one more", lambda: True)
    health.check("c0", lambda: True)
    health.remove("c1")
    health.remove("never was")
    health.check("one more", lambda: True)
    assert len(health.checks()) == 20


def test_the_module_is_a_health_of_the_process():
    """Its functions work on one ``Health``, which it names."""
    module.check("db", lambda: False)
    try:
        assert not module.ready().ok
        assert module.default.ready().checks[0].name == "db"
    finally:
        module.remove("db")


def test_importing_otelml_does_not_import_it():
    """Who does not ask for it does not pay for it."""
    code = "import otelml, sys; assert not [m for m in sys.modules if m.startswith('otelml.health')]"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0


# SIGTERM ------------------------------------------------------------------------------------------------------------


def test_drain_is_for_the_main_thread(health):
    """Python takes signal handlers in the main thread only: elsewhere nothing is done, and said so."""
    answers = []
    before = signal.getsignal(signal.SIGTERM)
    thread = threading.Thread(target=lambda: answers.append(health.drain_on_sigterm()))
    thread.start()
    thread.join()
    assert answers == [False]
    assert signal.getsignal(signal.SIGTERM) == before


@pytest.mark.parametrize("again", [False, True])
def test_drain_on_sigterm(again):
    """Not ready at once, while the handler of before runs later, or with the second signal; once in any case."""
    health, heard = Health(), []
    before = signal.signal(signal.SIGTERM, lambda number, _: heard.append((number, time.monotonic())))
    try:
        assert health.drain_on_sigterm(1.5 if again else 0.3)
        started = time.monotonic()
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0.01)
        assert not health.ready().ok
        assert heard == []
        if again:
            os.kill(os.getpid(), signal.SIGTERM)
        deadline = time.monotonic() + 10
        while not heard:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        assert heard[0][0] == signal.SIGTERM
        assert (heard[0][1] - started < 1.0) if again else (heard[0][1] - started >= 0.3)
        time.sleep(2.0 if again else 0.0)
        assert len(heard) == 1
    finally:
        signal.signal(signal.SIGTERM, before)


DRAIN = """
import signal, sys, time, otelml
from otelml import health
if sys.argv[1] == "first":
    health.drain_on_sigterm(0.2)
otelml.auto_instrument("drained")
if sys.argv[1] == "later":
    health.drain_on_sigterm(0.2)
with otelml.prediction("m"):
    pass
print("up", flush=True)
while True:
    time.sleep(0.05)
    if not health.ready().ok:
        print("draining", flush=True)
"""


@pytest.mark.parametrize("when", ["first", "later"])
def test_drained_and_flushed_by_sigterm(otlp, when):
    """The process says that it is not ready, ends by the signal, and loses nothing, whichever was called first."""
    environment = os.environ | {"OTEL_EXPORTER_OTLP_ENDPOINT": otlp.endpoint, "OTEL_METRIC_EXPORT_INTERVAL": "60000"}
    command = [sys.executable, "-c", DRAIN, when]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "up\n"
        process.terminate()
        assert process.stdout.readline() == "draining\n"
        assert process.wait(20) == -signal.SIGTERM
    assert otlp.totals("ml.requests") == [1]
    assert "ml.prediction" in otlp.events()
