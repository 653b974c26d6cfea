"""What a database of outcomes must do, its tables, and which kind a setting names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from otelml.errors import OtelmlError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from contextlib import AbstractContextManager

VERSION = 2

TABLES = (
    """CREATE TABLE IF NOT EXISTS otelml_outcomes_schema (version INTEGER PRIMARY KEY)""",
    """CREATE TABLE IF NOT EXISTS otelml_predictions (
        id TEXT NOT NULL, model TEXT NOT NULL, version TEXT NOT NULL, time DOUBLE PRECISION NOT NULL,
        label TEXT, value DOUBLE PRECISION, confidence DOUBLE PRECISION, trace_id TEXT NOT NULL, span_id TEXT NOT NULL,
        actual TEXT, actual_value DOUBLE PRECISION, actual_time DOUBLE PRECISION, joined DOUBLE PRECISION,
        reported INTEGER NOT NULL DEFAULT 0, duration DOUBLE PRECISION, variant TEXT, slice TEXT,
        PRIMARY KEY (id, model, version))""",
    """CREATE INDEX IF NOT EXISTS otelml_predictions_time ON otelml_predictions (time)""",
    """CREATE INDEX IF NOT EXISTS otelml_predictions_joined ON otelml_predictions (joined) WHERE joined IS NOT NULL""",
    """CREATE INDEX IF NOT EXISTS otelml_predictions_unreported ON otelml_predictions (joined)
        WHERE joined IS NOT NULL AND reported = 0""",
    """CREATE TABLE IF NOT EXISTS otelml_actuals (
        id TEXT PRIMARY KEY, label TEXT NOT NULL, value DOUBLE PRECISION, time DOUBLE PRECISION NOT NULL,
        received DOUBLE PRECISION NOT NULL)""",
    """CREATE INDEX IF NOT EXISTS otelml_actuals_received ON otelml_actuals (received)""",
    """CREATE TABLE IF NOT EXISTS otelml_calls (
        model TEXT NOT NULL, version TEXT NOT NULL, time DOUBLE PRECISION NOT NULL, error TEXT NOT NULL,
        n BIGINT NOT NULL, PRIMARY KEY (model, version, time, error))""",
    """CREATE INDEX IF NOT EXISTS otelml_calls_time ON otelml_calls (time)""",
    """CREATE TABLE IF NOT EXISTS otelml_outcome_tallies (
        what TEXT NOT NULL, model TEXT NOT NULL, version TEXT NOT NULL, n BIGINT NOT NULL,
        PRIMARY KEY (what, model, version))""",
    f"""INSERT INTO otelml_outcomes_schema (version)
        SELECT {VERSION} WHERE NOT EXISTS (SELECT 1 FROM otelml_outcomes_schema)""",  # noqa: S608 - a constant
)

MIGRATIONS: Mapping[int, tuple[str, ...]] = {
    1: (
        "ALTER TABLE otelml_predictions ADD COLUMN duration DOUBLE PRECISION",
        "ALTER TABLE otelml_predictions ADD COLUMN variant TEXT",
        "ALTER TABLE otelml_predictions ADD COLUMN slice TEXT",
        "UPDATE otelml_outcomes_schema SET version = 2",
    )
}
"""What makes tables of a version those of the next. Processes of the older version go on until they connect again."""


class DatabaseError(OtelmlError):
    """The database can't be used; the message says why. Nothing of the transaction was written."""


class RefusedError(DatabaseError):
    """The database works, but does not take one of these rows."""


class Database(Protocol):
    """A connection that belongs to one thread. Every method raises `DatabaseError` where the database fails."""

    def transaction(self) -> AbstractContextManager[None]:
        """Return a context manager: all inside happens or nothing, one writer of all processes at a time."""

    def select(self, statement: str, parameters: Mapping[str, Any] | None = None) -> list[tuple[Any, ...]]:
        """Return the rows of a query whose parameters are written ``:name``."""

    def execute(self, statement: str, parameters: Mapping[str, Any] | None = None) -> int:
        """Run a statement; return how many rows it changed."""

    def execute_many(self, statement: str, parameters: Sequence[Mapping[str, Any]]) -> int:
        """Run a statement for each of many parameters; return how many rows were changed."""

    def floor(self, expression: str) -> str:
        """Return the SQL of the largest whole number not above an expression that is at least 0."""

    def close(self) -> None:
        """Close the connection; what is not committed is undone."""


def connect(address: str, *, timeout: float = 5.0) -> Database:
    """Return a connection to the database that ``OTELML_OUTCOMES_DATABASE`` names; its tables are made when absent.

    Args:
        address: Path of an SQLite file, or a ``postgresql://`` URL.
        timeout: Seconds to wait for the database or for another writer.

    Raises:
        DatabaseError: When it can't be opened, is no database, or was written by a later version.
        MissingExtraError: When it is a URL and the extra ``postgresql`` is not installed.
    """
    if "://" in address:
        from otelml.outcomes.postgresql import PostgreSQL  # noqa: PLC0415 - SQLAlchemy is imported where it is used

        made: Database = PostgreSQL(address, timeout)
    else:
        from otelml.outcomes.sqlite import SQLite  # noqa: PLC0415 - sqlite3 is imported where it is used

        made = SQLite(address, timeout)
    try:
        _prepare(made)
    except DatabaseError:
        made.close()
        raise
    return made


def _prepare(database: Database) -> None:
    with database.transaction():
        for statement in TABLES:
            database.execute(statement)
        ((found,),) = database.select("SELECT version FROM otelml_outcomes_schema")
        for version in range(found, VERSION):
            for statement in MIGRATIONS[version]:
                database.execute(statement)
    if found > VERSION:
        raise DatabaseError(f"its tables are of version {found}, this otelml knows version {VERSION}")
