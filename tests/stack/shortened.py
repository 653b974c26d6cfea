"""The stack's Prometheus and Alertmanager in a hurry: their own files, only the times in them divided.

``beats`` are how often something is done (scraping, evaluating, telling): every expression stays as it is shipped.
``times`` are all durations: windows, offsets and `for:` too. Numbers are never touched, so a bound on events counted
within a window asks for as many a second as before.
"""

import re
import signal

from running_stack import eventually

from otelml.stack import places, processes, web

COLLECTOR = places.files() / "collector"
SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86_400}
DURATION = r"(\d+)(ms|s|m|h|d)\b"
BEATS = re.compile(rf"(\b(?:\w+_)?interval: |\bgroup_wait: ){DURATION}")
TIMES = re.compile(rf"(\b(?:\w+_)?interval: |\bgroup_wait: |\bfor: |\[|\boffset ){DURATION}")


def shortened(text, by, what):
    """Return a text with the durations that ``what`` (BEATS or TIMES) finds divided by ``by``."""
    return what.sub(lambda found: f"{found[1]}{milliseconds(found[2], found[3], by)}ms", text)


def milliseconds(number, unit, by):
    """Return a duration, divided, in whole milliseconds."""
    return round(int(number) * SECONDS[unit] * 1000 / by)


def hurry(stack, by, what):
    """Let a running stack read its Prometheus files anew with shorter durations (and Alertmanager's, if all are)."""
    place = stack.state.config / "prometheus"
    replace(place / "prometheus.yaml", shortened((COLLECTOR / "prometheus.yaml").read_text(), by, BEATS))
    (place / "rules").unlink()
    (place / "rules").mkdir()
    for path in (COLLECTOR / "rules").glob("*.yaml"):
        (place / "rules" / path.name).write_text(shortened(path.read_text(), by, what))
    reload(stack, "prometheus", "prometheus_config")
    if what is TIMES:
        path = stack.state.config / "alertmanager" / "alertmanager.yaml"
        replace(path, shortened(path.read_text(), by, BEATS))
        reload(stack, "alertmanager", "alertmanager_config")


def replace(path, text):
    """Write a file where a link to the shipped one may be."""
    path.unlink()
    path.write_text(text)


def reload(stack, name, prefix):
    """Let a process read its configuration anew, and wait until it has."""
    before = reloaded(stack, name, prefix)
    processes.find(name, stack.state.run).send_signal(signal.SIGHUP)
    assert eventually(lambda: reloaded(stack, name, prefix) > before, 20)
    assert metric(stack, name, f"{prefix}_last_reload_successful") == 1


def reloaded(stack, name, prefix):
    """Return when a process read its configuration."""
    return metric(stack, name, f"{prefix}_last_reload_success_timestamp_seconds")


def metric(stack, name, metric):
    """Return the value of a metric of a process's own that has no labels."""
    lines = web.get(stack.url(name, "/metrics")).text.splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith(f"{metric} "))
