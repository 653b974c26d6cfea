"""What the bundled stack bears: ``python benchmarks/stack.py`` loads it on its real binaries and reads all of it back.

Each run starts a stack of its own, sends at a rate, disturbs it, and counts in the stores, by distinct ids, what was
acknowledged. Exit 1 when something that was acknowledged is missing, or was stored twice.

- ``throughput``: spans at ``--rate`` for ``--seconds``; CPU, memory and the time until an acknowledgement
- ``killed``: spans, points and lines while Prometheus, Loki and Jaeger are killed (SIGKILL) and started again in turn
- ``stopped``: the same while the collector is stopped (SIGTERM) and started
- ``shot``: the same, the collector killed (SIGKILL)
- ``outage``: all backends down, the collector killed under load, all of it started again
- ``jaeger-killed``: spans while Jaeger alone is killed every 5 s
- ``memory``: ten times the rate while all backends are down

``--sync`` makes Jaeger wait for its disk; ``--overlay`` lays a file over the collector's. ``--control`` runs with what
the shipped configuration is there to avoid, and must end with exit 1: it shows that a loss is seen.
"""

from __future__ import annotations

import argparse
import json
import shutil
import signal
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from _stack.load import SIGNALS, Load
from _stack.running import MIB, Stack, Watch
from tables import table, where

if TYPE_CHECKING:
    from collections.abc import Callable

BACKENDS = ("prometheus", "loki", "jaeger")
SERVICE = "loaded"
BATCH = ["memory_limiter", "batch"]
EXPORTERS = ("otlp_http/prometheus", "otlp_grpc/jaeger", "otlp_http/loki")
CONTROLS: dict[str, Any] = {
    "batch-processor": {
        "processors": {"batch": {"timeout": "1s"}},
        "service": {"pipelines": {signal: {"processors": BATCH} for signal in SIGNALS}},
    },
    "queue-in-memory": {"exporters": {name: {"sending_queue": {"storage": None}} for name in EXPORTERS}},
}


@dataclass
class Options:
    """What a run is told."""

    rate: float
    size: int
    seconds: float
    overlays: list[str]
    control: str | None
    sync: bool
    drain: float


@dataclass
class Result:
    """What a run gave."""

    mode: str
    sent: dict[str, int]
    stored: dict[str, int] = field(default_factory=dict)
    figures: dict[str, float] = field(default_factory=dict)
    used: dict[str, Any] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)


def throughput(stack: Stack, options: Options) -> dict[str, float]:
    """Disturb nothing."""
    time.sleep(options.seconds)
    return {"waiting at the end of the load": stack.waiting()}


def killed(stack: Stack, options: Options) -> dict[str, float]:
    """Kill each backend in turn and start it again."""
    pause = options.seconds / (2 * len(BACKENDS) + 1)
    for name in BACKENDS:
        time.sleep(pause)
        stack.kill(name)
        time.sleep(pause)
        stack.up()
    time.sleep(pause)
    return {}


def stopped(stack: Stack, options: Options) -> dict[str, float]:
    """Stop the collector and start it again."""
    time.sleep(options.seconds / 2)
    took = stack.kill("otelcol", signal.SIGTERM)
    stack.up()
    time.sleep(options.seconds / 2)
    return {"seconds to stop": took}


def shot(stack: Stack, options: Options) -> dict[str, float]:
    """Kill the collector and start it again."""
    time.sleep(options.seconds / 2)
    stack.kill("otelcol")
    stack.up()
    time.sleep(options.seconds / 2)
    return {}


def outage(stack: Stack, options: Options) -> dict[str, float]:
    """Let everything wait in the collector, kill that, start all."""
    time.sleep(options.seconds)
    stack.kill("otelcol")
    stack.up()
    return {}


def jaeger_killed(stack: Stack, options: Options) -> dict[str, float]:
    """Kill Jaeger every 5 s, or twice; start it again at once."""
    kills = max(2, int(options.seconds / 5))
    for _ in range(kills):
        time.sleep(options.seconds / kills)
        stack.kill("jaeger")
        stack.up()
    return {"kills of Jaeger": kills}


def memory(stack: Stack, options: Options) -> dict[str, float]:
    """Send into queues that nobody empties, then start the backends."""
    time.sleep(options.seconds)
    found = {"waiting at the end of the load": float(stack.waiting())}
    stack.up()
    return found


MODES: dict[str, tuple[Callable[[Stack, Options], dict[str, float]], tuple[str, ...]]] = {
    "throughput": (throughput, ("traces",)),
    "killed": (killed, SIGNALS),
    "stopped": (stopped, SIGNALS),
    "shot": (shot, SIGNALS),
    "outage": (outage, SIGNALS),
    "jaeger-killed": (jaeger_killed, ("traces",)),
    "memory": (memory, SIGNALS),
}


def run(mode: str, options: Options, root: Path) -> Result:
    """Start a stack, load and disturb it, wait until its queues are empty, count."""
    disturb, signals = MODES[mode]
    rate = options.rate * (10 if mode == "memory" else 1)
    overlays = list(options.overlays)
    if options.control:
        overlays.append(str(root / "control.yaml"))
        (root / "control.yaml").write_text(json.dumps(CONTROLS[options.control]))  # JSON is YAML
    with Stack(root, overlays, {"STACK_JAEGER_SYNC": str(options.sync).lower()}) as stack:
        if mode in {"memory", "outage"}:
            for name in BACKENDS:
                stack.kill(name)
        begun = time.time()
        load = Load(stack.ports["otlp-http"], stack.token, SERVICE, rate=rate, signals=signals, size=options.size)
        with Watch(stack) as watch:
            with load:
                figures = disturb(stack, options)
            cpu = {name: used.cpu for name, used in watch.used.items()}
            figures |= {"seconds until all was stored": drained(stack, options.drain)}
        result = Result(mode, load.items(), stack.stored(SERVICE, begun))
        result.figures = {**told(load), **figures}
        result.used = {
            name: {**asdict(used), "cpu_under_load": cpu.get(name, 0.0)} for name, used in watch.used.items()
        }
        result.figures |= {f"disk of {path.name}, MiB": disk(path) for path in stack.state.data.iterdir()}
        result.faults = faults(stack, load, result)
    return result


def disk(path: Path) -> float:
    """Return the MiB that a directory takes on disk: blocks, not what sparse files claim."""
    return sum(each.stat().st_blocks * 512 for each in path.rglob("*") if each.is_file()) / MIB


def told(load: Load) -> dict[str, float]:
    """Return what the senders saw."""
    return {
        "items/s acknowledged": sum(load.items().values()) / load.wall,
        "p50 acknowledgement, ms": 1000 * load.latency(0.5),
        "p99 acknowledgement, ms": 1000 * load.latency(0.99),
        "longest acknowledgement, ms": 1000 * load.latency(1),
        "refused, sent again": load.total("refused"),
        "unanswered, sent again": load.total("broken"),
        "sender's CPU, s": load.cpu,
    }


def drained(stack: Stack, seconds: float) -> float:
    """Wait until the collector's queues are empty; return the seconds since the load ended."""
    start = time.monotonic()
    while stack.waiting() and time.monotonic() - start < seconds:
        time.sleep(0.25)
    took = time.monotonic() - start
    time.sleep(1)  # what left the queue is on its way
    return took


def faults(stack: Stack, load: Load, result: Result) -> list[str]:
    """Return what is missing, or there twice.

    Spans are counted by their ids. When a connection broke, points and lines may be there twice: nobody knows whether
    what was not answered had been taken.
    """
    found = load.unknown()
    sure = not load.total("broken")
    for name, sent in result.sent.items():
        stored = result.stored[name]
        if stored < sent or (stored > sent and sure):
            found.append(f"{name}: {sent:,} acknowledged, {stored:,} stored")
    if failed := stack.own("otelcol_exporter_enqueue_failed_spans"):
        found.append(f"{failed:,.0f} spans did not fit into a queue")
    return found


def show(result: Result) -> None:
    """Print a run."""
    print(f"\n{result.mode}: {where()}\n")
    rows = [(name, f"{result.sent[name]:,}", f"{result.stored[name]:,}") for name in SIGNALS if result.sent[name]]
    print(table(("", "acknowledged", "stored"), rows))
    print()
    print(table(("", ""), [(name, f"{value:,.1f}") for name, value in result.figures.items()]))
    print()
    header = ("process", "CPU s under load", "CPU s until stored", "RSS MiB", "without files MiB")
    columns = ("cpu_under_load", "cpu", "rss", "anonymous")
    print(table(header, [(name, *(f"{used[c]:,.1f}" for c in columns)) for name, used in result.used.items()]))
    print(
        "\n".join(["", *(f"MISSING: {fault}" for fault in result.faults)]) if result.faults else "\nNothing is missing."
    )


def main() -> int:
    """Run the modes; exit 1 when something is missing."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("modes", nargs="*", metavar="MODE", help=f"{', '.join(MODES)}; the first unless said")
    parser.add_argument("--rate", type=float, default=10_000, help="items a second; ten times as many for memory")
    parser.add_argument("--size", type=int, default=512, help="items in one request; an SDK's default is 512")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--drain", type=float, default=900, help="the most seconds to wait until all is stored")
    parser.add_argument("--overlay", action="append", default=[], help="lay a file over the collector's")
    parser.add_argument("--control", choices=list(CONTROLS), help="lose something, to show that it is seen")
    parser.add_argument("--sync", action="store_true", help="STACK_JAEGER_SYNC=true")
    parser.add_argument("--json", type=Path, help="write the figures here, too")
    given = parser.parse_args()
    if unknown := set(given.modes) - set(MODES):
        parser.error(f"no such mode: {', '.join(sorted(unknown))}")
    options = Options(given.rate, given.size, given.seconds, given.overlay, given.control, given.sync, given.drain)
    results = []
    for mode in given.modes or ["throughput"]:
        root = Path(tempfile.mkdtemp(prefix="otelml-stack-"))
        try:
            results.append(run(mode, options, root))
        finally:
            shutil.rmtree(root, ignore_errors=True)
        show(results[-1])
    if given.json:
        given.json.write_text(json.dumps([asdict(result) for result in results], indent=1))
    return int(any(result.faults for result in results))


if __name__ == "__main__":
    sys.exit(main())
