"""What observing a served model costs in CPU time: ``python benchmarks/serving_cpu.py`` loads FastAPI applications.

The servers are those of ``serving.py``, and so are the proofs that everything arrived. Each has the core for a tenth
of a second, then the next one: what else the machine does hits all of them alike, so that a ratio of CPU times is
known to a percent where ``serving.py``, with the second that wrk takes at least, tells five. Requests/s and latencies
are not told: what a server works off between its turns takes the core from another one. CPU time is counted from a
server's first turn until all it had to do is done; processes of one way differ by a few percent, so there are several
rounds of them.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from operator import sub, truediv
from pathlib import Path
from time import sleep
from typing import TYPE_CHECKING, Any

import serving
from _serving.client import Client
from serving import BARE, PARTS, TITLES, Served
from tables import machine

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable

DONE = 1.5
"""Seconds after the last turn in which telemetry is worked off."""
KINDS = ("recorder", "export", "other")
"""Threads that live as long as the server; those of the pool come and go."""


class Turns(serving.Process):
    """A server that is loaded for short turns."""

    def __init__(
        self, number: int, served: Served, process: subprocess.Popen[str], options: argparse.Namespace
    ) -> None:
        self._client: Client | None = None
        self._before: dict[str, Any] | None = None
        super().__init__(number, served, process, options)
        self._warm = self.answered

    def load(self, seconds: float) -> dict[str, Any]:
        """Load the server."""
        if self._client is None:
            self._client = Client(self.port, self.options.connections)
        return self._client.load(seconds)

    def burst(self) -> None:
        """Load it for a turn."""
        if self._before is None:
            self._before = serving.asked(self.process, "cpu")
        found = self.load(self.options.seconds)
        self.answered += found["requests"]
        self.errors += found["errors"]

    def stop(self, received: str) -> list[str]:
        """Note what all turns have cost, and stop it."""
        sleep(DONE)
        found = {"requests": self.answered - self._warm, "seconds": self.options.bursts * self.options.seconds}
        spent = serving.spent(self._before or {}, serving.asked(self.process, "cpu"), found)
        self.served.bursts.append({**found, **spent, "round": self.number})
        if self._client is not None:
            self._client.close()
        return super().stop(received)


def compared(own: Served, bare: Served, how: Callable[[float, float], float]) -> tuple[float, float, float]:
    """Return the mean over rounds of a comparison with the unobserved application, and its 95 % interval."""
    found = [how(its, alone) for its, alone in own.against(bare, "cpu")]
    return statistics.mean(found), *serving.interval([[each] for each in found], of=statistics.mean)


def row(own: Served, bare: Served) -> dict[str, Any]:
    """Return the figures of one line; times in µs a request."""
    more, ratio = compared(own, bare, sub), compared(own, bare, truediv)
    parts = {kind: statistics.mean(burst[kind] for burst in own.bursts) for kind in KINDS}
    return {"way": TITLES[own.way], "app": own.app, "cpu": own.median("cpu"), "more": more, "ratio": ratio, **parts}


def table(rows: list[dict[str, Any]]) -> str:
    """Return the table people read."""
    titles = ["CPU µs", "more", "95 %", "ratio", "95 %", *[PARTS[kind] for kind in KINDS]]
    lines = [f"{'CPU µs a request':<48}" + "".join(f"{title:>15}" for title in titles)]
    for each in rows:
        (more, least, most), (ratio, low, high) = each["more"], each["ratio"]
        cells = [f"{each['cpu']:.0f}", f"{more:.0f}", f"{least:.0f} to {most:.0f}", f"{ratio:.3f}"]
        cells += [f"{low:.3f} to {high:.3f}", *[f"{each[kind]:.1f}" for kind in KINDS]]
        name = f"{each['way']}, {each['app']}"
        lines.append(f"{name:<48}" + "".join(f"{cell:>15}" for cell in cells))
    return "\n".join(lines)


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=6, help="each with new server processes")
    parser.add_argument("--turns", type=int, default=60, dest="bursts", help="in a round")
    parser.add_argument("--seconds", type=float, default=0.1, help="of each turn")
    parser.add_argument("--warm-up", type=float, default=1.5, help="seconds of load before that, in each round")
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--apps", default="predict", help=f"comma separated, of: {', '.join(serving.APPS)}")
    parser.add_argument("--only", default="header,otelml,otelml-native", help=f"of: {', '.join(TITLES)}")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every figure to FILE")
    parser.add_argument("--quick", action="store_true", help="two short rounds: proves delivery, says nothing of time")
    parser.set_defaults(frozen=False)
    options = parser.parse_args()
    if options.quick:
        options.rounds, options.bursts, options.warm_up = 2, 3, 0.2
    serving.check(parser, options)
    return options


def main() -> int:
    """Measure, print the table, and fail when anything was lost."""
    options = arguments()
    chosen = serving.prepared(options)
    found = serving.rounds(chosen, options, Turns)
    bare = {served.app: served for served in chosen if served.way == BARE}
    rows = [row(served, bare[served.app]) for served in chosen]
    where = machine() | {"server": serving.setting()}
    print(f"{where['date']}, {where['cpu']}, {where['cores']} cores, Python {where['python']}, {where['server']}\n")
    print(table(rows))
    if options.json is not None:
        raw = {f"{served.way} {served.app}": served.bursts for served in chosen}
        options.json.write_text(json.dumps({"machine": where, "rows": rows, "rounds": raw, "lost": found}, indent=1))
    print("\n" + ("\n".join(found) or serving.ARRIVED))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
