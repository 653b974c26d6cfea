"""Real processes that are killed, restarted, and cut off from their endpoint; what arrives is counted."""

import os
import subprocess
import sys
import threading
from contextlib import contextmanager

import pytest

INTERVAL = 0.3
"""Seconds until a prediction is on the disk, with the settings of these tests."""
SLACK = 0.5
"""Seconds more, for encoding and writing."""
HOPS = 3
"""Threads that have to wake up on the way to the disk: as late as a busy machine makes them."""
KILLS = int(os.environ.get("SPOOL_KILLS", "2"))
"""In each state of the endpoint; more of them for a closer look."""


def flapping(endpoint, stop):
    """Close and open an endpoint several times a second."""
    while not stop.wait(0.15):
        endpoint.close()
        stop.wait(0.15)
        endpoint.open()


@pytest.mark.parametrize("state", ["up", "down", "flapping"])
def test_a_killed_process_loses_one_interval(endpoint, load, cli, state):
    """Under load, kill -9 again and again: what ended longer ago than the interval arrives, as span and as event.

    What arrives twice is at most the batches that were in flight.
    """
    stop = threading.Event()
    flaps = threading.Thread(target=flapping, args=(endpoint, stop))
    if state == "down":
        endpoint.close()
    elif state == "flapping":
        flaps.start()
    ended, late = {}, 0.0
    for turn in range(KILLS):
        process = load(f"k{turn}", 100_000, rate=1500)
        threading.Event().wait(0.9 + 0.13 * (turn % 5))
        ended |= {f"k{turn}-{i}": ago for i, ago in process.kill().items()}
        late = max(late, process.late)
    stop.set()
    if state == "flapping":
        flaps.join()
    elif state == "down":
        assert not endpoint.requests
        endpoint.open()
    sent = cli("send")
    assert sent.returncode == 0, sent.stderr
    assert len(ended) > 300 * KILLS
    for signal in ("traces", "logs"):
        arrived = endpoint.ids(signal)
        lost = [ago for name, ago in ended.items() if not arrived[name]]
        assert max(lost, default=0.0) < INTERVAL + SLACK + HOPS * late
        twice = [name for name, times in arrived.items() if times > 1]
        assert max(arrived.values()) <= 2 or state == "flapping"  # whose answers get lost
        assert len(twice) <= KILLS * 2048
        oldest = 1000 * max(lost, default=0.0)
        said = f"{len(ended):,} made, {len(lost):,} lost, the oldest {oldest:.0f} ms before its kill"
        said += f", threads up to {1000 * late:.0f} ms late"
        print(f"\n{KILLS} kills, endpoint {state}, {signal}: {said}; {len(twice):,} twice", end="")  # noqa: T201 - with -s


def test_without_a_spool_it_loses_everything(endpoint, load):
    """The control: the same process, killed while the endpoint is down, leaves nothing behind."""
    endpoint.close()
    process = load("k", 100_000, rate=1500, OTELML_SPOOL_DIR="")
    threading.Event().wait(1.0)
    assert len(process.kill()) > 500
    endpoint.open()
    load("next", 10, end="flush", OTELML_SPOOL_DIR="").exit()
    arrived = endpoint.ids()
    assert len(arrived) == 10
    assert not any(name.startswith("k-") for name in arrived)


@pytest.mark.parametrize("endpoint", ["http/protobuf", "grpc"], indirect=True)
def test_an_outage_with_restarts_loses_nothing(endpoint, load, kept, eventually):
    """Two processes come and go while the endpoint is down, one that exits and one that is killed once it is idle.

    Every prediction of theirs and of the third, which finds the endpoint up again, arrives exactly once, and so do
    the metrics of the one that exited.
    """
    endpoint.close()
    first = load("a", 3000, rate=10_000)
    first.made()
    first.exit()
    second = load("b", 3000, rate=10_000)
    second.made()
    assert eventually(lambda: kept("traces") == kept("logs") == 6000)
    second.kill()
    third = load("c", 500, rate=10_000)
    third.made()
    endpoint.open()
    expected = {f"{name}-{i}" for name, count in (("a", 3000), ("b", 3000), ("c", 500)) for i in range(count)}
    assert eventually(lambda: set(endpoint.ids()) >= expected, 40)
    assert eventually(lambda: set(endpoint.ids("logs")) >= expected, 40)
    third.exit()
    assert set(endpoint.ids().values()) == set(endpoint.ids("logs").values()) == {1}
    assert set(endpoint.ids()) == set(endpoint.ids("logs")) == expected
    assert endpoint.totals("ml.requests") == [500, 3000]
    assert endpoint.totals("otelml.dropped") == []


def test_without_a_spool_an_outage_loses_what_was_made(endpoint, load):
    """The control: without a spool nothing of a process that ends during the outage arrives."""
    endpoint.close()
    process = load("a", 3000, rate=10_000, OTELML_SPOOL_DIR="")
    process.made()
    process.exit()
    endpoint.open()
    load("b", 10, end="flush", OTELML_SPOOL_DIR="").exit()
    assert set(endpoint.ids()) == {f"b-{i}" for i in range(10)}


def test_processes_share_a_directory(endpoint, load, kept, eventually):
    """Two processes are killed; of two others that start together exactly one sends what each left behind."""
    endpoint.close()
    dead = [load(name, 2000, rate=10_000) for name in ("a", "b")]
    for process in dead:
        process.made()
    assert eventually(lambda: kept("traces") == kept("logs") == 4000)
    for process in dead:
        process.kill()
    endpoint.open()
    living = [load(name, 500, rate=10_000) for name in ("c", "d")]
    expected = {f"{name}-{i}" for name, count in zip("abcd", (2000, 2000, 500, 500), strict=True) for i in range(count)}
    assert eventually(lambda: set(endpoint.ids()) == expected, 30)
    assert eventually(lambda: set(endpoint.ids("logs")) == expected, 30)
    for process in living:
        process.exit()
    assert set(endpoint.ids().values()) == set(endpoint.ids("logs").values()) == {1}


FORKING = """
import os, time
from pathlib import Path
import otelml

runtime = otelml.auto_instrument("forking", config={"host": False, "gpu": False})

def predict(name):
    for i in range(500):
        with otelml.prediction("m", prediction_id=f"{name}-{i}") as p:
            p.result(classes="a")

predict("parent")
runtime.force_flush(5)
child = os.fork()
predict("later" if child else "child")
deadline = time.monotonic() + 30
while time.monotonic() < deadline:  # until all of both is on the disk
    names = [path.name.split("-") for path in Path(os.environ["OTELML_SPOOL_DIR"]).rglob("*.otlp")]
    if sum(int(name[3]) for name in names if name[2] != "metrics") >= 2 * 1500:
        break
    time.sleep(0.05)
if child:
    os.waitpid(child, 0)
os.kill(os.getpid(), 9)
"""


def test_a_forked_child_keeps_its_own(endpoint, environ, cli):
    """A parent and its child, each killed, leave what they made, and nothing of the other's: all arrives once."""
    endpoint.close()
    done = subprocess.run([sys.executable, "-c", FORKING], env=environ, timeout=60, check=False)
    assert done.returncode == -9
    endpoint.open()
    assert cli("send").returncode == 0
    expected = dict.fromkeys((f"{name}-{i}" for name in ("parent", "later", "child") for i in range(500)), 1)
    assert endpoint.ids() == endpoint.ids("logs") == expected


@contextmanager
def small_disk(path, size):
    """Mount a disk of so many bytes; skip where that is not allowed."""
    path.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(path)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("mounting is not allowed here")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(path)], check=True)


@pytest.mark.skipif(not sys.platform.startswith("linux") or os.geteuid() != 0, reason="needs a small disk")
def test_a_full_disk_costs_what_it_cannot_hold(endpoint, load, tmp_path):
    """An outage on a disk of 256 KiB: the process goes on, and all is sent later or counted as dropped."""
    with small_disk(tmp_path / "disk", 256 << 10):
        endpoint.close()
        process = load(
            "a", 8000, rate=4000, OTELML_SPOOL_DIR=str(tmp_path / "disk" / "spool"), OTELML_SHUTDOWN_TIMEOUT="20"
        )
        process.made()
        endpoint.open()
        process.exit()
    arrived, events = endpoint.ids(), endpoint.ids("logs")
    dropped = endpoint.dropped()
    assert 0 < len(arrived) < 8000
    assert {*arrived.values(), *events.values()} == {1}
    assert len(arrived) + dropped["span"] == len(events) + dropped["log"] == 8000
