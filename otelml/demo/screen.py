"""What the demo shows: every figure comes from the telemetry that the receiver took in."""

from __future__ import annotations

import math
from collections import deque
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from rich import box
from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text
from rich.tree import Tree as RichTree

from otelml import semconv
from otelml.demo import quality
from otelml.viewer import queries
from otelml.viewer.trees import Node

if TYPE_CHECKING:
    from otelml.drift import Reference
    from otelml.viewer.distributions import Distribution
    from otelml.viewer.rows import LogRecord, MetricPoint
    from otelml.viewer.store import Store

STAGE_COLOURS = dict(zip(semconv.STAGES, ("#56b4e9", "#e69f00", "#cc79a7", "#f0e442"), strict=True))
"""The four stages keep their colours everywhere; the set is told apart by colour-blind readers too (Okabe, Ito)."""
ACCENT, QUIET = "#8ab4f8", "grey62"
GOOD, FAIR, BAD = ("●", "green"), ("▲", "yellow"), ("■", "red")
"""Health is a colour and a shape."""
BARS = "▁▂▃▄▅▆▇█"
HTTP_DURATION = "http.server.request.duration"
PREDICT_ROUTE = "/predict"
FAILED_SHARE = (0.01, 0.05)
MOST_MOVED = 5
"""Features of the drift table: those that moved most."""


class Screen:
    """The live picture of a replay.

    Args:
        store: Where the telemetry arrives.
        model: Name of the model shown.
        reference: What its features are compared with.
    """

    def __init__(self, store: Store, model: str, reference: Reference) -> None:
        self._store, self._model, self._reference = store, model, reference
        self._rates: deque[float] = deque(maxlen=12)
        self._latencies: deque[float] = deque(maxlen=12)

    def picture(self, progress: float, caption: str) -> RenderableType:
        """Return the picture now; ``progress`` is the share done, from 0 to 1."""
        rate = queries.request_rate(self._store, 3.0, model=self._model)
        recent = queries.latency(self._store, model=self._model, seconds=3.0)
        if progress < 1:
            self._rates.append(rate)
            self._latencies.append(0.0 if math.isnan(recent.p95) else recent.p95)
        bar = Table.grid(padding=(0, 1))
        bar.add_row(ProgressBar(1.0, min(progress, 1.0), width=30, complete_style=ACCENT), Text(caption, QUIET))
        tables = [self._vitals(), self._stages(), self._classes(), self._drift(), self._quality(), self._gpus()]
        parts: list[RenderableType] = [bar, Text(), self._answer()]
        for table in tables:
            parts += [Text(), table] if table is not None else []
        return Group(*parts)

    def _answer(self) -> Text:
        """Return the one sentence that says how things are."""
        answered, refused = http_answers(self._store)
        share = refused / answered if answered else 0.0
        shape, colour = GOOD if share <= FAILED_SHARE[0] else FAIR if share <= FAILED_SHARE[1] else BAD
        latency = queries.latency(self._store, model=self._model)
        if not latency.count:
            return Text.assemble((f"{GOOD[0]} ", QUIET), ("Waiting for the first telemetry ...", QUIET))
        return Text.assemble(
            (f"{shape} ", colour),
            (f"{answered:,} flights answered, {share:.1%} refused", "bold"),
            f"; p95 of a prediction {milliseconds(latency.p95)}",
        )

    def _vitals(self) -> Table:
        latency = queries.latency(self._store, model=self._model)
        failed = queries.errors(self._store, model=self._model)
        answered, refused = http_answers(self._store)
        missing = queries.missing_values(self._store, model=self._model)
        rate = self._rates[-1] if self._rates else 0.0
        table = _table("", "now", "p50", "p95", "p99", "last 6 s", title="Predictions")
        table.add_row("rate", f"{rate:.1f}/s", "", "", "", Text(sparkline(self._rates), ACCENT))
        table.add_row(
            *("duration", "", milliseconds(latency.p50), milliseconds(latency.p95), milliseconds(latency.p99)),
            Text(sparkline(self._latencies), ACCENT),
        )
        table.add_row("errors", str(failed.failed), "", "", "", _by_type(failed.by_type))
        table.add_row("refused (4xx, 5xx)", str(refused), "", "", "", Text(f"of {answered:,}", QUIET))
        table.add_row("missing inputs", f"{missing:,}", "", "", "", Text("values", QUIET))
        return table

    def _stages(self) -> Table:
        # A series may come before its first count.
        found = queries.stage_times(self._store, model=self._model)
        stages = {name: times for name, times in found.items() if times.count}
        total = sum(d.mean * d.count for d in stages.values()) or 1.0
        table = _table("", "share", "p50", "p95", "p99", "", title="Where the time goes")
        for name, times in stages.items():
            colour, share = STAGE_COLOURS.get(name, QUIET), times.mean * times.count / total
            table.add_row(
                *(Text(name.replace("_", " "), colour), f"{share:.0%}"),
                *(milliseconds(q) for q in (times.p50, times.p95, times.p99)),
                Text("━" * max(1, round(share * 12)), colour),
            )
        return table

    def _classes(self) -> Table:
        mix, confidence = (
            queries.class_mix(self._store, model=self._model),
            queries.confidence_by_class(self._store, model=self._model),
        )
        rows = sum(mix.values()) or 1
        table = _table("", "share", "p05", "p50", "p95", "flights", title="How sure the model is, by its answer")
        for name, count in mix.items():
            sure = confidence.get(name)
            table.add_row(name, f"{count / rows:.0%}", *_shares(sure), f"{count:,}")
        return table

    def _drift(self) -> Table | None:
        report = quality.report(self._store, self._model, self._reference)
        if not report.rows:
            return None
        title = f"What moved since January to March: {len(report.drifted)} of {len(report.features)} inputs and answers"
        table = _table("", "drifted", "PSI", "KS", "missing", "seen most by", title=title)
        for found in report.ranked()[:MOST_MOVED]:
            shape, colour = BAD if found.drifted else GOOD
            psi = f"{max(0.0, found.psi - found.psi_bias):.3f}"
            cells = (psi, "-" if found.ks is None else f"{found.ks:.2f}", f"{found.missing:.0%}", found.test)
            table.add_row(found.name, Text(shape, colour), *cells[:3], Text(cells[3], QUIET))
        return table

    def _quality(self) -> Table | None:
        known = quality.figure(self._store, semconv.QUALITY_OUTCOMES, self._model)
        if math.isnan(known):
            return None
        names = (
            (semconv.QUALITY_ACCURACY, "accuracy", f"{known:,.0f} landed"),
            (semconv.QUALITY_ESTIMATED_ACCURACY, "estimated", "of all, before"),
            (semconv.QUALITY_AUC, "ROC AUC", ""),
            (semconv.QUALITY_CALIBRATION_ERROR, "calibration error", ""),
        )
        table = _table("", "now", "from", "to", "", "", title="How right the model is, as flights land")
        ends = {semconv.QUALITY_ESTIMATED_ACCURACY_LOWER, semconv.QUALITY_ESTIMATED_ACCURACY_UPPER}
        low, high = sorted(quality.figure(self._store, row, self._model) for row in ends)
        for row, name, note in names:
            value = quality.figure(self._store, row, self._model)
            interval = (f"{low:.2f}", f"{high:.2f}") if row is semconv.QUALITY_ESTIMATED_ACCURACY else ("", "")
            table.add_row(name, "-" if math.isnan(value) else f"{value:.2f}", *interval, "", Text(note, QUIET))
        return table

    def _gpus(self) -> Table | None:
        found = queries.gpus(self._store)
        if not found:
            return None
        table = _table("", "busy", "memory", "", "", "", title="GPU")
        for name, values in found.items():
            busy = values.get(semconv.GPU_UTILIZATION.name, math.nan)
            used = values.get(semconv.GPU_MEMORY_UTILIZATION.name, math.nan)
            table.add_row(name[:24], share_text(busy), share_text(used), "", "", "")
        return table


def slowest_tree(store: Store, model: str) -> RenderableType | None:
    """Return the slowest prediction as a tree of its spans with the log lines in place; None without one."""
    slowest = queries.slowest(store, model=model)
    if slowest is None:
        return None
    traced = queries.trace_tree(store, slowest.trace_id)
    if not traced.roots:
        return None
    origin = traced.roots[0].span.start_ns
    tree = RichTree(Text("the request, as traced through both services", QUIET), guide_style=QUIET)
    for root in traced.roots:
        _grow(tree, root, origin)
    when = datetime.fromtimestamp(slowest.start_ns / 1e9, UTC).astimezone()
    title = Text.assemble(
        ("The slowest prediction ", "bold"), (f"at {when:%H:%M:%S %Z}, trace {slowest.trace_id}", QUIET)
    )
    return Group(title, tree)


def http_answers(store: Store) -> tuple[int, int]:
    """Return how many requests to predict were answered, and how many of them with an error."""
    points = [p for p in store.latest(HTTP_DURATION) if p.attributes.get("http.route") == PREDICT_ROUTE]
    return sum(p.count or 0 for p in points), sum(p.count or 0 for p in points if _is_error(p))


def milliseconds(seconds: float) -> str:
    """Return a duration as text with three digits: ``4.21 ms``."""
    if math.isnan(seconds):
        return "-"
    if seconds >= 1:
        return f"{seconds:.2f} s"
    value = seconds * 1e3
    return f"{value:.0f} ms" if value >= 100 else f"{value:.1f} ms" if value >= 10 else f"{value:.2f} ms"  # noqa: PLR2004 - digits


def share_text(share: float) -> str:
    """Return a share as a percentage, ``-`` where it is not known."""
    return "-" if math.isnan(share) else f"{share:.0%}"


def sparkline(values: deque[float]) -> str:
    """Return values as a row of bars, scaled to their maximum."""
    top = max(values, default=0.0)
    return "".join(BARS[min(len(BARS) - 1, int(v / top * (len(BARS) - 1)))] for v in values) if top > 0 else ""


def _table(*columns: str, title: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, title=title, title_justify="left", title_style="bold", show_edge=False)
    table.pad_edge, table.collapse_padding = False, True
    widths = (20, 8, 8, 8, 8, 14)
    for i, (name, width) in enumerate(zip(columns, widths, strict=True)):
        last = i == len(widths) - 1
        table.add_column(
            name, justify="left" if i == 0 or last else "right", width=width, header_style=QUIET, no_wrap=True
        )
    return table


def _by_type(by_type: dict[str, int]) -> Text:
    return Text(", ".join(f"{name} {count}" for name, count in by_type.items()) or "none", QUIET)


def _shares(sure: Distribution | None) -> tuple[str, str, str]:
    return ("-", "-", "-") if sure is None else (f"{sure.p05:.2f}", f"{sure.p50:.2f}", f"{sure.p95:.2f}")


def _is_error(point: MetricPoint) -> bool:
    status = point.attributes.get("http.response.status_code")
    return isinstance(status, int) and status >= 400  # noqa: PLR2004 - HTTP's errors start there


def _grow(tree: RichTree, node: Node, origin: int) -> None:
    span = node.span
    took = milliseconds((span.end_ns - span.start_ns) / 1e9)
    service = str(span.resource.get("service.name", ""))
    colour = STAGE_COLOURS.get(span.name, "default")
    label = Text.assemble((span.name, colour), f"  {took}", (f"  {service}" if span.kind != "internal" else "", QUIET))
    branch = tree.add(label)
    for item in node.timeline:
        if isinstance(item, Node):
            _grow(branch, item, origin)
        else:
            branch.add(_line(item, origin))


def _line(record: LogRecord, origin: int) -> Text:
    at = milliseconds((record.time_ns - origin) / 1e9)
    return Text.assemble(
        (f"+{at}  ", QUIET), (f"{(record.severity_text or '').lower()}  ", QUIET), (str(record.body), "")
    )
