"""Modules that are imported when they are first used."""

import os
import subprocess
import sys
from dataclasses import dataclass

import numpy as np
import pytest

from otelml._lazy import LazyModule, computed_once, is_numpy


def test_a_lazy_module_is_the_module():
    """Every name of it is the module's own, and one that is missing says so."""
    lazy = LazyModule("json")
    assert lazy.dumps([1]) == "[1]"
    import json  # noqa: PLC0415 - what it is compared with

    assert lazy.dumps is json.dumps
    with pytest.raises(AttributeError):
        _ = lazy.nonsense


def test_nothing_is_imported_before():
    """Asking whether something is numpy's does not import numpy; using the lazy module does."""
    code = (
        "import sys; from otelml._lazy import *; np = LazyModule('numpy'); a = is_numpy(1.5, 'generic');"
        "b = 'numpy' in sys.modules; np.array(1); print(a, b, 'numpy' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False False True\n"


def test_is_numpy():
    """Classes of numpy are known by name; a class that numpy has not is nobody's."""
    assert is_numpy(np.float32(1), "generic")
    assert not is_numpy(np.float32(1), "ndarray")
    assert not is_numpy(1.5, "nonsense")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_fork_waits_for_an_import(tmp_path):
    """A child that is forked while another thread imports a module can import it too."""
    (tmp_path / "slow.py").write_text("import time\ntime.sleep(1)\nx = 1\n")
    code = (
        "import os, threading, time; from otelml._lazy import LazyModule; slow = LazyModule('slow')\n"
        "threading.Thread(target=lambda: slow.x).start(); time.sleep(0.3); child = os.fork()\n"
        "import slow as done\n"
        "if not child: os._exit(done.x)\n"
        "print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))"
    )
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=True, timeout=30
    )
    assert done.stdout == "1\n"


def test_a_property_is_computed_once():
    """It is computed for each instance when first asked for, also of a frozen dataclass, and keeps its docstring."""
    asked = []

    @dataclass(frozen=True)
    class Square:
        side: int

        @computed_once
        def area(self):
            """The area."""
            asked.append(self.side)
            return self.side**2

    one, other = Square(2), Square(3)
    assert [one.area, one.area, other.area] == [4, 4, 9]
    assert asked == [2, 3]
    assert Square.area.__doc__ == "The area."
