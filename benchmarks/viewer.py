"""What `otelml view` takes in, holds and answers, beside Jaeger's badger store: ``python benchmarks/viewer.py``.

Each in turn takes the same number of spans (requests like the demo's, of 512 spans, over 16 connections of OTLP/gRPC)
while somebody looks: its newest traces are asked for every second. Then it is asked, several times over, what its
pages ask. ``--spans 10000000`` is the full run, of half an hour. Exit 1 when a store does not hold what it
acknowledged, and, with ``--check``, when otelml view misses a target of its own.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, Self

from _viewer import load
from _viewer.stores import Jaeger, Server, Viewer
from tables import table, where

if TYPE_CHECKING:
    from collections.abc import Callable

CONNECTIONS = 16
TIMES = 5
"""How often each question is asked."""
TARGETS = {"spans a second": 50_000, "longest page": 0.3, "memory": 500, "bytes a span": 150}


@dataclass
class Result:
    """What one store did."""

    name: str
    sent: dict[str, float]
    cpu: float
    memory: float
    bytes: int
    looked: list[float]
    held: int
    asked: dict[str, list[float]] = field(default_factory=dict)

    @property
    def rate(self) -> float:
        """Return the spans a second."""
        return self.sent["spans"] / self.sent["seconds"]


class Looker:
    """Asks for what is newest every second, and keeps how long the answers took and the most memory in use."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._stop = threading.Event()
        self.took: list[float] = []
        self.memory = 0.0
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(1):
            now = time.time_ns()
            urls = self._server.urls(now - 900 * 10**9, now, "0" * 32)
            begun = time.perf_counter()
            self._server.get(urls["newest 100 traces"])
            self.took.append(time.perf_counter() - begun)
            self.memory = max(self.memory, self._server.memory())


def measured(server: Server, spans: int, say: Callable[[str], None]) -> Result:
    """Fill a store and ask it."""
    first = time.time_ns()
    cpu = server.cpu()
    command = [sys.executable, str(Path(load.__file__)), server.otlp, str(spans), str(CONNECTIONS)]
    with Looker(server) as looker:
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    sent = json.loads(done.stdout)
    cpu = server.cpu() - cpu
    result = Result(server.name, sent, cpu, looker.memory, 0, looker.took, _held(server))
    say(f"{server.name}: {result.rate:,.0f} spans/s")
    urls = server.urls(first, time.time_ns() + 10**9, server.newest())
    for _ in range(TIMES):
        for name, url in urls.items():
            begun = time.perf_counter()
            server.get(url)
            result.asked.setdefault(name, []).append(time.perf_counter() - begun)
    result.memory = max(result.memory, server.memory())
    server.stop()
    result.bytes = server.bytes()
    return result


def _held(server: Server) -> int:
    """Return how many spans a viewer says it holds; -1 for one that can't say."""
    return int(server.get("version")["spans"]) if isinstance(server, Viewer) else -1


def _table(results: list[Result], *, markdown: bool) -> str:
    def row(what: str, value: Callable[[Result], str]) -> list[str]:
        return [what, *(value(result) for result in results)]

    rows = [
        row("spans a second", lambda r: f"{r.rate:,.0f}"),
        row("CPU a span", lambda r: f"{r.cpu / r.sent['spans'] * 1e6:.1f} µs"),
        row(
            "acknowledged within, median / 99 %", lambda r: f"{r.sent['p50'] * 1e3:.0f} / {r.sent['p99'] * 1e3:.0f} ms"
        ),
        row("bytes a span on disk", lambda r: f"{r.bytes / r.sent['spans']:.0f}"),
        row("most memory", lambda r: f"{r.memory:,.0f} MiB"),
        row("newest traces while it takes in, median / longest", lambda r: _both(r.looked)),
    ]
    names = dict.fromkeys(name for result in results for name in result.asked)
    rows += [[f"{name}, median / longest", *(_both(r.asked.get(name, [])) for r in results)] for name in names]
    return table(["", *(result.name for result in results)], rows, markdown=markdown)


def _both(times: list[float]) -> str:
    return f"{median(times) * 1000:,.0f} / {max(times) * 1000:,.0f} ms" if times else "-"


def missed(result: Result) -> list[str]:
    """Return which of its targets a viewer misses."""
    figures = {
        "spans a second": result.rate,
        "longest page": max(median(times) for times in result.asked.values()),
        "memory": result.memory,
        "bytes a span": result.bytes / result.sent["spans"],
    }
    return [
        f"{name}: {figure:,.3g}, not {TARGETS[name]:,}"
        for name, figure in figures.items()
        if (figure < TARGETS[name]) == (name == "spans a second")
    ]


def main(argv: list[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--spans", type=int, default=500_000, help="how many each takes in (default: %(default)s)")
    parser.add_argument("--only", choices=["viewer", "jaeger"], help="measure one of them")
    parser.add_argument("--check", action="store_true", help="exit 1 when a target is missed")
    parser.add_argument("--markdown", action="store_true", help="print the table for a page")
    options = parser.parse_args(argv)
    kinds: dict[str, Any] = {"viewer": Viewer, "jaeger": Jaeger}
    results = []
    for name, kind in kinds.items():
        if options.only in (None, name):
            with tempfile.TemporaryDirectory() as root:
                folder = Path(root) / name
                folder.mkdir()
                with kind(folder) as server:
                    results.append(measured(server, options.spans, lambda line: print(line, file=sys.stderr)))
    print(_table(results, markdown=options.markdown))
    print(f"\n{options.spans:,} spans of {results[0].sent['bytes']:.0f} bytes in OTLP; {where()}")
    wrong = [
        f"{r.name} holds {r.held:,} spans of {r.sent['spans']:,}"
        for r in results
        if r.held not in (-1, r.sent["spans"])
    ]
    if options.check:
        wrong += [line for result in results if result.name == Viewer.name for line in missed(result)]
    print("\n".join(wrong))
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
