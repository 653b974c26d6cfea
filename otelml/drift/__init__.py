"""Model drift: have the features, or the predictions, moved away from what they were when all was well?

    from otelml import drift

    reference = drift.Reference.fit(training)
    print(drift.compare(reference, today))

Plain NumPy that knows nothing of telemetry. Importing otelml does not import it.
"""

from __future__ import annotations

from otelml.drift.alarm import Alarm, Change
from otelml.drift.comparison import compare
from otelml.drift.faults import InvalidDataError, InvalidReferenceError
from otelml.drift.reference import Reference, Window
from otelml.drift.report import DriftReport, FeatureDrift, Thresholds

__all__ = [
    "Alarm",
    "Change",
    "DriftReport",
    "FeatureDrift",
    "InvalidDataError",
    "InvalidReferenceError",
    "Reference",
    "Thresholds",
    "Window",
    "compare",
]
