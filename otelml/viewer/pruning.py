"""The size cap: when the store has grown to its limit, the oldest rows go, over all signals alike."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from otelml.viewer import schema

if TYPE_CHECKING:
    from otelml.viewer.database import Database, Transaction
    from otelml.viewer.decode import Signal

EVERY = 0.01
"""Share of the limit that is received between two looks at the size; it takes more room before it is in the file."""
FULL, KEPT = 0.9, 0.75
"""Shares of the limit: from the first on rows go, until the second is left. DuckDB needs the rest to work in."""


def cut(db: Database, limit: int, last: int) -> int:
    """Return the id up to which rows are to go so that the store fits its limit; 0 when it fits.

    Rows are taken to be of one size. Where they are not, the next look takes more.
    """
    size = db.size()
    if size < FULL * limit:
        return 0
    db.checkpoint()  # what is in the log, or not pressed together yet, takes more than it will
    size = db.size()
    if size < FULL * limit:
        return 0
    firsts = [db.read(f"SELECT min(id) FROM {table}")[0][0] for table in schema.ROWS.values()]  # noqa: S608 - ours
    first = min((found for found in firsts if found is not None), default=last)
    return first + int((last - first) * (1 - KEPT * limit / size))


def prune(to: Transaction, last: int) -> Counter[Signal]:
    """Delete the rows up to an id; return how many of each signal."""
    pruned: Counter[Signal] = Counter()
    for signal, table in schema.ROWS.items():
        pruned[signal] = to.execute(f"DELETE FROM {table} WHERE id <= ?", (last,))[0][0]  # noqa: S608 - our own names
    return pruned
