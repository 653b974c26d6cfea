"""Providers: those the application set, or our own, built from the settings and made global.

`build` uses every provider that exists and makes the missing ones. `Pipeline.force_flush` and `Pipeline.shutdown` work
on all signals at once under one deadline; what is not ours is never shut down.

With ``OTEL_CONFIG_FILE`` OpenTelemetry's declarative configuration builds everything: our queue, our Prometheus names
and our batch-wise histograms are not used there, since that file cannot name them.
"""

from __future__ import annotations

import os
import threading
import time
import warnings
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import version
from itertools import chain
from typing import TYPE_CHECKING, Any

from opentelemetry import _logs, metrics, propagate, trace
from opentelemetry.propagators.composite import CompositePropagator
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import MetricReader, MetricsData
from opentelemetry.sdk.metrics.view import ExplicitBucketHistogramAggregation, View
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider

from otelml import exporters, otlp, processors, spool
from otelml._guard import attempt
from otelml._sdk_metrics import OthersView
from otelml.config import SIGNALS, Config
from otelml.errors import ConfigError, MissingExtraError
from otelml.export import BatchQueue, OnDrop
from otelml.instance import attributes as attributes_of
from otelml.logs import JsonFileExporter
from otelml.outage import Outage
from otelml.processors import LogQueueProcessor, QueueMetricReader, SpanQueueProcessor, points, shutdown_last
from otelml.servers import Worker

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from opentelemetry.sdk.trace.id_generator import IdGenerator


_API_MODULES = ("opentelemetry.trace", "opentelemetry.metrics", "opentelemetry._logs")
_METRIC_BACKLOG = 4
_MARGIN = 0.2
"""Seconds a queue keeps for counting what it gives up, before the deadline of the whole."""


@dataclass
class Pipeline:
    """The three providers, and what is needed to flush and close the ones we made."""

    tracer_provider: trace.TracerProvider
    meter_provider: metrics.MeterProvider
    logger_provider: _logs.LoggerProvider
    owned: frozenset[str] = frozenset()
    """Signals (``traces``, ``metrics``, ``logs``) whose provider we made."""
    queues: dict[str, list[BatchQueue[Any]]] = field(default_factory=lambda: {signal: [] for signal in SIGNALS})
    readers: list[MetricReader] = field(default_factory=list)
    prometheus_port: int | None = None
    _closed: bool = False

    def force_flush(self, timeout: float) -> bool:
        """Export everything recorded so far; False when something failed or took longer than ``timeout`` seconds."""
        deadline = time.monotonic() + timeout
        failures = self._failures()
        for queue in (*self.queues["traces"], *self.queues["logs"]):
            queue.request_flush()  # so that they export side by side even where no thread can be started
        jobs: list[Callable[[], object]] = [
            lambda provider=provider: _flush(provider, deadline)  # type: ignore[misc]
            for provider in self._flushable()
        ]
        jobs += [lambda reader=reader: reader.force_flush(_millis(deadline)) for reader in self.readers]  # type: ignore[misc]
        return _side_by_side(jobs, deadline) and self._failures() == failures

    def shutdown(self, timeout: float) -> bool:
        """Flush, then close what we made, within ``timeout`` seconds; what cannot be exported by then is counted."""
        if self._closed or not self.owned:
            return True
        self._closed = True
        deadline = time.monotonic() + timeout
        jobs = [
            self._closer("traces", self.tracer_provider, deadline),
            self._closer("logs", self.logger_provider, deadline),
        ]
        others = [*self.queues["traces"], *self.queues["logs"]]
        jobs += [partial(shutdown_last, reader, others, deadline - _MARGIN) for reader in self.readers]
        if "metrics" in self.owned and not self.readers:
            jobs.append(lambda: _shut(self.meter_provider))
        failures = self._failures()
        return _side_by_side(jobs, deadline) and self._failures() == failures

    def _closer(self, signal: str, provider: object, deadline: float) -> Callable[[], object]:
        """Return a job that closes one signal; its flush starts at once."""
        if signal not in self.owned:
            return lambda: True
        flushes = [(queue, queue.request_flush()) for queue in self.queues[signal]]

        def close() -> bool:
            ok = [queue.shutdown(deadline - _MARGIN - time.monotonic(), flush) for queue, flush in flushes]
            _shut(provider)
            return all(ok)

        return close

    def workers(self) -> list[Worker]:
        """Return what has a thread of ours."""
        return [*chain(*self.queues.values()), *(reader for reader in self.readers if isinstance(reader, Worker))]

    def _flushable(self) -> list[object]:
        providers: list[object] = [self.tracer_provider, self.logger_provider]
        return providers if self.readers else [*providers, self.meter_provider]

    def _failures(self) -> int:
        return sum(queue.failures for queues in self.queues.values() for queue in queues)


def build(
    config: Config,
    *,
    views: Sequence[View] = (),
    on_drop: OnDrop = lambda *_: None,
    ids: IdGenerator | None = None,
) -> Pipeline:
    """Use the global providers that exist; make the others and set them globally.

    Args:
        config: The settings.
        views: Views for the meter provider we make, such as the one for our own histograms. Bounds given by
            ``OTELML_BUCKETS`` for metrics of others become Views here; ours take them when they are created.
        on_drop: Told what is dropped, where, and how many.
        ids: Makes trace and span ids, where ``OTEL_PYTHON_ID_GENERATOR`` names no other.

    Raises:
        ConfigError: When an exporter cannot be made or a port is taken; nothing is left running.
        MissingExtraError: When ``OTEL_CONFIG_FILE`` is set without the ``config`` extra.
    """
    os.environ.setdefault("OTEL_SEMCONV_STABILITY_OPT_IN", "http")
    if config.sdk_disabled:
        return Pipeline(trace.NoOpTracerProvider(), metrics.NoOpMeterProvider(), _logs.NoOpLoggerProvider())
    # What is imported from here on adds warning filters, which slow down every numpy and scikit-learn call that
    # copies them: they are put back.
    with warnings.catch_warnings():
        if config.otel_config:
            spool.say_unused(config, frozenset())
            return _declarative(config.otel_config)
        made = _Builder(config, views, on_drop, ids).build()
        spool.say_unused(config, made.owned)
        return made


def _declarative(path: str) -> Pipeline:
    try:
        from opentelemetry.configuration import configure_sdk, load_config_file  # noqa: PLC0415 - an extra
    except ImportError:
        raise MissingExtraError("OTEL_CONFIG_FILE", "config") from None
    missing = frozenset(signal for signal in SIGNALS if _is_api(_global(signal)))
    _, error = attempt(lambda: configure_sdk(load_config_file(path)))
    if error is not None:
        raise ConfigError([f"OTEL_CONFIG_FILE={path!r}: {' '.join(str(error).split())[:300]}"])
    made = frozenset(signal for signal in missing if not _is_api(_global(signal)))
    return Pipeline(trace.get_tracer_provider(), metrics.get_meter_provider(), _logs.get_logger_provider(), made)


class _Builder:
    """Makes the missing providers; closes what it made when one of them fails."""

    def __init__(self, config: Config, views: Sequence[View], on_drop: OnDrop, ids: IdGenerator | None) -> None:
        self.config, self.views, self.on_drop, self.ids = config, views, on_drop, ids
        self.outage = Outage()
        self.maker = spool.maker(config, on_drop)
        self.pipeline = Pipeline(trace.get_tracer_provider(), metrics.get_meter_provider(), _logs.get_logger_provider())

    def build(self) -> Pipeline:
        missing = frozenset(signal for signal in SIGNALS if _is_api(_global(signal)))
        if missing:
            resource = _resource(self.config)
            steps: dict[str, Callable[[Resource], None]] = {
                "traces": self._traces,
                "metrics": self._metrics,
                "logs": self._logs,
            }
            for signal in SIGNALS:
                if signal in missing:
                    _, error = attempt(steps[signal], resource)
                    self.pipeline.owned |= {signal}
                    if error is not None:
                        self.pipeline.shutdown(0.0)
                        raise _as_config_error(signal, error)
        _, error = attempt(self._log_file)
        if error is not None:
            self.pipeline.shutdown(0.0)
            raise _as_config_error("logs", error)
        _set_globals(self.pipeline, missing)
        _set_propagators(self.config)
        return self.pipeline

    def _log_file(self) -> None:
        """Write every log record to the JSON file too, where there is one."""
        config = self.config
        if config.log_file is None:
            return
        provider = self.pipeline.logger_provider
        if not isinstance(provider, LoggerProvider):
            raise ConfigError(
                [f"OTELML_LOG_FILE={config.log_file!r}: the application's logger provider takes no files"]
            )
        make = partial(
            JsonFileExporter,
            config.log_file,
            max_bytes=config.log_file_max_bytes,
            when=config.log_file_when,
            backups=config.log_file_backups,
        )
        queue: BatchQueue[Any] = BatchQueue(
            *("log_line", make, self.on_drop, self.outage),
            capacity=config.log_queue,
            batch=config.log_batch,
            delay=config.log_delay / 1000,
        )
        self.pipeline.queues["logs"].append(queue)
        provider.add_log_record_processor(LogQueueProcessor(queue))

    def _traces(self, resource: Resource) -> None:
        config = self.config
        provider = TracerProvider(
            exporters.sampler(config),
            resource,
            shutdown_on_exit=False,
            id_generator=exporters.id_generator(config.id_generator) or self.ids,
        )
        self.pipeline.tracer_provider = provider
        for name in config.traces_exporter:
            queue = self._queue("span", name, (config.span_queue, config.span_batch, config.span_delay))
            self.pipeline.queues["traces"].append(queue)
            provider.add_span_processor(SpanQueueProcessor(queue, takes_encoded=otlp.takes_encoded(queue.exporter)))

    def _logs(self, resource: Resource) -> None:
        config = self.config
        provider = LoggerProvider(resource=resource, shutdown_on_exit=False)
        self.pipeline.logger_provider = provider
        for name in config.logs_exporter:
            queue = self._queue("log", name, (config.log_queue, config.log_batch, config.log_delay))
            self.pipeline.queues["logs"].append(queue)
            provider.add_log_record_processor(
                LogQueueProcessor(queue, takes_encoded=otlp.takes_encoded(queue.exporter))
            )

    def _metrics(self, resource: Resource) -> None:
        for name in self.config.metrics_exporter:
            if name != "prometheus":
                self.pipeline.readers.append(self._reader(name))
        listens = "prometheus" in self.config.metrics_exporter
        prometheus = self._prometheus(resource, listens) if listens or self.config.prometheus_dir else None
        provider = MeterProvider(
            self.pipeline.readers, resource, shutdown_on_exit=False, views=[*self.views, *_bucket_views(self.config)]
        )
        self.pipeline.meter_provider = provider
        processors.after_fork(self.pipeline.readers)
        if prometheus is not None:
            prometheus(provider)

    def _reader(self, name: str) -> MetricReader:
        config = self.config
        make = self.maker("metrics", name)
        made: object = make
        if isinstance(made, type) and issubclass(made, MetricReader):
            return made()
        queue: BatchQueue[MetricsData] = BatchQueue(
            "metric",
            make,
            self.on_drop,
            self.outage,
            capacity=_METRIC_BACKLOG,
            batch=1,
            delay=config.metric_interval / 1000,
            payload=lambda items: items[0],
            size=points,
        )
        self.pipeline.queues["metrics"].append(queue)
        ours = name == "otlp"
        preferred = (exporters.temporality(config), exporters.aggregation(config)) if ours else ({}, {})
        return QueueMetricReader(queue, config.metric_interval / 1000, config.metric_timeout / 1000, *preferred)

    def _prometheus(self, resource: Resource, listens: bool) -> Callable[[MeterProvider], None]:
        from otelml import prometheus, prometheus_workers  # noqa: PLC0415 - they import what few ask for

        folder = self.config.prometheus_dir
        reader = prometheus.PrometheusReader(prometheus_workers.Workers(folder) if folder else None, resource)
        if listens:
            self.pipeline.prometheus_port = reader.serve(self.config.prometheus_host, self.config.prometheus_port)
        self.pipeline.readers.append(reader)
        return lambda provider: prometheus.register(provider, reader)

    def _queue(self, what: str, name: str, sizes: tuple[int, int, float]) -> BatchQueue[Any]:
        signal = "traces" if what == "span" else "logs"
        make = self.maker(signal, name)
        capacity, batch, delay = sizes
        return BatchQueue(what, make, self.on_drop, self.outage, capacity=capacity, batch=batch, delay=delay / 1000)


def _as_config_error(signal: str, error: Exception) -> Exception:
    if isinstance(error, (ConfigError, MissingExtraError)):
        return error
    return ConfigError([f"OTEL_{signal.upper()}_EXPORTER: cannot be started: {type(error).__name__}: {error}"])


def _resource(config: Config) -> Resource:
    """Return the resource; the SDK adds ``service.instance.id``, a default ``service.name`` and its detectors'."""
    attributes = {
        "telemetry.distro.name": "otelml",
        "telemetry.distro.version": version("otelml"),
        **attributes_of(config.resource_attributes),
        **({"service.name": config.service_name} if config.service_name else {}),
    }
    return Resource.create(attributes)


def _bucket_views(config: Config) -> list[View]:
    """Return Views for other people's histograms."""
    return [
        OthersView(instrument_name=name, aggregation=ExplicitBucketHistogramAggregation(boundaries=bounds))
        for name, bounds in config.buckets.items()
    ]


def _global(signal: str) -> object:
    getters: dict[str, Callable[[], object]] = {
        "traces": trace.get_tracer_provider,
        "metrics": metrics.get_meter_provider,
        "logs": _logs.get_logger_provider,
    }
    return getters[signal]()


def _is_api(provider: object) -> bool:
    """Tell whether a provider is only the API's stand-in: nobody has set one."""
    kind = type(provider)
    return kind.__module__.startswith(_API_MODULES) and "Proxy" in kind.__name__


def _set_globals(pipeline: Pipeline, missing: frozenset[str]) -> None:
    if "traces" in missing:
        trace.set_tracer_provider(pipeline.tracer_provider)
    if "metrics" in missing:
        metrics.set_meter_provider(pipeline.meter_provider)
    if "logs" in missing:
        _logs.set_logger_provider(pipeline.logger_provider)


def _set_propagators(config: Config) -> None:
    if config.sources.get("propagators", "default") == "default":
        return  # the API has set these, or the application its own
    names = [name for name in config.propagators if name != "none"]
    made = [exporters.entry_point("opentelemetry_propagator", name)() for name in names]
    propagate.set_global_textmap(CompositePropagator(made))


# Deadlines ------------------------------------------------------------------------------------------------------


def _side_by_side(jobs: list[Callable[[], object]], deadline: float) -> bool:
    """Run jobs in daemon threads until the deadline; True when all ended in time and none failed."""
    results: list[bool] = []

    def run(job: Callable[[], object]) -> None:
        result, error = attempt(job)
        results.append(error is None and result is not False)

    threads = [threading.Thread(target=run, args=(job,), name="otelml-flush", daemon=True) for job in jobs]
    for thread, job in zip(threads, jobs, strict=True):
        try:
            thread.start()
        except RuntimeError:
            run(job)  # from Python 3.12 on, no thread can be started while the interpreter exits
    for thread in threads:
        if thread.ident is not None:
            thread.join(max(0.0, deadline - time.monotonic()))
    return len(results) == len(jobs) and all(results)


def _flush(provider: object, deadline: float) -> bool:
    flush: Callable[[int], object] | None = getattr(provider, "force_flush", None)
    return flush is None or flush(int(_millis(deadline))) is not False


def _shut(provider: object) -> None:
    shutdown: Callable[[], object] | None = getattr(provider, "shutdown", None)
    if shutdown is not None:
        shutdown()


def _millis(deadline: float) -> float:
    return max(1.0, (deadline - time.monotonic()) * 1000)
