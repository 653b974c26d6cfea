"""Objectives of every model: what is left of their error budget, how fast it burns, and what would page.

The objectives are those of a file (``promised``), or those of ``collector/slo.yaml`` for every model: calls succeed, in
time, and with confidence. The formulas are those of its rules (``otelml slo generate``): an error ratio by window, burn
rates by the SRE workbook's pairs of windows, a budget over 30 days weighted by traffic, and nothing said about few
events.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from otelml import semconv
from otelml.slo.rules import MINIMUM_ERRORS, PERIOD_DAYS, WINDOWS
from otelml.slo.specification import BURNS
from otelml.viewer.api import curves
from otelml.viewer.api.alerts import alerts
from otelml.viewer.api.buckets import FIRST
from otelml.viewer.api.numbers import many, plain
from otelml.viewer.api.parameters import Window, window
from otelml.viewer.api.points import Wanted
from otelml.viewer.api.promised import counted
from otelml.viewer.rows import NANOS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from otelml.slo.specification import Alert
    from otelml.viewer.api.curves import Curve
    from otelml.viewer.api.parameters import Asked
    from otelml.viewer.api.promised import Promise
    from otelml.viewer.store import Store

    Numbers = NDArray[np.float64]
    Key = tuple[str, str]

PERIOD_NS = PERIOD_DAYS * 86_400 * NANOS
LATENCY_S = 0.25
"""A bound of the histogram: a threshold between bounds can't be counted."""
SHOWN = ("5m", "1h", "6h", "3d")
"""Windows whose burn rate is shown."""
RUNBOOKS = "https://github.com/otelml/otelml/blob/main/docs/runbooks.md#"


@dataclass(frozen=True, slots=True)
class Events:
    """What an objective counts of one model: columns bad and all, of curves since their start."""

    curves: list[tuple[Curve, Numbers, Numbers]]
    """A curve with the weights of its columns: for bad events, and for all."""

    def over(self, span: Window) -> tuple[float, float]:
        """Return bad and all events over a window, from point to point."""
        sums = [(curve.total(span) @ bad, curve.total(span) @ every) for curve, bad, every in self.curves]
        return float(sum(bad for bad, _ in sums)), float(sum(every for _, every in sums))

    def bins(self, span: Window) -> tuple[Numbers, Numbers]:
        """Return bad and all events in each bin of a window."""
        edges = span.edges
        parts = [(np.diff(curve.at(edges), axis=0), bad, every) for curve, bad, every in self.curves]
        zeros = np.zeros(len(edges) - 1)
        bad = np.sum([part @ weights for part, weights, _ in parts], axis=0) if parts else zeros
        return bad, np.sum([part @ weights for part, _, weights in parts], axis=0) if parts else zeros


@dataclass(frozen=True, slots=True)
class Objective:
    """One objective: ``target`` is the share of events that must be good."""

    name: str
    target: float
    description: str
    kinds: tuple[str, ...]
    events: Callable[[Store, Window], dict[Key, Events]]
    alerts: Mapping[str, Alert] = field(default_factory=dict)
    """Of an objective of a file: what it names its page and its ticket."""


def slos(store: Store, asked: Asked, promised: Sequence[Promise] = ()) -> dict[str, Any]:
    """Return every objective with its state now, and the alerts that are firing or waiting to.

    Args:
        store: What happened.
        asked: The range that is charted.
        promised: Objectives of a file; without any, the usual ones of every model.
    """
    span = asked.window()
    asked.check()
    whole = period(span.to_ns)
    rows = []
    objectives = [_of_file(each) for each in promised] or OBJECTIVES
    for objective in objectives:
        charted = objective.events(store, span)
        for key, events in objective.events(store, whole).items():
            rows.append(
                _row(objective, key, events, whole) | _chart(objective, charted.get(key), span, events.over(whole))
            )
    rows.sort(key=lambda row: (("page", "ticket", "ok").index(row["state"]), row["model"], row["version"]))
    named = {objective.name: objective.alerts for objective in objectives}
    burning = [_alert(row, named[row["kind"]].get(row["state"])) for row in rows if row["state"] != "ok"]
    return {"objectives": rows, "alerts": [*burning, *alerts(store, span.to_ns)]}


def period(now_ns: int) -> Window:
    """Return the window of the objectives; the points that the alerts' windows begin with are kept."""
    marks = tuple(now_ns - seconds * NANOS for seconds in WINDOWS.values())
    whole = window(max(0, now_ns - PERIOD_NS), now_ns)
    return Window(whole.from_ns, whole.to_ns, whole.step_ns, marks)


def _row(objective: Objective, key: Key, events: Events, period: Window) -> dict[str, Any]:
    budget = 1 - objective.target
    bad, total = events.over(period)
    ratios = {name: _ratio(events, period.to_ns, seconds) for name, seconds in WINDOWS.items()}
    state = next((kind for kind in objective.kinds if _fires(kind, ratios, budget)), "ok")
    burns = {name: None if ratio is None else ratio / budget for name, (ratio, _) in ratios.items()}
    return {
        "name": f"{key[0]} {objective.name}".strip(),
        "model": key[0],
        "version": key[1],
        "kind": objective.name,
        "description": objective.description,
        "objective": objective.target,
        "window_s": PERIOD_NS // NANOS,
        "good": plain(total - bad),
        "total": plain(total),
        "sli": plain(1 - bad / total if total else None),
        "budget_left": plain(1 - bad / total / budget if total else None),
        "burn": {name: plain(burns[name]) for name in SHOWN},
        "state": state,
    }


def _chart(objective: Objective, charted: Events | None, span: Window, events: tuple[float, float]) -> dict[str, Any]:
    """Return the budget left at the end of each bin: what it is now, and what was used up since."""
    bad, total = events
    if charted is None or not total:
        return {"t": span.starts, "budget": None, "bad_share": None}
    in_bins, all_in_bins = charted.bins(span)
    used = np.cumsum(in_bins) / (1 - objective.target) / total
    now = 1 - bad / total / (1 - objective.target)
    return {
        "t": span.starts,
        "budget": many(now + used[-1] - used),
        "bad_share": many(curves.per(in_bins, all_in_bins)),
    }


def _ratio(events: Events, now_ns: int, seconds: int) -> tuple[float | None, float]:
    """Return the share of bad events in the last seconds, None without events, and how many were bad."""
    bad, total = events.over(Window(max(0, now_ns - seconds * NANOS), now_ns, seconds * NANOS))
    return (bad / total if total else None), bad


def _fires(kind: str, ratios: dict[str, tuple[float | None, float]], budget: float) -> bool:
    """Return whether an alert's two windows both burn too fast, with enough bad events in the longer one."""
    for burn in BURNS[kind]:
        limit = float(burn.factor) * budget
        short, (long, bad) = ratios[burn.short][0], ratios[burn.long]
        if short is not None and long is not None and min(short, long) > limit and bad >= MINIMUM_ERRORS:
            return True
    return False


def _alert(row: dict[str, Any], own: Alert | None) -> dict[str, Any]:
    burn = row["burn"]["1h" if row["state"] == "page" else "6h"] or 0.0
    subject = f"{row['model']} {row['version']}".strip()
    return {
        "name": own.name if own is not None else f"{row['kind'].capitalize()}BudgetBurn",
        "severity": row["state"],
        "state": "firing",
        "since_ns": None,
        "summary": f"{subject}: the budget of {row['kind']} burns {burn:.3g} times too fast",
        "runbook": own.annotations.get("runbook_url", "")
        if own is not None
        else f"{RUNBOOKS}flightdelay{row['kind']}budgetburn",
    }


def _of_file(promise: Promise) -> Objective:
    """Return an objective of a file; it is of its service as a whole."""
    own = promise.objective

    def events(store: Store, span: Window) -> dict[Key, Events]:
        bad = [(curve, w, np.zeros(len(w))) for curve, w in counted(store, promise.bad, span)]
        every = [(curve, np.zeros(len(w)), w) for curve, w in counted(store, promise.every, span)]
        return {(own.service, ""): Events([*bad, *every])} if every else {}

    kinds = tuple(kind for kind in BURNS if kind in own.alerts)
    return Objective(own.name, float(own.target), own.description, kinds, events, own.alerts)


# What is counted ------------------------------------------------------------------------------------------------


def _curves(store: Store, row: semconv.Metric, span: Window) -> dict[Key, list[Curve]]:
    found: dict[Key, list[Curve]] = {}
    for curve in curves.curves(store, Wanted(row.name, by=("model", "version", semconv.ERROR_TYPE)), span):
        found.setdefault((curve.labels[0], curve.labels[1]), []).append(curve)
    return found


def _availability(store: Store, span: Window) -> dict[Key, Events]:
    """Return calls, those that raised as bad."""
    one, none = np.ones(1), np.zeros(1)
    return {
        key: Events([(curve, one if curve.labels[-1] else none, one) for curve in group])
        for key, group in _curves(store, semconv.REQUESTS, span).items()
    }


def _latency(store: Store, span: Window) -> dict[Key, Events]:
    """Return successful calls, those over the threshold as bad; curves without that bound don't count."""
    found: dict[Key, Events] = {}
    for key, group in _curves(store, semconv.PREDICTION_DURATION, span).items():
        made = [(curve, *_slow(curve)) for curve in group if not curve.labels[-1] and _bounded(curve)]
        if made:
            found[key] = Events(made)
    return found


def _bounded(curve: Curve) -> bool:
    return curve.layout is not None and any(upper == LATENCY_S for _, upper in curve.layout.edges)


def _slow(curve: Curve) -> tuple[Numbers, Numbers]:
    edges = curve.layout.edges if curve.layout is not None else ()
    slow = [float(lower >= LATENCY_S) for lower, _ in edges]
    return np.array([0.0] * FIRST + slow), np.array([1.0, 0.0] + [0.0] * len(edges))


def _quality(store: Store, span: Window) -> dict[Key, Events]:
    """Return predicted rows with a confidence, those of low confidence as bad."""
    low = _curves(store, semconv.LOW_CONFIDENCE, span)
    found: dict[Key, Events] = {}
    for key, group in _curves(store, semconv.CONFIDENCE_HISTOGRAM, span).items():
        every = [(curve, np.zeros(curve.values.shape[1]), np.eye(1, curve.values.shape[1])[0]) for curve in group]
        found[key] = Events([*every, *((curve, np.ones(1), np.zeros(1)) for curve in low.get(key, ()))])
    return found


OBJECTIVES = (
    Objective("availability", 0.999, "99.9 % of the prediction calls succeed.", ("page", "ticket"), _availability),
    Objective(
        "latency", 0.99, "99 % of the successful prediction calls take at most 0.25 s.", ("page", "ticket"), _latency
    ),
    # An objective this low could never page.
    Objective("quality", 0.85, "85 % of the predictions are made with confidence.", ("ticket",), _quality),
)
