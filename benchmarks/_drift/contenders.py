"""How each contender is asked, at its documented defaults: two tables in, positions of drifted columns out.

A peer whose unit is one test of one feature (frouros) is corrected by Bonferroni at 5 %, as its users would.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from _drift.scenarios import is_category

if TYPE_CHECKING:
    from collections.abc import Callable

    from _drift.scenarios import Array

    Check = Callable[[Array, Array], set[int]]

ALPHA = 0.05
PSI_MARK = 0.2


def _names(columns: int) -> list[str]:
    return [f"x{i}" for i in range(columns)]


def otelml() -> Check:
    """Ours, at its defaults."""
    from otelml import drift  # noqa: PLC0415 - in its own process only

    def check(before: Array, now: Array) -> set[int]:
        chosen = [i for i in range(before.shape[1]) if is_category(i)]
        report = drift.compare(drift.Reference.fit(before, categorical=chosen), now)
        return {i for i, feature in enumerate(report.features) if feature.drifted}

    return check


def _frame(values: Array) -> Any:
    import pandas as pd  # noqa: PLC0415 - peers' processes only

    frame = pd.DataFrame(values, columns=_names(values.shape[1]))
    for i, name in enumerate(frame.columns):
        if is_category(i):
            frame[name] = frame[name].map(lambda v: None if v != v else f"c{int(v)}").astype(object)  # noqa: PLR0124 - NaN
    return frame


def evidently() -> Check:
    """Its preset for data drift."""
    from evidently import Report  # noqa: PLC0415
    from evidently.presets import DataDriftPreset  # noqa: PLC0415

    def check(before: Array, now: Array) -> set[int]:
        said = Report([DataDriftPreset()]).run(_frame(now), _frame(before)).dict()
        found = set()
        for metric in said["metrics"]:
            config = metric["config"]
            if config["type"].endswith("ValueDrift"):
                below = "p_value" in config["method"]
                if (metric["value"] < config["threshold"]) == below:
                    found.add(int(config["column"][1:]))
        return found

    return check


def alibi() -> Check:
    """TabularDrift with its p_val of 0.05 and its Bonferroni correction."""
    from alibi_detect.cd import TabularDrift  # noqa: PLC0415

    def check(before: Array, now: Array) -> set[int]:
        categories = {i: None for i in range(before.shape[1]) if is_category(i)}
        data = TabularDrift(before, p_val=ALPHA, categories_per_feature=categories).predict(now)["data"]
        return set(np.flatnonzero(data["p_val"] < data["threshold"]).tolist())

    return check


def frouros() -> Check:
    """KS for numbers and chi-square for categories, one detector for each column."""
    from frouros.detectors.data_drift import ChiSquareTest, KSTest  # noqa: PLC0415

    def check(before: Array, now: Array) -> set[int]:
        found = set()
        for i in range(before.shape[1]):
            detector = ChiSquareTest() if is_category(i) else KSTest()
            detector.fit(X=before[:, i])
            if detector.compare(X=now[:, i])[0].p_value < ALPHA / before.shape[1]:
                found.add(i)
        return found

    return check


def frouros_psi() -> Check:
    """PSI above 0.2 for every column."""
    from frouros.detectors.data_drift import PSI  # noqa: PLC0415

    def check(before: Array, now: Array) -> set[int]:
        found = set()
        for i in range(before.shape[1]):
            detector = PSI()
            detector.fit(X=before[:, i])
            if detector.compare(X=now[:, i])[0].distance > PSI_MARK:
                found.add(i)
        return found

    return check


def nannyml() -> Check:
    """UnivariateDriftCalculator with its default chunks and thresholds: any chunk that alerts."""
    import nannyml as nml  # noqa: PLC0415

    def check(before: Array, now: Array) -> set[int]:
        names = _names(before.shape[1])
        chosen = [name for i, name in enumerate(names) if is_category(i)]
        calculator = nml.UnivariateDriftCalculator(column_names=names, treat_as_categorical=chosen)
        said = calculator.fit(_frame(before)).calculate(_frame(now)).filter(period="analysis").to_df()
        return {i for i, name in enumerate(names) if said[name]["jensen_shannon"]["alert"].any()}

    return check


CONTENDERS: dict[str, Callable[[], Check]] = {
    "otelml": otelml,
    "evidently": evidently,
    "alibi-detect": alibi,
    "frouros": frouros,
    "frouros-psi": frouros_psi,
    "nannyml": nannyml,
}
