"""A process that predicts: ``spool_load.py NAME COUNT RATE CLOCKS END`` notes when each prediction ended.

``CLOCKS`` is a file that survives a kill: how late a thread here woke up at most, in seconds, then one double for each
prediction, the monotonic clock at its end. ``END`` is ``exit``, ``wait`` (until standard input closes, then exit), or
``flush`` (until everything has arrived, then exit).
"""

import mmap
import struct
import sys
import threading
import time
from pathlib import Path

import numpy as np  # as any process that predicts has

import otelml


def watch(clocks):
    """Note how late a thread of this process wakes up: on a busy machine everything is late by that."""
    latest = 0.0
    while np is not None:
        due = time.monotonic() + 0.05
        time.sleep(0.05)
        latest = max(latest, time.monotonic() - due)
        struct.pack_into("d", clocks, 0, latest)


def main():
    """Predict."""
    name, count, rate, clocks, end = sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), Path(sys.argv[4]), sys.argv[5]
    clocks.write_bytes(bytes(8 * (1 + count)))
    with clocks.open("r+b") as file:
        ended = mmap.mmap(file.fileno(), 0)
    runtime = otelml.auto_instrument("load", config={"host": False, "gpu": False})
    threading.Thread(target=watch, args=(ended,), daemon=True).start()
    print("started", flush=True)  # noqa: T201 - for the test that started it
    started = time.monotonic()
    for i in range(count):
        with otelml.prediction("m", prediction_id=f"{name}-{i}") as p:
            p.result(classes="a")
        struct.pack_into("d", ended, 8 + 8 * i, time.monotonic())
        if i % 20 == 0:
            time.sleep(max(0.0, started + i / rate - time.monotonic()))
    print("made", flush=True)  # noqa: T201 - for the test that started it
    if end == "wait":
        sys.stdin.read()
    while end == "flush" and not runtime.force_flush(10):
        time.sleep(0.1)


main()
