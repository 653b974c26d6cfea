"""1,024 rows with the OpenTelemetry SDK by hand, and 30 features of each: one ``record()`` per number."""

from __future__ import annotations

from _contenders import arrived, rows, sdk, sdk_rows

EXPECTED = rows.OBSERVED
start, flush = sdk.start, sdk.flush
__all__ = ["EXPECTED", "arrived", "flush", "predict", "start"]

INPUTS = rows.INPUTS.tolist()
BY_FEATURE = [{**sdk.LABELS, "ml.feature.name": name} for name in rows.FEATURES]
features = sdk.meter.create_histogram(
    "ml.feature.observations", "", explicit_bucket_boundaries_advisory=rows.FEATURE_BUCKETS
)


def predict() -> None:
    """Make one prediction of 1,024 rows."""
    for row in INPUTS:
        for value, labels in zip(row, BY_FEATURE, strict=True):
            features.record(value, labels)
    sdk_rows.predict()
