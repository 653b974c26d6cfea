"""Drift of each feature: what was observed in the window against the reference, by bin, and the gauges over time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from otelml import semconv
from otelml.drift import statistics
from otelml.viewer.api import curves
from otelml.viewer.api.numbers import many, plain, share
from otelml.viewer.api.parameters import Window
from otelml.viewer.api.points import Wanted

if TYPE_CHECKING:
    from otelml.viewer.store import Store

MISSING = "missing"
"""The bin of values that are not there."""


def drift(store: Store, name: str, version: str, span: Window) -> list[dict[str, Any]] | None:
    """Return one row per feature, those that moved most first; None without observations.

    PSI, JS and KS are of the window's observations by all instances together, against the reference; ``psi_t`` is
    each process's own last window, averaged.
    """
    whole = Window(span.from_ns, span.to_ns, span.to_ns - span.from_ns)  # the first and last points are enough
    observed = _observed(store, name, version, whole)
    reference = _reference(store, name, version, whole)
    by = (semconv.FEATURE_NAME,)
    psi_t = _gauge(store, Wanted(semconv.DRIFT_PSI_GAUGE.name, name, version, by=by), span, "mean")
    raised = _gauge(store, Wanted(semconv.DRIFT_DETECTED_GAUGE.name, name, version, by=by), span, "max")
    rows = [
        _feature(feature, counts, reference.get(feature, ("", {})), psi_t.get(feature), raised.get(feature), span)
        for feature, counts in observed.items()
    ]
    return sorted(rows, key=lambda row: (not row["detected"], -(row["psi"] or 0.0), row["feature"])) or None


def _feature(  # noqa: PLR0917 - what is known of one feature, in the order of the answer
    feature: str,
    counts: dict[str, float],
    expected: tuple[str, dict[str, float]],
    psi_t: Any,
    raised: Any,
    span: Window,
) -> dict[str, Any]:
    kind, before = expected
    bins = sorted(counts.keys() | before.keys(), key=lambda bin_: (bin_ == MISSING, bin_))
    now = np.array([counts.get(each, 0.0) for each in bins])
    then = np.array([before.get(each, 0.0) for each in bins])
    known = bool(now.sum() and then.sum())
    with_value = [i for i, each in enumerate(bins) if each != MISSING]
    whole_now, whole_then = np.rint(now).astype(np.int64), np.rint(then).astype(np.int64)
    return {
        "feature": feature,
        "kind": kind or None,
        "psi": plain(statistics.psi(whole_then, whole_now)) if known else None,
        "psi_bias": plain(statistics.psi_bias(whole_then, whole_now)) if known else None,
        "js": plain(statistics.js_distance(whole_then, whole_now)) if known else None,
        "ks": plain(statistics.ks(whole_then[with_value], whole_now[with_value]))
        if known and kind == "number"
        else None,
        "detected": bool(raised is not None and np.nan_to_num(raised[~np.isnan(raised)][-1:]).any()),
        "missing_share": share(counts.get(MISSING, 0.0), float(now.sum())),
        "reference_missing_share": share(before.get(MISSING, 0.0), float(then.sum())),
        "observed": plain(float(now.sum())),
        "bins": bins,
        "reference": many(then / then.sum()) if then.sum() else None,
        "now": many(now / now.sum()) if now.sum() else None,
        "t": span.starts,
        "psi_t": None if psi_t is None else many(psi_t),
    }


def _observed(store: Store, name: str, version: str, span: Window) -> dict[str, dict[str, float]]:
    """Return the values seen in the window, by feature and bin."""
    by = (semconv.FEATURE_NAME, semconv.FEATURE_BIN)
    wanted = Wanted(semconv.FEATURE_OBSERVATIONS.name, name, version, by=by)
    found: dict[str, dict[str, float]] = {}
    for (feature, bin_), group in curves.grouped(curves.curves(store, wanted, span)).items():
        found.setdefault(feature, {})[bin_] = curves.total(group, span)
    return found


def _reference(store: Store, name: str, version: str, span: Window) -> dict[str, tuple[str, dict[str, float]]]:
    """Return the kind and the values of the reference by bin, of each feature; instances say the same."""
    by = (semconv.FEATURE_NAME, semconv.FEATURE_BIN, semconv.FEATURE_KIND)
    wanted = Wanted(semconv.FEATURE_REFERENCE.name, name, version, by=by)
    found: dict[str, tuple[str, dict[str, float]]] = {}
    for level in sorted(curves.levels(store, wanted, span), key=lambda level: level.last_ns):
        feature, bin_, kind = level.labels
        found.setdefault(feature, (kind, {}))[1][bin_] = level.last
    return found


def _gauge(store: Store, wanted: Wanted, span: Window, how: str) -> dict[str, Any]:
    groups: dict[str, list[Any]] = {}
    for level in curves.levels(store, wanted, span):
        groups.setdefault(level.labels[0], []).append(level)
    return {feature: curves.merged(group, how) for feature, group in groups.items()}
