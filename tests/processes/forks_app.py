"""A program of the tests: forks while several threads predict and export, and no child hangs.

``python forks_app.py FORKS`` prints how many predictions each process made, and how many children did not end, as JSON.
"""

import json
import os
import signal
import sys
import threading
import time

import otelml

THREADS, SIDE_BY_SIDE, LIMIT, EACH = 4, 8, 30.0, 6
stop = threading.Event()


def predict(number):
    """Make some predictions of this process, with a stage."""
    for _ in range(number):
        with otelml.prediction("m", str(os.getpid())) as p, p.stage("inference"):
            p.result(classes="a", confidence=0.9)


def record(made):
    """Predict until it is enough."""
    while not stop.is_set():
        predict(2)
        made.append(2)
        time.sleep(0.001)


def child():
    """Predict on two threads, flush, and leave without ceremony."""
    other = threading.Thread(target=predict, args=(EACH // 2,))
    other.start()
    predict(EACH // 2)
    other.join()
    os._exit(0 if otelml.force_flush(LIMIT) else 3)


def forked():
    """Fork a child; return its id and when it must have ended."""
    pid = os.fork()
    if not pid:
        child()
    return pid, time.monotonic() + LIMIT


def ended(running):
    """Wait for the oldest child; return its exit code, None for one that hung."""
    pid, limit = running.pop(0)
    while time.monotonic() < limit:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.002)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return None


def main():
    """Fork so many children, a few of them side by side."""
    otelml.auto_instrument()
    made = [[] for _ in range(THREADS)]
    threads = [threading.Thread(target=record, args=(each,)) for each in made]
    for thread in threads:
        thread.start()
    running, codes, pids = [], [], []
    for _ in range(int(sys.argv[1])):
        if len(running) == SIDE_BY_SIDE:
            codes.append(ended(running))
        running.append(forked())
        pids.append(running[-1][0])
    codes += [ended(running) for _ in list(running)]
    stop.set()
    for thread in threads:
        thread.join()
    numbers = {str(pid): EACH for pid in pids} | {str(os.getpid()): sum(map(sum, made))}
    sys.stdout.write(json.dumps({"made": numbers, "hung": codes.count(None), "failed": sum(map(bool, codes))}))


if __name__ == "__main__":
    main()
