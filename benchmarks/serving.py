"""What observing a served model costs: ``python benchmarks/serving.py`` loads FastAPI applications with wrk.

Each way to observe has a server process of its own in every round: processes of one way differ by a few percent, by
where their objects happen to lie, so that many rounds tell more than many bursts. They are loaded in turn, in short
bursts (A B C, B C A, ...), so that a slow minute of the machine hits all of them: eight connections ask as fast as
they are answered, and telemetry goes to a real OTLP receiver. A round in which a span or measurement is missing, or
one too many, ends the run with exit 1. Ratios are to the unobserved application in the same turn. Where there are two
cores or more the servers have one to themselves; wrk and the receiver share another. A last table tells which threads
take the CPU time of a request. With ``--frozen`` every server calls ``gc.freeze()`` before it is measured.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import shutil
import statistics
import subprocess
import sys
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from random import Random
from time import sleep
from typing import TYPE_CHECKING, Any
from urllib.request import urlopen

import accelerator
from tables import machine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

HERE = Path(__file__).parent
SERVING = HERE / "_serving"
BARE = "bare"
TITLES = {
    BARE: "not observed",
    "header": "X-Request-ID in the answer, no more",
    "otelml": "otelml",
    "otelml-native": "otelml with otelml-native",
    "otelml-no-room": "otelml, OTELML_GC_ROOM=0",
    "otelml-http": "otelml, the model not observed",
    "upstream": "OpenTelemetry's instrumentation + SDK",
    "by-hand": "the same, quiet, predictions by hand",
    "native": "FastAPI's own telemetry + SDK",
}
APPS = ("plain", "predict", "predict-async")
COLUMNS = (40, 12, 8, 15, 9, 8, 9, 8, 15, 12)
PARTS = {
    "loop": "event loop",
    "pool": "pool",
    "recorder": "recorder",
    "export": "exporters",
    "other": "others",
    "collecting": "of it garbage",
    "full": "full/s",
}
"""Threads of the server by kind, what they spend on garbage collections, and how many of those are full ones."""
AFTERWARDS = 0.3
"""Seconds after a burst in which its telemetry is worked off at nobody's expense; it is CPU time of its own."""
ARRIVED = "Every span and measurement arrived, none twice, nothing was dropped."
INSTALL = "wrk is not installed: apt-get install wrk (Debian, Ubuntu), or brew install wrk (macOS)"


@dataclass
class Served:
    """One application observed one way, and the figures of its bursts."""

    way: str
    app: str
    bursts: list[dict[str, Any]] = field(default_factory=list)

    def median(self, what: str) -> float:
        """Return the median over all bursts."""
        return float(statistics.median(each[what] for each in self.bursts))

    def against(self, other: Served, what: str) -> list[tuple[float, float]]:
        """Return a figure of each burst, with that of another way in the same turn."""
        return [(own[what], its[what]) for own, its in zip(self.bursts, other.bursts, strict=True)]

    def ratios(self, other: Served, what: str) -> list[list[float]]:
        """Return the ratio to another way in the same turn, of each turn of each round."""
        rounds: dict[int, list[float]] = {}
        for burst, (own, its) in zip(self.bursts, self.against(other, what), strict=True):
            rounds.setdefault(burst["round"], []).append(own / its)
        return list(rounds.values())


# Running --------------------------------------------------------------------------------------------------------


def cores() -> tuple[str, set[int] | None]:
    """Return the core for the server and those for everybody else; any where there is only one."""
    if not hasattr(os, "sched_getaffinity") or len(os.sched_getaffinity(0)) == 1:
        return "any", None
    first, *others = sorted(os.sched_getaffinity(0))
    return str(first), set(others)


@contextmanager
def receiver() -> Iterator[str]:
    """Start the receiver, which counts when a round is over: its work is not the server's. Give its base URL."""
    nice = ["nice", "-n", "19"] if shutil.which("nice") else []
    command = [*nice, sys.executable, str(HERE / "receiver.py"), "--later"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        if process.stdin is None or process.stdout is None:
            raise RuntimeError("the receiver has no pipes")
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        process.stdin.close()


@contextmanager
def server(served: Served, endpoint: str, core: str) -> Iterator[subprocess.Popen[str]]:
    """Start the server process; its environment names the receiver."""
    # Without byte code on the disk every process compiles what it imports, some of it while it is measured.
    own = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL", "PYTHONDONTWRITE"))}
    env = own | {
        "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        "OTEL_SEMCONV_STABILITY_OPT_IN": "http",
        "OTEL_SERVICE_NAME": f"{served.way}-{served.app}",
        "OTEL_BSP_MAX_QUEUE_SIZE": "400000",
        "OTEL_BLRP_MAX_QUEUE_SIZE": "400000",
        "OTEL_METRIC_EXPORT_INTERVAL": "5000",
        "OTELML_HOST": "false",
    }
    command = [sys.executable, str(SERVING / "server.py"), served.way, served.app, core]
    with subprocess.Popen(command, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def asked(process: subprocess.Popen[str], question: str = "") -> dict[str, Any]:
    """Ask the server, or wait for what it says by itself."""
    if process.stdin is None or process.stdout is None:
        raise RuntimeError("the server has no pipes")
    if question:
        process.stdin.write(question + "\n")
        process.stdin.flush()
    answer = process.stdout.readline()
    if not answer:
        raise RuntimeError(f"the server ended: {process.wait()}")
    found: dict[str, Any] = json.loads(answer)
    return found


class Process:
    """One server of one round, and what it has answered so far."""

    def __init__(
        self, number: int, served: Served, process: subprocess.Popen[str], options: argparse.Namespace
    ) -> None:
        self.number, self.served, self.process, self.options = number, served, process, options
        self.port = asked(process)["port"]
        warm = self.load(options.warm_up)
        self.answered, self.errors = warm["requests"], warm["errors"]
        asked(process, "freeze" if options.frozen else "cpu")

    def load(self, seconds: float) -> dict[str, Any]:
        """Load the server; return what wrk measured, times in µs."""
        command = ["wrk", "-t", "1", "-c", str(self.options.connections), "-d", f"{max(1, round(seconds))}s"]
        command += ["--timeout", "30s", "-s", str(SERVING / "report.lua"), f"http://127.0.0.1:{self.port}/predict"]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return found

    def burst(self) -> None:
        """Load it once; what it still has to do afterwards is awaited, and counted as its CPU time."""
        before = asked(self.process, "cpu")
        found = self.load(self.options.seconds)
        sleep(AFTERWARDS)
        found |= spent(before, asked(self.process, "cpu"), found)
        found |= {"rate": found["requests"] / found["seconds"], "round": self.number}
        self.answered += found["requests"]
        self.errors += found["errors"]
        self.served.bursts.append(found)

    def stop(self, received: str) -> list[str]:
        """Stop it; return what did not arrive at ``received`` as it should."""
        end = asked(self.process, "stop")
        self.process.wait(60)
        with urlopen(received) as answer:  # noqa: S310 - our own receiver on loopback
            told = faults(self, end, json.load(answer))
        return [f"{TITLES[self.served.way]}, {self.served.app}: {fault}" for fault in told]


def spent(before: Mapping[str, Any], after: Mapping[str, Any], found: Mapping[str, Any]) -> dict[str, float]:
    """Return the CPU time of a request in µs, in all and by part, and how many full collections there were a second."""

    def each(what: str, of: Mapping[str, Any], earlier: Mapping[str, Any]) -> float:
        return (float(of.get(what, 0)) - float(earlier.get(what, 0))) / float(found["requests"]) / 1e3

    threads = {kind: each(kind, after["threads"], before["threads"]) for kind in PARTS}
    whole = {what: each(what, after, before) for what in ("cpu", "collecting")}
    return {**threads, **whole, "full": (after["full"] - before["full"]) / found["seconds"]}


def faults(of: Process, end: Mapping[str, Any], received: Mapping[str, Any]) -> list[str]:
    """Return every difference between requests answered, requests handled, and telemetry that arrived."""
    handled, told = end["handled"], []
    # wrk leaves when its time is over, with one request of each connection on the way.
    if not 0 <= handled - of.answered <= (1 + of.options.bursts) * of.options.connections:
        told.append(f"{of.answered} requests answered, {handled} handled")
    for kind, arrived in (("spans", received["names"]), ("points", received["points"])):
        for name, each in end[kind].items():
            if arrived.get(name, 0) != each * handled:
                told.append(f"{name}: {arrived.get(name, 0):.0f} arrived, {each * handled} expected")
    other = {"span ids twice": received["duplicates"], "wrk saw errors": of.errors}
    other["dropped"] = int(received["points"].get("otelml.dropped", 0))
    told += [f"{what}: {number}" for what, number in other.items() if number]
    return told if end["flushed"] else [*told, "not everything could be exported"]


def one_round(
    number: int, chosen: list[Served], base: str, options: argparse.Namespace, kind: type[Process]
) -> list[str]:
    """Start all servers of one application, load them in turn and stop them; return what did not arrive."""
    with ExitStack() as stack:
        processes = []
        for served in chosen:
            received = f"{base}/{served.way}-{served.app}-{number}"
            started = stack.enter_context(server(served, received, options.core))
            processes.append((kind(number, served, started, options), received))
        for turn in range(options.bursts):
            what = f"{chosen[0].app}: round {number + 1} of {options.rounds}, turn {turn + 1} of {options.bursts}"
            print(f"\r{what}", end="", file=sys.stderr, flush=True)
            first = turn % len(processes)
            for process, _ in processes[first:] + processes[:first]:
                process.burst()
        print(file=sys.stderr)
        return [fault for process, received in processes for fault in process.stop(received)]


def rounds(chosen: list[Served], options: argparse.Namespace, kind: type[Process] = Process) -> list[str]:
    """Run all rounds, one application after the other; return everything that did not arrive."""
    found: list[str] = []
    with receiver() as base:
        for number in range(options.rounds):
            for app in dict.fromkeys(served.app for served in chosen):
                found += one_round(number, [each for each in chosen if each.app == app], base, options, kind)
    return found


# Telling --------------------------------------------------------------------------------------------------------


def row(served: Served, bare: Served) -> dict[str, Any]:
    """Return the figures of one line: medians, and medians of each turn's ratio to the unobserved application."""
    found: dict[str, Any] = {"way": TITLES[served.way], "app": served.app}
    for what in ("rate", "p50", "p99", "cpu"):
        found[what] = served.median(what)
        ratios = served.ratios(bare, what)
        found[f"{what}_ratio"] = float(statistics.median(chain.from_iterable(ratios)))
        found[f"{what}_interval"] = interval(ratios)
    found["cpu_more"] = float(statistics.median(own - its for own, its in served.against(bare, "cpu")))
    return found


def interval(
    rounds: list[list[float]], draws: int = 2_000, of: Callable[[Iterable[float]], float] = statistics.median
) -> tuple[float, float]:
    """Return the 95 % interval of what ``of`` makes of all turns, by drawing rounds, and turns of each, many times."""
    random = Random(0)  # noqa: S311 - no secrets; the same figures give the same interval

    def draw() -> float:
        drawn = [random.choices(turns, k=len(turns)) for turns in random.choices(rounds, k=len(rounds))]
        return of(chain.from_iterable(drawn))

    found = sorted(draw() for _ in range(draws))
    return found[round(0.025 * draws)], found[round(0.975 * draws) - 1]


def line(*cells: str) -> str:
    """Return one line of the table."""
    first, *others = (f"{cell:>{width}}" for cell, width in zip(cells, COLUMNS, strict=True))
    return cells[0].ljust(len(first)) + "".join(others)


def table(rows: list[dict[str, Any]]) -> str:
    """Return the tables people read, one an application."""
    lines = []
    for app in dict.fromkeys(r["app"] for r in rows):
        header = ("requests/s", "ratio", "95 %", "p50 ms", "ratio", "p99 ms", "ratio", "95 %", "CPU µs more")
        lines += ["", line(app, *header)]
        for r in (r for r in rows if r["app"] == app):
            (low, high), (least, most) = r["rate_interval"], r["p99_interval"]
            cells = [f"{r['rate']:.0f}", f"{r['rate_ratio']:.3f}", f"{low:.2f} to {high:.2f}"]
            cells += [f"{r['p50'] / 1e3:.2f}", f"{r['p50_ratio']:.2f}", f"{r['p99'] / 1e3:.2f}"]
            cells += [f"{r['p99_ratio']:.2f}", f"{least:.2f} to {most:.2f}", f"{r['cpu_more']:.0f}"]
            lines.append(line(r["way"], *cells))
    return "\n".join(lines[1:])


def parts(chosen: list[Served]) -> str:
    """Return the table of where the CPU time of a request goes, in µs."""
    lines = [f"{'CPU µs a request':<48}" + "".join(f"{title:>15}" for title in PARTS.values())]
    for served in chosen:
        name = f"{TITLES[served.way]}, {served.app}"
        lines.append(f"{name:<48}" + "".join(f"{served.median(part):>15.1f}" for part in PARTS))
    return "\n".join(lines)


def setting() -> str:
    """Return what serves: the server's parser and loop decide how much time a request takes without telemetry."""
    loop = "uvloop" if importlib.util.find_spec("uvloop") else "asyncio"
    parser = "httptools" if importlib.util.find_spec("httptools") else "h11"
    return f"uvicorn with {parser} and {loop}"


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=12, help="each with new server processes")
    parser.add_argument("--bursts", type=int, default=5, help="turns in a round")
    parser.add_argument("--seconds", type=float, default=1, help="load that is measured, in each burst")
    parser.add_argument("--warm-up", type=float, default=2, help="seconds of load before that, in each round")
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--apps", default="plain,predict", help=f"comma separated, of: {', '.join(APPS)}")
    parser.add_argument("--only", default="", help=f"ways, comma separated, of: {', '.join(TITLES)}")
    parser.add_argument("--frozen", action="store_true", help="gc.freeze() in every server before it is measured")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every figure to FILE")
    parser.add_argument("--quick", action="store_true", help="one short round: proves delivery, says nothing of time")
    options = parser.parse_args()
    if options.quick:
        options.rounds, options.bursts, options.seconds, options.warm_up = 1, 1, 1, 1
    check(parser, options)
    return options


def check(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    """End the program where applications or ways are unknown."""
    for name, known in (("apps", APPS), ("only", TITLES)):
        unknown = set(filter(None, getattr(options, name).split(","))) - set(known)
        if unknown:
            parser.error(f"--{name}: unknown: {', '.join(sorted(unknown))}")


def prepared(options: argparse.Namespace) -> list[Served]:
    """Go to a core that is not the servers', and return what is to be measured.

    Raises:
        SystemExit: The accelerator is wanted, and not installed.
    """
    options.core, others = cores()
    if others is not None:
        os.sched_setaffinity(0, others)
    if missing := accelerator.left_out(options.only.split(",")):
        print(f"{', '.join(missing)}: otelml-native is not installed: {accelerator.GET}", file=sys.stderr)
        sys.exit(2)
    wanted = {BARE, *(options.only.split(",") if options.only else TITLES)} - {*accelerator.left_out([*TITLES])}
    return [Served(way, app) for app in options.apps.split(",") for way in TITLES if way in wanted]


def main() -> int:
    """Measure, print the table, and fail when anything was lost."""
    options = arguments()
    if shutil.which("wrk") is None:
        print(INSTALL, file=sys.stderr)
        return 2
    chosen = prepared(options)
    found = rounds(chosen, options)
    bare = {served.app: served for served in chosen if served.way == BARE}
    rows = [row(served, bare[served.app]) for served in chosen] if not found else []
    where = machine() | {"server": setting(), "pinned": options.core != "any", "frozen": options.frozen}
    print(f"{where['date']}, {where['cpu']}, {where['cores']} cores, Python {where['python']}, {where['server']}\n")
    print(table(rows), parts(chosen), sep="\n\n")
    if options.json is not None:
        raw = {f"{served.way} {served.app}": served.bursts for served in chosen}
        options.json.write_text(json.dumps({"machine": where, "rows": rows, "bursts": raw, "lost": found}, indent=1))
    print("\n" + ("\n".join(found) or ARRIVED))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
