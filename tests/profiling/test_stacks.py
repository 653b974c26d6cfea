"""Stacks: bounded whatever is sampled, and the texts made of them."""

import sys
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from otelml.profiling import stacks
from otelml.profiling.stacks import Stacks, document, top


def frame(name, file="app.py", line=1, extra=""):
    """Return a frame as pyinstrument describes it."""
    return f"{name}\0{file}\0{line}{extra}"


def test_own_time_is_that_of_the_innermost_function():
    """What a function calls is not its own; lines of one function, and what pyinstrument adds, are one."""
    one = Stacks()
    one.add([frame("main"), frame("load", extra="\1l3")], 0.3)
    one.add([frame("main"), frame("load", extra="\1l4\1cModel")], 0.1)
    one.add([frame("main")], 0.6)
    assert {f.name: round(seconds, 3) for f, seconds in one.own().items()} == {"load": 0.4, "main": 0.6}
    assert top([one], 1.0) == ["60.0% 0.6 s main (app.py:1)", "40.0% 0.4 s load (app.py:1)"]


def test_more_than_the_bounds(monkeypatch):
    """Later stacks and functions, and what lies deeper, become one; no time is lost."""
    monkeypatch.setattr(stacks, "MAX_STACKS", 10)
    monkeypatch.setattr(stacks, "MAX_FRAMES", 20)
    monkeypatch.setattr(stacks, "MAX_DEPTH", 5)
    one = Stacks()
    for number in range(100):
        one.add([frame("root"), *(frame(f"f{number}") for _ in range(30))], 1.0)
    assert len(one._seconds) <= 11
    assert len(one._frames) <= 21
    assert max(map(len, one._seconds)) <= 5
    assert sum(one.own().values()) == 100
    assert one.samples == 100


def test_files_are_named_from_where_they_are_imported():
    """A path on this machine is not shown: the part below a folder of imports is, or the last part."""
    package = str(Path(stacks.__file__).parents[2])
    one = Stacks()
    assert package in sys.path
    for number, file in enumerate(
        (stacks.__file__, "/somewhere/else/of/anna/app.py", "<string>", "C:\\Users\\anna\\x.py")
    ):
        one.add([frame(f"f{number}", file)], 1.0)
    files = {each.name: each.file for each in one.own()}
    assert files == {"f0": "otelml/profiling/stacks.py", "f1": "app.py", "f2": "<string>", "f3": "x.py"}


def test_what_all_stacks_begin_with_is_left_out_of_a_file():
    """The server's frames above the profiled code say nothing."""
    one = Stacks()
    for name in ("a", "b"):
        one.add([frame("server"), frame("loop"), frame("handler"), frame(name)], 1.0)
    made = document("x", [one])
    names = [each["name"] for each in made["shared"]["frames"]]
    (profile,) = made["profiles"]
    assert sorted([names[i] for i in sample] for sample in profile["samples"]) == [["handler", "a"], ["handler", "b"]]
    assert profile["weights"] == [1.0, 1.0]


TEXTS = st.text(max_size=20) | st.text(st.characters(), min_size=150, max_size=160)


@settings(max_examples=50)
@given(st.lists(st.tuples(st.lists(TEXTS, max_size=5), st.floats(0, 10)), max_size=20))
def test_odd_frames(given):
    """Whatever a frame is called, there are texts of it: printable, short, and all time is in them."""
    one = Stacks()
    for stack, seconds in given:
        one.add(stack, seconds)
    lines = top([one], 1.0)
    assert all(line.isprintable() and len(line) < 300 for line in lines)
    made = document("x", [one, Stacks()])
    assert abs(sum(made["profiles"][0]["weights"]) - sum(seconds for _, seconds in given)) < 1e-6
    assert len(lines) <= 10
