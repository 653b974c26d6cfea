"""The demo's picture at odd moments."""

import pytest

pytest.importorskip("rich", reason="the demo's packages are missing: pip install 'otelml[demo]'")

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from rich.console import Console

from otelml.demo.screen import Screen
from otelml.drift import Reference
from otelml.viewer.store import Store


def test_a_stage_that_has_not_been_counted_yet():
    """A series of no measurements, as the first export may hold, is left out of the picture."""
    request = ExportMetricsServiceRequest()
    metric = request.resource_metrics.add().scope_metrics.add().metrics.add(name="ml.stage.duration", unit="s")
    metric.histogram.aggregation_temporality = 2
    point = metric.histogram.data_points.add(count=0, sum=0.0, explicit_bounds=[0.1], bucket_counts=[0, 0])
    for key, text in {"ml.model.name": "m", "ml.stage": "inference"}.items():
        point.attributes.add(key=key).value.string_value = text
    with Store() as store:
        store.add("metrics", request)
        console = Console(width=100, record=True)
        console.print(Screen(store, "m", Reference.fit({"a": [1.0, 2.0]})).picture(0.5, "half of it"))
    shown = console.export_text()
    assert "half of it" in shown
    assert "inference" not in shown
