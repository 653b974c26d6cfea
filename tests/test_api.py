"""The public calls: what their arguments mean."""

import itertools

import pytest

import otelml


@pytest.fixture
def disabled(monkeypatch):
    """Let auto_instrument() read all settings and start nothing."""
    for name in ("OTEL_SERVICE_NAME", "OTELML_MODEL_NAME", "OTELML_MODEL_VERSION", "OTELML_CAPTURE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")


def test_arguments_are_settings(disabled):
    """Each argument is the setting of its name."""
    config = otelml.auto_instrument(
        "service", model_name="m", model_version="2", disabled=["requests", "fastapi"], capture="none"
    ).config
    assert (config.service_name, config.model_name, config.model_version) == ("service", "m", "2")
    assert (config.disabled, config.capture) == ({"requests", "fastapi"}, "none")


@pytest.mark.parametrize("given", [itertools.repeat("requests"), 7, [3]], ids=["endless", "no list", "no name"])
def test_what_is_no_list_of_integrations(disabled, given):
    """It is a fault of the setting; what never ends is not waited for."""
    with pytest.raises(otelml.ConfigError, match="names of integrations"):
        otelml.auto_instrument(disabled=given)


def test_mapping_and_file_of_settings(disabled, tmp_path):
    """``config`` takes a mapping or the path of a YAML file; the arguments beside it win."""
    path = tmp_path / "otelml.yaml"
    path.write_text("model_name: from_file\nlow_confidence: 0.25\n", encoding="utf-8")
    for config in (path, str(path), {"model_name": "from_file", "low_confidence": 0.25}):
        assert otelml.auto_instrument(config=config).config.low_confidence == 0.25
        assert otelml.auto_instrument(config=config).config.model_name == "from_file"
        assert otelml.auto_instrument(config=config, model_name="argument").config.model_name == "argument"


def test_unknown_settings_are_faults(disabled):
    """A setting that does not exist is named in the message."""
    with pytest.raises(otelml.ConfigError, match="nonsense"):
        otelml.auto_instrument(config={"nonsense": 1})


@pytest.mark.telemetry(model_name="configured", model_version="9")
def test_default_model(telemetry):
    """A prediction that names no model is the configured one's, whose version belongs to that model only."""
    for given in (None, "configured", "other"):
        with otelml.prediction(given):
            pass
    found = [
        (p.attributes["ml.model.name"], p.attributes.get("ml.model.version")) for p in telemetry.points("ml.requests")
    ]
    assert sorted(found, key=str) == [("configured", "9"), ("other", None)]


def test_fallback_model(telemetry):
    """Without any name it is `model`, or what an integration falls back on."""
    with otelml.prediction(), otelml.api.prediction(fallback="Ridge", operation="predict", framework="scikit-learn"):
        pass
    inner, outer = telemetry.spans()
    assert (outer.name, inner.name) == ("predict model", "predict Ridge")
    assert (inner.attributes["ml.operation"], inner.attributes["ml.model.framework"]) == ("predict", "scikit-learn")


def test_stage_outside_of_a_prediction_does_nothing(telemetry):
    """A stage without a prediction makes no span and no measurement."""
    with otelml.stage("inference"):
        pass
    assert (telemetry.spans(), telemetry.total("ml.stage.duration")) == ([], 0)


def test_unknown_names_of_the_package():
    """The package says which name it has not."""
    assert otelml.__version__.count(".") == 2
    with pytest.raises(AttributeError, match="nonsense"):
        _ = otelml.nonsense
