"""Prometheus's and Loki's names back to OpenTelemetry's: the way there loses dots and units."""

from __future__ import annotations

import importlib
import pkgutil
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from opentelemetry.semconv import attributes as conventions

from otelml import semconv
from otelml.prometheus_names import label_name, metric_name

if TYPE_CHECKING:
    from collections.abc import Iterable

PARTS = ("_bucket", "_sum", "_count")
"""Of a histogram."""
RESOURCE = frozenset(
    {
        *("service.name", "service.namespace", "service.instance.id", "service.version", "host.name", "os.type"),
        *("deployment.environment.name", "k8s.cluster.name", "k8s.namespace.name", "k8s.deployment.name"),
        *("k8s.pod.name", "k8s.node.name", "telemetry.sdk.name", "telemetry.sdk.language", "telemetry.sdk.version"),
        *("telemetry.distro.name", "telemetry.distro.version"),
    }
)
"""Attributes that say who sends: neither Prometheus nor Loki keeps them apart from the others."""
TYPES = {row.name: row.type for row in semconv.ATTRIBUTES}
"""Of what is text in Prometheus and Loki, whatever it was."""


class Metric(NamedTuple):
    """A metric: OpenTelemetry's name where it is known, else Prometheus's; its kind, unit and description."""

    name: str
    kind: str
    """``counter``, ``updown``, ``gauge`` or ``histogram``."""
    unit: str
    description: str
    prometheus: str
    """Without the endings of a histogram's parts."""

    @property
    def names(self) -> tuple[str, ...]:
        """What Prometheus calls its series."""
        if self.kind != "histogram":
            return (self.prometheus,)
        return (self.prometheus, *(self.prometheus + part for part in PARTS))


def _metric(row: semconv.Metric) -> Metric:
    kind = row.kind.removeprefix("observable_")
    name = metric_name(row.name, row.unit, counter=kind == "counter", gauge=kind == "gauge")
    return Metric(row.name, kind, row.unit, row.help, name)


OURS = {metric.prometheus: metric for metric in map(_metric, semconv.METRICS)}
BY_NAME = {metric.name: metric for metric in OURS.values()}


def metric(name: str, known: Iterable[str]) -> Metric | None:
    """Return the metric of a name, OpenTelemetry's or Prometheus's, out of those that Prometheus has; None without."""
    there = set(known)
    found = BY_NAME.get(name) or OURS.get(name)
    if found is not None:
        return found if there.intersection(found.names) else None
    if f"{name}_bucket" in there:
        return Metric(name, "histogram", "", "", name)
    return Metric(name, "counter" if name.endswith("_total") else "gauge", "", "", name) if name in there else None


def bases(names: Iterable[str]) -> list[str]:
    """Return the names of metrics, a histogram's parts as one."""
    there = set(names)
    found = set()
    for name in there:
        part = next((part for part in PARTS if name.endswith(part)), "")
        base = name.removesuffix(part)
        found.add(base if part and f"{base}_bucket" in there else name)
    return sorted(found)


@lru_cache(1)
def _keys() -> dict[str, str]:
    """Return the attributes' names by label: otelml's, and the stable ones of the conventions."""
    names = {row.name for row in semconv.ATTRIBUTES} | RESOURCE
    names |= {key for row in semconv.METRICS for key in row.attributes}
    for module in pkgutil.iter_modules(conventions.__path__):
        if module.name.endswith("_attributes"):
            rows = vars(importlib.import_module(f"{conventions.__name__}.{module.name}"))
            names |= {value for key, value in rows.items() if key.isupper() and isinstance(value, str) and "." in value}
    return {label_name(name): name for name in sorted(names)}


def keys(asked: Iterable[str] = ()) -> dict[str, str]:
    """Return attributes' names by label; those that somebody asks for are known too."""
    return {**_keys(), **{label_name(name): name for name in asked}}
