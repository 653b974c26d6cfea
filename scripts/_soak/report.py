"""The result of a soak as text, as Markdown and as a picture."""

from __future__ import annotations

import json
from dataclasses import asdict
from itertools import groupby
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from _soak import samples
from _soak.counts import Count
from _soak.run import RESULT, SAMPLES
from _soak.verdict import WARM_UP_MOST, WARM_UP_SHARE, judged

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from _soak.samples import Sample

POINTS = 600
"""Most points of a line of the picture."""


def result_of(folder: Path) -> dict[str, Any]:
    """Return what a run left in its folder, with ``bounds``, and whether each of them ``holds``."""
    result: dict[str, Any] = json.loads((folder / RESULT).read_text("utf-8"))
    counts = [Count(**count) for count in result["counts"]]
    seen = samples.read(folder / SAMPLES)
    bounds = judged(seen, counts, result["rate"], result["stopped"], result["strange"])
    return {
        **result,
        "counts": [{**asdict(count), "exact": count.exact} for count in counts],
        "bounds": [asdict(bound) for bound in bounds],
        "holds": all(bound.holds for bound in bounds),
    }


def tables(result: dict[str, Any], *, markdown: bool = False) -> str:
    """Return the bounds and the counts."""
    bounds = [[b["what"], b["measured"], b["bound"], "yes" if b["holds"] else "NO"] for b in result["bounds"]]
    names = ("made", "received", "twice", "dropped", "cut")
    counts = [
        [_code(c["what"], markdown=markdown), *(f"{c[name]:,}" for name in names), "yes" if c["exact"] else "NO"]
        for c in result["counts"]
    ]
    heads = ["Count", "Made", "Received", "of these twice", "Counted as dropped", "Answer not received", "Exact"]
    what = (
        f"{result['seconds'] / 60:.1f} minutes at {result['rate']:.0f} requests a second; the receiver was killed"
        f" {result['kills']} times, and silent for {result['down']:.0f} s in all."
    )
    first = _table(["Bound", "Measured", "May be", "Holds"], bounds, markdown=markdown)
    return f"{what}\n\n{first}\n\n{_table(heads, counts, markdown=markdown)}"


def _code(name: str, *, markdown: bool) -> str:
    return f"`{name}`" if markdown and "." in name else name


def _table(heads: list[str], rows: list[list[str]], *, markdown: bool) -> str:
    if markdown:
        return "\n".join(f"| {' | '.join(cells)} |" for cells in (heads, ["---"] * len(heads), *rows))
    widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
    lines = ["  ".join(c.ljust(w) for c, w in zip(cells, widths, strict=True)).rstrip() for cells in (heads, *rows)]
    return "\n".join(lines)


def draw(folder: Path, picture: Path) -> None:
    """Draw what the service took over time as an SVG; needs matplotlib."""
    import matplotlib as mpl  # noqa: PLC0415 - for this alone
    from matplotlib.figure import Figure  # noqa: PLC0415 - the same

    seen = samples.read(folder / SAMPLES)
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "soak", "font.size": 9}):
        figure = Figure(figsize=(8, 6.4), layout="constrained")
        panels = figure.subplots(4, 1, sharex=True)
        _memory(panels[0], seen)
        for name, style in (("files", "-"), ("threads", "--")):
            _line(panels[1], seen, [float(getattr(s, name)) for s in seen], style, name)
        panels[1].legend(loc="lower right", frameon=False, ncols=2)
        _line(panels[2], seen, _rates(seen, "answered"), "-", "")
        _line(panels[3], seen, _rates(seen, "cpu"), "-", "")
        titles = ("memory, MiB", "open files and threads", "requests a second", "CPU of the service, cores")
        for panel, title in zip(panels, titles, strict=True):
            panel.set_title(title, loc="left", fontsize=9)
            panel.spines[["top", "right"]].set_visible(False)
            _outages(panel, seen)
            if title != titles[0]:
                panel.set_ylim(bottom=0)
        panels[-1].set_xlabel("minutes; grey: the receiver is silent")
        figure.savefig(picture, format="svg", metadata={"Date": None})


def _memory(panel: Any, seen: Sequence[Sample]) -> None:
    _line(panel, seen, [s.memory for s in seen], "-", "")
    panel.set_ylim(0, max(s.memory for s in seen) * 1.15)
    end = min(WARM_UP_MOST, WARM_UP_SHARE * seen[-1].seconds) / 60
    panel.axvline(end, color="black", linestyle=":", linewidth=0.8)
    panel.annotate("warm", (end, 1), xycoords=("data", "axes fraction"), xytext=(3, -9), textcoords="offset points")


def _line(panel: Any, seen: Sequence[Sample], values: Sequence[float], style: str, label: str) -> None:
    step = max(1, len(seen) // POINTS)
    minutes = [s.seconds / 60 for s in seen]
    panel.plot(minutes[::step], values[::step], style, color="#2a5d84", linewidth=1, label=label)


def _rates(seen: Sequence[Sample], figure: str) -> list[float]:
    """Return how fast a figure grew over the last ten samples."""
    rates = []
    for i, sample in enumerate(seen):
        before = seen[max(0, i - 10)]
        took = sample.seconds - before.seconds
        rates.append((getattr(sample, figure) - getattr(before, figure)) / took if took else 0.0)
    return [*rates[1:2], *rates[1:]]


def _outages(panel: Any, seen: Sequence[Sample]) -> None:
    """Shade the silences: the samples in which the receiver is down, those side by side as one."""
    for up, group in groupby(seen, key=attrgetter("up")):
        silent = [sample.seconds / 60 for sample in group]
        if not up:
            panel.axvspan(silent[0], silent[-1] + 1 / 60, color="#d5d5d5", linewidth=0)
