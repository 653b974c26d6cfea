"""otelml at work on real SDK providers that keep their exports in memory, and an application's own estimator."""

from collections import Counter
from contextlib import contextmanager

import numpy as np
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from otelml import _guard, _labels, _sdk_metrics, config, runtime
from otelml._drops import Drops
from otelml.integrations.sklearn import SklearnInstrumentor
from otelml.pipeline import Pipeline


class Scored:
    """A mixin that is no estimator itself, as applications have them."""

    def score_samples(self, X):  # noqa: N803 - scikit-learn's name
        """Return one number a row."""
        return np.asarray(X)[:, 0]


class Early(Scored, ClassifierMixin, BaseEstimator):
    """An estimator that exists before otelml starts; its answer is one object it keeps."""

    def __init__(self, answer=None):
        self.answer = answer

    def fit(self, X, y):  # noqa: N803 - scikit-learn's name
        """Predict while fitting, as early stopping does."""
        self.inner_ = make_pipeline(StandardScaler(), LogisticRegression()).fit(X, y)
        self.classes_ = self.inner_.classes_
        self.inner_.predict(X)
        return self

    def predict(self, X):  # noqa: N803 - scikit-learn's name
        """Return the kept answer, after asking the estimator inside."""
        inner = self.inner_.predict(X)
        return inner if self.answer is None else self.answer


class Telemetry:
    """What one test's predictions exported."""

    def __init__(self, settings):
        self.spans, self.logs, self.reader = InMemorySpanExporter(), InMemoryLogRecordExporter(), InMemoryMetricReader()
        tracers, loggers = TracerProvider(shutdown_on_exit=False), LoggerProvider(shutdown_on_exit=False)
        tracers.add_span_processor(SimpleSpanProcessor(self.spans))
        loggers.add_log_record_processor(SimpleLogRecordProcessor(self.logs))
        meters = MeterProvider([self.reader], views=[_sdk_metrics.BATCH_VIEW], shutdown_on_exit=False)
        self.runtime = runtime._assemble(config.load(settings, {}), Pipeline(tracers, meters, loggers), Drops())

    def counted(self, metric, *attributes):
        """Return the sum of a counter, or the count of a histogram, by the values of some attributes."""
        found = Counter()
        data = self.reader.get_metrics_data()
        for point in _points(data, metric) if data else []:
            key = tuple(point.attributes.get(name) for name in attributes)
            found[key if len(key) != 1 else key[0]] += point.value if hasattr(point, "value") else point.count
        return dict(found)

    def total(self, metric):
        """Return the sum over all attributes."""
        return sum(self.counted(metric).values())

    def trees(self):
        """Return each prediction span's name with the names of the stages under it, in order of their start."""
        self.runtime.recorder.drain()
        spans = sorted(self.spans.get_finished_spans(), key=lambda span: span.start_time)
        roots = [span for span in spans if span.name.startswith("predict ")]
        return [(root.name, [s.name for s in spans if s.parent and s.parent == root.context]) for root in roots]

    def roots(self):
        """Return the prediction spans in order of their start."""
        self.runtime.recorder.drain()
        spans = [span for span in self.spans.get_finished_spans() if span.name.startswith("predict ")]
        return sorted(spans, key=lambda span: span.start_time)

    def events(self):
        """Return the names of the events."""
        self.runtime.recorder.drain()
        return Counter(record.log_record.event_name for record in self.logs.get_finished_logs())


def _points(data, name):
    metrics = [m for r in data.resource_metrics for s in r.scope_metrics for m in s.metrics]
    return [point for metric in metrics if metric.name == name for point in metric.data.data_points]


@contextmanager
def telemetry(monkeypatch, **settings):
    """Start otelml with scikit-learn measured; faults of otelml are raised."""
    seen = Telemetry(settings)
    monkeypatch.setattr(runtime, "active", seen.runtime)
    monkeypatch.setattr(_guard, "strict", True)
    names = {key: settings.get(key) for key in ("model_name", "model_version")}
    SklearnInstrumentor().instrument(**names)
    try:
        yield seen
    finally:
        SklearnInstrumentor().uninstrument()
        _labels.reset()
