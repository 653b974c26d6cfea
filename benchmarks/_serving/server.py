"""One application, observed one way, served by uvicorn: ``python server.py WAY APP CORE``.

Prints its port when it serves. A line on standard input, ``cpu``, is answered with the CPU time of this process and
the number of requests handled so far; ``stop`` with the same, when everything is exported.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from _serving import ways

way_name, app_name, core = sys.argv[1:]
if core != "any":
    os.sched_setaffinity(0, {int(core)})
way = ways.WAYS[way_name]()

import uvicorn  # noqa: E402 - a way starts before FastAPI is imported

from _serving import apps  # noqa: E402


def tell(**facts: object) -> None:
    """Answer with one line."""
    print(json.dumps(facts), flush=True)


def listen(server: uvicorn.Server) -> None:
    """Answer until told to stop."""
    while not server.started:
        time.sleep(0.01)
    tell(port=server.servers[0].sockets[0].getsockname()[1], http=server.config.http_protocol_class.__name__)
    for line in sys.stdin:
        if line.strip() == "stop":
            break
        tell(cpu=time.process_time_ns())
    server.should_exit = True


def main() -> None:
    """Serve, then export everything."""
    app = apps.make(app_name, way.observe)
    way.instrument(app)
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error", access_log=False))
    threading.Thread(target=listen, args=(server,), daemon=True).start()
    server.run()
    flushed = way.flush()
    tell(handled=next(apps.handled), flushed=flushed, spans=way.spans(app_name), points=way.points(app_name))


if __name__ == "__main__":
    main()
