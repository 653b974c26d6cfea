"""The end of a process: one shutdown, whoever asks for it, with one limit."""

import os
import signal
import subprocess
import sys
import time

from otelml.exits import Ending

SCRIPT = """
import os
import otelml
otelml.auto_instrument()
with otelml.prediction("m", str(os.getpid())) as p:
    p.result(classes="a")
"""


def test_a_signal_during_the_shutdown_waits_for_it(endpoint):
    """SIGTERM while a program exports at its end cuts nothing off: all arrives, and the signal ends it then."""
    endpoint.delay = 0.5
    with subprocess.Popen([sys.executable, "-c", SCRIPT], env=endpoint.environment()) as process:
        assert endpoint.asked.wait(60)
        process.send_signal(signal.SIGTERM)
        process.wait(60)
    assert process.returncode == -signal.SIGTERM
    assert [*endpoint.counts().values()] == [1]
    assert (len(endpoint.spans()), len(endpoint.events())) == (1, 1)


def test_the_limit_is_shared():
    """Flushes before the shutdown leave it what they did not use, and never less than nothing."""
    ending = Ending(0.2)
    given = []
    ending.take(given.append)
    ending.take(lambda left: (given.append(left), time.sleep(0.3)))
    ending.take(given.append)
    assert given[0] == 0.2
    assert 0 < given[1] <= 0.2
    assert given[2] == ending.left == 0


def test_it_begins_once():
    """The first to begin is the one who shuts down."""
    ending = Ending(1)
    assert not ending.begun
    assert [ending.begin(), ending.begin()] == [True, False]
    assert ending.begun


def test_a_forked_child_is_elsewhere():
    """In a process that was forked before it has been set up, the end is the parent's: nothing begins."""
    ending = Ending(1)
    pid = os.fork()
    if not pid:
        os._exit(0 if ending.elsewhere() and not ending.begin() else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert not ending.elsewhere()


def test_a_signal_to_a_shutdown_that_hangs_ends_the_process():
    """Once the limit is over a signal no longer waits for the shutdown that it interrupts."""
    script = (
        "import signal, time, otelml.exits as e; end = e.Ending(0.1); end.begin(); time.sleep(0.8);"
        "end.by_signal(signal.SIGTERM, lambda limit: True); print('it goes on')"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (-signal.SIGTERM, "")


def test_a_signal_during_a_flush_waits_for_it():
    """SIGTERM while a child flushes at its end, maybe with locks held, comes again once that is done."""
    script = (
        "import os, signal, threading, time, otelml.exits as e; end = e.Ending(5); lock = threading.Lock()\n"
        "e.at_exit(lambda limit: (lock.acquire(), print('shut down', flush=True)), lambda: end)\n"
        "def flush(_):\n"
        "    with lock:\n"
        "        os.kill(os.getpid(), signal.SIGTERM)\n"
        "        print('flushed', flush=True)\n"
        "end.take(flush)\n"
        "print('it goes on')"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (-signal.SIGTERM, "flushed\nshut down\n")
