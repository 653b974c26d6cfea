"""otelml with outcomes switched on, in this process and in others."""

import os
import subprocess
import sys
from contextlib import contextmanager

from otelml.testing import recording


@contextmanager
def recorded(**settings):
    """Record with outcomes on; nothing is left open."""
    with recording(**settings) as telemetry:
        try:
            yield telemetry
        finally:
            telemetry.runtime.outcomes.stop(5)


def written(telemetry):
    """Write all that was recorded to the database and tell what was found."""
    telemetry.drain()
    return telemetry.runtime.outcomes.flush(5)


def program(text, *arguments, env=None, **more):
    """Start a Python program; its standard output can be read line by line."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **(env or {})}
    return subprocess.Popen(
        [sys.executable, "-c", text, *map(str, arguments)], env=environment, stdout=subprocess.PIPE, text=True, **more
    )


def sums(telemetry, name, *labels):
    """Return a counter's values by some of its labels, in the order given; a label that is not there is None."""
    found = {}
    for point in telemetry.points(name):
        key = tuple(point.attributes.get(label) for label in labels)
        found[key] = found.get(key, 0) + (point.count if point.value is None else point.value)
    return found
