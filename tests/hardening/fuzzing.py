"""What the fuzz tests and ``scripts/fuzz`` share: odd values, what must stay as it was, and how one target runs.

A target is a function of Hypothesis' ``data`` that raises where something is wrong. Tests run each one a little, the
script for as long as it is told to.
"""

import gc
import locale
import logging
import os
import random
import signal
import sys
import threading
import time
import warnings
from contextlib import contextmanager

import numpy as np
import odd_values
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from opentelemetry.sdk.trace import TracerProvider

from otelml import _guard

LIMIT = 5.0
"""Seconds of CPU time that one example may take; what hangs takes longer."""
TARGETS = {}
"""Every target by its name: (what prepares it, the function)."""


def target(name, prepare):
    """Register a function of ``data`` and of what ``prepare`` gives (a context manager)."""

    def register(function):
        assert name not in TARGETS
        TARGETS[name] = prepare, function
        return function

    return register


# Values ---------------------------------------------------------------------------------------------------------


MADE = odd_values.made()


def odd_names():
    """Return the names of the odd values."""
    return sorted(MADE)


def odd(name):
    """Return the odd value of that name, a new one: others may have been used up."""
    return MADE[name]()


class Odd(str):
    """Stands for an odd value while Hypothesis has it, which would ask it for its class."""

    __slots__ = ()


DTYPES = st.one_of(
    *(arrays.boolean_dtypes(), arrays.integer_dtypes(), arrays.floating_dtypes(), arrays.complex_number_dtypes()),
    *(arrays.datetime64_dtypes(), arrays.timedelta64_dtypes(), arrays.unicode_string_dtypes(max_len=5)),
    arrays.byte_string_dtypes(max_len=5),
)
ARRAYS = arrays.arrays(DTYPES, arrays.array_shapes(min_dims=0, max_dims=3, max_side=4, min_side=0))
TEXTS = st.text(st.characters(), max_size=40)
PLAIN = st.one_of(
    *(st.none(), st.booleans(), st.integers(), st.floats(), TEXTS, st.binary(max_size=40)),
    *(st.datetimes(), st.dates(), st.timedeltas(), st.decimals(), st.fractions(), st.complex_numbers(), st.uuids()),
)
ODD = st.sampled_from(odd_names()).map(Odd)
ANYTHING = st.recursive(
    st.sampled_from((PLAIN, ODD, ODD, ARRAYS)).flatmap(lambda some: some),
    lambda inner: st.one_of(
        *(st.lists(inner, max_size=4), st.lists(inner, max_size=3).map(tuple)),
        st.dictionaries(TEXTS, inner, max_size=3),
    ),
    max_leaves=6,
)
NAMES = st.one_of(TEXTS, ANYTHING)


def draw(data, strategy):
    """Draw a value, with the odd values themselves in place of what stands for them."""
    return _real(data.draw(strategy))


def _real(value):
    kind = type(value)
    if kind is Odd:
        return odd(value)
    if kind is dict:
        return {key: _real(each) for key, each in value.items()}
    return kind(map(_real, value)) if kind in {list, tuple} else value


def keywords(data, *names, values=ANYTHING):
    """Return some of the keyword arguments, each with anything as its value."""
    chosen = data.draw(st.sets(st.sampled_from(names)))
    return {name: draw(data, values) for name in sorted(chosen)}


# The host -------------------------------------------------------------------------------------------------------


def host():
    """Return what otelml must leave as it is."""
    root = logging.getLogger()
    return {
        "environment": dict(os.environ),
        "folder": os.getcwd(),  # noqa: PTH109 - as the application would ask
        "path": list(sys.path),
        "hooks": (sys.excepthook, threading.excepthook, sys.unraisablehook, sys.displayhook),
        "signals": tuple(signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)),
        "logging": (root.level, tuple(root.handlers), logging.raiseExceptions, logging.getLoggerClass()),
        "random": random.getstate(),
        "numpy random": tuple(map(str, np.random.get_state())),  # noqa: NPY002 - the application's, if it has one
        "numpy errors": np.geterr(),
        "recursion": sys.getrecursionlimit(),
        "garbage": (gc.isenabled(), gc.get_threshold()),
        "locale": locale.setlocale(locale.LC_ALL),
        "streams": (sys.stdin, sys.stdout, sys.stderr),
        "threads": threading.active_count(),
        "filters": len(warnings.filters),
    }


@contextmanager
def unchanged(*ignored):
    """Assert that the host is left as it was."""
    TracerProvider(shutdown_on_exit=False).get_tracer("host")  # the SDK's first one adds a filter of warnings
    before = host()
    yield
    after = host()
    changed = {name: (before[name], now) for name, now in after.items() if now != before[name] and name not in ignored}
    assert not changed, changed


# Running --------------------------------------------------------------------------------------------------------


class Slow(Exception):  # noqa: N818 - what a test says
    """An example took longer than it may."""


def timed(function, *given_, limit=LIMIT):
    """Call a function; raise Slow where it takes too much CPU time. The collector's runs are not its own."""
    gc.collect(0)
    gc.disable()
    began = time.thread_time()
    try:
        function(*given_)
    finally:
        gc.enable()
    took = time.thread_time() - began
    if took > limit:
        raise Slow(f"{took:.1f} s")


def example(function, ready, **options):
    """Return a Hypothesis test of one target that has been prepared; faults of otelml are raised."""

    @settings(deadline=None, database=None, suppress_health_check=list(HealthCheck), **options)
    @given(st.data())
    def one(data):
        assert _guard.strict
        timed(function, data, ready)

    return one
