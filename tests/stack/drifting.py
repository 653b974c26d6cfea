"""A service under load whose inputs are not those of its reference while a file exists.

usage: python tests/stack/drifting.py FILE     (OTEL_EXPORTER_OTLP_ENDPOINT says where telemetry goes)
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np

import otelml
from otelml import drift

NAMES = ["size", "age"]
SHIFT = 1.0
"""Standard deviations by which `size` is higher."""


def main(fault: Path) -> None:
    """Predict about 40 rows a second in four calls, 200 without the fault, until the process is ended."""
    otelml.auto_instrument("drifting")
    numbers = np.random.default_rng(7)
    otelml.watch_drift("price", drift.Reference.fit(numbers.normal(size=(5000, 2)), NAMES))
    while True:
        shifted = fault.exists()
        rows = numbers.normal(size=(10 if shifted else 50, 2))
        rows[:, 0] += SHIFT * shifted
        with otelml.prediction("price", version="1") as p:
            p.result(values=rows.sum(axis=1), inputs=rows)
        time.sleep(0.25)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
