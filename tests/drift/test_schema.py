"""Files of references: readable in a diff, and every fault of a bad one told in one error."""

import json

import pytest

from otelml import drift


@pytest.fixture
def document(tmp_path):
    """The file of a small reference, as JSON."""
    path = tmp_path / "reference.json"
    drift.Reference.fit({"n": [1.0, 2.0, 3.0, None], "c": ["a", "b", "a", "a"]}).save(path)
    return json.loads(path.read_text())


def faults(document, tmp_path):
    """What loading says."""
    path = tmp_path / "bad.json"
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    with pytest.raises(drift.InvalidReferenceError) as raised:
        drift.Reference.load(path)
    assert all(fault in str(raised.value) for fault in raised.value.faults)
    return raised.value.faults


def test_a_line_for_each_field(tmp_path):
    """One more value changes the lines that it concerns, and no other."""
    texts = []
    for data in ({"a": [1, 2, 3], "b": [1, 1, 1]}, {"a": [1, 2, 3], "b": [1, 1, None]}):
        drift.Reference.fit(data).save(tmp_path / "r.json")
        texts.append((tmp_path / "r.json").read_text().splitlines())
    changed = [line.split(":")[0].strip() for line, other in zip(*texts, strict=True) if line != other]
    assert changed == ['"counts"', '"missing"']


def test_every_fault_is_told(document, tmp_path):
    """Edges that don't increase, a negative count, an unknown and a missing field: one error names them all."""
    number, category = document["features"]
    number["edges"] = [2.0, 1.0]
    number["missing"] = -1
    category["colour"] = "red"
    del category["other"]
    assert faults(document, tmp_path) == [
        "feature 'n': edges: [2.0, 1.0] are not finite numbers that increase",
        "feature 'n': missing: -1 is no count",
        "feature 'c': other is missing",
        "feature 'c': colour is unknown",
    ]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"version": 2}, "version: 2, where this otelml reads 1: profile the data again"),
        ({"version": True}, "version: True, where"),
        ({"format": "x"}, "format: 'x', not"),
        ({"rows": -1}, "rows: -1 is no count"),
        ({"rows": 5}, "feature 'n': counts: their sum with other and missing is 4, not rows: 5"),
        ({"features": {}}, "features: {} is no list"),
        ({"features": [7]}, "features[0]: an object is needed, not 7"),
        (
            {"features": [{"name": "a", "kind": ["number"]}]},
            "feature 'a': kind: ['number'] is none of number, category",
        ),
    ],
)
def test_documents(document, tmp_path, change, said):
    """Another version, another format, sums that don't fit: each is told."""
    assert faults(document | change, tmp_path)[0].startswith(said)


@pytest.mark.parametrize(
    ("feature", "change", "said"),
    [
        (0, {"maximum": 0.0}, "minimum, edges and maximum are not in order"),
        (0, {"minimum": None}, "minimum, edges and maximum are not in order"),
        (0, {"maximum": "3"}, "maximum: '3' is no finite number"),
        (0, {"counts": [4]}, "counts: 1 of them for 5 bins"),
        (0, {"name": ""}, "name: '' is no name"),
        (1, {"categories": ["a", "a"]}, "categories: ['a', 'a'] are not different names"),
        (1, {"categories": [["a"], "b"]}, "categories: [['a'], 'b'] are not different names"),
        (1, {"counts": [1.5, 2.5]}, "counts: [1.5, 2.5] are not whole numbers from 0"),
        (1, {"other": True}, "other: True is no count"),
        (1, {"name": "n"}, "'n' is there twice"),
    ],
)
def test_features(document, tmp_path, feature, change, said):
    """Values of a wrong type, out of order or without sense are told by feature and field."""
    document["features"][feature] |= change
    assert any(fault.endswith(said) for fault in faults(document, tmp_path))


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, "7", "\x00", '{"format": NaN}'])
def test_what_is_no_json(text, tmp_path):
    """A file of anything else is one fault, not a stack trace."""
    assert faults(text, tmp_path)
