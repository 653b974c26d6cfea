"""One application, observed one way, served by uvicorn: ``python server.py WAY APP CORE``.

Prints its port when it serves. A line on standard input, ``cpu``, is answered with the CPU time of this process so far,
that of its threads by kind, and what of it was garbage collection; ``freeze`` takes what is there so far out of the
collector's sight; ``stop`` is answered with the requests handled, when everything is exported.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).parents[1]))

import accelerator

from _serving import ways

way_name, app_name, core = sys.argv[1:]
if core != "any":
    os.sched_setaffinity(0, {int(core)})
way = ways.WAYS[accelerator.choose(way_name)]()

import uvicorn  # noqa: E402 - a way starts before FastAPI is imported

from _serving import apps  # noqa: E402

KINDS = {"MainThread": "loop", "AnyIO": "pool", "otelml-recorder": "recorder", "otelml-export": "export"}
"""Kinds of threads by how their names begin; all others, such as the SDK's, are ``other``."""


class Collector:
    """Adds up the CPU time of garbage collections, in ns, and counts the full ones."""

    def __init__(self) -> None:
        self.used = self.full = self._begun = 0
        gc.callbacks.append(self._told)

    def _told(self, phase: str, info: dict[str, int]) -> None:
        if phase == "start":
            self._begun = time.thread_time_ns()
        else:
            self.used += time.thread_time_ns() - self._begun
            self.full += info["generation"] == 2  # noqa: PLR2004 - the oldest


def used(collector: Collector) -> dict[str, object]:
    """Return the CPU time used so far, in ns."""
    names = {thread.native_id: thread.name for thread in threading.enumerate()}
    kinds: Counter[str] = Counter()
    for each in psutil.Process().threads():
        name = names.get(each.id, "")
        kind = next((kind for start, kind in KINDS.items() if name.startswith(start)), "other")
        kinds[kind] += round((each.user_time + each.system_time) * 1e9)
    return {"cpu": time.process_time_ns(), "threads": kinds, "collecting": collector.used, "full": collector.full}


def tell(**facts: object) -> None:
    """Answer with one line."""
    print(json.dumps(facts), flush=True)


def listen(server: uvicorn.Server) -> None:
    """Answer until told to stop."""
    while not server.started:
        time.sleep(0.01)
    tell(port=server.servers[0].sockets[0].getsockname()[1], http=server.config.http_protocol_class.__name__)
    collector = Collector()
    for line in sys.stdin:
        if line.strip() == "stop":
            break
        if line.strip() == "freeze":
            gc.collect()
            gc.freeze()
        tell(**used(collector))
    server.should_exit = True


def main() -> None:
    """Serve, then export everything."""
    app = apps.make(app_name, way.observe)
    way.instrument(app)
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error", access_log=False, timeout_keep_alive=60))
    threading.Thread(target=listen, args=(server,), daemon=True).start()
    server.run()
    flushed = way.flush()
    tell(handled=next(apps.handled), flushed=flushed, spans=way.spans(app_name), points=way.points(app_name))


if __name__ == "__main__":
    main()
