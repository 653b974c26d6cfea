"""Outcomes in PostgreSQL, for many machines; through SQLAlchemy."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from otelml._guard import attempt
from otelml.errors import MissingExtraError
from otelml.outcomes.database import DatabaseError, RefusedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

_LOCK = 0x6F74656C6D6C  # "otelml"
_DRIVER = "postgresql+psycopg://"


class PostgreSQL:
    """One connection. Writers take turns by an advisory lock, so that a prediction and its truth can't miss each other.

    Two transactions that can't see each other's rows (a prediction written here, its truth there) would both find
    nothing to join. Batches make the turns cheap.
    """

    def __init__(self, url: str, timeout: float) -> None:
        try:
            import sqlalchemy  # noqa: PLC0415 - an extra
            from sqlalchemy.pool import NullPool  # noqa: PLC0415 - the same
        except ImportError as error:
            raise MissingExtraError("A PostgreSQL database of outcomes", "postgresql") from error
        self._text, self._inside = sqlalchemy.text, False
        self._error = sqlalchemy.exc.SQLAlchemyError
        self._refused = (sqlalchemy.exc.IntegrityError, sqlalchemy.exc.DataError)
        limit = int(timeout * 1000)
        scheme, _, rest = url.partition("://")
        options = {
            "connect_timeout": max(1, int(timeout)),
            "options": f"-c lock_timeout={limit} -c statement_timeout={12 * limit}",
        }
        with self._failing():
            engine = sqlalchemy.create_engine(
                url if "+" in scheme else _DRIVER + rest, poolclass=NullPool, connect_args=options, hide_parameters=True
            )
            self._connection = engine.connect().execution_options(isolation_level="READ COMMITTED")

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Write all inside or nothing, when no other process is writing."""
        self._inside = True
        try:
            self.select(f"SELECT pg_advisory_xact_lock({_LOCK})")
            yield
            with self._failing():
                self._connection.commit()
        except BaseException:
            attempt(self._connection.rollback)
            raise
        finally:
            self._inside = False

    def select(self, statement: str, parameters: Mapping[str, Any] | None = None) -> list[tuple[Any, ...]]:
        """Return the rows of a query."""
        rows: list[tuple[Any, ...]] = self._run(
            statement, parameters, lambda result: list(map(tuple, result.fetchall()))
        )
        return rows

    def execute(self, statement: str, parameters: Mapping[str, Any] | None = None) -> int:
        """Run a statement; return how many rows it changed."""
        return int(self._run(statement, parameters, lambda result: result.rowcount))

    def execute_many(self, statement: str, parameters: Sequence[Mapping[str, Any]]) -> int:
        """Run a statement for each of many parameters; return how many rows were changed."""
        return int(self._run(statement, list(parameters), lambda result: result.rowcount)) if parameters else 0

    def _run(self, statement: str, parameters: Any, read: Callable[[Any], Any]) -> Any:
        with self._failing():
            found = read(self._connection.execute(self._text(statement), parameters or {}))
            if not self._inside:
                self._connection.rollback()  # a transaction left open would hold back the server's clean-up
            return found

    @staticmethod
    def floor(expression: str) -> str:
        """Return the SQL of the largest whole number not above an expression that is at least 0."""
        return f"CAST(FLOOR({expression}) AS INTEGER)"

    def close(self) -> None:
        """Close the connection."""
        attempt(self._connection.close)

    @contextmanager
    def _failing(self) -> Iterator[None]:
        try:
            yield
        except self._error as error:
            kind = RefusedError if isinstance(error, self._refused) else DatabaseError
            raise kind(" ".join(str(getattr(error, "orig", None) or error).split())) from error
