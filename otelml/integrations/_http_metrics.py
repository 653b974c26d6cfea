"""HTTP server metrics: one set of instruments a meter provider.

Durations wait in their series and reach the histogram many at once: before every collection, and when there are many.
Where the provider's histograms take single values only, each is recorded as it comes.
"""

from __future__ import annotations

import os
import sys
import threading
import weakref
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from opentelemetry import trace
from opentelemetry.metrics import CallbackOptions, Observation
from opentelemetry.trace import NonRecordingSpan

from otelml import _sdk, semconv
from otelml._guard import guard
from otelml._lazy import LazyModule
from otelml.integrations._http_series import METHOD, SCHEME

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy as np
    from opentelemetry.metrics import Histogram, MeterProvider
    from opentelemetry.trace import SpanContext

    from otelml.integrations._http_series import Series
else:
    np = LazyModule("numpy")

DURATION_BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)
"""Seconds: the buckets that the semantic conventions advise."""
MAX_SERIES = 1000
MAX_WAITING = 1024
"""Requests of one series that wait before whoever ends the next one takes them to the histogram."""


class HttpMetrics:
    """The instruments of one meter provider. ``record`` never waits for anything but, rarely, its own arithmetic."""

    def __init__(self, provider: MeterProvider) -> None:
        meter = provider.get_meter(semconv.SCOPE, version("otelml"), semconv.SCHEMA_URL)
        self._duration = meter.create_histogram(
            "http.server.request.duration",
            "s",
            "Duration of HTTP server requests.",
            explicit_bucket_boundaries_advisory=DURATION_BOUNDS,
        )
        self._request_size = meter.create_histogram(
            "http.server.request.body.size", "By", "Size of HTTP server request bodies."
        )
        self._response_size = meter.create_histogram(
            "http.server.response.body.size", "By", "Size of HTTP server response bodies."
        )
        meter.create_observable_up_down_counter(
            "http.server.active_requests", [self._observe], "{request}", "Number of active HTTP server requests."
        )
        histograms = (self._duration, self._request_size, self._response_size)
        self._batches = all(_sdk.takes_batches(provider, each) for each in histograms)
        self._reset()
        if hasattr(os, "register_at_fork"):
            own = weakref.WeakMethod(self._reset)
            os.register_at_fork(after_in_child=lambda: (method := own()) and method())

    def _reset(self) -> None:
        """Start empty, also in the child after a fork: the parent counts its own requests."""
        self.series: dict[tuple[Any, ...], Series] = {}
        """Those seen so far."""
        self._active: dict[tuple[str, str | None], set[int]] = {}
        self._lock = threading.Lock()

    def active(self, method: str, scheme: str | None) -> set[int]:
        """Return the set that holds the id of every open request of a method and scheme."""
        try:
            return self._active[method, scheme]
        except KeyError:
            return self._active.setdefault((method, scheme), set())

    def add(self, key: tuple[Any, ...], series: Series) -> Series:
        """Remember a series; when there are too many, all start anew."""
        if len(self.series) >= MAX_SERIES:
            old, self.series = self.series, {}
            for each in old.values():
                self._fold(each)
        return self.series.setdefault(key, series)

    def ended(self, series: Series) -> None:
        """Take note that one more request of a series waits."""
        if not self._batches:
            for seconds, span, *sizes in series.taken(self._lock):
                self._record_one(series, seconds, span, sizes)
        # Importing numpy takes too long for the application's thread; a collection does it elsewhere.
        elif len(series.waiting) >= MAX_WAITING and "numpy" in sys.modules:
            self._fold(series)

    def _record_one(self, series: Series, seconds: float, span: SpanContext, sizes: Sequence[int | None]) -> None:
        context = _sdk.only_span(NonRecordingSpan(span))
        self._duration.record(seconds, series.measured, context)
        for size, histogram in zip(sizes, (self._request_size, self._response_size), strict=True):
            if size is not None:
                histogram.record(size, series.measured, context)

    def _observe(self, _: CallbackOptions) -> Iterable[Observation]:
        """Take to the histograms what waits, then tell how many requests are open."""
        with guard("integrations.http_metrics"):
            for series in list(self.series.values()):
                self._fold(series)
        for (method, scheme), ids in list(self._active.items()):
            known = {METHOD: method, SCHEME: scheme}
            yield Observation(len(ids), {key: value for key, value in known.items() if value})

    def _fold(self, series: Series) -> None:
        rows = series.taken(self._lock)
        if not rows:
            return
        seconds, contexts, *sizes = zip(*rows, strict=True)
        spans = [NonRecordingSpan(each) if each[3] & 1 else None for each in contexts]
        _record_all(self._duration, series, list(seconds), spans)
        for values, histogram in zip(sizes, (self._request_size, self._response_size), strict=True):
            known = [(value, span) for value, span in zip(values, spans, strict=True) if value is not None]
            if known:
                _record_all(histogram, series, [value for value, _ in known], [span for _, span in known])


def _record_all(
    histogram: Histogram, series: Series, values: list[float], spans: list[NonRecordingSpan | None]
) -> None:
    some = next((span for span in spans if span is not None), trace.INVALID_SPAN)
    batch = _sdk.Batch(np.array(values, dtype=np.float64), spans)
    histogram.record(batch, series.measured, _sdk.only_span(some))


_made: weakref.WeakKeyDictionary[MeterProvider, HttpMetrics] = weakref.WeakKeyDictionary()


def of(provider: MeterProvider) -> HttpMetrics:
    """Return the instruments of a provider, always the same: a second set of callbacks would not be called."""
    found = _made.get(provider)
    return _made.setdefault(provider, HttpMetrics(provider)) if found is None else found
