"""Test your telemetry: otelml on real OpenTelemetry providers that keep what they export in memory.

Put ``pytest_plugins = ["otelml.testing"]`` into ``conftest.py`` and ask for the fixture ``telemetry``::

    def test_one_prediction(telemetry):
        predict_delay(flight)
        assert telemetry.total("ml.requests", {"ml.model.name": "delay"}) == 1
        assert [span.name for span in telemetry.spans()] == ["inference", "predict delay"]

``@pytest.mark.telemetry(deterministic=True)`` counts ids and steps the clock, so that whole exports can be compared;
the marker takes every argument of ``recording``. OpenTelemetry's global providers stay as they are: spans of other
tracers are seen when they come from ``telemetry.tracer_provider``.
"""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from importlib import import_module
from importlib.metadata import entry_points
from itertools import count
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import pytest
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import HistogramDataPoint, InMemoryMetricReader, NumberDataPoint
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from otelml import _guard, _labels, _sdk_metrics, config, runtime
from otelml._drops import Drops
from otelml.pipeline import Pipeline
from otelml.spans import RandomIds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from opentelemetry.sdk._logs import ReadableLogRecord
    from opentelemetry.sdk.metrics.view import View
    from opentelemetry.sdk.trace.sampling import Sampler

__all__ = ["LogSeen", "PointSeen", "SpanSeen", "Telemetry", "recording", "telemetry"]

EPOCH_NS = 1_700_000_000_000_000_000
"""Where the stepping clock starts, in ns since the epoch."""
STEP_NS = 1_000_000
"""How far the stepping clock goes at every reading, in ns."""


@dataclass(frozen=True, slots=True)
class SpanSeen:
    """One exported span. Times are ns since the epoch; ``events`` are (name, attributes)."""

    name: str
    trace_id: int
    span_id: int
    parent_id: int | None
    start: int
    end: int
    attributes: dict[str, Any]
    status: str
    description: str | None
    kind: str = "INTERNAL"
    flags: int = 1
    trace_state: str = ""
    events: tuple[tuple[str, dict[str, Any]], ...] = ()
    links: tuple[tuple[int, dict[str, Any]], ...] = ()
    scope: str = "otelml"

    @property
    def seconds(self) -> float:
        """Duration in seconds."""
        return (self.end - self.start) / 1e9


@dataclass(frozen=True, slots=True)
class LogSeen:
    """One exported log record; ``time`` is ns since the epoch, the ids are 0 outside of a trace."""

    event: str | None
    body: Any
    severity: str
    time: int
    attributes: dict[str, Any]
    trace_id: int
    span_id: int
    scope: str = "otelml"


@dataclass(frozen=True, slots=True)
class PointSeen:
    """One exported data point. ``value`` is the number of a counter or gauge; a histogram has the rest.

    ``exemplars`` are (value, trace id, span id).
    """

    name: str
    unit: str
    attributes: dict[str, Any]
    value: float | None = None
    count: int = 0
    sum: float = 0.0
    min: float = 0.0
    max: float = 0.0
    bounds: tuple[float, ...] = ()
    buckets: tuple[int, ...] = ()
    exemplars: tuple[tuple[float, int, int], ...] = ()
    scope: str = field(default="otelml", compare=False)


class CountingIds(RandomIds):
    """Trace ids 1, 2, 3, ..., span ids 1, 2, 3, ... and predictions' numbers 1, 2, 3, ..."""

    def __init__(self) -> None:
        self._traces = self._spans = 0
        self._numbers = count(1)

    def is_trace_id_random(self) -> bool:
        """Return that it is not."""
        return False

    @property
    def number(self) -> Callable[[], int]:
        """Return what counts predictions."""
        return partial(next, self._numbers)

    def generate_trace_id(self) -> int:
        """Return the next trace id."""
        self._traces += 1
        return self._traces

    def generate_span_id(self) -> int:
        """Return the next span id."""
        self._spans += 1
        return self._spans


class SteppingClock:
    """Every reading, of whatever clock, is ``STEP_NS`` after the one before."""

    def __init__(self) -> None:
        self._now = self._ids = 0

    def perf_counter_ns(self) -> int:
        """Return ns since the clock was made."""
        self._now += STEP_NS
        return self._now

    def time_ns(self) -> int:
        """Return ns since the epoch."""
        return EPOCH_NS + self.perf_counter_ns()

    def perf_counter(self) -> float:
        """Return seconds since the clock was made."""
        return self.perf_counter_ns() / 1e9

    def new_id(self) -> str:
        """Return the next id of a request or prediction."""
        self._ids += 1
        return f"{self._ids:032x}"

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Make otelml read this clock."""
        sources = {
            "prediction": ("perf_counter_ns", "time_ns"),
            "events": ("time_ns",),
            "templates": ("time_ns",),
            "stage": ("perf_counter_ns",),
            "members": ("perf_counter_ns",),
            "recorder": ("perf_counter",),
            "context": ("new_id",),
        }
        with ExitStack() as stack:
            for module, names in sources.items():
                for name in names:
                    stack.enter_context(patch.object(import_module(f"otelml.{module}"), name, getattr(self, name)))
            yield


class Telemetry:
    """What otelml exported while the test ran. Every look drains what predictions left in the buffer first."""

    def __init__(
        self,
        settings: Mapping[str, object],
        *,
        ids: RandomIds,
        sampler: Sampler | None,
        processors: Sequence[SpanProcessor],
        views: Sequence[View],
    ) -> None:
        resource = Resource({"service.name": "test"})
        self._spans = InMemorySpanExporter()
        self._logs = InMemoryLogRecordExporter()  # type: ignore[no-untyped-call] # not annotated in the SDK
        self._reader = InMemoryMetricReader()
        self.tracer_provider = TracerProvider(sampler, resource, shutdown_on_exit=False, id_generator=ids)
        self.logger_provider = LoggerProvider(resource, shutdown_on_exit=False)
        self.meter_provider = MeterProvider([self._reader], resource, shutdown_on_exit=False, views=views)
        for processor in (*processors, SimpleSpanProcessor(self._spans)):
            self.tracer_provider.add_span_processor(processor)
        self.logger_provider.add_log_record_processor(SimpleLogRecordProcessor(self._logs))
        made = Pipeline(self.tracer_provider, self.meter_provider, self.logger_provider)
        self.drops = Drops()
        self.runtime = runtime._assemble(config.load(settings, {}), made, self.drops, ids)

    def drain(self) -> None:
        """Turn every ended prediction into telemetry now."""
        self.runtime.recorder.drain()

    def spans(self) -> list[SpanSeen]:
        """Return the spans exported so far, in the order of their end: stages before their prediction."""
        self.drain()
        return [_span(span) for span in self._spans.get_finished_spans()]

    def logs(self) -> list[LogSeen]:
        """Return the log records exported so far: events and what was logged."""
        self.drain()
        return [_log(record) for record in self._logs.get_finished_logs()]

    def metrics(self) -> list[PointSeen]:
        """Return every data point, summed up from the start of the test, ordered by name and attributes."""
        data = self._reader.get_metrics_data()
        found: list[PointSeen] = []
        for resource in () if data is None else data.resource_metrics:
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    known = (metric.name, metric.unit or "", scope.scope.name)
                    found += [_point(*known, point) for point in metric.data.data_points]
        return sorted(found, key=lambda p: (p.name, sorted(map(str, p.attributes.items()))))

    def points(self, name: str, attributes: Mapping[str, Any] | None = None) -> list[PointSeen]:
        """Return the data points of one metric whose attributes hold all of ``attributes``."""
        wanted = (attributes or {}).items()
        return [p for p in self.metrics() if p.name == name and wanted <= p.attributes.items()]

    def total(self, name: str, attributes: Mapping[str, Any] | None = None) -> float:
        """Return the sum of a counter's values, or of a histogram's counts, over matching attributes."""
        return sum(p.count if p.value is None else p.value for p in self.points(name, attributes))

    def clear(self) -> None:
        """Forget the spans and log records seen so far; metrics go on counting."""
        self.drain()
        self._spans.clear()
        self._logs.clear()


def _span(span: ReadableSpan) -> SpanSeen:
    own, parent, scope = span.get_span_context(), span.parent, span.instrumentation_scope
    return SpanSeen(
        name=span.name,
        trace_id=own.trace_id if own else 0,
        span_id=own.span_id if own else 0,
        parent_id=parent.span_id if parent else None,
        start=span.start_time or 0,
        end=span.end_time or 0,
        attributes=dict(span.attributes or {}),
        status=span.status.status_code.name,
        description=span.status.description,
        kind=span.kind.name,
        flags=int(own.trace_flags) if own else 0,
        trace_state=own.trace_state.to_header() if own else "",
        events=tuple((e.name, dict(e.attributes or {})) for e in span.events),
        links=tuple((link.context.span_id, dict(link.attributes or {})) for link in span.links),
        scope=scope.name if scope else "",
    )


def _log(record: ReadableLogRecord) -> LogSeen:
    log, scope = record.log_record, record.instrumentation_scope
    return LogSeen(
        event=log.event_name,
        body=log.body,
        severity=log.severity_text or "",
        time=log.timestamp or 0,
        attributes=dict(log.attributes or {}),
        trace_id=log.trace_id or 0,
        span_id=log.span_id or 0,
        scope=scope.name if scope else "",
    )


def _point(name: str, unit: str, scope: str, point: Any) -> PointSeen:
    exemplars = tuple((e.value, e.trace_id or 0, e.span_id or 0) for e in getattr(point, "exemplars", ()) or ())
    attributes = dict(point.attributes or {})
    if isinstance(point, NumberDataPoint):
        return PointSeen(name, unit, attributes, point.value, exemplars=exemplars, scope=scope)
    if not isinstance(point, HistogramDataPoint):
        return PointSeen(name, unit, attributes, count=point.count, sum=point.sum, scope=scope)
    return PointSeen(
        *(name, unit, attributes, None, point.count, point.sum, point.min, point.max),
        bounds=tuple(point.explicit_bounds),
        buckets=tuple(point.bucket_counts),
        exemplars=exemplars,
        scope=scope,
    )


@contextmanager
def recording(
    *,
    deterministic: bool = False,
    integrations: Iterable[str] = (),
    sampler: Sampler | None = None,
    processors: Sequence[SpanProcessor] = (),
    views: Sequence[View] | None = None,
    **settings: object,
) -> Iterator[Telemetry]:
    """Make otelml export into memory: everything it records inside is seen by the ``Telemetry`` this gives.

    Args:
        deterministic: Count ids (1, 2, 3, ...) and step the clock by 1 ms at every reading.
        integrations: Integrations to switch on inside, such as ``"sklearn"``.
        sampler: Sampler of traces; all are sampled by default.
        processors: Span processors to add.
        views: Views of the meter provider; by default the one that makes our histograms take batches.
        settings: Settings by their names in code, such as ``model_name="delay"`` or ``capture="payload"``.

    Raises:
        ConfigError: When a setting is wrong.
    """
    clock = SteppingClock()
    before = runtime.active
    _guard.reset()
    _labels.reset()
    with ExitStack() as stack:
        if deterministic:
            stack.enter_context(clock.installed())
        seen = Telemetry(
            settings,
            ids=CountingIds() if deterministic else RandomIds(),
            sampler=sampler,
            processors=processors,
            views=(_sdk_metrics.BATCH_VIEW, _sdk_metrics.FEATURES_VIEW) if views is None else views,
        )
        runtime.active = seen.runtime
        stack.callback(setattr, runtime, "active", before)
        for name in integrations:
            (entry,) = entry_points(group=runtime.INSTRUMENTORS, name=runtime.PREFIX + name)
            instrumentor = entry.load()()
            instrumentor.instrument(skip_dep_check=True)
            stack.callback(instrumentor.uninstrument)
        yield seen


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known."""
    config.addinivalue_line("markers", "telemetry(**arguments): arguments of otelml.testing.recording")


@pytest.fixture
def telemetry(request: pytest.FixtureRequest) -> Iterator[Telemetry]:
    """Record into memory for one test; ``@pytest.mark.telemetry(...)`` gives ``recording`` its arguments."""
    marker = request.node.get_closest_marker("telemetry")
    with recording(**({} if marker is None else marker.kwargs)) as seen:
        yield seen
