"""Keras: what the application asks of a model counts once, and training, building and graphs do not."""

import gc
import inspect
import os
import weakref

import numpy as np
import pytest

import otelml
from otelml.testing import recording

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
keras = pytest.importorskip("keras", reason="Keras is not installed; scripts/test-integrations keras")
tf = pytest.importorskip("tensorflow", reason="TensorFlow is not installed; scripts/test-integrations keras")

X = np.random.default_rng(0).normal(size=(6, 4)).astype("float32")


def network(end="softmax", outputs=3, **more):
    """Return a model with random weights, the same each time."""
    keras.utils.set_random_seed(1)
    layers = [keras.Input((4,)), keras.layers.Dense(8, "relu"), keras.layers.Dense(outputs, end)]
    return keras.Sequential(layers, **more)


@pytest.fixture
def telemetry():
    """Measure Keras into memory."""
    with recording(integrations=["keras"]) as seen:
        yield seen


def root(telemetry):
    """Return the only prediction."""
    (found,) = [span for span in telemetry.spans() if span.name.startswith("predict ")]
    return found


def ways(model):
    """Return the ways to ask a model."""
    return {
        "predict": lambda x: model.predict(x, verbose=0),
        "predict_on_batch": model.predict_on_batch,
        "__call__": lambda x: model(tf.constant(x)),
    }


@pytest.mark.parametrize("way", ["predict", "predict_on_batch", "__call__"])
def test_one_call_is_one_prediction(telemetry, way):
    """A call is one request with its rows, classes and confidences, whatever Keras calls in turn."""
    answer = np.asarray(ways(network())[way](X))
    span = root(telemetry)
    assert span.name == "predict Sequential"
    assert span.attributes["ml.operation"] == way
    assert span.attributes["ml.model.framework"] == "keras"
    assert span.attributes["ml.input.shape"] == (6, 4)
    assert [each.name for each in telemetry.spans() if each.parent_id == span.span_id] == ["inference"]
    assert (telemetry.total("ml.requests"), telemetry.total("ml.predictions")) == (1, 6)
    points = telemetry.points("ml.prediction.confidence")
    assert sum(point.count for point in points) == 6
    assert sum(point.sum for point in points) == pytest.approx(float(answer.max(axis=1).sum()), rel=1e-5)


def test_what_numbers_stand_for(telemetry):
    """A sigmoid's number is a probability, a linear one a value; logits of classes say nothing."""
    sure = network("sigmoid", 1).predict(X[:1], verbose=0).item()
    value = network(None, 1).predict(X[:1], verbose=0).item()
    network(None, 3).predict(X[:1], verbose=0)
    network("sigmoid", 3).predict(X[:1], verbose=0)
    first, second, third, fourth = [span.attributes for span in telemetry.spans() if span.name.startswith("predict ")]
    assert first["ml.prediction.confidence"] == pytest.approx(max(sure, 1 - sure))
    assert second["ml.prediction.value"] == pytest.approx(value)
    assert not {"ml.prediction.class", "ml.prediction.confidence", "ml.prediction.value"} & {*third, *fourth}


def test_names(telemetry):
    """A model is named as it is watched, as the application called it, or by its class."""
    network(name="late_flights").predict(X, verbose=0)
    otelml.watch(network(), "watched", "2").predict(X, verbose=0)
    network().predict(X, verbose=0)
    names = {point.attributes["ml.model.name"] for point in telemetry.points("ml.requests")}
    assert names == {"late_flights", "watched", "Sequential"}


class Own(keras.Model):
    """A model of the application's, with a model inside."""

    def __init__(self):
        super().__init__()
        self.inner = network()

    def call(self, x):
        """Run the model inside."""
        return self.inner(x)


def test_models_in_models(telemetry):
    """The model inside another one does not count."""
    Own()(X)
    assert telemetry.total("ml.requests") == 1
    assert root(telemetry).name == "predict Own"


def test_what_serves_nobody(telemetry):
    """Training, evaluating, symbolic calls, ``training=True`` and graphs do not count."""
    model = network()
    model.compile("sgd", "sparse_categorical_crossentropy")
    model.fit(X, np.zeros(6), epochs=1, verbose=0, validation_split=0.5)
    model.evaluate(X, np.zeros(6), verbose=0)
    model(X, training=True)
    inputs = keras.Input((4,))
    keras.Model(inputs, model(inputs))
    assert telemetry.total("ml.requests") == 0


def test_graphs():
    """A function of TensorFlow's is traced as without otelml, and is the application's."""

    def graph(model):
        function = tf.function(lambda x: model(x) * 2).get_concrete_function(tf.TensorSpec((None, 4)))
        return [each.type for each in function.graph.get_operations()], function(tf.constant(X)).numpy()

    bare = [graph(network()), graph(Own())]
    with recording(integrations=["keras"]) as seen:
        measured = [graph(network()), graph(Own())]
        assert seen.total("ml.requests") == 0
    for mine, others in zip(measured, bare, strict=True):
        assert mine[0] == others[0]
        np.testing.assert_array_equal(mine[1], others[1])


def test_other_inputs(telemetry):
    """Data sets, lists and models of several inputs or outputs: rows are those of the first output."""
    network().predict(tf.data.Dataset.from_tensor_slices(X).batch(4), verbose=0)
    one, two = keras.Input((4,)), keras.Input((4,))
    both = keras.Model([one, two], {"a": keras.layers.Dense(2)(one), "b": keras.layers.Dense(1)(two)})
    both.predict([X, X], verbose=0)
    both([X, X])
    assert (telemetry.total("ml.requests"), telemetry.total("ml.predictions")) == (3, 18)


def test_within_a_prediction_of_the_application(telemetry):
    """A call there is its stage, and fills its result."""
    with otelml.prediction("own"):
        network().predict(X[:1], verbose=0)
    assert "ml.prediction.confidence" in root(telemetry).attributes
    assert telemetry.total("ml.requests") == 1


def test_errors_pass(telemetry):
    """What Keras raises reaches the application, and counts."""
    with pytest.raises(ValueError, match="incompatible"):
        network().predict(X[:, :2], verbose=0)
    (point,) = telemetry.points("ml.requests")
    assert (point.value, point.attributes["error.type"]) == (1, "ValueError")


def shape(model):
    """Return what inspection shows of a model."""
    kinds = [type(model), keras.Model]
    told = [
        (getattr(kind, name).__name__, getattr(kind, name).__doc__, str(inspect.signature(getattr(kind, name))))
        for kind in kinds
        for name in ("__call__", "predict", "predict_on_batch")
    ]
    return [told, dir(type(model)), type(model).__mro__]


def test_models_stay_what_they_are(tmp_path):
    """Answers, saved models and inspection are those without otelml; afterwards the very functions are back."""
    model = network()
    bare, known, inherited = model.predict(X, verbose=0), shape(model), keras.Model.__call__
    owner = next(kind for kind in keras.Model.__mro__ if "predict_on_batch" in vars(kind))
    before = vars(owner)["predict"]
    with recording(integrations=["keras"]):
        assert keras.Model.__call__ is not inherited
        assert shape(model) == known
        answer = model.predict(X, verbose=0)
        assert (type(answer), answer.dtype) == (type(bare), bare.dtype)
        np.testing.assert_array_equal(answer, bare)
        model.save(tmp_path / "model.keras")
        np.testing.assert_array_equal(keras.models.load_model(tmp_path / "model.keras").predict(X, verbose=0), bare)
        assert type(model(X)) is type(tf.constant(1))
    assert keras.Model.__call__ is inherited
    assert "__call__" not in vars(keras.Model)
    assert vars(owner)["predict"] is before


def test_nothing_is_kept_alive(telemetry):
    """Inputs and answers end when the application lets go of them."""
    model, given = network(), X.copy()
    answers = [model.predict_on_batch(given), model.predict(given, verbose=0)]
    kept = [weakref.ref(each) for each in (given, *answers)]
    del given, answers
    gc.collect()
    assert [each() for each in kept] == [None] * 3
