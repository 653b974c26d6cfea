"""Every query of the shipped dashboards with its variables filled in: what a browser would send."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

FOLDER = Path(__file__).parents[2] / "collector" / "grafana" / "dashboards"
RANGES = {"__rate_interval": "1m", "__interval": "15s", "__range": "1h"}
_GPU, _NO_FAULT = "a GPU", "a fault, and there is none"
QUIET: dict[tuple[str, ...], str] = {
    **{("platform", f"GPU {what}"): _GPU for what in ("busy", "memory", "temperature", "power", "held back")},
    ("platform", "GPU memory of services"): _GPU,
    ("platform", "Faults of otelml, folded labels", "A"): _NO_FAULT,
    ("platform", "Failed to send"): "a backend that is down",
    ("platform", "Not stored", "B"): "log lines that Loki discards",
    ("service", "Firing alerts"): "an alert that fires",
    ("model-quality", "Alerts of drift and quality"): "an alert that fires",
}
"""What (dashboard, panel or one of its queries) has nothing to show after the demo and every_kind.py: what it needs."""
_VARIABLE = re.compile(r"\$(?:\{(\w+)(?::\w+)?\}|(\w+))")


@dataclass(frozen=True, slots=True)
class PanelQuery:
    """One query of one panel. ``store`` is `prometheus` or `loki`; ``now``: one value, at the end of the range."""

    dashboard: str
    panel: str
    ref: str
    store: str
    query: str
    now: bool

    def __str__(self) -> str:
        return f"{self.dashboard} / {self.panel} / {self.ref}"

    @property
    def needs(self) -> str | None:
        """What it needs to have an answer, where a healthy stack under load has none; None: it has one."""
        return QUIET.get((self.dashboard, self.panel)) or QUIET.get((self.dashboard, self.panel, self.ref))


def dashboards() -> dict[str, dict[str, Any]]:
    """Return the shipped dashboards by the name of their file."""
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(FOLDER.glob("*.json"))}


def panels(dashboard: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return a dashboard's panels, those in collapsed rows too, without the rows themselves."""
    inner = [panel for row in dashboard["panels"] for panel in (row, *row.get("panels", ()))]
    return [panel for panel in inner if panel["type"] != "row"]


def panel_queries(values: Mapping[str, str] | None = None) -> list[PanelQuery]:
    """Return every query of every panel.

    Args:
        values: What variables stand for, such as ``{"job": "shop/.*", "__rate_interval": "1m"}``. The others stand for
            what the dashboard shows when it is opened: All, or the text that is typed in.

    Raises:
        KeyError: A query uses a variable that its dashboard does not have.
    """
    return [query for name, board in dashboards().items() for query in _of(name, board, values or {})]


def filled(text: str, values: Mapping[str, str]) -> str:
    """Return a query with its variables replaced; KeyError when one has no value."""
    return _VARIABLE.sub(lambda found: values[found[1] or found[2]], text)


def _of(name: str, board: Mapping[str, Any], values: Mapping[str, str]) -> Iterator[PanelQuery]:
    known = {**RANGES, **_opened(board), **values}
    for panel in panels(board):
        for target in panel["targets"]:
            store, now = target["datasource"]["type"], bool(target.get("instant"))
            yield PanelQuery(name, panel["title"], target.get("refId", "A"), store, filled(target["expr"], known), now)


def _opened(board: Mapping[str, Any]) -> dict[str, str]:
    """Return what the variables stand for when the dashboard is opened."""
    return {each["name"]: each.get("allValue") or each.get("query", "") for each in board["templating"]["list"]}
