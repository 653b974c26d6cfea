"""Processes that outlive the command: found again by number and start, ended gently, then by force."""

import json
import os
import sys
import time

import psutil
import pytest

from otelml.stack import processes

GENTLE = "import time; print('ready', flush=True); time.sleep(60)"
STUBBORN = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {GENTLE}"


@pytest.fixture
def start(tmp_path):
    """Start Python programs; none is left."""
    run, logs = tmp_path / "run", tmp_path / "logs"
    run.mkdir()
    logs.mkdir()
    made = []

    def begin(name, program):
        process = processes.start(name, [sys.executable, "-c", program], {"MARK": name}, run, logs)
        made.append(process)
        while not processes.last_lines(logs / f"{name}.log", 1):
            time.sleep(0.02)
        return process

    begin.run, begin.logs = run, logs
    yield begin
    for process in made:
        if process.is_running():
            process.kill()


def test_a_process_is_found_again(start):
    """By its file; it has a session and a log of its own, and the variables it was given."""
    process = start("one", GENTLE)
    assert processes.find("one", start.run) == process
    assert os.getsid(process.pid) == process.pid
    assert process.environ()["MARK"] == "one"
    assert processes.last_lines(start.logs / "one.log", 5) == ["ready"]
    assert processes.find("two", start.run) is None


def test_a_stranger_with_the_same_number_is_not_taken_for_it(start):
    """A file that names this process's number, started at another time, names nobody; so does a broken file."""
    note = {"pid": os.getpid(), "created": psutil.Process().create_time() - 100}
    (start.run / "one.json").write_text(json.dumps(note))
    assert processes.find("one", start.run) is None
    (start.run / "one.json").write_text("{")
    assert processes.find("one", start.run) is None


def test_those_who_do_not_listen_are_killed_after_the_deadline(start):
    """SIGTERM ends the first; the second ignores it and is killed; both files are gone."""
    found = {"gentle": start("gentle", GENTLE), "stubborn": start("stubborn", STUBBORN)}
    begun = time.monotonic()
    assert processes.end(found, start.run, 1.0) == ["stubborn"]
    assert 1.0 <= time.monotonic() - begun < 10
    assert [processes.find(name, start.run) for name in found] == [None, None]
    assert list(start.run.iterdir()) == []


def test_a_log_that_grew_too_large_is_put_aside(start, monkeypatch):
    """The next start begins a new one and keeps the old one."""
    monkeypatch.setattr(processes, "LARGEST_LOG", 3)
    processes.end({"one": start("one", GENTLE)}, start.run, 5)
    (start.logs / "one.log").write_text("long before\n")
    start("one", GENTLE)
    assert (start.logs / "one.log.1").read_text() == "long before\n"
    assert "long before" not in (start.logs / "one.log").read_text()
