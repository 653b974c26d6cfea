"""Where spans and durations of calls go: a private tracer, and one histogram for all libraries of a kind."""

from __future__ import annotations

import threading
import weakref
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from opentelemetry import metrics, trace

from otelml import semconv
from otelml._lazy import computed_once
from otelml.integrations._http_metrics import DURATION_BOUNDS
from otelml.integrations._private_spans import PrivateTracer

if TYPE_CHECKING:
    from opentelemetry.metrics import Histogram

HELP = {
    "http.client.request.duration": "Duration of HTTP client requests.",
    "rpc.client.call.duration": "Measures the duration of outbound remote procedure calls (RPC).",
    "rpc.server.call.duration": "Measures the duration of inbound remote procedure calls (RPC).",
}


class Outlet:
    """The spans and durations of one kind of call; the global providers where none are given."""

    def __init__(self, tracer_provider: Any, meter_provider: Any, name: str) -> None:
        self.providers, self._name = (tracer_provider, meter_provider), name

    @computed_once
    def tracer(self) -> trace.Tracer:
        """Return a tracer whose spans keep no raw values."""
        provider = self.providers[0] or trace.get_tracer_provider()
        return PrivateTracer(provider.get_tracer(semconv.SCOPE, version("otelml"), semconv.SCHEMA_URL))

    @computed_once
    def durations(self) -> Histogram:
        """Return the histogram of durations, in seconds."""
        return _of(self.providers[1] or metrics.get_meter_provider(), self._name)


_made: weakref.WeakKeyDictionary[Any, dict[str, Histogram]] = weakref.WeakKeyDictionary()
_making = threading.Lock()


def _of(provider: Any, name: str) -> Histogram:
    """Return a provider's histogram, always the same."""
    with _making:
        made = _made.setdefault(provider, {})
        if name not in made:
            meter = provider.get_meter(semconv.SCOPE, version("otelml"), semconv.SCHEMA_URL)
            made[name] = meter.create_histogram(
                name, "s", HELP[name], explicit_bucket_boundaries_advisory=DURATION_BOUNDS
            )
        return made[name]
