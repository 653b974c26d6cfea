"""Write the dashboards' JSON; with ``--check`` only say which files are stale, and end with 1 when any is."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from . import model_quality, objectives, platform_health, service

if TYPE_CHECKING:
    from types import ModuleType

FOLDER = Path(__file__).parents[1] / "grafana" / "dashboards"
BOARDS = {
    "service": service,
    "model-quality": model_quality,
    "objectives": objectives,
    "platform": platform_health,
}


def main() -> int:
    """Return the exit status."""
    texts = {FOLDER / f"{name}.json": text(board) for name, board in BOARDS.items()}
    stale = [path for path, made in texts.items() if not path.exists() or path.read_text(encoding="utf-8") != made]
    if "--check" in sys.argv[1:]:
        sys.stdout.writelines(f"stale: {path.name}\n" for path in stale)
        return 1 if stale else 0
    FOLDER.mkdir(parents=True, exist_ok=True)
    for path in stale:
        path.write_text(texts[path], encoding="utf-8")
        sys.stdout.write(f"written: {path}\n")
    return 0


def text(board: ModuleType) -> str:
    """Return a dashboard as Grafana reads it; panels are numbered in order, links stand in sight."""
    made = board.build().build()
    for number, panel in enumerate(made.panels, start=1):
        panel.id_val = number
    for link in made.links:
        link.placement = None
    return JSONEncoder(sort_keys=True, indent=1).encode(made) + "\n"


if __name__ == "__main__":
    sys.exit(main())
