"""`otelml.profile()`: what it finds, what it says of it, and that it leaves nothing behind."""

import asyncio
import json
import os
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from pyinstrument import Profiler

import otelml
from otelml import _guard
from otelml.profiling import profile as profiles
from otelml.profiling.sampling import Sampling
from otelml.testing import recording

CANARY = "canary7f3a"


def spin(seconds, note=CANARY):
    """Work in Python for so long."""
    until = time.perf_counter() + seconds
    number, step = 0, len(note)
    while time.perf_counter() < until:
        for _ in range(1000):
            number += step
    return number


def events(seen):
    """Return the events of profiles."""
    return [log for log in seen.logs() if log.event == "otelml.profile"]


def functions(document):
    """Return the names of all functions in a file."""
    return {frame["name"].rpartition(".")[2] for frame in document["shared"]["frames"]}


def test_a_profile_names_the_function_that_took_the_time(tmp_path):
    """Its own time is first in the event, on the span and in the file, all three with one id; the code goes on."""
    with recording(profile_directory=str(tmp_path / "profiles")) as seen:
        with otelml.prediction("m") as p:
            with otelml.profile("by hand") as one:
                spin(0.15)
            p.result(classes="a")
        (event,) = events(seen)
        (span,) = seen.spans()
    assert one.taken
    assert "spin" in one.top[0]
    assert "test_one_profile.py" in one.top[0]
    known = event.attributes
    assert known["otelml.profile.top"] == one.top
    assert (known["otelml.profile.name"], known["otelml.profile.trigger"]) == ("by hand", "call")
    assert 0.15 <= known["otelml.profile.duration"] < 5
    assert known["otelml.profile.samples"] > 10
    assert (event.trace_id, event.span_id) == (span.trace_id, span.span_id)
    assert span.attributes["otelml.profile.id"] == known["otelml.profile.id"] == one.id
    assert one.path.name == known["otelml.profile.file"]
    document = json.loads(one.path.read_text())
    assert "spin" in functions(document)
    (thread,) = document["profiles"]
    assert sum(thread["weights"]) == pytest.approx(thread["endValue"])
    assert 0.1 < thread["endValue"] < 5
    assert all(index < len(document["shared"]["frames"]) for sample in thread["samples"] for index in sample)


def test_no_value_of_the_application_is_in_it(tmp_path):
    """Arguments, local variables, names of threads and the place of the program are in no event and no file."""

    def work():
        secret = f"{CANARY} in a variable"
        with otelml.profile():
            spin(0.05, note=secret)

    with recording(profile_directory=str(tmp_path)) as seen:
        thread = threading.Thread(target=work, name=f"{CANARY} thread")
        thread.start()
        thread.join()
        (event,) = events(seen)
    (file,) = tmp_path.iterdir()
    for text in (str(event), file.read_text(), file.name):
        assert CANARY not in text
        assert str(Path(__file__).parents[2]) not in text
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_without_a_directory_there_is_an_event_and_no_file():
    """Files are only written where a setting says where."""
    with recording() as seen:
        with otelml.profile() as one:
            spin(0.02)
        (event,) = events(seen)
    assert one.path is None
    assert "otelml.profile.file" not in event.attributes


def test_time_in_which_a_coroutine_waits_is_its_own():
    """Beside a busy task, a coroutine that sleeps is told as waiting; the other task's functions are not in it."""

    async def patient():
        async with otelml.profile("patient") as one:
            await asyncio.sleep(0.15)
            spin(0.05)
        return one

    def busy_work():
        spin(0.005)

    async def busy(until):
        while not until.done():
            busy_work()
            await asyncio.sleep(0)

    async def both():
        first = asyncio.ensure_future(patient())
        await asyncio.gather(first, busy(first))
        return first.result()

    with recording():
        one = asyncio.run(both())
    assert "[await]" in one.top[0]
    assert not any("busy_work" in line for line in one.top)
    assert any("spin" in line for line in one.top)


def test_inside_and_beside_another_one_nothing_is_done():
    """One profile a process: nested, and in another thread at the same time, it does nothing and says so."""
    taken = []

    def other():
        with otelml.profile() as beside:
            taken.append(beside.taken)

    with recording() as seen:
        with otelml.profile() as outer:
            with otelml.profile() as inner:
                spin(0.01)
            thread = threading.Thread(target=other)
            thread.start()
            thread.join()
            spin(0.01)
        assert [event.attributes["otelml.profile.id"] for event in events(seen)] == [outer.id]
        with otelml.profile() as after:
            spin(0.005)
    assert (outer.taken, inner.taken, after.taken, taken) == (True, False, True, [False])
    assert (inner.top, inner.path) == ((), None)


def test_an_exception_passes():
    """It is the application's; the profile of what ran until then is taken."""

    def fail():
        with otelml.profile():
            spin(0.01)
            raise KeyError(CANARY)

    with recording() as seen:
        with pytest.raises(KeyError, match=CANARY):
            fail()
        (event,) = events(seen)
    assert CANARY not in str(event)
    assert sys.getprofile() is None


def test_off_it_does_nothing():
    """Before auto_instrument() the block runs and nothing is sampled."""
    with otelml.profile("off") as one:
        assert sys.getprofile() is None
    assert (one.taken, one.top) == (False, ())


def test_an_application_that_profiles_itself_goes_on():
    """Where pyinstrument is already at work, ours gives way, and the application's profile is whole."""
    with recording() as seen:
        theirs = Profiler()
        theirs.start()
        with otelml.profile() as one:
            spin(0.02)
        session = theirs.stop()
        assert events(seen) == []
        with otelml.profile() as again:
            spin(0.01)
    assert (one.taken, again.taken) == (False, True)
    assert "spin" in str(session.frame_records)


def test_a_profile_that_ends_in_another_thread_leaves_nothing():
    """Its thread is no longer sampled after its next step, and the next profile works."""
    with recording() as seen:
        one = otelml.profile()
        entered, ended = threading.Event(), threading.Event()
        left = []

        def begin():
            one.__enter__()
            entered.set()
            ended.wait(10)
            spin(0.05)
            left.append(sys.getprofile())

        thread = threading.Thread(target=begin)
        thread.start()
        entered.wait(10)
        one.__exit__(None, None, None)
        ended.set()
        thread.join()
        assert left == [None]
        with otelml.profile() as after:
            spin(0.01)
        assert after.taken
        assert len(events(seen)) == 2


def test_threads_of_a_request_are_sampled_for_themselves():
    """A function that is handed to a thread is in the profile, as a thread of its own; its result and error pass."""
    with recording():
        with otelml.profile() as one:
            call = one.sampled(spin)
            results = []
            thread = threading.Thread(target=lambda: results.append(call(0.05, note="ab")))
            thread.start()
            thread.join()
            with pytest.raises(TypeError):
                one.sampled(spin)()
        assert results[0] > 0
        assert any("spin" in line for line in one.top)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_child_forked_in_a_profile_takes_none_for_its_parent(tmp_path):
    """The child goes on, can profile itself afterwards, and writes no file of the profile that was its parent's."""
    with recording(profile_directory=str(tmp_path)):
        with otelml.profile() as one:
            child = os.fork()
            spin(0.01)
        if child == 0:
            with otelml.profile() as own:
                spin(0.01)
            os._exit(0 if one.path is None and own.taken else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert len(list(tmp_path.glob(f"*{one.id}*"))) == 1
    assert len(list(tmp_path.iterdir())) == 2


def test_a_folder_that_cannot_be_written_to(monkeypatch, tmp_path):
    """The fault is counted, the event is there, the code goes on."""
    monkeypatch.setattr(_guard, "strict", False)
    (tmp_path / "taken").write_text("")
    with recording(profile_directory=str(tmp_path / "taken")) as seen:
        with otelml.profile() as one:
            spin(0.01)
        assert len(events(seen)) == 1
    assert one.path is None
    assert "profiling.file" in _guard.errors()


MISSING = """
import sys
sys.modules["pyinstrument"] = None
import importlib.util
find = importlib.util.find_spec
importlib.util.find_spec = lambda name, *rest: None if name == "pyinstrument" else find(name, *rest)
import otelml
with otelml.profile():
    print("off")
try:
    otelml.auto_instrument(disabled=["*"], config={
        "metrics_exporter": "none", "traces_exporter": "none", "logs_exporter": "none", **%r})
    with otelml.profile():
        print("never")
except otelml.MissingExtraError as error:
    print(error)
"""


@pytest.mark.parametrize("settings", [{}, {"profile_rate": 0.5}, {"profile_token": "x" * 16}], ids=str)
def test_without_pyinstrument(settings):
    """The call says which extra is missing; so does the start, where the settings ask for profiles."""
    environ = {"PYTHONPATH": str(Path(otelml.__file__).parents[1]), "PATH": ""}
    command = [sys.executable, "-c", MISSING % settings]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60, check=True)
    lines = done.stdout.splitlines()
    assert lines[0] == "off"
    assert lines[1:] == ["a profile needs a package that is not installed: pip install 'otelml[profile]'"]


def test_a_long_profile_stops_sampling(monkeypatch):
    """After its limit nothing more is sampled, and the profile ends as always."""
    monkeypatch.setattr("otelml.profiling.sampling.MAX_SECONDS", 0.05)
    with recording() as seen:
        with otelml.profile():
            spin(0.2)
            assert sys.getprofile() is None
        (event,) = events(seen)
    assert event.attributes["otelml.profile.samples"] < 100
    assert profiles._slot._holder is None


def test_one_that_never_ends_gives_its_place_up(monkeypatch):
    """After the limit another profile is taken; the late end of the first one says nothing, and disturbs nobody."""
    monkeypatch.setattr("otelml.profiling.sampling.MAX_SECONDS", 0.05)
    with recording() as seen:
        first = otelml.profile()
        first.__enter__()
        spin(0.1)
        with otelml.profile() as second:
            first.__exit__(None, None, None)
            assert second.taken
        assert [event.attributes["otelml.profile.id"] for event in events(seen)] == [second.id]


def test_pyinstrument_is_as_we_know_it():
    """Its sampler calls us with a stack of texts, seconds and the state of the task: what we use, tried by itself."""
    sampling = Sampling()
    assert sampling.start()
    spin(0.03)
    sampling.stop()
    assert sampling.stacks.samples > 3
    assert any(frame.name.endswith("spin") and frame.line for frame in sampling.stacks.own())
