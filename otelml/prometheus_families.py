"""Metric families of one collection of the SDK's, as prometheus_client's encoders take them.

A histogram with a bound under zero has no ``_sum`` in OpenMetrics, which forbids it; the plain text format has it.
An exponential histogram shows its count and sum only, as one ``+Inf`` bucket.
"""

from __future__ import annotations

from itertools import accumulate
from typing import TYPE_CHECKING, Any

from opentelemetry.sdk.metrics.export import (
    ExponentialHistogram,
    ExponentialHistogramDataPoint,
    Gauge,
    Histogram,
    HistogramDataPoint,
    Metric,
    MetricsData,
    NumberDataPoint,
    Sum,
)
from prometheus_client import Metric as Family
from prometheus_client.samples import Exemplar
from prometheus_client.utils import floatToGoString

from otelml._text import encodable
from otelml.prometheus_names import label_name, metric_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


class Families:
    """Metric families of one collection as prometheus_client's encoders take them: merged by name, each series once."""

    def __init__(self, data: MetricsData | None, *, openmetrics: bool) -> None:
        self._data = data
        self._openmetrics = openmetrics
        self._families: dict[str, Family] = {}
        self._seen: set[tuple[str, frozenset[tuple[str, str]]]] = set()

    def collect(self) -> Iterator[Family]:
        """Yield the families."""
        for resource in self._data.resource_metrics if self._data else ():
            labels = _labels(resource.resource.attributes)
            if labels:
                self._family("target", "info", "Target metadata").add_sample("target_info", labels, 1)
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    self._add(metric)
        yield from self._families.values()

    def _family(self, name: str, kind: str, help: str, unit: str = "") -> Family:  # noqa: A002 - Prometheus's word
        return self._families.setdefault(name, Family(name, help, kind, unit))

    def _add(self, metric: Metric) -> None:
        data = metric.data
        counter = isinstance(data, Sum) and data.is_monotonic
        histogram = isinstance(data, (Histogram, ExponentialHistogram))
        kind = "counter" if counter else "histogram" if histogram else "gauge"
        name = metric_name(metric.name, metric.unit or "", counter=counter, gauge=isinstance(data, Gauge))
        family = self._family(name.removesuffix("_total") if counter else name, kind, metric.description or "")
        if family.type != kind:
            return  # two instruments of one name and different kinds: the first one wins
        for point in data.data_points:
            self._point(family, name, point)

    def _point(
        self, family: Family, name: str, point: NumberDataPoint | HistogramDataPoint | ExponentialHistogramDataPoint
    ) -> None:
        labels = _labels(point.attributes or {})
        series = (name, frozenset(labels.items()))
        if series in self._seen:
            return  # the same series from another scope: the first one wins
        self._seen.add(series)
        if isinstance(point, NumberDataPoint):
            exemplar = _exemplar(point) if family.type == "counter" else None
            family.add_sample(name, labels, point.value, exemplar=exemplar)
        else:
            self._histogram(family, labels, point)

    def _histogram(
        self, family: Family, labels: dict[str, str], point: HistogramDataPoint | ExponentialHistogramDataPoint
    ) -> None:
        bounds: tuple[float, ...] = ()
        counts: Iterable[int] = (point.count,)
        if isinstance(point, HistogramDataPoint):
            bounds, counts = tuple(point.explicit_bounds), point.bucket_counts
        low = float("-inf")
        for bound, count in zip((*bounds, float("inf")), accumulate(counts), strict=True):
            exemplar = _exemplar(point, low, bound)
            family.add_sample(f"{family.name}_bucket", labels | {"le": _le(bound)}, count, exemplar=exemplar)
            low = bound
        if not (self._openmetrics and (min(bounds, default=0) < 0 or point.sum < 0)):
            family.add_sample(f"{family.name}_count", labels, point.count)
            family.add_sample(f"{family.name}_sum", labels, point.sum)


def _le(bound: float) -> str:
    return str(floatToGoString(bound))  # type: ignore[no-untyped-call]


def _labels(attributes: Any) -> dict[str, str]:
    """Return attributes as labels; values whose labels collide are joined by ``;``, as the collector does."""
    labels: dict[str, str] = {}
    for key in sorted(attributes):
        label, value = label_name(key), _text(attributes[key])
        labels[label] = f"{labels[label]};{value}" if label in labels else value
    return labels


def _text(value: object) -> str:
    return encodable(str(value).lower() if isinstance(value, bool) else str(value))


def _exemplar(
    point: NumberDataPoint | HistogramDataPoint | ExponentialHistogramDataPoint,
    low: float = float("-inf"),
    high: float = float("inf"),
) -> Exemplar | None:
    """Return the newest exemplar that has a trace and a value in (low, high]."""
    found = [one for one in point.exemplars or () if one.trace_id and one.span_id and low < one.value <= high]
    if not found:
        return None
    newest = max(found, key=lambda one: one.time_unix_nano)
    labels = {"trace_id": f"{newest.trace_id:032x}", "span_id": f"{newest.span_id:016x}"}
    return Exemplar(labels, newest.value, newest.time_unix_nano / 1e9)
