"""How soon `otelml view` is seen: ``python benchmarks/first_paint.py`` starts it several times and watches Chromium.

Each round starts the command as a user does, opens the link that it prints in a browser that is already running, and
takes the time from the start of the process to the first contentful paint; beside it, in the same round, the same
browser's first paint of a page that is a file of one line, from the moment it is asked for. ``--db FILE`` opens a file
that holds telemetry already. Exit 1, with ``--check``, when the median is over a second.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from tables import table, where

if TYPE_CHECKING:
    from collections.abc import Sequence

REPOSITORY = Path(__file__).parents[1]
TARGET = 1.0
"""Seconds from the start of the command to something on the screen."""
PAINT = """() => new Promise(done => new PerformanceObserver(list => {
  const first = list.getEntriesByName('first-contentful-paint')[0]
  if (first) done(performance.timeOrigin + first.startTime)
}).observe({type: 'paint', buffered: true}))"""


def painted(browser: Any, url: str) -> float:
    """Open a page; return when it was painted first, in seconds since 1970."""
    context = browser.new_context()
    page = context.new_page()
    page.goto(url)
    found = float(page.evaluate(PAINT)) / 1000
    context.close()
    return found


def round_of(browser: Any, folder: Path, more: Sequence[str]) -> dict[str, float]:
    """Start the viewer once; return seconds from its start to its link and to its paint, and those of a bare page."""
    bare = folder / "bare.html"
    bare.write_text("<p>one line</p>", "utf-8")
    asked = time.time()
    seconds = {"bare": painted(browser, bare.as_uri()) - asked}
    ports = ["--port", "0", "--otlp-port", "0", "--grpc-port", "0"]
    command = [sys.executable, "-m", "otelml", "view", "--no-browser", *ports, *more]
    env = {**os.environ, "XDG_STATE_HOME": str(folder), "PYTHONPATH": str(REPOSITORY), "PYTHONUNBUFFERED": "1"}
    began = time.time()
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as viewer:
        url = _link(viewer)
        seconds["link"] = time.time() - began
        seconds["paint"] = painted(browser, url) - began
        viewer.terminate()
    return seconds


def _link(viewer: subprocess.Popen[str]) -> str:
    said = ""
    for line in viewer.stdout or ():
        said += line
        if found := re.search(r"http://\S+", line):
            return found[0]
    raise SystemExit(f"otelml view says no link:\n{said}")


def main() -> int:
    """Measure; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--db", metavar="FILE", help="open a file instead of an empty store in memory")
    parser.add_argument("--check", action="store_true", help="fail when the target is missed")
    parser.add_argument("--markdown", action="store_true")
    options = parser.parse_args()
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - of the development environment

    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    rounds = []
    with sync_playwright() as api, tempfile.TemporaryDirectory() as folder:
        browser = api.chromium.launch(executable_path=shutil.which("chromium"), args=arguments)
        for number in range(options.rounds):
            print(f"round {number + 1} of {options.rounds}", file=sys.stderr)
            rounds.append(round_of(browser, Path(folder), ["--db", options.db] if options.db else []))
        browser.close()
    titles = {"link": "otelml view: its link", "paint": "otelml view: first paint", "bare": "a bare page: first paint"}
    lines = []
    for what, title in titles.items():
        times = [each[what] for each in rounds]
        lines.append([title, *(f"{1000 * each(times):.0f} ms" for each in (min, median, max))])
    print(f"{where()}\n\n{table(['', 'least', 'median', 'most'], lines, markdown=options.markdown)}\n")
    late = median(each["paint"] for each in rounds) > TARGET
    print(f"Target: within {TARGET:.0f} s of the start of the command: {'missed' if late else 'met'}.")
    return int(options.check and late)


if __name__ == "__main__":
    sys.exit(main())
