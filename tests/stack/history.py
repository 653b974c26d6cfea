"""The past: yesterday's predictions and last week's truths, for rules that compare what is with what was."""

import subprocess
import time
from math import inf

from sent import CUMULATIVE, SECOND, ExportMetricsServiceRequest

from otelml import semconv
from otelml.stack import build

HOURS = (4.0, 3.0, 2.0)
"""How long ago each of the counts is."""
RESOURCE = {"deployment.environment.name": "test"}
"""As the load of today says of itself: what is compared must have the same labels."""
BUCKETS = {row.name: row.buckets for row in semconv.METRICS if row.buckets}


def send(sender, model, classes=(), histograms=()):
    """Send counts of three past hours of one model: rows by class, and histograms, rows of semconv."""
    now = time.time_ns()
    request = ExportMetricsServiceRequest()
    resource = request.resource_metrics.add()
    for key, value in {"service.name": sender.service, "service.instance.id": "yesterday", **RESOURCE}.items():
        resource.resource.attributes.add(key=key).value.string_value = value
    metrics = resource.scope_metrics.add().metrics
    for turn, hours in enumerate(HOURS, 1):
        at = {"start_time_unix_nano": now - 24 * 3600 * SECOND, "time_unix_nano": now - int(hours * 3600) * SECOND}
        total = metrics.add(name=semconv.PREDICTIONS.name, unit=semconv.PREDICTIONS.unit).sum
        total.aggregation_temporality, total.is_monotonic = CUMULATIVE, True
        for name in classes:
            point = total.data_points.add(as_int=4000 * turn, **at)
            label(point, model)
            point.attributes.add(key=semconv.PREDICTION_CLASS).value.string_value = name
        for row in histograms:
            bounds = [bound for bound in BUCKETS[row.name] if bound != inf]
            kept = metrics.add(name=row.name, unit=row.unit).histogram
            kept.aggregation_temporality = CUMULATIVE
            counts = [100 * turn] * (len(bounds) + 1)
            point = kept.data_points.add(
                count=sum(counts), sum=1.0 * turn, explicit_bounds=bounds, bucket_counts=counts, **at
            )
            label(point, model)
    sender.deliver("metrics", request, len(metrics))


def label(point, model):
    """Say which model a point is of."""
    point.attributes.add(key=semconv.MODEL_NAME).value.string_value = model
    point.attributes.add(key=semconv.MODEL_VERSION).value.string_value = "1"


WEEK = {
    "models:ml_outcomes:increase1d": 2400,
    "models:ml_outcomes_classified:increase1d": 2400,
    "models:ml_outcomes_correct:increase1d": 1920,
    "models:ml_outcome_error:count1d": 2400,
    "models:ml_outcome_error:absolute1d": 2400,
    "models:ml_outcome_squared_error:sum1d": 4800,
    "model:ml_outcome_delay_seconds:p90_rate1d": 3600,
    "model:ml_outcomes_missing:share1d": 0.01,
}
"""What rules recorded of every day of last week: four right in five, a mean error of 1, truths after an hour."""
HALF_DAYS = range(15, 2, -1)


def last_week(stack, services, folder):
    """Give Prometheus what its rules would have recorded: it takes blocks that lie in its directory within a minute.

    OTLP takes nothing that is older than a day. ``services`` are the labels of the series of each model and version.
    """
    now = time.time()
    lines = [
        f"{series} {value} {now - half_days * 43_200:.3f}"
        for name, value in sorted(WEEK.items())
        for series in dict.fromkeys(written(name, labels) for labels in services)
        for half_days in HALF_DAYS
    ]
    source = folder / "week.om"
    source.write_text("\n".join([*lines, "# EOF", ""]))
    command = [build.binary("promtool"), "tsdb", "create-blocks-from", "openmetrics", source]
    subprocess.run([*command, stack.state.data / "prometheus"], check=True, capture_output=True)


def written(name, labels):
    """Return a series as OpenMetrics has it; what is recorded of all versions together has none."""
    apart = name.startswith("model:")
    kept = [f'{key}="{value}"' for key, value in sorted(labels.items()) if apart or key != "ml_model_version"]
    return f"{name}{{{','.join(kept)}}}"
