"""Predictions and truths meet exactly once, in SQLite and in a real PostgreSQL."""

import itertools
from collections import Counter
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from otelml.outcomes import database as database_module
from otelml.outcomes import joining
from otelml.outcomes.database import DatabaseError, connect
from otelml.outcomes.joining import Bounds
from otelml.outcomes.rows import Actual, Predicted
from otelml.outcomes.sqlite import LOG_BYTES

NOW = 1_700_000_000.0
WIDE = Bounds(rows=10**6, age=10**9, wait=10**9)


def predicted(key, label="1", *, model="delay", version="1", value=None, time=NOW):
    """Return one predicted row."""
    return Predicted(key, model, version, time, label, value, 0.75, "a" * 32, "b" * 16)


def truth(key, label="1", value=None, time=NOW + 60):
    """Return one truth."""
    return Actual(key, label, value, time)


def write(database, predictions=(), truths=(), now=NOW + 100, *, report=True):
    """Write in one transaction, at a fixed time."""
    return joining.write(database, list(predictions), list(truths), now, report=report)


def count(database, table):
    """Return how many rows a table has."""
    return database.select(f"SELECT COUNT(*) FROM {table}")[0][0]  # noqa: S608 - ours


def test_truth_after_prediction(database):
    """A truth that comes later is joined at once, with everything that is known of its prediction."""
    assert write(database, [predicted("a")]).joined == []
    (joined,) = write(database, (), [truth("a", "0")]).joined
    assert joined.prediction == predicted("a")
    assert (joined.label, joined.value, joined.time, joined.correct) == ("0", None, NOW + 60, False)


def test_truth_before_prediction(database):
    """A truth that comes first waits and is joined when its prediction is written."""
    assert write(database, (), [truth("a")]).waiting == 1
    (joined,) = write(database, [predicted("a")]).joined
    assert joined.correct is True
    assert count(database, "otelml_actuals") == 0


def test_both_in_one_batch(database):
    """Prediction and truth may be written by the same transaction."""
    assert len(write(database, [predicted("a")], [truth("a")]).joined) == 1


@pytest.mark.parametrize("first", ["prediction", "truth"])
def test_second_truth(database, first):
    """The same truth again is a duplicate, another one is conflicting; both change nothing, joined or waiting."""
    if first == "prediction":
        write(database, [predicted("a")])
    found = write(database, (), [truth("a", "1"), truth("a", "1"), truth("a", "0")])
    again = write(database, (), [truth("a", "1"), truth("a", "0")])
    model = ("delay", "1") if first == "prediction" else ("", "")
    expected = {("duplicate", *model): 1, ("conflicting", *model): 1}
    assert (found.tallies, again.tallies) == (expected, expected)
    joined = [*found.joined, *write(database, [predicted("b") if first == "prediction" else predicted("a")]).joined]
    assert [one.label for one in joined] == ["1"]


def test_same_id_twice(database):
    """A prediction id that is used again by the same model keeps its first prediction and is counted."""
    found = write(database, [predicted("a", "1"), predicted("a", "0"), predicted("b")])
    assert found.tallies == {("repeated", "", ""): 1}
    assert write(database, [predicted("a", "0")]).tallies == {("repeated", "", ""): 1}
    assert [one.correct for one in write(database, (), [truth("a", "1")]).joined] == [True]


@pytest.mark.parametrize("order", list(itertools.permutations(["canary", "stable", "truth"])), ids="-".join)
def test_two_models_predict_for_one_id(database, order):
    """One truth is for every model that predicted under its id (a canary, a shadow), whatever comes first."""
    joined = []
    for step in order:
        rows = ((), [truth("a", "1")]) if step == "truth" else ([predicted("a", model=step)], ())
        joined += write(database, *rows).joined
    assert sorted(one.prediction.model for one in joined) == ["canary", "stable"]
    assert write(database, (), [truth("a", "1")]).tallies.total() == 1


@pytest.mark.parametrize("first", ["prediction", "truth"])
def test_truth_of_a_wrong_type(database, first):
    """Where a number was predicted, a truth that is none is counted as of a wrong type; a number may still come."""
    number = predicted("a", None, value=3.5)
    steps = [([number], ()), ((), [truth("a", "late")])]
    found = [write(database, *step) for step in (steps if first == "prediction" else reversed(steps))]
    assert sum((f.tallies for f in found), Counter()) == {("wrong_type", "delay", "1"): 1}
    (joined,) = write(database, (), [truth("a", "4", 4.0)]).joined
    assert joined.error == -0.5


def test_other_process_tells(database):
    """What is joined by a process that tells nothing is told once by the next that does, with all counts."""
    write(database, [predicted(key) for key in "abc"], report=False)
    write(database, (), [truth("a"), truth("a"), truth("b", "0")], report=False)
    write(database, (), [truth("b", "1"), truth("a")], report=False)
    found = joining.unreported(database)
    assert [(one.prediction.id, one.correct) for one in found.joined] == [("a", True), ("b", False)]
    assert found.tallies == {("duplicate", "delay", "1"): 2, ("conflicting", "delay", "1"): 1}
    again = joining.unreported(database)
    assert (again.joined, again.tallies) == ([], {})


def test_what_is_told_is_not_told_again(database):
    """What the joining process tells itself is nobody else's to tell."""
    write(database, [predicted("a")], [truth("a")])
    assert joining.unreported(database).joined == []


def test_unmatched(database):
    """A truth whose prediction does not come within the bounded time is counted and forgotten."""
    write(database, (), [truth("a"), truth("b")], now=NOW)
    write(database, (), [truth("c")], now=NOW + 50)
    bounds = Bounds(rows=100, age=10**9, wait=60)
    assert joining.forget(database, bounds, NOW + 59, report=True).tallies == {}
    assert joining.forget(database, bounds, NOW + 100, report=True).tallies == {("unmatched", "", ""): 2}
    assert write(database, [predicted("a"), predicted("c")]).joined[0].prediction.id == "c"


def test_bounded_by_age(database):
    """Predictions older than the bound go; those that never got a truth are counted by model and version."""
    rows = [predicted(str(i), time=NOW + i) for i in range(10)]
    write(database, [*rows, predicted("other", model="price", time=NOW)], [truth("0"), truth("9")])
    found = joining.forget(database, Bounds(rows=100, age=100, wait=100), NOW + 105, report=True)
    assert found.tallies == {("missing", "delay", "1"): 4, ("missing", "price", "1"): 1}
    assert count(database, "otelml_predictions") == 5


def test_bounded_by_rows(database):
    """Only so many of the newest predictions, and of the newest waiting truths, are kept."""
    write(database, [predicted(str(i), time=NOW + i) for i in range(50)])
    for i in range(30):
        write(database, (), [truth(f"w{i}")], now=NOW + i)
    found = joining.forget(database, Bounds(rows=20, age=10**9, wait=10**9), NOW + 100, report=True)
    assert found.tallies == {("missing", "delay", "1"): 30, ("unmatched", "", ""): 10}
    assert (count(database, "otelml_predictions"), count(database, "otelml_actuals")) == (20, 20)
    kept = database.select("SELECT MIN(time) FROM otelml_predictions")
    assert kept == [(NOW + 30,)]


def test_forgotten_by_a_silent_process(database):
    """Counts of what a process forgot that tells nothing are told by another."""
    write(database, [predicted("a", time=NOW)])
    joining.forget(database, Bounds(rows=10, age=1, wait=1), NOW + 9, report=False)
    assert joining.unreported(database).tallies == {("missing", "delay", "1"): 1}


def test_transaction_is_all_or_nothing(database):
    """What fails in the middle leaves nothing behind."""

    def half():
        with database.transaction():
            database.execute("INSERT INTO otelml_actuals VALUES ('a', 'x', NULL, 1, 1)")
            database.execute("INSERT INTO nowhere VALUES (1)")

    with pytest.raises(DatabaseError):
        half()
    assert count(database, "otelml_actuals") == 0
    assert write(database, [predicted("a")], [truth("a")]).joined


def test_tables_of_another_version(address):
    """A database written by a later version is left alone, with words that say so."""
    made = connect(address)
    with made.transaction():
        made.execute("UPDATE otelml_outcomes_schema SET version = 7")
    made.close()
    with pytest.raises(DatabaseError, match="version 7, this otelml knows version 2"):
        connect(address)


VERSION_1 = (
    """CREATE TABLE otelml_outcomes_schema (version INTEGER PRIMARY KEY)""",
    """INSERT INTO otelml_outcomes_schema VALUES (1)""",
    """CREATE TABLE otelml_predictions (
        id TEXT NOT NULL, model TEXT NOT NULL, version TEXT NOT NULL, time DOUBLE PRECISION NOT NULL,
        label TEXT, value DOUBLE PRECISION, confidence DOUBLE PRECISION, trace_id TEXT NOT NULL, span_id TEXT NOT NULL,
        actual TEXT, actual_value DOUBLE PRECISION, actual_time DOUBLE PRECISION, joined DOUBLE PRECISION,
        reported INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (id, model, version))""",
    """INSERT INTO otelml_predictions (id, model, version, time, label, confidence, trace_id, span_id)
        VALUES ('old', 'delay', '1', 1700000000.0, '1', 0.75, '', '')""",
)


def test_tables_of_an_earlier_version(address, monkeypatch):
    """Tables of version 1 get what they lack, once; what they hold is kept and joined, new rows have more."""
    with monkeypatch.context() as patch:
        patch.setattr(database_module, "TABLES", VERSION_1)
        patch.setattr(database_module, "VERSION", 1)
        connect(address).close()
    for _ in range(2):
        made = connect(address)
        assert made.select("SELECT version FROM otelml_outcomes_schema") == [(database_module.VERSION,)]
        made.close()
    made = connect(address)
    new = predicted("new")._replace(duration=0.25, variant="canary", slice='{"carrier":"AA"}')
    joined = write(made, [new], [truth("old"), truth("new", "0")]).joined
    assert [(one.prediction.id, one.correct) for one in joined] == [("old", True), ("new", False)]
    assert [one.prediction.slice for one in joined] == [None, '{"carrier":"AA"}']
    assert made.select("SELECT id, duration, variant, slice FROM otelml_predictions ORDER BY id") == [
        ("new", 0.25, "canary", '{"carrier":"AA"}'),
        ("old", None, None, None),
    ]
    made.close()


def test_log_is_bounded(tmp_path):
    """SQLite's log is moved into the file when it is long, by us alone, also while another connection reads."""
    made, reader = (connect(str(tmp_path / "o.db")) for _ in range(2))
    assert made.select("PRAGMA wal_autocheckpoint") == [(0,)]
    largest = 0
    for i in range(60):
        write(made, [predicted(f"{i}-{k}") for k in range(1000)])
        largest = max(largest, (tmp_path / "o.db-wal").stat().st_size)
        assert count(reader, "otelml_predictions") == 1000 * (i + 1)
    assert 0 < largest < LOG_BYTES
    assert (tmp_path / "o.db").stat().st_size > LOG_BYTES
    assert made.select("PRAGMA integrity_check") == [("ok",)]
    made.close()
    reader.close()


STEPS = st.lists(
    st.tuples(st.sampled_from(["p", "q", "t"]), st.integers(0, 4), st.sampled_from(["0", "1"])), max_size=24
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS, seed=st.integers(0, 2**16))
def test_any_order_and_any_batches(steps, seed, tmp_path_factory):
    """However predictions of two models and truths are cut into batches: each pair is joined once, the first counts."""
    database = connect(str(tmp_path_factory.mktemp("any") / "o.db"))
    random, joined, tallies = Random(seed), [], Counter()  # noqa: S311 - no secrets
    rest = list(steps)
    while rest:
        n = random.randint(1, len(rest))
        batch, rest = rest[:n], rest[n:]
        predictions = [predicted(str(key), label, model=kind) for kind, key, label in batch if kind != "t"]
        truths = [truth(str(key), label) for kind, key, label in batch if kind == "t"]
        found = write(database, predictions, truths)
        joined += found.joined
        tallies += found.tallies
    first, made = {}, {}
    for kind, key, label in steps:
        (first if kind == "t" else made).setdefault(key if kind == "t" else (key, kind), label)
    database.close()
    expected = {(str(key), kind, label, first[key]) for (key, kind), label in made.items() if key in first}
    seen = [(j.prediction.id, j.prediction.model, j.prediction.label, j.label) for j in joined]
    assert sorted(seen) == sorted(expected)
    told = sum(kind == "t" for kind, _, _ in steps)
    assert sum(n for (what, *_), n in tallies.items() if what in joining.IGNORED) == told - len(first)
    repeated = sum(kind != "t" for kind, _, _ in steps) - len(made)
    assert tallies["repeated", "", ""] == repeated
