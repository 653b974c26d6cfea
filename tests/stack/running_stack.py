"""The stack on its real binaries: started by the command people use, on ports and in a directory of its own."""

import os
import signal
import socket
import subprocess
import sys
import time

from sent import Sender

from otelml.stack import native, places, ports, processes, secret_files, web
from otelml.stack.errors import StackError

QUICK = {"STACK_SPAN_METRICS_INTERVAL": "2s"}
"""What would only make tests wait."""
UP_SECONDS, FOUND_SECONDS = 120, 60


class Stack:
    """One stack: its ports, what it was sent and what it holds."""

    def __init__(self, root, overlays=()):
        self.state = places.State(root)
        self.offset = free_offset()
        self.overlays = [word for overlay in overlays for word in ("--overlay", str(overlay))]
        self.ports = ports.choose(self.offset, [])

    def run(self, *arguments, expect=0, **environment):
        """Run ``otelml stack`` on it; return what it printed."""
        command = [sys.executable, "-m", "otelml", "stack", *arguments, "--state", str(self.state.root)]
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=UP_SECONDS,
            check=False,
            env={**os.environ, **QUICK, **environment},
        )
        assert done.returncode == expect, done.stdout + done.stderr
        return done.stdout + done.stderr

    def up(self):
        """Start it, or what of it does not run."""
        return self.run("up", "--port-offset", str(self.offset), *self.overlays)

    def kill(self, *names, number=signal.SIGKILL):
        """End processes, at once by default; they are gone when this returns."""
        found = {name: processes.find(name, self.state.run) for name in names}
        for process in found.values():
            process.send_signal(number)
        eventually(lambda: not any(processes.find(name, self.state.run) for name in names), 40)

    def url(self, port, path=""):
        """Return an address of it."""
        return f"http://127.0.0.1:{self.ports[port]}{path}"

    def sender(self, service):
        """Return what sends OTLP to the collector, with the token."""
        return Sender(self.url("otlp-http"), service, secret_files.token(self.state))

    # What the stores hold ---------------------------------------------------------------------------------------

    def number(self, query):
        """Return the one value of a Prometheus query, 0 when there is none."""
        said = web.json_of(self.url("prometheus", "/api/v1/query"), {"query": query})
        rows = said["data"]["result"] if said else []
        assert len(rows) <= 1, rows
        return float(rows[0]["value"][1]) if rows else 0.0

    def samples(self, metric, service, window="1h"):
        """Return the values of a metric's one series in Prometheus, the oldest first."""
        query = {"query": f'{metric}{{service_name="{service}"}}[{window}]'}
        said = web.json_of(self.url("prometheus", "/api/v1/query"), query)
        rows = said["data"]["result"] if said else []
        assert len(rows) <= 1, rows
        return [float(value) for row in rows for _, value in row["values"]]

    def points(self, service, metric="sent_points_total", window="1h"):
        """Return how many points of a counter Prometheus holds: each is a 1; the zero it makes of a start adds none."""
        return int(self.number(f'sum(sum_over_time({metric}{{service_name="{service}"}}[{window}]))'))

    def lines(self, service, window="1h"):
        """Return how many log records Loki holds."""
        query = f'sum(count_over_time({{service_name="{service}"}}[{window}]))'
        said = web.json_of(self.url("loki", "/loki/api/v1/query"), {"query": query})
        rows = said["data"]["result"] if said else []
        return int(rows[0]["value"][1]) if rows else 0

    def traces(self, service, limit=3000):
        """Return the traces that Jaeger holds, each with its spans."""
        said = web.json_of(self.url("jaeger", "/api/traces"), {"service": service, "limit": str(limit)})
        return (said or {}).get("data") or []

    def spans(self, service):
        """Return how many different spans Jaeger holds."""
        return len({(trace["traceID"], s["spanID"]) for trace in self.traces(service) for s in trace["spans"]})

    def own(self, metric, **labels):
        """Return the sum of one of the collector's own metrics, over all series with these labels."""
        text = web.get(self.url("otelcol-metrics", "/metrics")).text
        wanted = [f'{key}="{value}"' for key, value in labels.items()]
        return sum(
            float(line.rsplit(" ", 1)[1])
            for line in text.splitlines()
            if line.startswith((f"{metric}{{", f"{metric} ")) and all(word in line for word in wanted)
        )


def free_offset():
    """Return an offset at which all ports are free, below those that the system gives to connections.

    A process that is killed and started again must find its port as it left it.
    """
    while True:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            offset = probe.getsockname()[1] % 6_000 + 10_000
        try:
            ports.check_free(ports.choose(offset, []))
        except StackError:
            continue
        return offset


def eventually(ready, seconds=FOUND_SECONDS):
    """Wait until something holds; return its value, or the last one when the time is over."""
    deadline = time.monotonic() + seconds
    while True:
        begun = time.monotonic()
        value = ready()
        asked = time.monotonic() - begun
        if value or begun > deadline:
            return value
        time.sleep(max(0.1, 2 * asked))  # asking is work for who is asked


def settled(counts, expected, seconds=FOUND_SECONDS):
    """Return the counts once they are as expected, or as they are when the time is over."""
    eventually(lambda: counts() == expected, seconds)
    return counts()


def make_stack(root, overlays=()):
    """Start a stack; yield it; stop it and leave nothing running."""
    stack = Stack(root, overlays)
    try:
        stack.up()
        yield stack
    finally:
        native.down(stack.state)
