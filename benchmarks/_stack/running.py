"""A stack of the benchmark's own: started by the command people use, killed, watched, and asked what it holds."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import psutil

from otelml.stack import native, places, ports, processes, secret_files, web
from otelml.stack.errors import StackError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

READ_AT_ONCE = 400
"""Traces that Jaeger is asked for in one answer: 100 spans each, about 30 MB of JSON."""
MIB = 1 << 20


class Stack:
    """One stack on ports of its own."""

    def __init__(self, root: Path, overlays: Sequence[str] = (), environment: Mapping[str, str] | None = None) -> None:
        self.state = places.State(root)
        self._environment = {**os.environ, "STACK_SPAN_METRICS_INTERVAL": "2s", **(environment or {})}
        self._offset = _free_offset()
        self._overlays = [word for overlay in overlays for word in ("--overlay", overlay)]
        self.ports = ports.choose(self._offset, [])

    def __enter__(self) -> Self:
        self.up()
        return self

    def __exit__(self, *_: object) -> None:
        native.down(self.state)

    def up(self) -> None:
        """Start what does not run."""
        where = ["--port-offset", str(self._offset), "--state", str(self.state.root)]
        command = [sys.executable, "-m", "otelml", "stack", "up", *where, *self._overlays]
        subprocess.run(command, env=self._environment, check=True, stdout=subprocess.DEVNULL, timeout=120)

    def process(self, name: str) -> psutil.Process | None:
        """Return a process of it, if it runs."""
        return processes.find(name, self.state.run)

    def kill(self, name: str, number: int = signal.SIGKILL) -> float:
        """End a process; return the seconds until it was gone."""
        begun = time.monotonic()
        if process := self.process(name):
            process.send_signal(number)
        while self.process(name):
            time.sleep(0.02)
        return time.monotonic() - begun

    @property
    def token(self) -> str:
        """Return what the collector asks for."""
        return secret_files.token(self.state)

    def url(self, port: str, path: str) -> str:
        """Return an address of it."""
        return f"http://127.0.0.1:{self.ports[port]}{path}"

    def own(self, metric: str, **labels: str) -> float:
        """Return the sum of one of the collector's own metrics."""
        wanted = [f'{key}="{value}"' for key, value in labels.items()]
        lines = web.get(self.url("otelcol-metrics", "/metrics"), seconds=30).text.splitlines()
        mine = [line for line in lines if line.startswith((f"{metric}{{", f"{metric} "))]
        return sum(float(line.rsplit(" ", 1)[1]) for line in mine if all(word in line for word in wanted))

    def waiting(self) -> int:
        """Return how many items wait in the collector's queues."""
        return int(self.own("otelcol_exporter_queue_size"))

    # What the stores hold ---------------------------------------------------------------------------------------

    def number(self, port: str, path: str, query: str) -> int:
        """Return the sum of what a query of Prometheus or Loki answers."""
        answer = web.get(self.url(port, path), {"query": query}, seconds=120)
        answer.raise_for_status()
        return int(sum(float(row["value"][1]) for row in answer.json()["data"]["result"]))

    def stored(self, service: str, begun: float) -> dict[str, int]:
        """Return how many different spans, points and log records of a service were stored since a time (Unix)."""
        chosen = f'{{service_name="{service}"}}[1h]'
        return {
            "traces": self.spans(service, begun),
            "metrics": self.number("prometheus", "/api/v1/query", f"sum(sum_over_time(sent_points_total{chosen}))"),
            "logs": self.number("loki", "/loki/api/v1/query", f"sum(count_over_time({chosen}))"),
        }

    def spans(self, service: str, begun: float) -> int:
        """Return how many different spans Jaeger holds, read back in slices of time."""
        found: set[tuple[str, str]] = set()
        left = [(begun - 1, begun + (time.time() + 1 - begun))]
        while left:
            first, last = left.pop()
            traces = self._traces(service, first, last) if last - first <= 5 else []  # noqa: PLR2004 - seconds
            if len(traces) == READ_AT_ONCE or last - first > 5:  # noqa: PLR2004 - there may be more
                middle = (first + last) / 2
                left += [(first, middle), (middle, last)]
                continue
            found |= {(trace["traceID"], span["spanID"]) for trace in traces for span in trace["spans"]}
        return len(found)

    def _traces(self, service: str, first: float, last: float) -> list[Any]:
        asked = {"service": service, "limit": str(READ_AT_ONCE)}
        asked |= {"start": str(int(first * 1e6)), "end": str(int(last * 1e6))}
        answer = web.get(self.url("jaeger", "/api/traces"), asked, seconds=300)
        answer.raise_for_status()
        return answer.json()["data"] or []


def _free_offset() -> int:
    """Return an offset at which all ports are free, below those that the system gives to connections."""
    for offset in range(10_000 + os.getpid() % 200 * 20, 16_000, 20):
        with suppress(StackError):
            ports.check_free(ports.choose(offset, []))
            return offset
    raise RuntimeError("no ports are free")


@dataclass
class Used:
    """What one process used: seconds of CPU, and the most memory, in MiB: all of it, and without what files back."""

    cpu: float = 0.0
    rss: float = 0.0
    anonymous: float = 0.0


class Watch:
    """Watches the stack's processes until the end of a ``with``; those that were restarted are watched on."""

    def __init__(self, stack: Stack) -> None:
        self.used: dict[str, Used] = {}
        self._stack, self._stop = stack, threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._last: dict[int, float] = {}

    def __enter__(self) -> Self:
        self._look()
        for used in self.used.values():
            used.cpu = 0.0
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self._look()

    def _run(self) -> None:
        while not self._stop.wait(0.25):
            self._look()

    def _look(self) -> None:
        for name, process in native.running(self._stack.state).items():
            used = self.used.setdefault(name, Used())
            with suppress(psutil.Error):
                times, memory = process.cpu_times(), process.memory_info()
                cpu = times.user + times.system
                used.cpu += cpu - self._last.get(process.pid, 0.0)
                self._last[process.pid] = cpu
                used.rss = max(used.rss, memory.rss / MIB)
                used.anonymous = max(used.anonymous, (memory.rss - memory.shared) / MIB)
