"""Joins predictions and truths, whichever comes first; exactly once, whatever process brings which.

The first truth of a prediction counts. A second one that says the same is a duplicate, one that says something else
is conflicting; both are counted and change nothing. A counter can't take back what it has counted, so only with the
first one do the counters and the figures of the database agree.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from otelml.outcomes.rows import Actual, Joined, Predicted, spelled

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from otelml.outcomes.database import Database

CHUNK = 500
"""Ids in one query."""
DUPLICATE, CONFLICTING, WRONG_TYPE = "duplicate", "conflicting", "wrong_type"
IGNORED = (DUPLICATE, CONFLICTING, WRONG_TYPE)
UNMATCHED, MISSING, REPEATED = "unmatched", "missing", "repeated"

_COLUMNS, _N = ", ".join(Predicted._fields), len(Predicted._fields)
_INSERT = f"""INSERT INTO otelml_predictions ({_COLUMNS}) VALUES ({", ".join(f":{name}" for name in Predicted._fields)})
    ON CONFLICT (id, model, version) DO NOTHING"""  # noqa: S608 - constants
_WAIT = """INSERT INTO otelml_actuals (id, label, value, time, received)
    VALUES (:id, :label, :value, :time, :received) ON CONFLICT (id) DO NOTHING"""
_JOIN = """UPDATE otelml_predictions SET actual = :label, actual_value = :value, actual_time = :time, joined = :joined,
    reported = :reported WHERE id = :id AND model = :model AND version = :version"""
_TALLY = """INSERT INTO otelml_outcome_tallies (what, model, version, n) VALUES (:what, :model, :version, :n)
    ON CONFLICT (what, model, version) DO UPDATE SET n = otelml_outcome_tallies.n + excluded.n"""
_UNREPORTED = f"""SELECT {_COLUMNS}, actual, actual_value, actual_time FROM otelml_predictions
    WHERE joined IS NOT NULL AND reported = 0 ORDER BY joined, id LIMIT :most"""  # noqa: S608 - constants
_REPORTED = "UPDATE otelml_predictions SET reported = 1 WHERE id = :id AND model = :model AND version = :version"


@dataclass
class Found:
    """What one transaction found: joined pairs, and counts by (what, model, version)."""

    joined: list[Joined] = field(default_factory=list)
    tallies: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    waiting: int = 0
    """Truths that were put aside until their prediction comes."""


def write(
    database: Database, predictions: Sequence[Predicted], truths: Sequence[Actual], now: float, *, report: bool
) -> Found:
    """Write predictions and truths in one transaction and join what belongs together.

    Args:
        database: The connection.
        predictions: New predictions; one whose id, model and version are there already is counted as repeated.
        truths: In the order in which they were told.
        now: Seconds since the epoch.
        report: Whether this process tells what it found; if not, whoever reports does.
    """
    batch = _Batch(database, now, report=report)
    with database.transaction():
        inserted = database.execute_many(_INSERT, [p._asdict() for p in predictions])
        if len(predictions) > inserted:
            batch.found.tallies[REPEATED, "", ""] += len(predictions) - inserted
        batch.join([*batch.earlier(predictions), *((truth, True) for truth in truths)])
        if not report:
            _keep(database, batch.found.tallies)
    return batch.found


class _Batch:
    """One transaction's work: truths against the predictions with their ids."""

    def __init__(self, database: Database, now: float, *, report: bool) -> None:
        self._database, self._now, self._report = database, now, report
        self.found = Found()

    def earlier(self, predictions: Sequence[Predicted]) -> Iterator[tuple[Actual, bool]]:
        """Return truths that came before these predictions, each with whether it has waited.

        The others are those of predictions with the same id by another model, which have theirs already.
        """
        ids = list({p.id for p in predictions})
        waiting = [Actual(*row) for row in self._by_id("SELECT id, label, value, time FROM otelml_actuals", ids)]
        self._database.execute_many("DELETE FROM otelml_actuals WHERE id = :id", [{"id": w.id} for w in waiting])
        siblings = "SELECT id, actual, actual_value, actual_time FROM otelml_predictions"
        known = {row[0]: Actual(*row) for row in self._by_id(siblings, ids, " AND joined IS NOT NULL")}
        yield from ((truth, True) for truth in waiting)
        yield from ((truth, False) for truth in known.values())

    def join(self, truths: Sequence[tuple[Actual, bool]]) -> None:
        """Join truths, each with whether it is a new one; a new one without a prediction waits."""
        ids = list({truth.id for truth, _ in truths})
        rows: dict[str, list[list[Any]]] = {}
        for row in self._by_id(f"SELECT {_COLUMNS}, actual, actual_value FROM otelml_predictions", ids):  # noqa: S608 - constants
            rows.setdefault(row[0], []).append(list(row))
        absent = [key for key in ids if key not in rows]
        waiting = {r[0]: r[1] for r in self._by_id("SELECT id, label FROM otelml_actuals", absent)}
        new: list[Actual] = []
        for truth, is_new in truths:
            if truth.id in rows:
                self._settle(truth, rows[truth.id], is_new=is_new)
            elif truth.id not in waiting:
                waiting[truth.id] = truth.label
                new.append(truth)
            else:
                self._count(DUPLICATE if waiting[truth.id] == truth.label else CONFLICTING, "", "")
        self.found.waiting = len(new)
        self._database.execute_many(_WAIT, [{**truth._asdict(), "received": self._now} for truth in new])
        self._database.execute_many(_JOIN, [self._update(one) for one in self.found.joined])

    def _settle(self, truth: Actual, rows: list[list[Any]], *, is_new: bool) -> None:
        """Join a truth with every prediction of its id that has none; say why where there is no such one."""
        verdicts = [self._verdict(truth, row) for row in rows]
        if is_new and None not in verdicts:
            worst = max(verdicts, key=lambda v: IGNORED.index(str(v)))
            self._count(str(worst), *rows[verdicts.index(worst)][1:3])

    def _verdict(self, truth: Actual, row: list[Any]) -> str | None:
        """Join a truth with one prediction and return None, or return why not."""
        prediction = Predicted(*row[:_N])
        label = spelled(prediction.label, truth.label)
        numeric = prediction.label is None and prediction.value is not None
        if numeric and truth.value is None:
            return WRONG_TYPE
        if row[_N] is not None:
            same = row[_N + 1] == truth.value if numeric else row[_N] == label
            return DUPLICATE if same else CONFLICTING
        row[_N:] = label, truth.value
        self.found.joined.append(Joined(prediction, label, truth.value, truth.time))
        return None

    def _update(self, one: Joined) -> dict[str, Any]:
        p = one.prediction
        key = {"id": p.id, "model": p.model, "version": p.version}
        truth = {"label": one.label, "value": one.value, "time": one.time}
        return {**key, **truth, "joined": self._now, "reported": int(self._report)}

    def _count(self, what: str, model: str, version: str) -> None:
        self.found.tallies[what, model, version] += 1

    def _by_id(self, query: str, ids: Sequence[str], more: str = "") -> Iterator[tuple[Any, ...]]:
        for i in range(0, len(ids), CHUNK):
            some = {f"i{k}": key for k, key in enumerate(ids[i : i + CHUNK])}
            names = ", ".join(f":{name}" for name in some)
            yield from self._database.select(f"{query} WHERE id IN ({names}){more}", some)


def _keep(database: Database, tallies: Counter[tuple[str, str, str]]) -> None:
    rows = [{"what": what, "model": m, "version": v, "n": n} for (what, m, v), n in tallies.items()]
    database.execute_many(_TALLY, rows)


def unreported(database: Database, most: int = 2000) -> Found:
    """Return what other processes joined and counted without telling it; from now on it counts as told."""
    found = Found()
    told = database.select(_UNREPORTED, {"most": 1}) or database.select("SELECT 1 FROM otelml_outcome_tallies LIMIT 1")
    if not told:
        return found
    with database.transaction():
        rows = database.select(_UNREPORTED, {"most": most})
        found.joined = [Joined(Predicted(*row[:_N]), *row[_N:]) for row in rows]
        keys = [one.prediction for one in found.joined]
        database.execute_many(_REPORTED, [{"id": p.id, "model": p.model, "version": p.version} for p in keys])
        for what, model, version, n in database.select("SELECT what, model, version, n FROM otelml_outcome_tallies"):
            found.tallies[what, model, version] += n
        database.execute("DELETE FROM otelml_outcome_tallies")
    return found


@dataclass(frozen=True)
class Bounds:
    """How much is kept: rows of each kind, seconds of a prediction, seconds of a truth without one."""

    rows: int
    age: float
    wait: float


def forget(database: Database, bounds: Bounds, now: float, *, report: bool) -> Found:
    """Delete what is too old or too much; count predictions without a truth and truths without a prediction."""
    found = Found()
    with database.transaction():
        cut = _cut(database, "otelml_predictions", "time", bounds.rows, now - bounds.age)
        missing = """SELECT model, version, COUNT(*) FROM otelml_predictions
            WHERE time < :cut AND joined IS NULL GROUP BY model, version"""
        for model, version, n in database.select(missing, {"cut": cut}):
            found.tallies[MISSING, model, version] += n
        database.execute("DELETE FROM otelml_predictions WHERE time < :cut", {"cut": cut})
        cut = _cut(database, "otelml_actuals", "received", bounds.rows, now - bounds.wait)
        n = database.execute("DELETE FROM otelml_actuals WHERE received < :cut", {"cut": cut})
        if n:
            found.tallies[UNMATCHED, "", ""] += n
        cut = _cut(database, "otelml_calls", "time", bounds.rows, now - bounds.age)
        database.execute("DELETE FROM otelml_calls WHERE time < :cut", {"cut": cut})
        if not report:
            _keep(database, found.tallies)
    return found


def _cut(database: Database, table: str, column: str, rows: int, oldest: float) -> float:
    """Return the time before which rows go: too old, or before the newest ``rows``."""
    newest = f"SELECT {column} FROM {table} ORDER BY {column} DESC LIMIT 1 OFFSET :rows"  # noqa: S608 - constants
    found = database.select(newest, {"rows": rows - 1})
    return max(oldest, found[0][0]) if found else oldest
