"""How right the model is: measured over outcomes, and estimated for all predictions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from otelml import semconv
from otelml.viewer.api import buckets, curves
from otelml.viewer.api.numbers import many, plain
from otelml.viewer.api.points import Wanted

if TYPE_CHECKING:
    from otelml.viewer.api.parameters import Window
    from otelml.viewer.store import Store

PREFIX = "ml.quality."
ESTIMATED = "estimated_"


def quality(store: Store, name: str, version: str, span: Window) -> dict[str, Any] | None:
    """Return gauges ``ml.quality.*`` over time by name (per class where they have one); None without any."""
    metrics = store.query("SELECT DISTINCT name FROM series WHERE starts_with(name, ?) ORDER BY name", (PREFIX,))
    measured: dict[str, Any] = {}
    estimated: dict[str, Any] = {}
    for (metric,) in metrics:
        short = metric.removeprefix(PREFIX)
        for label, values in _over_time(store, metric, name, version, span).items():
            side = estimated if short.startswith(ESTIMATED) else measured
            side[f"{short} {label}".strip()] = many(values)
    outcomes = curves.curves(store, Wanted(semconv.OUTCOMES.name, name, version), span)
    delays = curves.curves(store, Wanted(semconv.OUTCOME_DELAY_HISTOGRAM.name, name, version), span)
    if not (measured or estimated or outcomes):
        return None
    measured.pop("outcomes", None)
    return {
        "t": span.starts,
        "measured": measured,
        "estimated": estimated,
        "outcomes": plain(curves.total(outcomes, span)),
        "delay_p50_s": plain(buckets.quantiles(delays, span, (0.5,))[0]),
    }


def _over_time(store: Store, metric: str, name: str, version: str, span: Window) -> dict[str, Any]:
    wanted = Wanted(metric, name, version, by=(semconv.PREDICTION_CLASS,))
    groups: dict[str, list[curves.Level]] = {}
    for level in curves.levels(store, wanted, span):
        groups.setdefault(level.labels[0], []).append(level)
    return {label: curves.merged(group) for label, group in sorted(groups.items())}
