"""The calls that integrations of model libraries measure, for the one suite that is run over all of them.

A row of ``CASES`` is all that a new integration adds. As a program, ``python conformance.py CALL HOW`` makes the model
and calls it in a process of its own, and prints what was counted there.
"""

import json
import multiprocessing
import os
import sys
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

ROWS, COLUMNS, CALLS = 40, 4, 3


@dataclass(frozen=True)
class Case:
    """One call of a library."""

    package: str
    """What the integration waits for."""
    make: Callable[[], Any]
    """Imports the library, and returns a model."""
    method: str
    """Name of the method that is called."""
    given: Callable[[int], Any]
    """Returns the arguments' tuple for so many rows."""
    bad: Callable[[], Any]
    """Returns arguments that the library refuses."""
    copies: bool = True
    """Whether the library's models pickle and copy."""
    forks: bool = True
    """Whether the library works in a child that was forked after its use."""
    arrays: bool = True
    """Whether it is given or gives arrays, whose end can be watched."""
    integration: str = ""
    operation: str = ""
    """What it is called in telemetry, where that is not the method's name."""

    def call(self, model, arguments):
        """Call the method."""
        return getattr(model, self.method)(*arguments)

    @property
    def names(self):
        """Return the integrations to switch on."""
        return (self.integration or self.package,)


def rows(count=ROWS, columns=COLUMNS):
    """Return inputs, the same each time."""
    import numpy as np  # noqa: PLC0415 - nothing is imported before it is needed

    return np.random.default_rng(7).normal(size=(count, columns))


def array(count):
    """Return the arguments of a call with an array."""
    return (rows(count),)


def too_few():
    """Return an array that lacks columns."""
    return (rows(2, COLUMNS - 2),)


def classes():
    """Return a class for each row."""
    return (rows()[:, 0] > 0).astype(int)


def linear():
    """Return scikit-learn's logistic regression."""
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415 - see above

    return LogisticRegression().fit(rows(), classes())


def pipeline():
    """Return a pipeline of two steps."""
    from sklearn.pipeline import make_pipeline  # noqa: PLC0415 - see above
    from sklearn.preprocessing import StandardScaler  # noqa: PLC0415 - see above

    return make_pipeline(StandardScaler(), linear()).fit(rows(), classes())


def forest():
    """Return a random forest, whose trees predict in turn."""
    from sklearn.ensemble import RandomForestClassifier  # noqa: PLC0415 - see above

    return RandomForestClassifier(n_estimators=5, random_state=0).fit(rows(), classes())


def xgboost_booster():
    """Return a booster of XGBoost's own."""
    import xgboost  # noqa: PLC0415 - see above

    options = {"objective": "binary:logistic", "verbosity": 0, "nthread": 1}
    return xgboost.train(options, xgboost.DMatrix(rows(), classes()), 3)


def xgboost_classifier():
    """Return XGBoost's scikit-learn estimator, whose booster predicts in turn."""
    import xgboost  # noqa: PLC0415 - see above

    return xgboost.XGBClassifier(n_estimators=3, verbosity=0, n_jobs=1).fit(rows(), classes())


QUIET = {"verbose": -1, "min_data_in_leaf": 5, "num_threads": 1}


def lightgbm_booster():
    """Return a booster of LightGBM's own."""
    import lightgbm  # noqa: PLC0415 - see above

    return lightgbm.train({"objective": "binary", **QUIET}, lightgbm.Dataset(rows(), classes()), 3)


def lightgbm_classifier():
    """Return LightGBM's scikit-learn estimator, whose booster predicts in turn."""
    import lightgbm  # noqa: PLC0415 - see above

    return lightgbm.LGBMClassifier(n_estimators=3, **QUIET).fit(rows(), classes())


def catboost_classifier():
    """Return a CatBoost classifier."""
    import catboost  # noqa: PLC0415 - see above

    model = catboost.CatBoostClassifier(iterations=3, verbose=0, allow_writing_files=False, thread_count=1)
    return model.fit(rows(), classes())


def mlflow_model():
    """Return a pipeline that MLflow has saved and loaded."""
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"  # MLflow's own, to its makers
    import mlflow.pyfunc  # noqa: PLC0415 - see above
    import mlflow.sklearn  # noqa: PLC0415 - see above

    with TemporaryDirectory() as folder:
        how = {"serialization_format": "cloudpickle", "pip_requirements": []}
        mlflow.sklearn.save_model(pipeline(), f"{folder}/model", **how)
        return mlflow.pyfunc.load_model(f"{folder}/model")


def onnx_session():
    """Return a session of a model of one node, Identity: float x of any shape in, y out."""
    import onnxruntime  # noqa: PLC0415 - see above
    from onnx_models import IDENTITY  # noqa: PLC0415 - beside the other tests' models

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(IDENTITY, options, providers=["CPUExecutionProvider"])


def onnx_given(_):
    """Return the arguments of a run: the model takes one number."""
    import numpy as np  # noqa: PLC0415 - see above

    return None, {"x": np.array([2.5], np.float32)}


def onnx_bad():
    """Return arguments of another type."""
    import numpy as np  # noqa: PLC0415 - see above

    return None, {"x": np.array(["a"])}


def torch_module():
    """Return a PyTorch module that serves."""
    import torch  # noqa: PLC0415 - see above

    torch.manual_seed(0)
    layers = torch.nn.Linear(COLUMNS, 8), torch.nn.ReLU(), torch.nn.Linear(8, 2), torch.nn.Softmax(1)
    return torch.nn.Sequential(*layers).eval()


def torch_compiled():
    """Return one that is compiled, without a compiler of C."""
    import torch  # noqa: PLC0415 - see above

    return torch.compile(torch_module(), backend="eager", fullgraph=True)


def torch_scripted():
    """Return one of TorchScript, saved and loaded."""
    import io  # noqa: PLC0415 - see above

    import torch  # noqa: PLC0415 - see above

    file = io.BytesIO()
    torch.jit.save(torch.jit.script(torch_module()), file)
    file.seek(0)
    return torch.jit.load(file)


def tensor(count):
    """Return the arguments of a call with a tensor."""
    import torch  # noqa: PLC0415 - see above

    return (torch.from_numpy(rows(count)).float(),)


def tensor_too_few():
    """Return a tensor that lacks columns."""
    return (tensor(2)[0][:, : COLUMNS - 2],)


def transformers_writer():
    """Return a model of transformers that generates tokens."""
    import torch  # noqa: PLC0415 - see above
    import transformers  # noqa: PLC0415 - see above

    torch.manual_seed(0)
    sizes = {"vocab_size": 12, "n_positions": 32, "n_embd": 8, "n_layer": 1, "n_head": 1}
    model = transformers.GPT2LMHeadModel(transformers.GPT2Config(**sizes, bos_token_id=2, eos_token_id=None)).eval()
    model.generation_config.pad_token_id = 0
    model.generation_config.max_new_tokens = 3
    return model


def prompts(count):
    """Return the arguments of a call with prompts of four tokens."""
    import torch  # noqa: PLC0415 - see above

    return (torch.tensor([[2, 5, 7, 9]] * count),)


def no_prompts():
    """Return arguments of a type that is none of tokens."""
    return ("words",)


def transformers_pipeline():
    """Return a pipeline that classifies texts."""
    import torch  # noqa: PLC0415 - see above
    import transformers  # noqa: PLC0415 - see above
    from tokenizers import Tokenizer, models, pre_tokenizers  # noqa: PLC0415 - see above

    torch.manual_seed(0)
    unknown = {"unk_token": "[UNK]"}
    words = Tokenizer(models.WordLevel({"[PAD]": 0, "[UNK]": 1, "good": 2, "bad": 3}, **unknown))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    special = {**unknown, "pad_token": "[PAD]"}
    tokens = transformers.PreTrainedTokenizerFast(tokenizer_object=words, **special)
    sizes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1, "intermediate_size": 8}
    config = transformers.BertConfig(vocab_size=4, max_position_embeddings=8, pad_token_id=0, **sizes)
    model = transformers.BertForSequenceClassification(config).eval()
    return transformers.pipeline("text-classification", model=model, tokenizer=tokens, device="cpu")


def texts(count):
    """Return the arguments of a call with texts."""
    return ((["good", "bad", "good bad", "bad good"] * count)[:count],)


def no_texts():
    """Return an argument that is none."""
    return ([3],)


def sentence_encoder():
    """Return an encoder of sentences."""
    import sentence_transformers  # noqa: PLC0415 - see above
    import torch  # noqa: PLC0415 - see above
    from sentence_transformers.models import StaticEmbedding  # noqa: PLC0415 - see above
    from tokenizers import Tokenizer, models, pre_tokenizers  # noqa: PLC0415 - see above

    torch.manual_seed(0)
    unknown = {"unk_token": "[UNK]"}
    words = Tokenizer(models.WordLevel({"[UNK]": 0, "good": 1, "bad": 2}, **unknown))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    return sentence_transformers.SentenceTransformer(modules=[StaticEmbedding(words, embedding_dim=4)], device="cpu")


def no_sentences():
    """Return an argument that is none."""
    return ([object()],)


def keras_model():
    """Return a Keras model on TensorFlow."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import keras  # noqa: PLC0415 - see above

    keras.utils.set_random_seed(0)
    return keras.Sequential([keras.Input((COLUMNS,)), keras.layers.Dense(2, "softmax")])


def tensorflow_signature():
    """Return a signature of a SavedModel."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import tensorflow as tf  # noqa: PLC0415 - see above

    module = tf.Module()
    module.weights = tf.Variable(rows(COLUMNS, 2).astype("float32"))
    given = [tf.TensorSpec((None, COLUMNS), tf.float32)]
    with TemporaryDirectory() as folder:
        answer = tf.function(lambda x: tf.nn.softmax(x @ module.weights), input_signature=given)
        tf.saved_model.save(module, folder, signatures=answer)
        return tf.saved_model.load(folder).signatures["serving_default"]


def tensorflow_given(count):
    """Return the arguments of a call with an eager tensor."""
    import tensorflow as tf  # noqa: PLC0415 - see above

    return (tf.constant(rows(count).astype("float32")),)


def tensorflow_bad():
    """Return a tensor that lacks columns."""
    return (tensorflow_given(2)[0][:, : COLUMNS - 2],)


KERAS = {"given": array, "bad": too_few, "forks": False}
TENSORFLOW = {"given": tensorflow_given, "bad": tensorflow_bad, "copies": False, "forks": False}
TORCH = {"given": tensor, "bad": tensor_too_few, "operation": "forward"}
CASES = {
    "CatBoostClassifier.predict_proba": Case("catboost", catboost_classifier, "predict_proba", array, too_few),
    "GenerationMixin.generate": Case("transformers", transformers_writer, "generate", prompts, no_prompts),
    "InferenceSession.run": Case("onnxruntime", onnx_session, "run", onnx_given, onnx_bad, copies=False),
    "keras.Model": Case("keras", keras_model, "__call__", **KERAS),
    "keras.Model.predict_on_batch": Case("keras", keras_model, "predict_on_batch", **KERAS),
    "LGBMClassifier.predict_proba": Case("lightgbm", lightgbm_classifier, "predict_proba", array, too_few),
    "lightgbm.Booster.predict": Case("lightgbm", lightgbm_booster, "predict", array, too_few),
    "LogisticRegression.predict_proba": Case("sklearn", linear, "predict_proba", array, too_few),
    "mlflow.PyFuncModel.predict": Case("mlflow", mlflow_model, "predict", array, too_few),
    "Module (PyTorch)": Case("torch", torch_module, "__call__", **TORCH),
    "Module (torch.compile)": Case("torch", torch_compiled, "__call__", **TORCH, copies=False),
    "Module (TorchScript)": Case("torch", torch_scripted, "__call__", **TORCH, copies=False),
    "Pipeline (transformers)": Case("transformers", transformers_pipeline, "__call__", texts, no_texts, arrays=False),
    "Pipeline.predict": Case("sklearn", pipeline, "predict", array, too_few),
    "RandomForestClassifier.predict": Case("sklearn", forest, "predict", array, too_few),
    "SentenceTransformer.encode": Case("sentence_transformers", sentence_encoder, "encode", texts, no_sentences),
    "Signature (SavedModel)": Case(
        "tensorflow", tensorflow_signature, "__call__", **TENSORFLOW, operation="serving_default"
    ),
    "XGBClassifier.predict_proba": Case("xgboost", xgboost_classifier, "predict_proba", array, too_few),
    "xgboost.Booster.inplace_predict": Case("xgboost", xgboost_booster, "inplace_predict", array, too_few),
}
PACKAGES = sorted({case.package for case in CASES.values()})
ENVIRONMENTS = tomllib.loads((Path(__file__).parent / "environments.toml").read_text("utf-8"))
ELSEWHERE = {name for row in ENVIRONMENTS.values() if "newest" in row for name in row.get("packages", ())}
"""Packages that the development environment need not have."""
ENVIRONMENT = os.environ.get("TEST_ENVIRONMENT")
"""The environment that these tests run in, where it is not that of development (``scripts/test-integrations``)."""
OWN = ENVIRONMENTS[ENVIRONMENT].get("packages", ()) if ENVIRONMENT else PACKAGES
INSTALLED = {name: case for name, case in CASES.items() if case.package in OWN and find_spec(case.package)}


# In a process of its own ----------------------------------------------------------------------------------------------


def imported_before(case):
    """Make the model, switch otelml on, call: return what was counted."""
    from otelml.testing import recording  # noqa: PLC0415 - the model comes first

    model = case.make()
    with recording(integrations=PACKAGES) as seen:
        for _ in range(CALLS):
            case.call(model, case.given(2))
        return seen.total("ml.requests")


def imported_after(case):
    """Switch otelml on, make the model, call: return what was counted, and what otelml had imported by itself."""
    import otelml  # noqa: PLC0415 - what this is about

    otelml.auto_instrument("conformance")
    early = [name for name in PACKAGES if name in sys.modules]
    model = case.make()
    for _ in range(CALLS):
        case.call(model, case.given(2))
    return early


def in_child(name):
    """Make the model and call it, in a child."""
    case = CASES[name]
    model = case.make()
    for _ in range(CALLS):
        case.call(model, case.given(2))


def in_processes(case):
    """Call here, in a forked child and in a spawned one."""
    import otelml  # noqa: PLC0415 - what this is about

    otelml.auto_instrument("conformance")
    name = next(name for name, each in CASES.items() if each is case)
    in_child(name)
    for method in ("fork", "spawn"):
        child = multiprocessing.get_context(method).Process(target=in_child, args=(name,))
        child.start()
        child.join()
        assert child.exitcode == 0
    return [name for name in PACKAGES if name in sys.modules]


if __name__ == "__main__":
    sys.path.append(os.path.join(os.path.dirname(__file__), ".."))  # noqa: PTH118, PTH120 - nothing but os is imported
    how = {"before": imported_before, "after": imported_after, "processes": in_processes}
    sys.stdout.write(json.dumps(how[sys.argv[2]](CASES[sys.argv[1]])))
