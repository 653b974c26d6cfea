"""A service with a model that fails now and then, drifts, and learns how right it was: COUNT calls of VERSION."""

import os
import sys
import time
from pathlib import Path

import numpy as np

import otelml
from otelml.drift import Reference

version, count, folder = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])
before = np.linspace(0.0, 1.0, 400)
Reference.fit({"distance": before}).save(folder / "reference.json")
os.environ["OTELML_DRIFT_REFERENCE"] = f"delay={folder / 'reference.json'}"
os.environ["OTELML_OUTCOMES_DATABASE"] = str(folder / "outcomes.db")
otelml.auto_instrument("delays")
log = otelml.logger("delays")

for i in range(count):
    try:
        with otelml.prediction("delay", version) as p:
            with p.stage("preprocessing"):
                pass
            with p.stage("inference"):
                time.sleep(0.002)
            if i % 10 == 3:
                log.warning("call %s will fail", i)
                raise ValueError("no such flight")  # noqa: TRY301 - as an application would
            late = i % 4 == 0
            confidence = 0.45 if i % 5 == 0 else 0.9
            p.result(classes="late" if late else "on time", confidence=confidence, inputs={"distance": np.array([0.9])})
        otelml.record_outcome(p.id, "late" if i % 2 == 0 else "on time")
    except ValueError:
        pass
otelml.force_flush(20)
