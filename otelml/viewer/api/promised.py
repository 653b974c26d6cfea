"""Objectives of a user's own: the PromQL of their ``slo.yaml``, as far as a store can be asked for it.

Understood are sums and differences of ``sum(rate(metric{label="value"}[{{.window}}]))`` (or ``increase``), which is
what counts events: ``+`` and ``-``, a sum without ``by``, and matchers ``=``, ``!=``, ``=~`` and ``!~``. Names are
Prometheus's.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from otelml.errors import OtelmlError
from otelml.prometheus_names import label_name, metric_name
from otelml.slo.specification import WINDOW_VARIABLE, read
from otelml.viewer.api import curves
from otelml.viewer.api import points as stored
from otelml.viewer.api.buckets import FIRST
from otelml.viewer.api.points import Wanted

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from otelml.slo.specification import Objective
    from otelml.viewer.api.curves import Curve
    from otelml.viewer.api.parameters import Window
    from otelml.viewer.store import Store

    Numbers = NDArray[np.float64]
    Weighed = list[tuple[Curve, Numbers]]

_SUM = re.compile(
    r"sum\(\s*(?:rate|increase)\(\s*([a-zA-Z_:][\w:]*)\s*(?:\{(.*?)\})?\s*\[\s*WINDOW\s*\]\s*\)\s*\)", re.DOTALL
)
_MATCHER = re.compile(r'\s*([a-zA-Z_]\w*)\s*(=~|!~|!=|=)\s*"((?:[^"\\]|\\.)*)"\s*(?:,|$)')
_SIGN = re.compile(r"\s*([+-])\s*")
_UNESCAPED = re.compile(r"\\(.)")
_READABLE = 'sum(rate(metric{label="value"}[{{.window}}])), added and subtracted'


class PromiseError(OtelmlError):
    """A file of objectives can't be read; the message says what to do."""


class Term(NamedTuple):
    """A sum over series: of a metric, with matchers (label, operator, value), added (1) or subtracted (-1)."""

    sign: int
    metric: str
    matchers: tuple[tuple[str, str, str], ...]


class Promise(NamedTuple):
    """One objective of a file, with what it counts as bad, and as all."""

    objective: Objective
    bad: tuple[Term, ...]
    every: tuple[Term, ...]


def promises(text: str) -> tuple[Promise, ...]:
    """Return the objectives of a specification (``otelml slo generate`` reads the same).

    Raises:
        SpecError: It is at fault; a line for each fault.
        PromiseError: A query can't be read here.
    """
    made, faults = [], []
    for objective in read(text):
        bad, every = _terms(objective.error), _terms(objective.total)
        if bad is None or every is None:
            faults.append(f"{objective.name}: its queries can't be worked out here; write them as {_READABLE}")
        else:
            made.append(Promise(objective, bad, every))
    if faults:
        raise PromiseError("\n".join(faults))
    return tuple(made)


def _terms(query: str) -> tuple[Term, ...] | None:
    """Return the terms of a query; None where it is more than these."""
    text, sign, found = WINDOW_VARIABLE.sub("WINDOW", query).strip(), 1, []
    while True:
        matched = _SUM.match(text)
        matchers = None if matched is None else _matchers(matched[2] or "")
        if matched is None or matchers is None:
            return None
        found.append(Term(sign, matched[1], matchers))
        text = text[matched.end() :].strip()
        if not text:
            return tuple(found)
        operator = _SIGN.match(text)
        if operator is None:
            return None
        sign, text = (1 if operator[1] == "+" else -1), text[operator.end() :]


def _matchers(text: str) -> tuple[tuple[str, str, str], ...] | None:
    found, place = [], 0
    while text[place:].strip():
        matched = _MATCHER.match(text, place)
        if matched is None:
            return None
        found.append((matched[1], matched[2], _UNESCAPED.sub(r"\1", matched[3])))
        place = matched.end()
    return tuple(found) if all(_regular(value) for _, operator, value in found if "~" in operator) else None


def _regular(pattern: str) -> bool:
    try:
        re.compile(pattern)
    except re.error:
        return False
    return True


def metrics(found: tuple[Promise, ...]) -> set[str]:
    """Return Prometheus's names of the series that objectives count."""
    return {term.metric for each in found for term in (*each.bad, *each.every)}


def counted(store: Store, terms: tuple[Term, ...], span: Window) -> Weighed:
    """Return the curves of terms, each with the weights of its columns."""
    return [weighed for term in terms for weighed in _counted(store, term, span)]


def _counted(store: Store, term: Term, span: Window) -> Weighed:
    name, part = _known(store, term.metric)
    if name is None:
        return []
    bound = next((value for label, operator, value in term.matchers if label == "le" and operator == "="), "+Inf")
    matchers = [matcher for matcher in term.matchers if matcher[0] != "le"]
    ids = {key for key, labels in _labels(store, name).items() if all(_matches(labels, *each) for each in matchers)}
    series = {key: each for key, each in stored.series(store, Wanted(name)).items() if key in ids}
    weigh = _weights(part, float(bound.replace("Inf", "inf")))
    return [(curve, term.sign * weigh(curve)) for curve in curves.of_series(store, series, span)]


def _weights(part: str, bound: float) -> Callable[[Curve], Numbers]:
    """Return what makes the weights of a curve's columns: of a counter or count, a sum, or buckets up to a bound."""

    def weigh(curve: Curve) -> Numbers:
        made = np.zeros(curve.values.shape[1])
        if part != "_bucket":
            made[1 if part == "_sum" else 0] = 1.0
        elif curve.layout is not None and any(upper == bound for _, upper in curve.layout.edges):
            made[FIRST:] = [float(upper <= bound) for _, upper in curve.layout.edges]
        return made

    return weigh


def _known(store: Store, wanted: str) -> tuple[str | None, str]:
    """Return the metric that Prometheus calls so, and which part of a histogram is meant."""
    rows = store.query("SELECT DISTINCT name, unit, kind, monotonic FROM series")
    for name, unit, kind, monotonic in rows:
        translated = metric_name(name, unit, counter=kind == "sum" and bool(monotonic), gauge=kind == "gauge")
        part = wanted.removeprefix(translated)
        if wanted == translated or (wanted.startswith(translated) and part in ("_bucket", "_count", "_sum")):
            return name, part if wanted != translated else ""
    return None, ""


def _labels(store: Store, name: str) -> dict[int, dict[str, str]]:
    """Return the labels that Prometheus would give each series."""
    found = {}
    for key, resource, attributes in store.query(
        "SELECT series_id, resource, attributes FROM series WHERE name = ?", [name]
    ):
        origin: Mapping[str, object] = json.loads(resource)
        labels = {label_name(each): _text(value) for each, value in {**origin, **json.loads(attributes)}.items()}
        service, space = labels.get("service_name", ""), labels.get("service_namespace", "")
        labels["job"] = f"{space}/{service}" if space else service
        labels["instance"] = labels.get("service_instance_id", "")
        found[key] = labels
    return found


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _matches(labels: Mapping[str, str], label: str, operator: str, value: str) -> bool:
    has = labels.get(label, "")
    same = has == value if operator in ("=", "!=") else re.fullmatch(value, has) is not None
    return same if operator in ("=", "=~") else not same
