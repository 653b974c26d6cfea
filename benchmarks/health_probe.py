"""What a container's health check costs each time: CPU of the whole process, from its start to its exit.

usage: python benchmarks/health_probe.py [--rounds 15] [--quick]

All ask the same server on loopback, in turn, in the same round. The peer is what images without curl use: a line of
Python with urllib.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tables import table, where

import otelml.health.probe

PEER = "urllib, one line"
CALL = "import sys, urllib.request; urllib.request.urlopen(sys.argv[1], timeout=2)"


class Healthy(BaseHTTPRequestHandler):
    """Says yes."""

    def do_GET(self) -> None:
        """Answer."""
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def ways(url: str) -> dict[str, list[str]]:
    """Return the commands by their description."""
    return {
        PEER: [sys.executable, "-c", CALL, url],
        "otelml-health": [sys.executable, str(otelml.health.probe.__file__), url],
        "otelml health": [sys.executable, "-m", "otelml", "health", url],
        "Python, doing nothing": [sys.executable, "-c", "pass"],
    }


def cost(command: list[str]) -> float:
    """Return the milliseconds of CPU that a command took, which must succeed."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=os.environ)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime) * 1000


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--quick", action="store_true", help="one round: proves that all of it runs, nothing of time")
    options = parser.parse_args()
    with ThreadingHTTPServer(("127.0.0.1", 0), Healthy) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        commands = ways(f"http://127.0.0.1:{server.server_port}/readyz")
        rounds = [
            {name: cost(each) for name, each in commands.items()} for _ in range(1 if options.quick else options.rounds)
        ]
        server.shutdown()
    print(where())
    rows = [
        [
            name,
            f"{statistics.median(r[name] for r in rounds):.0f} ms",
            f"{statistics.median(r[name] / r[PEER] for r in rounds):.2f}",
        ]
        for name in commands
    ]
    print(table(["one check", "CPU", f"times {PEER}"], rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
