"""What the page asks for every second: has anything arrived?"""

from __future__ import annotations

import time
from importlib.metadata import version as installed
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from otelml.viewer.store import Store

_TIMES = """
SELECT least((SELECT min(start_ns) FROM spans), (SELECT min(time_ns) FROM points), (SELECT min(time_ns) FROM logs)),
    greatest((SELECT max(end_ns) FROM spans), (SELECT max(time_ns) FROM points), (SELECT max(time_ns) FROM logs))
"""


def version(store: Store, otlp: Mapping[str, str | None]) -> dict[str, Any]:
    """Return the number of arrivals, which changes when data does, and how much there is, from when to when."""
    counts = {signal: store.received[signal] - store.pruned[signal] for signal in store.received}
    ((first, last),) = store.query(_TIMES)
    return {
        "version": installed("otelml"),
        "arrivals": store.arrivals,
        "now_ns": time.time_ns(),
        "first_ns": first,
        "last_ns": last,
        "spans": counts["traces"],
        "logs": counts["logs"],
        "points": counts["metrics"],
        "empty": not any(counts.values()),
        "otlp": {"http": otlp.get("http"), "grpc": otlp.get("grpc")},
    }
