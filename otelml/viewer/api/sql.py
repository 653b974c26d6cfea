"""SQL of the user's own: one statement that reads, with a limit of time and rows."""

from __future__ import annotations

import threading
from datetime import date, time, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from otelml.viewer.api.parameters import BadRequestError

if TYPE_CHECKING:
    from otelml.viewer.api.parameters import Asked
    from otelml.viewer.store import Store

MOST_ROWS = 100_000
SECONDS, LONGEST_SECONDS = 10, 60
_READS = ("SELECT", "EXPLAIN")
_FIX = "write one SELECT over spans, logs, series and points (docs/view.md has their columns)"


def sql(store: Store, asked: Asked) -> dict[str, Any]:
    """Return ``columns`` and ``rows`` of a query; ``truncated`` where there are more than ``limit`` rows."""
    query = asked.required("query", "SELECT count(*) FROM spans")
    limit = asked.whole("limit", 1000, 1, MOST_ROWS)
    seconds = asked.whole("timeout", SECONDS, 1, LONGEST_SECONDS)
    asked.check()
    columns, rows = run(store, query, limit + 1, seconds)
    return {
        "columns": columns,
        "rows": [list(map(_plain, row)) for row in rows[:limit]],
        "truncated": len(rows) > limit,
    }


def run(store: Store, query: str, most: int, seconds: float) -> tuple[list[str], list[tuple[Any, ...]]]:
    """Return the names and rows of one reading statement; BadRequestError with DuckDB's own words where it fails.

    The store's DuckDB reads no files and no network; the transaction is read only besides.
    """
    import duckdb  # noqa: PLC0415 - only who has a store has it

    cursor = store.cursor()
    timer = threading.Timer(seconds, cursor.interrupt)
    try:
        statements = duckdb.extract_statements(query)
        if len(statements) != 1 or statements[0].type.name not in _READS:
            raise BadRequestError(["that is not one statement that reads"], _FIX)
        timer.start()
        cursor.execute("BEGIN TRANSACTION READ ONLY")
        found = cursor.execute(statements[0])
        return [column[0] for column in found.description or ()], found.fetchmany(most)
    except duckdb.InterruptException as error:
        raise BadRequestError([f"it took longer than {seconds:g} s"], "ask for less, or give more --timeout") from error
    except (duckdb.Error, RuntimeError) as error:
        raise BadRequestError([str(error).strip()[:2000]], _FIX) from error
    finally:
        timer.cancel()
        cursor.close()


def _plain(value: Any) -> Any:
    """Return a value as JSON has it."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, float):
        return value if abs(value) < float("inf") else None
    if isinstance(value, (date, time)):
        return value.isoformat()
    if isinstance(value, (bytes, Decimal, timedelta)):
        return value.hex() if isinstance(value, bytes) else str(value)
    return value if value is None or isinstance(value, (bool, int, str)) else str(value)
