"""What kind of process this is, told from its command; and the page that lists the process models."""

import os
import re
import subprocess
import sys
import weakref
from pathlib import Path

import pytest
from result_tables import PROCESSES as TABLE

from otelml import processes

ROOT = Path(__file__).parents[2]
APP = """
import multiprocessing, os, sys
from otelml import processes
def say(connection=None):
    kind = "child" if processes.is_child() else "helper" if processes.is_helper() else "own"
    if connection is None:
        return kind
    connection.send((kind, processes.is_helper()))
if __name__ == "__main__":
    print(say(), processes.is_helper())
    for method in ("fork", "spawn", "forkserver"):
        context = multiprocessing.get_context(method)
        here, there = context.Pipe()
        child = context.Process(target=say, args=(there,))
        child.start()
        print(method, here.recv()[0])
        child.join()
    from joblib import Parallel, delayed
    print("loky", *Parallel(n_jobs=2)(delayed(say)() for _ in range(1)))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_kinds(tmp_path):
    """An application and what it forks are its own; children that a command starts are known as such."""
    (tmp_path / "app.py").write_text(APP)
    done = subprocess.run([sys.executable, tmp_path / "app.py"], capture_output=True, text=True, timeout=60, check=True)
    found = done.stdout.splitlines()
    assert found == ["own False", "fork own", "spawn child", "forkserver child", "loky child"]


@pytest.mark.parametrize(
    ("command", "child", "helper"),
    [
        (["python", "app.py"], False, False),
        (["python", "-c", "from multiprocessing.forkserver import main; main(3, 5, ['__main__'])"], True, True),
        (["python", "-c", "from multiprocessing.resource_tracker import main;main(3)"], False, True),
        (["python", "-c", "from joblib.externals.loky.backend.resource_tracker import main; main(7)"], False, True),
        (["python", "-u", "/venv/ray/dashboard/agent.py", "--gcs-address=here"], False, True),
        (["python", "-u", "/venv/ray/_private/runtime_env/agent/main.py"], False, True),
        (["python", "/venv/ray/_private/workers/default_worker.py", "--node-ip-address=here"], False, False),
        (["python", "-c", "from multiprocessing.spawn import spawn_main", "--multiprocessing-fork"], True, False),
    ],
)
def test_commands(monkeypatch, command, child, helper):
    """Helpers of multiprocessing and its children are told by their commands."""
    monkeypatch.setattr(sys, "orig_argv", command)
    assert (processes.is_child(), processes.is_helper()) == (child, helper)


def test_instance_ids_differ():
    """Each call gives another id, and the application's own is its beginning."""
    made = {processes.instance_id("pod-7") for _ in range(100)}
    assert len(made) == 100
    assert all(re.fullmatch(r"pod-7-[0-9a-f]{8}", each) for each in made)


def test_the_page_has_the_rows_of_the_tests():
    """The table in docs/processes.md names exactly the process models that tests are marked with."""
    table = TABLE.in_page()
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:xdist", "tests/processes"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=90, check=True)
    found = [line for line in done.stdout.splitlines() if line.startswith("| ")]
    assert TABLE.rows(found)
    assert TABLE.rows(table) == TABLE.rows(found)
    assert "FAILED" not in "".join(table)


def test_the_table_takes_the_worst_of_a_cell():
    """Rows are sorted, columns are the four ways, and a cell that no test is for has a dash."""
    lines = TABLE.grid({("b", "parent"): "ok", ("a", "otelml run"): "FAILED"})
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert cells[0] == ["process model", *TABLE.columns]
    assert cells[2:] == [["a", "-", "-", "-", "FAILED"], ["b", "ok", "-", "-", "-"]]
    assert TABLE.rows(lines) == ["a", "b"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing is forked here")
def test_in_each_child():
    """A method is called in each forked process, not in this one, and no more once its object is gone."""

    class Told(list):
        def tell(self):
            self.append(os.getpid())

    def in_child():
        reading, writing = os.pipe()
        if not os.fork():
            os.write(writing, b"told" if told == [os.getpid()] else b"not")
            os._exit(0)
        os.wait()
        os.close(writing)
        with os.fdopen(reading, "rb") as answer:
            return answer.read()

    told = Told()
    processes.in_each_child(told.tell)
    assert in_child() == in_child() == b"told"
    assert told == []
    gone = weakref.ref(told)
    del told
    told = []
    assert gone() is None
    assert in_child() == b"not"
