"""HTTP server metrics: one set of instruments a meter provider.

Durations wait in their series and reach the histogram many at once: before every collection, and when there are many.
Where the provider's histograms take single values only, each is recorded as it comes.
"""

from __future__ import annotations

import threading
import weakref
from bisect import bisect_left
from collections import deque
from contextlib import suppress
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from opentelemetry import trace
from opentelemetry.metrics import CallbackOptions, Observation
from opentelemetry.trace import NonRecordingSpan

from otelml import _sdk, _sdk_metrics, processes, semconv
from otelml._guard import guard
from otelml.integrations._http_series import METHOD, SCHEME

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from opentelemetry.metrics import Histogram, MeterProvider
    from opentelemetry.trace import SpanContext

    from otelml.integrations._http_series import Series

DURATION_BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)
"""Seconds: the buckets that the semantic conventions advise."""
SIZE_BOUNDS = (0, 5, 10, 25, 50, 75, 100, 250, 500, 750, 1000, 2500, 5000, 7500, 10000)
"""Bytes: the SDK's own buckets."""
_HISTOGRAMS = (
    ("http.server.request.duration", "s", "Duration of HTTP server requests.", DURATION_BOUNDS),
    ("http.server.request.body.size", "By", "Size of HTTP server request bodies.", SIZE_BOUNDS),
    ("http.server.response.body.size", "By", "Size of HTTP server response bodies.", SIZE_BOUNDS),
)
MAX_SERIES = 1000
MAX_WAITING = 1024
"""Values of one series that wait before whoever adds the next one takes them to the histogram."""


class Values:
    """Measurements of one histogram and one set of attributes that wait to be recorded together.

    Numbers alone wait: nothing that the garbage collector would have to look at again and again.
    """

    __slots__ = ("_attributes", "_bounds", "_histogram", "_latest", "_spans", "_waiting")

    def __init__(self, histogram: Histogram, attributes: Mapping[str, Any], bounds: Sequence[float]) -> None:
        self._histogram, self._attributes, self._bounds = histogram, attributes, bounds
        self._waiting: deque[float] = deque()
        # Of each bucket the last value that has a sampled span, and that span.
        self._latest = [0.0] * (len(bounds) + 1)
        self._spans: list[SpanContext | None] = [None] * (len(bounds) + 1)

    def add(self, value: float, span: SpanContext) -> None:
        """Take one value; a sampled span becomes the exemplar of its bucket."""
        waiting = self._waiting
        waiting.append(value)
        if span[3] & 1:
            bucket = bisect_left(self._bounds, value)
            self._latest[bucket] = value
            self._spans[bucket] = span
        if len(waiting) >= MAX_WAITING:
            self.fold()

    def fold(self) -> None:
        """Record all that waits; each value once, whoever asks at the same time."""
        contexts, self._spans = self._spans, [None] * len(self._spans)
        pairs = list(zip(self._latest, contexts, strict=True))
        values: list[float] = []
        with suppress(IndexError):
            for _ in range(len(self._waiting)):
                values.append(self._waiting.popleft())  # noqa: PERF401 - keeps what it has when the deque runs empty
        if not values:
            return
        known = set(values)  # another thread may have taken the value of an exemplar
        latest = [(value, NonRecordingSpan(span)) for value, span in pairs if span is not None and value in known]
        batch = _sdk_metrics.PlainBatch(values, latest)
        some = latest[-1][1] if latest else trace.INVALID_SPAN
        self._histogram.record(batch, self._attributes, _sdk.only_span(some))


class HttpMetrics:
    """The instruments of one meter provider, and every series of requests seen so far."""

    def __init__(self, provider: MeterProvider, buckets: Mapping[str, Sequence[float]]) -> None:
        meter = provider.get_meter(semconv.SCOPE, version("otelml"), semconv.SCHEMA_URL)
        self._bounds = [tuple(buckets.get(name, bounds)) for name, _, _, bounds in _HISTOGRAMS]
        self._histograms = [
            meter.create_histogram(name, unit, what, explicit_bucket_boundaries_advisory=bounds)
            for (name, unit, what, _), bounds in zip(_HISTOGRAMS, self._bounds, strict=True)
        ]
        meter.create_observable_up_down_counter(
            "http.server.active_requests", [self._observe], "{request}", "Number of active HTTP server requests."
        )
        self._batches = all(_sdk_metrics.takes_batches(provider, each) for each in self._histograms)
        self._reset()
        processes.in_each_child(self._reset)

    def _reset(self) -> None:
        """Start empty, also in the child after a fork: the parent counts its own requests."""
        self.series: dict[tuple[Any, ...], Series] = {}
        """Those seen so far."""
        self._active: dict[tuple[str, str | None], set[int]] = {}

    def active(self, method: str, scheme: str | None) -> set[int]:
        """Return the set that holds the id of every open request of a method and scheme."""
        try:
            return self._active[method, scheme]
        except KeyError:
            return self._active.setdefault((method, scheme), set())

    def add(self, key: tuple[Any, ...], series: Series) -> Series:
        """Remember a series, where there are not too many: those beyond are measured one request at a time."""
        if len(self.series) >= MAX_SERIES:
            return series
        if self._batches:
            series.values = [
                Values(histogram, series.measured, bounds)
                for histogram, bounds in zip(self._histograms, self._bounds, strict=True)
            ]
        return self.series.setdefault(key, series)

    def record(
        self, series: Series, span: SpanContext, seconds: float, request_size: int | None, response_size: int | None
    ) -> None:
        """Take the measurements of one ended request; sizes are in bytes where they are known."""
        sizes = (seconds, request_size, response_size)
        if series.values is None:
            context = _sdk.only_span(NonRecordingSpan(span))
            for histogram, value in zip(self._histograms, sizes, strict=True):
                if value is not None:
                    histogram.record(value, series.measured, context)
            return
        for values, value in zip(series.values, sizes, strict=True):
            if value is not None:
                values.add(value, span)

    def _observe(self, _: CallbackOptions) -> Iterable[Observation]:
        """Take to the histograms what waits, then tell how many requests are open."""
        with guard("integrations.http_metrics"):
            for series in list(self.series.values()):
                for values in series.values or ():
                    values.fold()
        for (method, scheme), ids in list(self._active.items()):
            known = {METHOD: method, SCHEME: scheme}
            yield Observation(len(ids), {key: value for key, value in known.items() if value})


_made: weakref.WeakKeyDictionary[MeterProvider, HttpMetrics] = weakref.WeakKeyDictionary()
_making = threading.Lock()


def of(provider: MeterProvider, buckets: Mapping[str, Sequence[float]]) -> HttpMetrics:
    """Return the instruments of a provider, always the same: a second set of callbacks would not be called.

    ``buckets`` holds bounds by metric, where they are not the default ones.
    """
    with _making:
        if provider not in _made:
            _made[provider] = HttpMetrics(provider, buckets)
        return _made[provider]
