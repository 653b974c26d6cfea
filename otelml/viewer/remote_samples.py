"""Samples out of Prometheus, and as OTLP again: series with the start that a counter began from.

Prometheus keeps no start times. Its OTLP endpoint writes a zero where a counter begins (the feature
``created-timestamp-zero-ingestion``), and a value that falls has begun again: both are starts here.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from otelml.viewer.remote_names import RESOURCE, TYPES, Metric, keys

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from otelml.viewer.remote_http import Backend

    Labels = tuple[tuple[str, str], ...]
    Values = dict[int, float]
    Sides = dict[str, str]

CUMULATIVE = 2
MILLI = 1_000_000
"""Nanoseconds of a millisecond, which is as fine as Prometheus tells times."""
_TARGET = {"job": "service.name", "instance": "service.instance.id"}
_LE = "le"
_NUMBER = re.compile(r"-?\d{1,18}(\.\d{1,30})?(e[+-]?\d{1,3})?")


def selector(names: Iterable[str], where: Mapping[str, str] | None = None) -> str:
    """Return PromQL for the series of several names that have the labels' values ('' where they have none)."""
    matchers = [f'__name__=~"{"|".join(sorted(set(names)))}"']
    matchers += [f"{label}={quoted(value)}" for label, value in (where or {}).items()]
    return f"{{{','.join(matchers)}}}"


def quoted(text: str) -> str:
    """Return a text as PromQL and LogQL write it."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


@dataclass(slots=True)
class Reading:
    """The samples of a selector's series, and when it was asked what they were then."""

    backend: Backend
    selector: str
    series: dict[Labels, Values] = field(default_factory=dict)
    moments: set[int] = field(default_factory=set)
    """A series that has no value at one of these had not begun, or was over."""

    def every(self, from_ns: int, to_ns: int) -> None:
        """Read every sample of a range, as it was stored."""
        length = max(1, -(-(to_ns - from_ns) // MILLI))
        self._ask("query", query=f"{self.selector}[{length}ms]", time=_seconds(to_ns))

    def at(self, time_ns: int, seconds: int) -> None:
        """Read the last samples at or before a time, as if they were of then."""
        self.moments.add(time_ns // MILLI * MILLI)
        self._ask(
            "query", query=f"last_over_time({self.selector}[{seconds}s])", time=_seconds(time_ns // MILLI * MILLI)
        )

    def steps(self, from_ns: int, to_ns: int, step_ns: int) -> None:
        """Read the last samples at the end of each step."""
        first, seconds = -(-from_ns // step_ns) * step_ns, step_ns // (1000 * MILLI)
        self.moments.update(range(first, to_ns + 1, step_ns))
        query = f"last_over_time({self.selector}[{seconds}s])"
        self._ask("query_range", query=query, start=_seconds(first), end=_seconds(to_ns), step=str(seconds))

    def _ask(self, path: str, **parameters: str) -> None:
        for row in self.backend.get(f"/api/v1/{path}", parameters)["data"]["result"]:
            labels = tuple(sorted(row["metric"].items()))
            found = self.series.setdefault(labels, {})
            for time, value in row.get("values") or ([row["value"]] if "value" in row else []):
                found[round(time * 1000) * MILLI] = float(value)


def _seconds(time_ns: int) -> str:
    milli = -(-time_ns // MILLI)
    return f"{milli // 1000}.{milli % 1000:03}"


# As OTLP --------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Parts:
    """The series of one metric that have the same labels: one, or those of a histogram."""

    values: Values = field(default_factory=dict)
    sums: Values = field(default_factory=dict)
    buckets: dict[float, Values] = field(default_factory=dict)


def request(
    reading: Reading,
    metrics: Iterable[Metric],
    exemplars: Mapping[Labels, Sequence[Mapping[str, Any]]] | None = None,
    asked: Iterable[str] = (),
) -> ExportMetricsServiceRequest:
    """Return a reading as the request that would have sent it.

    Args:
        reading: Samples of these metrics.
        metrics: What they are.
        exemplars: Prometheus's, by ``named`` labels of their series.
        asked: Attributes that somebody asks for by name.
    """
    known = {name: metric for metric in metrics for name in metric.names}
    grouped: dict[tuple[Metric, Labels], _Parts] = {}
    for labels, values in reading.series.items():
        name = dict(labels)["__name__"]
        if name in known:
            _sorted(grouped.setdefault((known[name], named(labels)), _Parts()), known[name], labels, values)
    made, resources, names = ExportMetricsServiceRequest(), {}, keys(asked)
    for (metric, labels), parts in grouped.items():
        resource, attributes = sides(labels, names)
        key = tuple(sorted(resource.items()))
        if key not in resources:
            resources[key] = made.resource_metrics.add()
            put(resources[key].resource, resource)
            resources[key].scope_metrics.add()
        points = _points(metric, parts, sorted(reading.moments))
        _write(resources[key].scope_metrics[0].metrics, metric, attributes, points, (exemplars or {}).get(labels, ()))
    return made


def named(labels: Labels) -> Labels:
    """Return the labels that tell series of one metric apart."""
    return tuple((key, value) for key, value in labels if key not in ("__name__", _LE))


def sides(labels: Iterable[tuple[str, str]], names: Mapping[str, str]) -> tuple[Sides, Sides]:
    """Return labels as attributes of a resource and of what it sent."""
    resource: Sides = {}
    attributes: Sides = {}
    targets: Sides = {}
    for label, value in labels:
        if label in _TARGET:
            targets[_TARGET[label]] = value
        else:
            key = names.get(label, label)
            (resource if key in RESOURCE else attributes)[key] = value
    return {**targets, **resource}, attributes


def put(holder: Any, attributes: Mapping[str, str]) -> None:
    """Add attributes to an OTLP message, of the type that theirs are known to have."""
    for key, value in attributes.items():
        added, kind = holder.attributes.add(key=key).value, TYPES.get(key)
        if kind == "boolean" and value in ("true", "false"):
            added.bool_value = value == "true"
        elif kind in ("int", "double") and _NUMBER.fullmatch(value):
            setattr(added, f"{kind}_value", float(value) if kind == "double" else int(float(value)))
        else:
            added.string_value = value


def _sorted(parts: _Parts, metric: Metric, labels: Labels, values: Values) -> None:
    if metric.kind != "histogram":
        parts.values.update(values)
        return
    found = dict(labels)
    part = found["__name__"].removeprefix(metric.prometheus)
    if part == "_count":
        parts.values.update(values)
    elif part == "_sum":
        parts.sums.update(values)
    elif part == "_bucket":
        parts.buckets[float(found.get(_LE, "+Inf"))] = values


def _points(metric: Metric, parts: _Parts, moments: list[int]) -> Iterator[tuple[int, int, _Parts]]:
    """Yield start, time and the parts of each point."""
    times = sorted(time for time, value in parts.values.items() if not math.isnan(value))
    if metric.kind not in ("counter", "histogram"):
        yield from ((0, time, parts) for time in times)
        return
    for run, before in runs(times, parts.values):
        start = before or _absent_before(run[0], moments)
        if parts.values[run[0]] == 0 and len(run) > 1:
            start, run = run[0], run[1:]  # noqa: PLW2901 - the zero says when it began
        yield from ((start, time, parts) for time in run)


def runs(times: list[int], values: Values) -> Iterator[tuple[list[int], int]]:
    """Yield the times between which a counter did not begin again, and the last time before each (0: none)."""
    begun = [0, *(i + 1 for i, (a, b) in enumerate(pairwise(times)) if values[b] < values[a]), len(times)]
    for first, end in pairwise(begun):
        if first < end:
            yield times[first:end], times[first - 1] if first else 0


def _absent_before(time: int, moments: list[int]) -> int:
    """Return when a series was not there yet, of one that is first known by asking for a moment; 0 where unknown."""
    if time not in moments or time == moments[0]:
        return 0
    return moments[moments.index(time) - 1]


def _write(
    into: Any,
    metric: Metric,
    attributes: Sides,
    points: Iterable[tuple[int, int, _Parts]],
    exemplars: Sequence[Mapping[str, Any]],
) -> None:
    made = into.add(name=metric.name, unit=metric.unit, description=metric.description)
    data = {"counter": made.sum, "updown": made.sum, "gauge": made.gauge}.get(metric.kind, made.histogram)
    if metric.kind != "gauge":
        data.aggregation_temporality = CUMULATIVE
    if metric.kind == "counter":
        data.is_monotonic = True
    point = None
    for start, time, parts in points:
        cumulative = [(bound, values.get(time)) for bound, values in sorted(parts.buckets.items())]
        if any(count is None for _, count in cumulative):
            continue
        point = data.data_points.add(start_time_unix_nano=start, time_unix_nano=time)
        put(point, attributes)
        if metric.kind == "histogram":
            counts = [int(count or 0) for _, count in cumulative]
            point.count, point.sum = int(parts.values[time]), parts.sums.get(time, 0.0)
            point.explicit_bounds.extend(bound for bound, _ in cumulative if math.isfinite(bound))
            point.bucket_counts.extend(max(0, after - before) for before, after in pairwise([0, *counts]))
        else:
            point.as_double = parts.values[time]
    if point is not None:
        _exemplify(point, exemplars)


def _exemplify(point: Any, exemplars: Sequence[Mapping[str, Any]]) -> None:
    if not hasattr(point, "exemplars"):
        return
    for sent in exemplars:
        ids = [sent["labels"].get(name, "") for name in ("trace_id", "span_id")]
        try:
            trace_id, span_id = map(bytes.fromhex, ids)
        except ValueError:  # labels of somebody's own
            continue
        time = round(sent["timestamp"] * 1000) * MILLI
        point.exemplars.add(time_unix_nano=time, as_double=float(sent["value"]), trace_id=trace_id, span_id=span_id)
