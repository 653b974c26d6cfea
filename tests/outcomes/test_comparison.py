"""Two versions beside each other: right verdicts on both kinds of database, few false ones, the variant they are."""

import json
import time

import numpy as np
import pytest
from recorded_outcomes import recorded, written

import otelml
from otelml import cli, semconv
from otelml.outcomes import joining
from otelml.outcomes.comparison import ALIKE, BETTER, FEW, WORSE, compare
from otelml.outcomes.database import connect
from otelml.outcomes.rows import Actual, Predicted
from otelml.testing import recording

NOW = 1_700_000_000.0


def fill(database, version, n, *, seed, right=0.8, late=0.3, took=0.01, sure=0.0, prefix=None, variant=None):
    """Write n predictions of two classes with their truths; ``right`` of them are right, ``late`` of them late."""
    random = np.random.default_rng(seed)
    labels = np.where(random.random(n) < late, "late", "on_time").tolist()
    other = {"late": "on_time", "on_time": "late"}
    confidence = np.clip(random.normal(0.8 + sure, 0.1, n), 0.5, 1).tolist()
    durations = (took * random.lognormal(0, 0.5, n)).tolist()
    good = (random.random(n) < right).tolist()
    ids = [f"{prefix or version}-{i}" for i in range(n)]
    predictions = [
        Predicted(key, "delay", version, NOW, label, None, c, "", "", d, variant)
        for key, label, c, d in zip(ids, labels, confidence, durations, strict=True)
    ]
    truths = [
        Actual(key, label if ok else other[label], None, NOW + 60)
        for key, label, ok in zip(ids, labels, good, strict=True)
    ]
    joining.write(database, predictions, truths, NOW + 100, report=True)


def verdicts(database, since=0.0):
    """Return the verdict of each row."""
    return {row.what: row.verdict for row in compare(database, "delay", ("1", "2"), since).rows}


def test_worse(database):
    """A version that is worse, slower, less sure and predicts otherwise is found so in every row."""
    fill(database, "1", 3000, seed=1)
    fill(database, "2", 1500, seed=2, right=0.7, late=0.5, took=0.013, sure=-0.05)
    found = compare(database, "delay", ("1", "2"), 0.0)
    assert {row.what: row.verdict for row in found.rows} == {
        "accuracy": WORSE,
        "AUC": WORSE,
        "median latency (ms)": WORSE,
        "95th percentile of latency (ms)": WORSE,
        "mean confidence": "lower",
        "share of on_time": "lower",
        "drift of predictions (PSI)": "differ",
    }
    assert found.worse
    accuracy = found.rows[0]
    assert accuracy.cases == (3000, 1500)
    assert accuracy.lower < -0.1 < accuracy.upper < 0
    assert accuracy.difference == pytest.approx(accuracy.second - accuracy.first)
    latency = next(row for row in found.rows if row.what == "median latency (ms)")
    assert (latency.first, latency.second) == pytest.approx((10, 13), rel=0.1)


def test_better(database):
    """The other way round it is better in what has a better, and nothing is worse."""
    fill(database, "2", 3000, seed=1)
    fill(database, "1", 1500, seed=2, right=0.7, took=0.013)
    found = verdicts(database)
    assert {what for what, verdict in found.items() if verdict == BETTER} == {
        "accuracy",
        "AUC",
        "median latency (ms)",
        "95th percentile of latency (ms)",
    }
    assert WORSE not in found.values()


def test_equal_versions_are_not_told_apart(tmp_path):
    """Of 60 pairs of equal versions at most 7 have any verdict (5 % of them should; 7 has a chance of 3 %)."""
    false = 0
    for seed in range(60):
        database = connect(str(tmp_path / f"{seed}.db"))
        fill(database, "1", 400, seed=2 * seed)
        fill(database, "2", 300, seed=2 * seed + 1)
        false += set(verdicts(database).values()) != {ALIKE}
        database.close()
    assert false <= 7


def test_shadow(database):
    """A shadow that predicts the same cases is compared on them, which finds what separate cases don't."""
    random = np.random.default_rng(3)
    keys = [f"c{i}" for i in range(400)]
    truth = random.random(400) < 0.5
    for version, wrong in (("1", set(range(40))), ("2", set(range(24)))):
        predictions = [
            Predicted(key, "delay", version, NOW, "ab"[int(t) ^ (i in wrong)], None, None)
            for i, (key, t) in enumerate(zip(keys, truth.tolist(), strict=True))
        ]
        joining.write(database, predictions, (), NOW, report=True)
    joining.write(
        database, (), [Actual(k, "ab"[int(t)], None, NOW) for k, t in zip(keys, truth, strict=True)], NOW, report=True
    )
    rows = {row.what: row for row in compare(database, "delay", ("1", "2"), 0.0).rows}
    assert rows["accuracy"].verdict == ALIKE
    same = rows["accuracy, same cases"]
    assert (same.cases, same.first, same.second, same.verdict) == ((400, 400), 0.9, 0.94, BETTER)
    assert same.difference == pytest.approx(0.04)


def test_numbers(database):
    """Versions that predict numbers are compared by their errors, all and of the same cases, and by what they say."""
    random = np.random.default_rng(4)
    real = random.normal(10, 3, 500)
    for version, noise, shift in (("1", 1.0, 0.0), ("2", 1.3, 0.8)):
        guesses = real + random.normal(shift, noise, 500)
        rows = [Predicted(f"c{i}", "delay", version, NOW, None, v, None) for i, v in enumerate(guesses.tolist())]
        joining.write(database, rows, (), NOW, report=True)
    joining.write(
        database, (), [Actual(f"c{i}", str(v), v, NOW) for i, v in enumerate(real.tolist())], NOW, report=True
    )
    found = verdicts(database)
    assert found.pop("drift of predictions (PSI)") in {"differ", ALIKE}
    assert found == {"mean absolute error": WORSE, "mean absolute error, same cases": WORSE}


def test_too_few(database):
    """Under 30 cases there is no verdict, only the number of cases."""
    fill(database, "1", 500, seed=1)
    fill(database, "2", 29, seed=2)
    assert set(verdicts(database).values()) == {FEW}


def test_since(database):
    """Only predictions since a time count."""
    fill(database, "1", 100, seed=1)
    fill(database, "2", 100, seed=2)
    assert "accuracy" in verdicts(database, NOW - 1)
    assert verdicts(database, NOW + 1) == {}


def test_command(address, capsys):
    """The table has a line a row and a verdict; --json says the same; exit code 1 where the second is worse."""
    database = connect(address)
    fill(database, "3", 1000, seed=1, variant="stable")
    fill(database, "4", 900, seed=2, right=0.6, variant="canary")
    database.close()
    assert cli.main(["compare", "delay", "3", "4", "--database", address]) == 1
    text = capsys.readouterr().out
    assert text.startswith("delay: 3 (stable), 1,000 predictions, against 4 (canary), 900 predictions\n")
    (line,) = [line for line in text.splitlines() if line.startswith("accuracy")]
    assert line.split()[-4:] == ["1,000", "/", "900", "worse"]
    assert cli.main(["compare", "delay", "4", "3", "--database", address, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["versions"], found["variants"], found["worse"]) == (["4", "3"], [["canary"], ["stable"]], False)
    assert found["rows"][0]["verdict"] == "better"
    assert cli.main(["compare", "delay", "3", "4", "--since", "60", "--database", address]) == 0


def test_unknown_version(address, capsys):
    """A version or model without predictions is an error that names those there are."""
    database = connect(address)
    fill(database, "3", 10, seed=1)
    database.close()
    assert cli.main(["compare", "delay", "3", "5", "--database", address]) == 2
    assert "delay: no predictions of version '5'; known are '3'" in capsys.readouterr().err
    assert cli.main(["compare", "price", "3", "5", "--database", address]) == 2
    assert "it has none" in capsys.readouterr().err


def test_variant(settings):
    """A canary's span and event carry feature_flag attributes, its metrics don't; the store has variant and latency."""
    flag = {"feature_flag.key": "delay", "feature_flag.result.variant": "canary"}
    with recorded(**settings) as telemetry:
        with otelml.prediction("delay", "3") as p:
            p.result(classes="late")
        with otelml.prediction("delay", "4", variant="canary") as p:
            time.sleep(0.01)
            p.result(classes="late")
        assert written(telemetry)
        stable, canary = telemetry.spans()
        assert flag.items() <= canary.attributes.items()
        assert not flag.keys() & stable.attributes.keys()
        events = [log for log in telemetry.logs() if log.event == "ml.prediction"]
        assert [flag.items() <= event.attributes.items() for event in events] == [False, True]
        assert not [p for p in telemetry.metrics() if flag.keys() & p.attributes.keys()]
    database = connect(settings["outcomes_database"])
    rows = database.select("SELECT version, variant, duration FROM otelml_predictions ORDER BY version")
    database.close()
    assert [row[:2] for row in rows] == [("3", None), ("4", "canary")]
    assert rows[0][2] < 0.01 < rows[1][2] < 1


def test_variants_are_bounded():
    """From the 21st variant on they count as other."""
    with recording() as telemetry:
        for i in range(25):
            with otelml.prediction("delay", variant=f"v{i}"):
                pass
        telemetry.drain()
        names = [span.attributes[semconv.FEATURE_FLAG_VARIANT] for span in telemetry.spans()]
    assert names == [*(f"v{i}" for i in range(20)), *["other"] * 5]
