"""TensorFlow: the call of a SavedModel's signature counts once, and graphs, training and other functions do not."""

import gc
import importlib
import inspect
import os
import sys
import threading
import weakref

import numpy as np
import pytest
from opentelemetry.instrumentation.utils import suppress_instrumentation

import otelml
from otelml.testing import recording

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
tf = pytest.importorskip("tensorflow", reason="TensorFlow is not installed; scripts/test-integrations keras")
keras = pytest.importorskip("keras", reason="Keras is not installed; scripts/test-integrations keras")

ROWS = np.random.default_rng(0).normal(size=(6, 4)).astype("float32")
X = tf.constant(ROWS)
KINDS = {
    "_WrapperFunction": "tensorflow.python.saved_model.load",
    "RestoredFunction": "tensorflow.python.saved_model.function_deserialization",
    "WrappedFunction": "tensorflow.python.eager.wrap_function",
}
MATRIX, TEXT = tf.TensorSpec((None, 4), tf.float32, "x"), tf.TensorSpec((None,), tf.string, "text")


class Flights(tf.Module):
    """A module whose signatures answer in several ways."""

    def __init__(self):
        super().__init__()
        self.weights = tf.Variable(np.random.default_rng(1).normal(size=(4, 3)).astype("float32"))

    @tf.function(input_signature=[MATRIX])
    def late(self, x):
        """Return probabilities beside logits."""
        logits = x @ self.weights
        return {"logits": logits, "probabilities": tf.nn.softmax(logits)}

    @tf.function(input_signature=[MATRIX])
    def minutes(self, x):
        """Return a value for each row."""
        return tf.reduce_sum(x @ self.weights, axis=1, keepdims=True)

    @tf.function(input_signature=[TEXT])
    def echo(self, text):
        """Return text."""
        return tf.strings.upper(text)

    @tf.function(input_signature=[MATRIX, tf.TensorSpec((None, 1), tf.float32, "y")])
    def both(self, x, y):
        """Take two inputs."""
        return tf.cast((x @ self.weights) * y, tf.bfloat16)

    @tf.function(input_signature=[MATRIX])
    def other(self, x):
        """Serve nobody: this is no signature."""
        return x * 2


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Save the module as version 3 of flights."""
    module, place = Flights(), tmp_path_factory.mktemp("models") / "flights/3"
    names = ("late", "minutes", "echo", "both")
    signatures = {name: getattr(module, name) for name in names} | {"serving_default": module.late}
    tf.saved_model.save(module, str(place), signatures=signatures)
    return place


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """Export a Keras model."""
    keras.utils.set_random_seed(1)
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, "softmax")])
    place = tmp_path_factory.mktemp("models") / "late_flights"
    model.export(place, verbose=False)
    return place


@pytest.fixture
def telemetry():
    """Measure TensorFlow into memory."""
    with recording(integrations=["tensorflow"]) as seen:
        yield seen


def roots(telemetry):
    """Return the predictions."""
    return [span for span in telemetry.spans() if span.name.startswith("predict ")]


def names(telemetry):
    """Return name and version of each prediction's model, in the order of the calls."""
    told = [span.attributes for span in sorted(roots(telemetry), key=lambda span: span.start)]
    return [(each["ml.model.name"], each.get("ml.model.version")) for each in told]


def test_one_call_is_one_prediction(telemetry, folder):
    """A call is one request with its rows, classes and confidences, under the name of the folder and the signature."""
    infer = tf.saved_model.load(folder).signatures["serving_default"]
    answer = infer(X)
    (span,) = roots(telemetry)
    assert names(telemetry) == [("flights", "3")]
    assert span.attributes["ml.operation"] == "serving_default"
    assert span.attributes["ml.model.framework"] == "tensorflow"
    assert span.attributes["ml.input.shape"] == (6, 4)
    assert [each.name for each in telemetry.spans() if each.parent_id == span.span_id] == ["inference"]
    assert (telemetry.total("ml.requests"), telemetry.total("ml.predictions")) == (1, 6)
    points = telemetry.points("ml.prediction.confidence")
    assert sum(point.count for point in points) == 6
    assert sum(point.sum for point in points) == pytest.approx(
        float(answer["probabilities"].numpy().max(axis=1).sum()), rel=1e-5
    )


def test_what_keras_exports(telemetry, exported):
    """Signatures of an exported model count, and so does the function of the same name, however it is called."""
    loaded = tf.saved_model.load(exported)
    (given,) = loaded.signatures["serve"].structured_input_signature[1]
    loaded.signatures["serving_default"](X)
    loaded.signatures["serve"](**{given: X})
    loaded.serve(X)
    told = [span.attributes for span in roots(telemetry)]
    assert sorted(each["ml.operation"] for each in told) == ["serve", "serve", "serving_default"]
    assert {each["ml.input.shape"] for each in told} == {(6, 4)}
    assert names(telemetry) == [("late_flights", None)] * 3
    assert telemetry.total("ml.predictions") == 18
    assert sum(point.count for point in telemetry.points("ml.prediction.confidence")) == 18


def test_what_numbers_stand_for(telemetry, folder):
    """One number a row is a value; numbers that NumPy does not have tell rows; text tells rows, never itself."""
    signatures = tf.saved_model.load(folder).signatures
    value = signatures["minutes"](X[:1])["output_0"].numpy().item()
    signatures["both"](x=X, y=tf.ones((6, 1)))
    signatures["echo"](tf.constant(["secret", "words"]))
    first, second, third = [span.attributes for span in roots(telemetry)]
    assert first["ml.prediction.value"] == pytest.approx(value, rel=1e-5)
    assert not {"ml.prediction.class", "ml.prediction.confidence"} & {*first, *second, *third}
    assert "ml.input.shape" not in second
    assert telemetry.total("ml.predictions") == 1 + 6 + 2
    assert "secret" not in str(telemetry.spans()).lower()
    assert "secret" not in str(telemetry.points("ml.predictions")).lower()


def test_names(folder, tmp_path):
    """A model has the name of the settings, else of its watched root or signature, else of its folder."""
    with recording(integrations=["tensorflow"], model_name="ours", model_version="7") as seen:
        tf.saved_model.load(folder).signatures["late"](X)
        assert names(seen) == [("ours", "7")]
    (tmp_path / "plain").symlink_to(folder)
    with recording(integrations=["tensorflow"]) as seen:
        loaded = tf.saved_model.load(str(tmp_path / "plain"))
        loaded.signatures["late"](X)
        otelml.watch(loaded, "watched", "2")
        loaded.signatures["late"](X)
        late = otelml.watch(loaded.signatures["late"], "late", "1")
        late(X)
        loaded.signatures["minutes"](X)
        assert names(seen) == [("plain", None), ("watched", "2"), ("late", "1"), ("watched", "2")]


def test_one_that_was_loaded_before(folder):
    """It counts under a name that says no more than is known, or as it is watched; its other functions do not."""
    loaded = tf.saved_model.load(folder)
    with recording(integrations=["tensorflow"]) as seen:
        loaded.signatures["late"](X)
        loaded.other(X)
        otelml.watch(loaded.signatures["late"], "late")
        loaded.signatures["late"](X)
        assert names(seen) == [("SavedModel", None), ("late", None)]
        assert {span.attributes["ml.operation"] for span in roots(seen)} == {"__call__"}


def test_a_signature_outlives_what_was_loaded(telemetry, folder):
    """A signature alone is measured under its folder's name, and what was loaded is not kept alive."""
    loaded = tf.saved_model.load(folder)
    infer, kept = loaded.signatures["late"], weakref.ref(loaded)
    infer(X)
    del loaded
    gc.collect()
    assert kept() is None
    infer(X)
    assert names(telemetry) == [("flights", "3")] * 2


def test_what_serves_nobody(telemetry, folder):
    """Functions that are no signatures, training, what is suppressed and saving again do not count."""
    loaded = tf.saved_model.load(folder)
    loaded.other(X)
    with tf.GradientTape() as tape:
        answer = loaded.signatures["minutes"](X)["output_0"]
    assert tape.gradient(answer, loaded.weights) is not None
    with suppress_instrumentation():
        loaded.signatures["late"](X)
    tf.saved_model.save(loaded, str(folder.parent / "again"), signatures=loaded.signatures)
    assert telemetry.total("ml.requests") == 0


def test_graphs(folder):
    """A function of the application's around a signature is traced as without otelml, and counts nothing."""

    def graph():
        loaded = tf.saved_model.load(folder)
        infer = loaded.signatures["late"]

        @tf.function(input_signature=[MATRIX])
        def around(x):
            return infer(x)["probabilities"] * 2

        concrete = around.get_concrete_function()
        return [each.type for each in concrete.graph.get_operations()], concrete(X).numpy(), around(X).numpy()

    bare = graph()
    with recording(integrations=["tensorflow"]) as seen:
        measured = graph()
        assert seen.total("ml.requests") == 0
    assert measured[0] == bare[0]
    np.testing.assert_array_equal(measured[1:], bare[1:])


def test_a_layer_of_keras(exported):
    """A signature in a Keras model is part of that model's prediction; of a layer alone it is the prediction."""
    layer = keras.layers.TFSMLayer(exported, call_endpoint="serving_default")
    inputs = keras.Input((4,))
    model = keras.Model(inputs, layer(inputs))
    eager = keras.Model(inputs, layer(inputs))
    eager.compile(run_eagerly=True)
    with recording(integrations=["keras", "tensorflow"]) as seen:
        layer(X)
        model(X)
        model.predict(X, verbose=0)
        eager.predict(X, verbose=0)
        kinds = [span.attributes["ml.model.framework"] for span in roots(seen)]
        assert sorted(kinds) == ["keras", "keras", "keras", "tensorflow"]
        assert seen.total("ml.requests") == 4


def test_within_a_prediction_of_the_application(telemetry, folder):
    """A call there is its stage, and fills its result."""
    infer = tf.saved_model.load(folder).signatures["late"]
    with otelml.prediction("own"):
        infer(X[:1])
    (span,) = roots(telemetry)
    assert span.name == "predict own"
    assert "ml.prediction.confidence" in span.attributes
    assert telemetry.total("ml.requests") == 1


def test_errors_pass(telemetry, folder):
    """What TensorFlow raises reaches the application as it is, and counts."""
    infer = tf.saved_model.load(folder).signatures["late"]
    with pytest.raises(tf.errors.InvalidArgumentError):
        infer(X[:, :2])
    with pytest.raises(TypeError, match="got str"):
        infer("a")
    errors = {point.attributes["error.type"].rpartition(".")[2] for point in telemetry.points("ml.requests")}
    assert errors == {"InvalidArgumentError", "TypeError"}
    assert telemetry.total("ml.requests") == 2


def test_threads(telemetry, folder):
    """Signatures that are loaded and called in several threads at once all count, under their names."""

    def serve():
        infer = tf.saved_model.load(folder).signatures["late"]
        for _ in range(5):
            infer(X)

    threads = [threading.Thread(target=serve) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert names(telemetry) == [("flights", "3")] * 20


def test_a_model_of_tensorflow_1(tmp_path):
    """Signatures of a graph that TensorFlow 1 saved count, and what else is taken of the graph does not."""
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        given = tf.compat.v1.placeholder(tf.float32, (None, 4), "x")
        weights = tf.compat.v1.get_variable("w", (4, 3))
        session.run(tf.compat.v1.global_variables_initializer())
        answer = {"probabilities": tf.nn.softmax(given @ weights, name="y")}
        tf.compat.v1.saved_model.simple_save(session, str(tmp_path / "old"), {"x": given}, answer)
    with recording(integrations=["tensorflow"]) as seen:
        loaded = tf.saved_model.load(tmp_path / "old")
        loaded.signatures["serving_default"](X)
        loaded.prune("x:0", "y:0")(X)
        assert names(seen) == [("old", None)]
        assert sum(point.count for point in seen.points("ml.prediction.confidence")) == 6


def shape(kind, signature):
    """Return what inspection shows of a class of functions and of one signature."""
    call = kind.__call__
    told = [call.__name__, call.__qualname__, call.__doc__, call.__module__, str(inspect.signature(call))]
    return [*told, dir(kind), kind.__mro__, dir(signature), str(inspect.signature(signature)), callable(signature)]


def test_functions_stay_what_they_are(folder):
    """Answers and inspection are those without otelml; afterwards the very functions are back."""
    kinds = [getattr(sys.modules[module], kind) for kind, module in KINDS.items()]
    inherited = [kind.__call__ for kind in kinds]
    load = importlib.import_module("tensorflow.python.saved_model.load").load_partial
    infer = tf.saved_model.load(folder).signatures["late"]
    bare, known = infer(X), [shape(kind, infer) for kind in kinds]
    with recording(integrations=["tensorflow"]):
        assert [kind.__call__ is other for kind, other in zip(kinds, inherited, strict=True)] == [False] * 3
        assert [shape(kind, infer) for kind in kinds] == known
        answer = infer(X)
        assert isinstance(infer, tf.types.experimental.ConcreteFunction)
    assert (type(answer), list(answer)) == (type(bare), list(bare))
    for name, value in answer.items():
        assert (type(value), value.dtype, value.device) == (type(bare[name]), bare[name].dtype, bare[name].device)
        np.testing.assert_array_equal(value, bare[name])
    assert [kind.__call__ for kind in kinds] == inherited
    assert all("__call__" not in vars(kind) for kind in kinds)
    assert sys.modules["tensorflow.python.saved_model.load"].load_partial is load


def test_nothing_is_kept_alive(telemetry, folder):
    """Inputs and answers end when the application lets go of them."""
    infer, given = tf.saved_model.load(folder).signatures["late"], tf.constant(ROWS)
    answer = infer(given)
    kept = [weakref.ref(each) for each in (given, *answer.values())]
    del given, answer
    gc.collect()
    assert [each() for each in kept] == [None] * 3
