"""Facts: what is known of many predictions as columns, the same as what each of them says by itself."""

import numpy as np
import pytest

import otelml
from otelml import _labels, context
from otelml.facts import facts_of
from otelml.testing import recording


def predicted(telemetry, *given, **facts):
    """Make predictions that say these things, and take them from the buffer."""
    for each in given:
        with otelml.prediction("m", **facts) as p:
            p.result(**each)
    return taken(telemetry)


def taken(telemetry):
    """Take ended predictions from the buffer."""
    buffer = telemetry.runtime.recorder._buffer
    found = list(buffer)
    buffer.clear()
    return found


def test_what_they_have_in_common_stands_once(telemetry):
    """Equal attributes are one key whatever objects they are; classes of other types are other ones, if spelled so."""
    words = ["la" + "te" * (i % 2) for i in range(6)]
    predictions = predicted(telemetry, *[{"classes": word, "confidence": 0.5} for word in words])
    facts = facts_of(predictions)
    assert [key.label for key in facts.keys] == ["la", "late"]
    assert facts.which.tolist() == [0, 1] * 3
    assert facts.counts() == [3, 3]
    mixed = facts_of(predicted(telemetry, *[{"classes": one} for one in (1, True, 1.0, "1", 2**70, 1, 1.0)]))
    assert [mixed.keys[i].label for i in mixed.which] == ["1", "true", "1", "1", str(2**70), "1", "1"]
    assert len({(key.label, key.dtype) for key in mixed.keys}) == len(mixed.keys)


def test_columns(telemetry):
    """Ids, requests and numbers stand as bytes, row by row, and can be cut."""
    with recording() as seen:
        for i in range(5):
            with context.with_request_id(f"r-{i}"), otelml.prediction("m") as p:
                p.result(values=i / 4)
        predictions = taken(seen)
        facts = facts_of(predictions)
    assert facts.plain
    assert facts.alike
    assert [bytes(row).hex() for row in facts.numbers] == [p.id for p in predictions]
    assert [bytes(row).decode() for row in facts.requests] == [f"r-{i}" for i in range(5)]
    assert facts.values.tolist() == [0, 0.25, 0.5, 0.75, 1]
    assert facts.confidence.size == 0
    part = facts.part(1, 3)
    assert part.values.tolist() == [0.25, 0.5, 0.75]
    assert [bytes(row).decode() for row in part.requests] == ["r-1", "r-2", "r-3"]
    assert part.numbers.tolist() == facts.numbers[1:4].tolist()
    assert part.which.tolist() == [0, 0, 0]
    assert part.confidence.size == 0


@pytest.mark.parametrize(
    ("given", "absent"),
    [
        ([{"values": 1.0}, {}], ["values"]),
        ([{"values": 1.0}, {"values": np.array([1.0, 2.0])}], ["values"]),
        ([{"confidence": 0.5, "classes": "a"}, {"classes": "a"}], ["confidence"]),
        ([{"classes": ["a", "b"]}, {"classes": "a"}], ["counted"]),
        ([{"values": 1.0}, {"values": 1.0, "business_value": 2.0}], ["counted", "numbers"]),
    ],
    ids=repr,
)
def test_what_is_not_of_one_form_is_left_out(telemetry, given, absent):
    """A column that some predictions have otherwise is None; what else there is to know stays."""
    facts = facts_of(predicted(telemetry, *given))
    names = ("counted", "numbers", "requests", "confidence", "values")
    assert [name for name in names if getattr(facts, name) is None or getattr(facts, name) is False] == absent
    assert facts.alike == (absent == ["counted"])
    assert not facts.plain


def test_an_id_of_the_applications_own(telemetry):
    """Its id is a text of any length: there are no numbers, everything else is there."""
    facts = facts_of(predicted(telemetry, {"values": 1.0}, prediction_id="own"))
    assert facts.numbers is None
    assert facts.plain


def test_many_keys(telemetry):
    """More kinds than fit into a table are as exact as few."""
    words = [f"c{i % 20}" for i in range(40)]
    predictions, expected = [], []
    for operation in ("predict", "score", "embed", "rank"):
        predictions += predicted(telemetry, *[{"classes": word} for word in words], operation=operation)
        expected += [(operation, word) for word in words]
    facts = facts_of(predictions)
    assert [(facts.keys[i].operation, facts.keys[i].label) for i in facts.which] == expected
    assert len(facts.keys) == 80


def test_each_label_that_is_folded_counts(telemetry):
    """Classes beyond the limit are ``other``, and each prediction of one is counted as folded."""
    limit = _labels.semconv.attribute("ml.prediction.class").limit
    for i in range(limit):
        _labels.bounded("ml.prediction.class", f"known-{i}")
    before = _labels.folded().get("ml.prediction.class", 0)
    facts = facts_of(predicted(telemetry, *[{"classes": "new"}] * 5))
    assert [facts.keys[i].label for i in facts.which] == ["other"] * 5
    assert _labels.folded()["ml.prediction.class"] == before + 5


def test_streams(telemetry):
    """Whether items were given one by one is known of all together."""
    assert not facts_of(predicted(telemetry, {"values": 1.0})).streams
    with otelml.prediction("m") as p:
        p.item()
    assert facts_of(taken(telemetry)).streams
