"""Tables of what marked tests have found: process models, and integrations.

A test with a table's mark is a cell of it: ``@pytest.mark.process_model(row, column)``. Tables are printed at the end
of a run; ``--write-tables`` writes them into their pages as well. With ``--collect-only`` they have their rows alone.
Results travel in reports: they arrive from workers of pytest-xdist too.
"""

from dataclasses import dataclass
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[1] / "docs"
NONE, OK, FAILED = "-", "ok", "FAILED"
RESULTS = pytest.StashKey()


@dataclass(frozen=True)
class Kind:
    """What one table is of."""

    mark: str
    title: str
    """Of the section, and in the page's markers."""
    head: str
    """Of the first column."""
    columns: tuple[str, ...]
    page: Path

    @property
    def markers(self):
        """Return the lines of the page between which the table stands."""
        return f"<!-- {self.title}: begin -->", f"<!-- {self.title}: end -->"

    def in_page(self):
        """Return the lines of the table in the page."""
        begin, end = self.markers
        return self.page.read_text("utf-8").split(begin)[1].split(end)[0].strip().splitlines()

    def grid(self, cells):
        """Return the lines of a Markdown table of {(row, column): state}."""
        names = sorted({row for row, _ in cells}, key=str.lower)
        width = max(map(len, [*names, self.head]))
        heads = [f"{self.head:{width}}", *self.columns]
        rows = [[f"{n:{width}}", *(f"{cells.get((n, c), NONE):{len(c)}}" for c in self.columns)] for n in names]
        rule = ["-" * len(head) for head in heads]
        return ["| " + " | ".join(row) + " |" for row in (heads, rule, *rows)]

    def cells_in_page(self):
        """Return the table in the page as {(row, column): state}."""
        lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in self.in_page()[2:]]
        return {
            (row, column): state for row, *states in lines for column, state in zip(self.columns, states, strict=True)
        }

    def write(self, cells):
        """Write the table into the page; rows that this run knows nothing of stay, as another environment ran them."""
        ran = {row for row, _ in cells}
        kept = {cell: state for cell, state in self.cells_in_page().items() if cell[0] not in ran}
        lines = self.grid({**kept, **cells})
        begin, end = self.markers
        text = self.page.read_text("utf-8")
        before, rest = text.split(begin)
        after = rest.split(end)[1]
        self.page.write_text(f"{before}{begin}\n\n" + "\n".join(lines) + f"\n\n{end}{after}", "utf-8")

    def rows(self, lines):
        """Return the first column of a table's lines."""
        cells = [line.split("|")[1].strip() for line in lines if line.startswith("| ")]
        return [cell for cell in cells if cell != self.head and set(cell) - {"-"}]


PROCESSES = Kind(
    "process_model", "process models", "process model", ("parent", "child", "both", "otelml run"), DOCS / "processes.md"
)
INTEGRATIONS = Kind(
    "conformance",
    "conformance",
    "call",
    (
        "before",
        "after",
        "once",
        "answer",
        "copies",
        "shape",
        "errors",
        "threads",
        "processes",
        "asyncio",
        "undone",
        "lean",
    ),
    DOCS / "integrations.md",
)
KINDS = (PROCESSES, INTEGRATIONS)


def pytest_addoption(parser):
    """Add the option that writes the tables."""
    parser.addoption("--write-tables", action="store_true", help="write the tables of what was found into their pages")


def pytest_configure(config):
    """Begin with empty tables."""
    config.stash[RESULTS] = {kind: {} for kind in KINDS}
    for kind in KINDS:
        config.addinivalue_line("markers", f"{kind.mark}(row, column): a cell of the table of {kind.title}")
    config.pluginmanager.register(Tables(config), "result-tables")


def cell_of(item, kind):
    """Return the row and the column of a test in a table, or None."""
    mark = item.get_closest_marker(kind.mark)
    if mark is None:
        return None
    row, column = mark.args
    assert column in kind.columns, f"{item.nodeid}: no such column: {column}"
    return row, column


class Tables:
    """Collects cells, and prints them."""

    def __init__(self, config):
        self.config, self.cells = config, config.stash[RESULTS]

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items):
        """Hand each test its cell, for its reports."""
        for item in items:
            for kind in KINDS:
                if cell := cell_of(item, kind):
                    item.user_properties.append((kind.mark, list(cell)))
                    if self.config.option.collectonly:
                        self.cells[kind][cell] = NONE

    def pytest_runtest_logreport(self, report):
        """Take what a test says: of several in one cell the worst counts."""
        state = FAILED if report.failed else OK if report.passed and report.when == "call" else NONE
        for name, cell in report.user_properties:
            for kind in KINDS:
                if name == kind.mark:
                    before = self.cells[kind].get(tuple(cell), NONE)
                    self.cells[kind][tuple(cell)] = max(before, state, key=(NONE, OK, FAILED).index)

    def pytest_terminal_summary(self, terminalreporter):
        """Print the tables, and write them where that was asked for."""
        for kind, cells in self.cells.items():
            if not cells:
                continue
            lines = kind.grid(cells)
            terminalreporter.section(kind.title)
            for line in lines:
                terminalreporter.line(line)
            if self.config.option.write_tables and not self.config.option.keyword:  # of all tests, or of none
                kind.write(cells)
