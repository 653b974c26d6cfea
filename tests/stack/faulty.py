"""A service under load, every second of whose predictions fails while a file exists.

usage: python tests/stack/faulty.py FILE     (OTEL_EXPORTER_OTLP_ENDPOINT says where telemetry goes)
"""

from __future__ import annotations

import contextlib
import itertools
import sys
import time
from pathlib import Path

import otelml


def main(fault: Path) -> None:
    """Send about 50 predictions a second until the process is ended."""
    otelml.auto_instrument("flights-predictions")
    for turn in itertools.count():
        with contextlib.suppress(ConnectionError), otelml.prediction("flight-delay", version="1") as p:
            if turn % 2 and fault.exists():
                raise ConnectionError("no weather")
            p.result(classes="late", confidence=0.9)
        time.sleep(0.02)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
