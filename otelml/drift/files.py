"""Tables in files, read in chunks: a file may be larger than memory. CSV with a header, and Parquet with its extra."""

from __future__ import annotations

import csv
from io import TextIOWrapper
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from otelml.drift import tables
from otelml.drift.faults import InvalidDataError
from otelml.errors import MissingExtraError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from otelml.drift.tables import Column

ROWS = 50_000  # in a chunk
MISSING = frozenset({"", "na", "n/a", "nan", "nat", "null", "none"})
"""How CSV files write a missing value, in any case."""

Chunk = dict[str, "Column"]


def chunks(path: str, rows: int = ROWS) -> Iterator[tuple[Chunk, float]]:
    """Yield the columns of some rows at a time, and the share of the file that has been read, from 0 to 1.

    Columns of a CSV file are texts, None where missing; `otelml.drift.files.parsed` makes numbers of them.

    Raises:
        InvalidDataError: the file is no table, or a line has more or fewer cells than the header.
        MissingExtraError: it is a Parquet file, and pyarrow is not installed.
        OSError: it can't be read.
    """
    return _parquet(path, rows) if is_parquet(path) else _faults(path, _csv(path, rows))


def is_parquet(path: str) -> bool:
    """Return whether a file is taken as Parquet: its columns have types, and a text in them is no number."""
    return Path(path).suffix in {".parquet", ".pq"}


def size(path: str) -> tuple[int, tuple[str, ...]]:
    """Return the number of rows and the names of columns. Raises as `chunks` does."""
    if is_parquet(path):
        rows, names = 0, tuple[str, ...]()
        for chunk, _ in chunks(path):
            rows, names = rows + len(next(iter(chunk.values()), ())), tuple(chunk)
        return rows, names
    with Path(path).open(encoding="utf-8-sig", errors="replace", newline="") as file:
        reader = csv.reader(file)
        try:
            names = tuple(next(reader, ()))
            return sum(1 for line in reader if line), names
        except csv.Error as error:
            raise InvalidDataError([f"{path}: {error}"]) from error


def _csv(path: str, rows: int) -> Iterator[tuple[Chunk, float]]:
    size = max(1, Path(path).stat().st_size)
    with Path(path).open("rb") as raw, TextIOWrapper(raw, "utf-8-sig", "replace", newline="") as file:
        reader = csv.reader(file)
        names = next(reader, [])
        if not names or len(set(names)) < len(names):
            raise InvalidDataError([f"{path}: its first line needs a different name for each column"])
        filled = (line for line in reader if line)
        first = True
        while (lines := list(islice(filled, rows))) or first:
            wrong = next((line for line in lines if len(line) != len(names)), None)
            if wrong is not None:
                what = f"{len(wrong)} cells, where the header has {len(names)}"
                raise InvalidDataError([f"{path}: before line {reader.line_num + 1}, a line of {what}"])
            cells = zip(*lines, strict=True) if lines else ((),) * len(names)
            yield dict(zip(names, map(_texts, cells), strict=True)), min(1.0, raw.tell() / size)
            first = False


def _faults(path: str, chunks: Iterator[tuple[Chunk, float]]) -> Iterator[tuple[Chunk, float]]:
    try:
        yield from chunks
    except csv.Error as error:
        raise InvalidDataError([f"{path}: {error}"]) from error


def _texts(cells: tuple[str, ...]) -> Column:
    return tables.objects([None if cell.strip().lower() in MISSING else cell for cell in cells])


def _parquet(path: str, rows: int) -> Iterator[tuple[Chunk, float]]:
    try:
        from pyarrow import ArrowException, parquet  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise MissingExtraError(f"reading {path}", "parquet") from error
    try:
        with parquet.ParquetFile(path) as file:
            if not file.schema_arrow.names:
                raise InvalidDataError([f"{path}: it has no columns"])
            total, done = max(1, file.metadata.num_rows), 0
            for batch in file.iter_batches(batch_size=rows):
                done += batch.num_rows
                yield {name: _arrow(batch.column(name)) for name in batch.schema.names}, done / total
            if not done:
                yield {name: np.empty(0, object) for name in file.schema_arrow.names}, 1.0
    except ArrowException as error:
        raise InvalidDataError([f"{path}: {error}"]) from error


def _arrow(values: Any) -> Column:
    whole = values.null_count and str(values.type).startswith(("int", "uint", "bool"))
    return tables.objects(values.to_pylist()) if whole else np.asarray(values.to_numpy(zero_copy_only=False))


def parsed(texts: Column, *, typed: bool = False) -> Column | None:
    """Return a column of texts as float64, missing ones NaN; None if any of them is no number.

    A column of a file with types (``typed``) is taken as it is.
    """
    if typed or texts.dtype.kind != "O" or not any(isinstance(text, str) for text in texts):
        return texts if tables.is_numeric(texts) else None
    try:
        return np.array([np.nan if text is None else text for text in texts], np.float64)
    except (TypeError, ValueError):
        return None
