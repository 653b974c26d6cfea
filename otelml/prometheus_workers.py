"""Sums the metrics of several processes for one scrape, by files in a folder that they share.

Each process writes what it has counted into a file of its own, every second and when it ends, and holds a lock on it
while it lives. A scrape adds up the files. Those of the dead are folded into an archive, so that counters and
histograms go on over restarts and never fall; of up-down counters only the living count. What describes the machine is
not a sum, nor is a gauge: the newest value stands. Exemplars are left out.
"""

from __future__ import annotations

import json
import os
import time
import uuid
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Gauge,
    Histogram,
    HistogramDataPoint,
    Metric,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from otelml.errors import ConfigError

try:
    import fcntl
except ImportError:  # pragma: no cover - Windows
    fcntl = None  # type: ignore[assignment]

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

Snapshot = dict[str, Any]
"""Metrics by name: ``kind``, ``unit``, ``help`` and ``points`` by their attributes, as JSON."""

MACHINE = ("system.", "hw.")
"""Metrics that every process reads off the same machine."""
_OWN = ("service.instance.id", "process.")
_PATIENCE = 2.0
"""Seconds to wait for the folder's lock, which is held for milliseconds."""
_CUMULATIVE = AggregationTemporality.CUMULATIVE


class Workers:
    """The files of the processes that share a folder.

    Raises:
        ConfigError: When the folder cannot be used.
    """

    def __init__(self, folder: str) -> None:
        self._folder = Path(folder)
        self._name, self._fd, self._serving = "", -1, -1
        self._last = ""
        if fcntl is None:
            raise ConfigError([f"OTELML_PROMETHEUS_DIR={folder!r}: this system has no file locks; send OTLP instead"])
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with self._locked():
                pass
        except OSError as error:
            raise ConfigError([f"OTELML_PROMETHEUS_DIR={folder!r}: {error.strerror or error}"]) from None

    # This process -----------------------------------------------------------------------------------------------

    def write(self, data: MetricsData | None) -> None:
        """Write what this process has counted; OSError where the folder is gone."""
        text = json.dumps(snapshot(data))
        if text == self._last:
            return
        if self._fd < 0:
            self._enter()
        self._replace(f"{self._name}.json", text)
        self._last = text

    def _enter(self) -> None:
        with self._locked():  # or a scrape takes the file for one of a process that has died
            self._name = f"{os.getpid()}-{uuid.uuid4().hex[:8]}"
            self._fd = _open(self._folder / f"{self._name}.lock")
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def serves(self) -> bool:
        """Become the process that listens for all; False while another one does."""
        if self._serving < 0:
            fd = _open(self._folder / "serving")
            if not _try(fd):
                os.close(fd)
                return False
            self._serving = fd
        return True

    def leave(self) -> None:
        """Give up the locks: the next scrape archives what this process has counted.

        In a forked child this closes its copies, and the parent keeps its locks.
        """
        for fd in (self._fd, self._serving):
            if fd >= 0:
                os.close(fd)
        self._name, self._fd, self._serving = "", -1, -1
        self._last = ""

    # All processes ----------------------------------------------------------------------------------------------

    def total(self, resource: Resource) -> MetricsData:
        """Return the sum of what all processes have written; of ``resource`` what is no single process's."""
        with self._locked():
            archive = self._read("archive.json") or {"merged": [], "metrics": {}}
            living, dead = self._sorted(archive["merged"])
            if dead or archive["merged"]:
                self._archive(archive, dead)
        common = {key: value for key, value in resource.attributes.items() if not key.startswith(_OWN)}
        return _metrics_data(merged([archive["metrics"]], living), Resource(common, resource.schema_url))

    def _sorted(self, known: list[str]) -> tuple[list[Snapshot], dict[str, Snapshot]]:
        """Return what the living wrote, oldest first, and what the dead wrote that is not in the archive, by name."""
        living, dead = list[tuple[float, Snapshot]](), dict[str, Snapshot]()
        for path in self._folder.glob("*.lock"):
            written, name = self._folder / f"{path.stem}.json", path.stem
            found = self._read(written.name) or {}
            if name == self._name or not self._is_dead(path):
                living.append((_modified(written), found))
            elif name in known:
                self._remove(name)  # archived, by a process that ended before it could remove it
            else:
                dead[name] = found
        return [found for _, found in sorted(living, key=lambda each: each[0])], dead

    def _archive(self, archive: Snapshot, dead: dict[str, Snapshot]) -> None:
        archive["metrics"] = merged([archive["metrics"], *dead.values()], [])
        archive["merged"] = list(dead)
        self._replace("archive.json", json.dumps(archive))
        for name in dead:
            self._remove(name)

    def _is_dead(self, path: Path) -> bool:
        fd = _open(path)
        try:
            return _try(fd)
        finally:
            os.close(fd)

    def _remove(self, name: str) -> None:
        for ending in ("json", "lock"):
            (self._folder / f"{name}.{ending}").unlink(missing_ok=True)

    def _read(self, name: str) -> Snapshot | None:
        with suppress(OSError, ValueError):
            found = json.loads((self._folder / name).read_text(encoding="utf-8"))
            return found if isinstance(found, dict) else None
        return None

    def _replace(self, name: str, text: str) -> None:
        new = self._folder / f"{name}.{os.getpid()}.new"
        with open(_open(new, os.O_TRUNC), "w", encoding="utf-8") as file:
            file.write(text)
        new.replace(self._folder / name)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        fd, end = _open(self._folder / "folder"), time.monotonic() + _PATIENCE
        try:
            while not _try(fd):
                if time.monotonic() > end:
                    raise TimeoutError(f"{self._folder}: locked for {_PATIENCE:.0f} seconds")
                time.sleep(0.005)
            yield
        finally:
            os.close(fd)


def _open(path: Path, flags: int = 0) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | flags, 0o600)


def _try(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _modified(path: Path) -> float:
    with suppress(OSError):
        return path.stat().st_mtime
    return 0.0


# Snapshots ------------------------------------------------------------------------------------------------------


def snapshot(data: MetricsData | None) -> Snapshot:
    """Return metrics as JSON holds them; the first of two instruments of one name."""
    found: Snapshot = {}
    for resource in data.resource_metrics if data else ():
        for scope in resource.scope_metrics:
            for metric in scope.metrics:
                points = {_key(point.attributes): _value(point) for point in metric.data.data_points}
                row = {"kind": _kind(metric.data), "unit": metric.unit or "", "help": metric.description or ""}
                found.setdefault(metric.name, {**row, "points": points})
    return found


def _kind(data: Any) -> str:
    if isinstance(data, Sum):
        return "counter" if data.is_monotonic else "updown"
    return "gauge" if isinstance(data, Gauge) else "histogram"


def _key(attributes: Any) -> str:
    return json.dumps(dict(attributes or {}), sort_keys=True)


def _value(point: Any) -> Any:
    if isinstance(point, NumberDataPoint):
        return point.value
    bounds = list(getattr(point, "explicit_bounds", ()))
    counts = list(getattr(point, "bucket_counts", (point.count,)))
    return {"bounds": bounds, "counts": counts, "sum": point.sum}


def merged(dead: Iterable[Snapshot], living: Iterable[Snapshot]) -> Snapshot:
    """Return one snapshot of many: the newer ones are the later ones, and the living newer than the dead."""
    total: Snapshot = {}
    for alive, one in [*((False, each) for each in dead), *((True, each) for each in living)]:
        for name, metric in one.items():
            machine = name.startswith(MACHINE)
            if not alive and (machine or metric["kind"] in ("gauge", "updown")):
                continue
            kept = total.get(name)
            if kept is None or kept["kind"] != metric["kind"]:
                total[name] = {**metric, "points": dict(metric["points"])}
                continue
            add = _latest if machine or metric["kind"] == "gauge" else _sum
            if machine and metric["kind"] == "counter":
                add = _highest
            for key, value in metric["points"].items():
                kept["points"][key] = add(kept["points"][key], value) if key in kept["points"] else value
    return total


def _latest(_: Any, value: Any) -> Any:
    return value


def _highest(before: Any, value: Any) -> Any:
    return max(before, value)  # one of them may have been read a while ago


def _sum(before: Any, value: Any) -> Any:
    if not isinstance(value, dict):
        return before + value
    if before["bounds"] != value["bounds"]:
        return value  # other settings than before: what was counted by other bounds can't be added
    counts = [a + b for a, b in zip(before["counts"], value["counts"], strict=True)]
    return {"bounds": value["bounds"], "counts": counts, "sum": before["sum"] + value["sum"]}


def _metrics_data(total: Snapshot, resource: Resource) -> MetricsData:
    metrics = [Metric(name, row["help"], row["unit"], _data(row)) for name, row in sorted(total.items())]
    scope = ScopeMetrics(InstrumentationScope("otelml"), metrics, "")
    return MetricsData([ResourceMetrics(resource, [scope], resource.schema_url)])


def _data(row: Snapshot) -> Any:
    points = [_point(json.loads(key), value) for key, value in row["points"].items()]
    if row["kind"] == "histogram":
        return Histogram(points, _CUMULATIVE)
    return Gauge(points) if row["kind"] == "gauge" else Sum(points, _CUMULATIVE, row["kind"] == "counter")


def _point(attributes: dict[str, Any], value: Any) -> Any:
    attributes = {key: tuple(each) if isinstance(each, list) else each for key, each in attributes.items()}
    if not isinstance(value, dict):
        return NumberDataPoint(attributes, 0, 0, value)
    return HistogramDataPoint(
        attributes, 0, 0, sum(value["counts"]), value["sum"], value["counts"], value["bounds"], 0.0, 0.0
    )
