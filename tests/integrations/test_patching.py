"""Methods that a class inherits are given to that class alone, and taken off again."""

import sys
from importlib import import_module

import pytest

from otelml.integrations._patching import Inherited

MODULE = """
class Base:
    def predict(self):
        return "base"

class Model(Base):
    pass

class Own(Base):
    def predict(self):
        return "own"
"""


@pytest.fixture
def library(tmp_path, monkeypatch):
    """Put a library on the path that nobody has imported; return how to import it."""
    (tmp_path / "late_library.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    yield lambda: import_module("late_library")
    sys.modules.pop("late_library", None)


def ours(kind):
    """Return what stands for a method of a class."""
    return lambda self: f"ours of {super(kind, self).predict()}"


def test_an_inherited_method(library):
    """Ours waits for the import, stands on the class and no other, and leaves nothing behind."""
    given = [Inherited("late_library", f"{name}.predict", ours) for name in ("Model", "Own", "Missing")]
    assert "late_library" not in sys.modules
    found = library()
    told = [kind().predict() for kind in (found.Model, found.Base, found.Own)]
    assert told == ["ours of base", "base", "own"]
    for each in given:
        each.undo()
    assert "predict" not in vars(found.Model)
    assert [found.Model().predict(), found.Own().predict()] == ["base", "own"]


def test_what_somebody_else_put_there_stays(library):
    """A method that was put in the place of ours is none of our business; nor is a class after the end."""
    given, late = (Inherited("late_library", "Model.predict", ours) for _ in range(2))
    late.undo()
    found = library()
    found.Model.predict = other = lambda _: "other"
    given.undo()
    assert vars(found.Model)["predict"] is other
