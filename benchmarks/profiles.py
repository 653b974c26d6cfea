"""What profiles cost: ``python benchmarks/profiles.py`` compares requests and code with and without one.

A FastAPI application is called as a server calls it, in one process and without a network, in rounds (A B C, A B C,
...); CPU time of the process, relative to the first line of the same round. Nothing is exported.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
from time import process_time
from typing import TYPE_CHECKING, Any

import numpy as np
from fastapi import FastAPI
from sklearn.ensemble import RandomForestClassifier
from tables import table, where

import otelml
from otelml.integrations.fastapi import OtelmlFastAPIInstrumentor
from otelml.testing import recording

if TYPE_CHECKING:
    from collections.abc import Callable, MutableMapping

    from otelml.profiling.profiles import Profiles

    Scope = MutableMapping[str, Any]

TOKEN = "x" * 32
SCOPE: dict[str, Any] = {
    "type": "http",
    "asgi": {"version": "3.0"},
    "http_version": "1.1",
    "method": "GET",
    "scheme": "http",
    "path": "/",
    "raw_path": b"/",
    "query_string": b"",
    "root_path": "",
    "headers": [
        (b"host", b"localhost"),
        (b"user-agent", b"benchmark"),
        (b"accept", b"*/*"),
        (b"accept-encoding", b"gzip"),
        (b"connection", b"keep-alive"),
        (b"x-otelml-profile", b"y" * 32),
    ],
    "client": ("127.0.0.1", 1),
    "server": ("127.0.0.1", 80),
}


async def answer(app: FastAPI, requests: int) -> None:
    """Ask an application so often, one request after the other."""

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(_: Scope) -> None:
        return None

    for _ in range(requests):
        await app({**SCOPE, "state": {}}, receive, send)


def of_requests(rounds: int, requests: int) -> list[list[str]]:
    """Return the lines on requests: no profiles, a token that no request has right, a rate that chooses none."""
    app = FastAPI()

    @app.get("/")
    async def nothing() -> str:
        return "ok"

    with recording(profile_token=TOKEN) as by_token, recording(profile_rate=1e-12) as by_rate:
        made: dict[str, Profiles | None] = {
            "no profiles set": None,
            "the same again": None,
            "a token set, a wrong one sent": by_token.runtime.profiles,
            "a rate set, none chosen": by_rate.runtime.profiles,
        }
        instrumentor = OtelmlFastAPIInstrumentor()
        instrumentor.instrument(skip_dep_check=True, profiles=by_token.runtime.profiles)

        def with_profiles(profiles: Profiles | None) -> Callable[[], None]:
            def work() -> None:
                if instrumentor._applications is not None:
                    instrumentor._applications.profiles = profiles
                asyncio.run(answer(app, requests))

            return work

        lines = compared({name: with_profiles(each) for name, each in made.items()}, rounds, requests)
        instrumentor.uninstrument()
    return lines


def fibonacci(number: int) -> int:
    """Make many small calls."""
    return number if number < 2 else fibonacci(number - 1) + fibonacci(number - 2)  # noqa: PLR2004 - its definition


def of_code(rounds: int, size: int, trees: int) -> list[list[str]]:
    """Return the lines on code that is profiled: many small calls, and one-row predictions of a forest."""
    rows = np.random.default_rng(0).random((200, 10))
    forest = RandomForestClassifier(trees, random_state=0).fit(rows, rows[:, 0] > 0.5)  # noqa: PLR2004 - two classes

    def predictions() -> None:
        for row in rows[:10]:
            forest.predict_proba(row[None, :])

    def profiled(work: Callable[[], object]) -> Callable[[], None]:
        def run() -> None:
            with otelml.profile() as profile:
                work()
            if not profile.taken:
                raise RuntimeError("no profile was taken")

        return run

    def calls() -> None:
        fibonacci(size)

    lines = []
    with recording():
        for name, work in (("small calls", calls), ("predictions of a forest", predictions)):
            lines += compared({name: work, f"{name}, profiled": profiled(work)}, rounds, 1)
    return lines


def compared(works: dict[str, Callable[[], None]], rounds: int, each: int) -> list[list[str]]:
    """Run the works in turn; return name, median CPU time and median ratio to the first one, with its extremes."""
    times: dict[str, list[float]] = {name: [] for name in works}
    for work in works.values():
        work()
    for _ in range(rounds):
        for name, work in works.items():
            begun = process_time()
            work()
            times[name].append((process_time() - begun) / each)
    first = next(iter(times.values()))
    lines = []
    for name, taken in times.items():
        ratios = [mine / theirs for mine, theirs in zip(taken, first, strict=True)]
        spread = f"{min(ratios):.3f} to {max(ratios):.3f}"
        lines.append([name, f"{statistics.median(taken) * 1e6:,.1f} µs", f"{statistics.median(ratios):.3f}", spread])
    return lines


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--quick", action="store_true", help="once, to see that it runs")
    options = parser.parse_args()
    rounds, requests, size, trees = (1, 20, 10, 5) if options.quick else (options.rounds, 300, 20, 100)
    lines = [*of_requests(rounds, requests), *of_code(rounds, size, trees)]
    print(where())
    print(table(["what", "CPU", "ratio", "least to most"], lines))


if __name__ == "__main__":
    main()
