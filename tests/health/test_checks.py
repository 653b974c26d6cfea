"""One check: limits, one thread at most, what is kept, what of a failure is told."""

import asyncio
import logging
import os
import subprocess
import sys
import threading
import time

import numpy as np
import pytest


def raises(error):
    """Return a check that raises."""

    def fail():
        raise error

    return fail


def threads_of(name):
    """Return the threads in which a check runs."""
    return [thread for thread in threading.enumerate() if thread.name == f"otelml-health-{name}"]


@pytest.mark.parametrize("answer", [None, True, 0, "", np.True_, object()], ids=lambda answer: type(answer).__name__)
def test_what_passes(health, answer):
    """Only an exception or False is a failure: a function that returns nothing, or 0 rows, has worked."""
    health.check("db", lambda: answer)
    assert health.ready().to_dict()["checks"]["db"][0]["status"] == "pass"


@pytest.mark.parametrize("answer", [False, np.False_], ids=repr)
def test_false_fails(health, answer):
    """False is a failure, numpy's too."""
    health.check("db", lambda: answer)
    (seen,) = health.ready().checks
    assert (seen.status, seen.error) == ("fail", "refused")


def test_an_exception_is_told_by_its_class_alone(health, caplog):
    """Neither the answer nor the log has its text, which quotes the password."""
    health.check("db", raises(ConnectionError("postgresql://user:canary@db")))
    with caplog.at_level(logging.INFO, "otelml"):
        answer = health.ready()
    assert answer.checks[0].error == "ConnectionError"
    assert "canary" not in str(answer.to_dict()) + caplog.text
    assert "the health check db fails: ConnectionError" in caplog.text


def test_a_failure_is_logged_once_and_so_is_its_end(health, caplog):
    """A dependency that is down for a while makes two lines, however often somebody asks."""
    down = [True, True, True, False, False]
    health.check("db", lambda: not down.pop(0), cache_seconds=0)
    with caplog.at_level(logging.INFO, "otelml"):
        codes = [health.ready().code for _ in range(5)]
    assert codes == [503, 503, 503, 200, 200]
    assert len(caplog.records) == 2


def test_a_check_that_hangs_costs_its_limit_once_and_one_thread(health, gate):
    """Whoever asks first waits for the limit; nobody waits again, and no second thread is started, until it returns."""
    health.check("db", gate.wait, timeout=0.2, cache_seconds=0)
    started = time.perf_counter()
    assert health.ready().checks[0].error == "timeout"
    assert 0.2 <= time.perf_counter() - started < 2
    started = time.perf_counter()
    assert [health.ready().ok for _ in range(50)] == [False] * 50
    assert time.perf_counter() - started < 0.2
    assert len(threads_of("db")) == 1
    gate.set()
    threads_of("db")[0].join(5)
    deadline = time.monotonic() + 5
    while not health.ready().ok:  # its late answer is a failure, kept for no time: it is asked anew
        assert time.monotonic() < deadline


def test_checks_run_side_by_side(health, gate):
    """Ten that hang together cost one limit, not ten."""
    for n in range(10):
        health.check(f"db{n}", gate.wait, timeout=0.3)
    started = time.perf_counter()
    assert not health.ready().ok
    assert time.perf_counter() - started < 1.5


def test_everybody_who_asks_meanwhile_shares_one_call(health):
    """Twenty probes at once make one call."""
    calls = []
    health.check("db", lambda: calls.append(time.sleep(0.1)))
    askers = [threading.Thread(target=health.ready) for _ in range(20)]
    for each in askers:
        each.start()
    for each in askers:
        each.join()
    assert len(calls) == 1


def test_an_answer_is_kept_and_a_failure_for_a_second_at_most(health, monkeypatch):
    """Within ``cache_seconds`` nobody is asked again; who has failed is, after a second."""
    calls = []
    health.check("good", lambda: calls.append("good"), cache_seconds=60)
    health.check("bad", lambda: calls.append("bad") or False, cache_seconds=60)
    health.ready()
    health.ready()
    assert sorted(calls) == ["bad", "good"]
    later = time.monotonic() + 2
    monkeypatch.setattr("otelml.health.checks.monotonic", lambda: later)
    health.ready()
    assert sorted(calls) == ["bad", "bad", "good"]
    later += 60
    health.ready()
    assert sorted(calls) == ["bad", "bad", "bad", "good", "good"]


def test_a_late_answer_is_a_failure_even_if_it_was_waited_for(health):
    """A model that takes longer than its limit is not ready, though it answers."""
    health.model("delay", lambda _: time.sleep(0.3), [[0.0]], limit_seconds=0.05, every_seconds=60)
    assert health.ready().checks[0].error == "timeout"
    for thread in threads_of("delay"):
        thread.join()
    assert health.ready().checks[0].error == "timeout"


def test_another_loop_than_asyncios_waits(health):
    """Where no asyncio loop runs (trio's, say), the answer is right all the same."""
    health.check("db", lambda: time.sleep(0.05))
    with pytest.raises(StopIteration) as ended:
        health.answer("readyz").send(None)
    assert ended.value.value.ok


ENDS = """
import sys
from otelml.health import Health
health = Health()
health.check("db", sys.exit, timeout=30)
print(health.ready().checks[0].error)
"""


def test_a_check_that_wants_to_end_the_process_fails():
    """What ends its thread is a failure at once, and of the check alone: nobody waits for the limit."""
    done = subprocess.run([sys.executable, "-c", ENDS], capture_output=True, text=True, timeout=20, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "ended\n", "otelml: the health check db fails: ended\n")


def test_without_threads_to_be_had_a_check_fails(health, monkeypatch):
    """A process at its limit of threads is told, not hung."""
    health.check("db", lambda: True)
    monkeypatch.setattr(threading.Thread, "start", lambda _: raises(RuntimeError("no more"))())
    assert health.ready().checks[0].error == "RuntimeError"


def test_the_loop_turns_while_a_check_is_waited_for(health):
    """In asyncio nothing blocks: a hundred ticks pass while a check takes 0.3 s; a limit holds as well."""

    async def main():
        ticks, asked = 0, asyncio.ensure_future(health.answer("readyz"))
        while not asked.done():
            await asyncio.sleep(0.001)
            ticks += 1
        return ticks, asked.result()

    health.check("db", lambda: time.sleep(0.3), timeout=5)
    ticks, answer = asyncio.run(main())
    assert answer.ok
    assert ticks > 30
    health.check("db", lambda: time.sleep(0.3), timeout=0.05)
    assert not asyncio.run(main())[1].ok
    for thread in threads_of("db"):  # it ends after its loop has: nothing is raised there
        thread.join()


FORK = """
import os, threading, time
from otelml.health import Health
health, gate, calls = Health(), threading.Event(), []
health.check("hung", lambda: calls.append(os.getpid()) or (gate.wait() if os.getpid() == parent else None), timeout=0.2)
health.check("quick", lambda: calls.append(os.getpid()), cache_seconds=60)
parent = os.getpid()
assert not health.ready().ok
with health._lock:
    child = os.fork()
    if child == 0:
        calls.clear()
        assert health.ready().ok, health.ready()
        assert set(calls) == {os.getpid()} and len(calls) == 2
        os._exit(0)
assert os.waitpid(child, 0)[1] == 0
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_forked_child_asks_for_itself():
    """Neither a check that hangs in the parent nor a lock that is held there is the child's; nor is an answer."""
    done = subprocess.run([sys.executable, "-c", FORK], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
