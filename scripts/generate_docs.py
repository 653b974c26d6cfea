"""Writes docs/metrics.md, docs/settings.md and a table of docs/integrations.md; ``--check`` says which are stale."""

from __future__ import annotations

import json
import sys
import tomllib
from pathlib import Path
from typing import Any

from otelml import _parse, cli, config

DOCS = Path(__file__).parent.parent / "docs"
SIGNAL_PREFIXES = tuple(f"{signal}." for signal in config.SIGNALS)
PLAIN: dict[object, str] = {
    _parse.text: "text",
    _parse.boolean: "true or false",
    _parse.readable: "a file that can be read",
    _parse.writable: "a file that can be written",
    _parse.directory: "a directory",
    _parse.database: "a file, sqlite:///file or postgresql://user:password@host/database",
    config.SETTINGS["drift_reference"].parser: "a file, or model=file,model=file",
}
INTRODUCTION = """# Settings

Made by `scripts/docs` from `otelml/settings.py`; edit that file, not this one.

`otelml config` shows every setting, its value and where it came from. Precedence: code, then environment, then the
file that `OTELML_CONFIG` names, then the default. In code (`auto_instrument(config={...})`) and in the YAML file a
setting has the name in the second column. Unknown names and bad values are refused at start-up, all in one message.

Variables of the OpenTelemetry SDK that are not listed here (span limits, resource detectors, ...) keep their meaning.
"""
OTLP = """
## OTLP

Each of these holds for all signals, and can be set for one alone: `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT`,
`OTEL_EXPORTER_OTLP_METRICS_HEADERS`, `OTEL_EXPORTER_OTLP_LOGS_TIMEOUT` and so on. An endpoint for all signals gets
`/v1/traces`, `/v1/metrics` or `/v1/logs` added over HTTP; one for a single signal is taken as it is.
"""

BEGIN, END = "<!-- integrations: begin -->", "<!-- integrations: end -->"


def pages() -> dict[str, str]:
    """Return the text of each generated page by file name."""
    return {"metrics.md": f"{cli.markdown()}\n", "settings.md": settings(), "integrations.md": integrations()}


def integrations() -> str:
    """Return docs/integrations.md with the table of docs/integrations.toml and docs/integrations.json in it."""
    facts = tomllib.loads((DOCS / "integrations.toml").read_text("utf-8"))
    measured = json.loads((DOCS / "integrations.json").read_text("utf-8"))
    cells = [["Name", "Library", "Tested", "Recorded", "Stages", "Class and confidence from", "One row", "Not seen"]]
    cells.append(["---"] * len(cells[0]))
    for name, row in facts.items():
        library = f"[{row['library']}](#{row['section']})"
        told = [row["recorded"], row.get("stages", "-"), row.get("confidence", "-"), _cost(name, measured["one_row"])]
        cells.append([f"`{name}`", library, _tested(measured["versions"].get(name, {})), *told, row["limits"]])
    text = (DOCS / "integrations.md").read_text("utf-8")
    before, rest = text.split(BEGIN)
    return f"{before}{BEGIN}\n\n{_lines(cells)}\n{END}{rest.split(END)[1]}"


def _tested(versions: dict[str, str]) -> str:
    """Return the oldest and the newest version that the tests ran with."""
    ordered = sorted(versions.values(), key=lambda each: [int(part) for part in each.split(".") if part.isdigit()])
    return " to ".join(dict.fromkeys((ordered[0], ordered[-1]))) if ordered else "-"


def _cost(name: str, measured: dict[str, dict[str, Any]]) -> str:
    """Return what a call of one row takes on its thread beside the library's own time: the least and the most."""
    added = sorted(row["added"] for row in measured.values() if row["package"] == name)
    shown = dict.fromkeys(f"{each:.0f}" for each in added[:1] + added[-1:])
    return f"+{' to '.join(shown)} µs" if shown else "-"


def settings() -> str:
    """Return docs/settings.md."""
    own = [(name, row) for name, row in config.SETTINGS.items() if not name.startswith(SIGNAL_PREFIXES)]
    otlp = [(name, row) for name, row in config.SETTINGS.items() if name.startswith("traces.")]
    return "".join((INTRODUCTION, "\n", _table(own), OTLP, "\n", _table(otlp)))


def _table(rows: list[tuple[str, config.Setting]]) -> str:
    default = {row.name: row.value for row in config.rows(config.load({}, {}))}
    cells = [["Variable", "Name", "Default", "Values", "Meaning"], ["---"] * 5]
    for name, row in rows:
        key = row.keys[-1] if name.startswith("traces.") else name
        shown = _default(name, default[name])
        cells.append([f"`{row.envs[-1]}`", f"`{key}`", shown, _values(row), row.help])
    return _lines(cells)


def _lines(cells: list[list[str]]) -> str:
    return "".join(f"| {' | '.join(line)} |\n" for line in cells)


def _default(name: str, value: str) -> str:
    if name == "traces.endpoint":
        return "`http://localhost:4318`, gRPC `:4317`"
    return "-" if value == "-" else f"`{value}`"


def _values(row: config.Setting) -> str:
    """Return what a setting accepts, as its parser says it when it is given something else."""
    plain = PLAIN.get(row.parser)
    if plain is not None:
        return plain
    try:
        row.parser("?")
    except ValueError as error:
        return str(error).removeprefix("must be ").removeprefix("must read ").removeprefix("one of ")
    return "text, comma separated"


def main(arguments: list[str]) -> int:
    """Write the pages, or with ``--check`` compare them; return the exit code (1: a page is stale)."""
    stale = [name for name, text in pages().items() if _read(DOCS / name) != text]
    for name in stale:
        if "--check" in arguments:
            print(f"docs/{name} is stale: run scripts/docs", file=sys.stderr)
        else:
            (DOCS / name).write_text(pages()[name], "utf-8")
            print(f"wrote docs/{name}")
    return int(bool(stale) and "--check" in arguments)


def _read(path: Path) -> str | None:
    return path.read_text("utf-8") if path.exists() else None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
