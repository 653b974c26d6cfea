"""Tables of figures, for the terminal and for Markdown pages, and where they were measured."""

from __future__ import annotations

import os
import platform
from datetime import UTC, datetime
from importlib.metadata import distributions
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

PEERS = ("opentelemetry-sdk", "logfire", "prometheus_client")


def table(header: Sequence[str], rows: Sequence[Sequence[str]], *, markdown: bool = False, text: int = 1) -> str:
    """Return a table whose first ``text`` columns are text and whose others are figures."""
    if markdown:
        rule = [*["---"] * text, *["--:"] * (len(header) - text)]
        return "\n".join(f"| {' | '.join(cells)} |" for cells in (header, rule, *rows))
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    lines = []
    for cells in (header, *rows):
        left = (cell.ljust(width) for cell, width in zip(cells[:text], widths, strict=False))
        right = (cell.rjust(width) for cell, width in zip(cells[text:], widths[text:], strict=True))
        lines.append("  ".join([*left, *right]).rstrip())
    return "\n".join(lines)


def machine() -> dict[str, str | int | None]:
    """Return when and where this runs."""
    cpu = Path("/proc/cpuinfo")
    text = cpu.read_text(encoding="utf-8") if cpu.exists() else ""
    names = [line.partition(":")[2].strip() for line in text.splitlines() if line.startswith("model name")]
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "cpu": names[0] if names else platform.processor(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        **{d.name: d.version for d in distributions() if d.name in PEERS},
    }


def where() -> str:
    """Return `machine` as one line of text."""
    m = machine()
    peers = "".join(f", {name} {m[name]}" for name in PEERS if name in m)
    return f"{m['date']}, {m['cpu']}, {m['cores']} cores, Python {m['python']}{peers}"
