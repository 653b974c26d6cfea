"""One contender in a process of its own: ``run.py CONTENDER CHANGE ROWS COLUMNS RUNS [SEED]``, or ``... --time``.

Prints one line of JSON: for each run the columns that it called drifted, or what it raised; or seconds of CPU.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import time
import warnings

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", TF_CPP_MIN_LOG_LEVEL="3")

from _drift.contenders import CONTENDERS
from _drift.scenarios import CHANGES, tables

ROUNDS = 3


def main() -> None:
    """Run one job."""
    warnings.filterwarnings("ignore")
    logging.disable(logging.CRITICAL)
    name, change, rows, columns, runs, *rest = sys.argv[1:]
    check = CONTENDERS[name]()
    if rest == ["--time"]:
        print(json.dumps({"seconds": timed(name, int(rows), int(columns))}))
        return
    first = int(rest[0]) if rest else 0
    found: list[list[int]] = []
    raised = ""
    for seed in range(first, first + int(runs)):
        before, now = tables(seed, int(rows), int(columns), CHANGES[change])
        try:
            found.append(sorted(check(before, now)))
        except (ValueError, TypeError, IndexError) as error:
            raised = f"{type(error).__name__}: {error}"[:80]
            found.append([])
    print(json.dumps({"found": found, "raised": raised}))


def timed(name: str, rows: int, columns: int) -> list[float]:
    """Return the CPU seconds of checking a table of normal columns against a reference of 10,000 rows, three times."""
    import numpy as np  # noqa: PLC0415 - after the threads were limited

    rng = np.random.default_rng(0)
    before, now = rng.normal(size=(10_000, columns)), rng.normal(size=(rows, columns))
    check = _prepared(name, before)
    seconds = []
    for _ in range(ROUNDS):
        start = time.process_time()
        check(now)
        seconds.append(time.process_time() - start)
    return seconds


def _prepared(name: str, before):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN202 - a closure over each peer's own types
    """Return the check alone, its reference fitted beforehand where the contender can."""
    columns = before.shape[1]
    if name == "otelml":
        from otelml import drift  # noqa: PLC0415

        reference = drift.Reference.fit(before)
        return lambda now: drift.compare(reference, now)
    if name == "alibi-detect":
        from alibi_detect.cd import TabularDrift  # noqa: PLC0415

        return TabularDrift(before, p_val=0.05).predict
    if name.startswith("frouros"):
        from frouros.detectors.data_drift import PSI, KSTest  # noqa: PLC0415

        detectors = [(PSI if name == "frouros-psi" else KSTest)() for _ in range(columns)]
        for i, detector in enumerate(detectors):
            detector.fit(X=before[:, i])
        return lambda now: [d.compare(X=now[:, i]) for i, d in enumerate(detectors)]
    import pandas as pd  # noqa: PLC0415

    names = [f"x{i}" for i in range(columns)]
    if name == "nannyml":
        import nannyml as nml  # noqa: PLC0415

        calculator = nml.UnivariateDriftCalculator(column_names=names).fit(pd.DataFrame(before, columns=names))
        return lambda now: calculator.calculate(pd.DataFrame(now, columns=names))
    from evidently import Report  # noqa: PLC0415
    from evidently.presets import DataDriftPreset  # noqa: PLC0415

    frame = pd.DataFrame(before, columns=names)
    return lambda now: Report([DataDriftPreset()]).run(pd.DataFrame(now, columns=names), frame).dict()


main()
