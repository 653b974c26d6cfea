"""HTTP server metrics: one set of instruments a meter provider.

Durations wait in their series and reach the histogram many at once: before every collection, and when there are many.
Where the provider's histograms take single values only, each is recorded as it comes.
"""

from __future__ import annotations

import threading
import weakref
from collections import deque
from contextlib import suppress
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from opentelemetry import trace
from opentelemetry.metrics import CallbackOptions, Observation

from otelml import _sdk, _sdk_metrics, processes, semconv
from otelml._guard import guard
from otelml.integrations._http_series import METHOD, SCHEME

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from opentelemetry.context.context import Context
    from opentelemetry.metrics import MeterProvider

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
MAX_WAITING = 512
"""Requests of one series whose measurements wait before whoever adds the next one takes them to the histograms."""


class HttpMetrics:
    """The instruments of one meter provider, and every series of requests seen so far."""

    __slots__ = ("__dict__", "__weakref__", "_active", "series")

    def __init__(self, provider: MeterProvider, buckets: Mapping[str, Sequence[float]]) -> None:
        meter = provider.get_meter(semconv.SCOPE, version("otelml"), semconv.SCHEMA_URL)
        self._histograms = [
            meter.create_histogram(
                name, unit, what, explicit_bucket_boundaries_advisory=tuple(buckets.get(name, bounds))
            )
            for name, unit, what, bounds in _HISTOGRAMS
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
            series.waiting = deque()
        return self.series.setdefault(key, series)

    def record(
        self, series: Series, seconds: float, request_size: int | None, response_size: int | None, ids: int
    ) -> None:
        """Take the measurements of one ended request.

        Args:
            series: What it has in common with others.
            seconds: How long it took.
            request_size: Of its body in bytes, where it is known.
            response_size: Likewise.
            ids: Trace id and, in the low 64 bits, span id, where it is sampled; 0 where it is not.
        """
        waiting = series.waiting
        if waiting is None:
            self._record_one(series, (seconds, request_size, response_size), ids)
            return
        # Numbers alone wait: the garbage collector leaves such tuples alone.
        waiting.append((seconds, request_size, response_size, ids))
        if len(waiting) >= MAX_WAITING:
            self._fold(series, waiting)

    def _record_one(self, series: Series, values: tuple[float | None, ...], ids: int) -> None:
        context = _context(ids)
        for histogram, value in zip(self._histograms, values, strict=True):
            if value is not None:
                histogram.record(value, series.measured, context)

    def _fold(self, series: Series, waiting: deque[Any]) -> None:
        """Record all that waits; each request once, whoever asks at the same time."""
        taken: list[tuple[Any, ...]] = []
        with suppress(IndexError):
            for _ in range(len(waiting)):
                taken.append(waiting.popleft())  # noqa: PERF401 - keeps what it has when the deque runs empty
        if not taken:
            return
        *columns, ids = zip(*taken, strict=True)
        for histogram, values in zip(self._histograms, columns, strict=True):
            known, of = values, ids
            if None in values:
                pairs = [(value, own) for value, own in zip(values, ids, strict=True) if value is not None]
                if not pairs:
                    continue
                known, of = zip(*pairs, strict=True)
            sampled = next(filter(None, reversed(of)), 0)
            histogram.record(_sdk_metrics.PlainBatch(known, of), series.measured, _context(sampled))

    def _observe(self, _: CallbackOptions) -> Iterable[Observation]:
        """Take to the histograms what waits, then tell how many requests are open."""
        with guard("integrations.http_metrics"):
            for series in list(self.series.values()):
                if series.waiting:
                    self._fold(series, series.waiting)
        for (method, scheme), ids in list(self._active.items()):
            known = {METHOD: method, SCHEME: scheme}
            yield Observation(len(ids), {key: value for key, value in known.items() if value})


def _context(ids: int) -> Context:
    """Return a context that holds the sampled span of these ids alone; none for 0."""
    return _sdk.only_span(_sdk.sampled_span(ids) if ids else trace.INVALID_SPAN)


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
