"""Modules that are imported when they are first used."""

import subprocess
import sys

import numpy as np
import pytest

from otelml._lazy import LazyModule, is_numpy


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
