"""Serves one of the demo's services: ``python -m otelml.demo.serve prediction_service PORT``."""

from __future__ import annotations

import importlib
import sys

import uvicorn

SERVICES = ("feature_service", "prediction_service")
IDLE = 300
"""Seconds that a connection may rest: uvicorn's 5 close it under the hands of a client that is about to ask again."""


def main(argv: list[str]) -> int:
    """Serve until SIGTERM."""
    service, port = argv
    if service not in SERVICES:
        print(f"no service {service!r}: one of {', '.join(SERVICES)}", file=sys.stderr)
        return 2
    app = importlib.import_module(f"otelml.demo.{service}").app
    uvicorn.run(app, host="127.0.0.1", port=int(port), log_level="warning", access_log=False, timeout_keep_alive=IDLE)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
