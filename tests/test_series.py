"""Models and the names of their stages."""

from otelml.series import Series


def test_a_stage_is_known_once():
    """The same name gives the same stage of a model, and another one of another model."""
    first, second = Series("a", None), Series("b", "2")
    assert first.stage("inference") is first.stage("inference")
    assert first.stage("inference") is not second.stage("inference")
    assert second.stage("inference").attributes == {
        "ml.model.name": "b",
        "ml.model.version": "2",
        "ml.stage": "inference",
    }


def test_names_of_stages_are_bounded(telemetry):
    """Of 100 names at most 20 are kept, the others share one."""
    series = Series("a", None)
    names = {series.stage(f"s{i}").name for i in range(100)}
    assert len(names) <= 21
    assert "other" in names
    assert len(series.stages) == len(names)
