"""Truths from a file: CSV, JSON lines or Parquet, read row by row so that a file larger than memory works."""

from __future__ import annotations

import csv
import json
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from otelml._guard import attempt
from otelml.errors import OtelmlError
from otelml.outcomes.rows import Actual, actuals, moment

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

ID_COLUMNS = ("prediction_id", "id")
ACTUAL_COLUMNS = ("actual", "label", "outcome", "y_true")
TIME_COLUMNS = ("at", "time", "timestamp")
PARQUET_ROWS = 10_000


class FileError(OtelmlError):
    """The file can't be read at all, or lacks a column; the message says which."""


@dataclass(frozen=True)
class Columns:
    """Names of the columns; None: the first of the usual names that is there."""

    id: str | None = None
    actual: str | None = None
    at: str | None = None


@dataclass(frozen=True)
class Bad:
    """A line that says nothing usable, and why."""

    line: int
    why: str


def read(path: Path, columns: Columns, now: float) -> Iterator[Actual | Bad]:
    """Return the truths of a file, and its bad lines, in the file's order.

    Args:
        path: ``.csv``, ``.jsonl`` (or ``.ndjson``) or ``.parquet``.
        columns: Names of its columns.
        now: Time of truths that have none, in seconds since the epoch.

    Raises:
        FileError: When it can't be opened or decoded, its kind is unknown, or a column is missing.
    """
    kinds = {".csv": _csv, ".jsonl": _json_lines, ".ndjson": _json_lines, ".parquet": _parquet}
    kind = kinds.get(path.suffix.lower())
    if kind is None:
        raise FileError(f"{path}: unknown kind of file; known are {', '.join(kinds)}")
    names: tuple[str, str, str | None] | None = None
    with _readable(path):
        for line, row in kind(path):
            if isinstance(row, Bad):
                yield row
                continue
            names = names or _names(path, row, columns)
            yield from _truths(line, row, names, now)


def seconds(value: Any) -> float | None:
    """Return a time as seconds since the epoch: a number, or ISO 8601 (local time without a zone); None for others."""
    found = moment(value)
    if found is None and isinstance(value, str):
        read, _ = attempt(datetime.fromisoformat, value.strip().replace("Z", "+00:00"))
        found = None if read is None else moment(read)  # the year 1 has no seconds since the epoch everywhere
    return found


def _names(path: Path, row: dict[str, Any], columns: Columns) -> tuple[str, str, str | None]:
    def pick(given: str | None, usual: tuple[str, ...]) -> str | None:
        if given is not None and given not in row:
            raise FileError(f"{path}: there is no column {given!r}; it has {', '.join(map(str, row))}")
        return given or next((name for name in usual if name in row), None)

    key, actual = pick(columns.id, ID_COLUMNS), pick(columns.actual, ACTUAL_COLUMNS)
    if key is None or actual is None:
        wanted = " or ".join(ID_COLUMNS if key is None else ACTUAL_COLUMNS)
        raise FileError(
            f"{path}: there is no column {wanted}; it has {', '.join(map(str, row))}. Name yours with --id or --actual"
        )
    return key, actual, pick(columns.at, TIME_COLUMNS)


def _truths(line: int, row: dict[str, Any], names: tuple[str, str, str | None], now: float) -> Iterator[Actual | Bad]:
    key, actual, at = row.get(names[0]), row.get(names[1]), None if names[2] is None else row.get(names[2])
    time = now if at is None or at == "" else seconds(at)
    if key is None or key == "":
        yield Bad(line, "it has no prediction id")
    elif time is None:
        yield Bad(line, f"its time can't be read: {str(at)[:40]!r}")
    else:
        found: list[Actual | Bad] = [*actuals(key, actual, time)]
        yield from found or [Bad(line, "its truth can't be read")]


def _csv(path: Path) -> Iterator[tuple[int, dict[str, Any] | Bad]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file, strict=True)
        for row in reader:
            odd = None in row or None in row.values()
            yield reader.line_num, Bad(reader.line_num, "it has not as many values as the first line") if odd else row


def _json_lines(path: Path) -> Iterator[tuple[int, dict[str, Any] | Bad]]:
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            if line.strip():
                row, _ = attempt(json.loads, line)
                yield number, row if isinstance(row, dict) else Bad(number, "it is no JSON object")


def _parquet(path: Path) -> Iterator[tuple[int, dict[str, Any] | Bad]]:
    try:
        from pyarrow import parquet  # noqa: PLC0415 - large, and needed for this kind of file only
    except ImportError:
        raise FileError(f"{path}: reading Parquet needs pyarrow: pip install pyarrow") from None
    number = 0
    file = parquet.ParquetFile(path)
    for batch in file.iter_batches(batch_size=PARQUET_ROWS):
        for row in _rows(batch):
            number += 1
            yield number, row


def _rows(batch: Any) -> Iterable[dict[str, Any]]:
    rows: list[dict[str, Any]] = batch.to_pylist()
    return rows


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise FileError(f"{path}: can't be read: {error}") from error
    except FileError:
        raise
    except (ValueError, LookupError, ArithmeticError, RuntimeError, MemoryError, TypeError) as error:  # of pyarrow
        raise FileError(f"{path}: can't be read: {' '.join(str(error).split())[:200]}") from error
