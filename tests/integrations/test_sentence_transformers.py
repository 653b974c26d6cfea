"""sentence-transformers: encode and predict are predictions with a row a text, and nothing else changes."""

import copy
import inspect
import warnings

import numpy as np
import pytest

import otelml
from otelml.testing import recording

torch = pytest.importorskip("torch", reason="PyTorch is not installed; scripts/test-integrations torch")
st = pytest.importorskip(
    "sentence_transformers", reason="sentence-transformers is not installed; scripts/test-integrations torch"
)
transformers = pytest.importorskip("transformers", reason="comes with sentence-transformers")

torch.set_num_threads(1)
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "good", "bad", "flight", "delay"]
TEXTS = ["good flight", "bad delay", "good good"]
PAIRS = [("good", "flight"), ("bad", "delay"), ("good", "delay")]


def words():
    """Return a tokenizer of a few words."""
    from tokenizers import Tokenizer, models, pre_tokenizers  # noqa: PLC0415 - comes with transformers

    unknown = {"unk_token": "[UNK]"}
    made = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, **unknown))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    return made


@pytest.fixture(scope="module")
def encoder():
    """Return a bi-encoder of random weights."""
    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from sentence_transformers.models import StaticEmbedding  # noqa: PLC0415 - moved in later versions
    return st.SentenceTransformer(modules=[StaticEmbedding(words(), embedding_dim=8)], device="cpu").eval()


def cross(folder, labels):
    """Return a cross-encoder of random weights, loaded from a folder."""
    torch.manual_seed(0)
    small = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1, "intermediate_size": 8}
    config = transformers.BertConfig(vocab_size=len(WORDS), max_position_embeddings=16, num_labels=labels, **small)
    transformers.BertForSequenceClassification(config).save_pretrained(folder)
    special = {"unk_token": "[UNK]", "pad_token": "[PAD]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    transformers.PreTrainedTokenizerFast(tokenizer_object=words(), **special).save_pretrained(folder)
    return st.CrossEncoder(str(folder), device="cpu")


@pytest.fixture
def telemetry():
    """Measure the library into memory, and those that run its models."""
    with recording(integrations=["sentence_transformers", "torch", "transformers"]) as seen:
        yield seen


def root(telemetry):
    """Return the only prediction."""
    (found,) = [span for span in telemetry.spans() if span.name.startswith("predict ")]
    return found


def test_encode(telemetry, encoder):
    """A list of texts is one request, with a row for each; an embedding is no value."""
    answer = encoder.encode(TEXTS, batch_size=2)
    span = root(telemetry)
    assert span.name == "predict SentenceTransformer"
    assert span.attributes["ml.operation"] == "encode"
    assert span.attributes["ml.model.framework"] == "sentence-transformers"
    assert span.attributes["ml.output.shape"] == answer.shape == (3, 8)
    assert [each.name for each in telemetry.spans() if each.parent_id == span.span_id] == ["inference"]
    assert (telemetry.total("ml.requests"), telemetry.total("ml.predictions")) == (1, 3)
    assert telemetry.points("ml.prediction.value") == telemetry.points("ml.prediction.confidence") == []
    assert not any(text in str(telemetry.spans()) for text in TEXTS)


@pytest.mark.parametrize(
    ("texts", "how", "rows"),
    [
        (TEXTS[0], {}, 1),
        (TEXTS[0], {"convert_to_tensor": True}, 1),
        (TEXTS, {"convert_to_tensor": True}, 3),
        (TEXTS, {"convert_to_numpy": False}, 3),
        (TEXTS, {"precision": "int8"}, 3),
        (tuple(TEXTS), {"normalize_embeddings": True}, 3),
        ([], {}, 0),
    ],
)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_ways_to_encode(telemetry, encoder, texts, how, rows):
    """Single texts, tensors, lists, other types: a row for each text."""
    encoder.encode(texts, **how)
    assert (telemetry.total("ml.requests"), telemetry.total("ml.predictions")) == (1, rows)
    assert "ml.prediction.value" not in root(telemetry).attributes


def test_what_calls_encode_in_turn(telemetry, encoder):
    """Queries count once; what an evaluator encodes serves nobody."""
    if hasattr(encoder, "encode_query"):
        encoder.encode_query(TEXTS)
        assert telemetry.total("ml.requests") == 1
    before = telemetry.total("ml.requests")
    from sentence_transformers import evaluation  # noqa: PLC0415 - not needed before

    evaluation.EmbeddingSimilarityEvaluator(TEXTS, TEXTS[::-1], [0.1, 0.5, 0.9], write_csv=False)(encoder)
    assert telemetry.total("ml.requests") == before


def test_scores_of_pairs(tmp_path):
    """A score a pair is its value, under the name of the model's folder."""
    model = cross(tmp_path / "ranker", 1)
    with recording(integrations=["sentence_transformers", "torch"]) as seen:
        scores = model.predict(PAIRS)
        assert root(seen).name == "predict ranker"
        assert seen.total("ml.predictions") == len(PAIRS)
        (point,) = seen.points("ml.prediction.value")
        assert (point.count, point.sum) == (3, pytest.approx(float(scores.sum()), rel=1e-6))
    with recording(integrations=["sentence_transformers", "torch"]) as seen:
        one = model.predict(PAIRS[0])
        assert root(seen).attributes["ml.prediction.value"] == pytest.approx(float(one))


def test_rank_counts_once(telemetry, tmp_path):
    """To rank documents is one request, with a row for each."""
    cross(tmp_path / "ranker", 1).rank("good", TEXTS)
    assert root(telemetry).attributes["ml.operation"] == "predict"
    assert (telemetry.total("ml.requests"), telemetry.total("ml.predictions")) == (1, 3)


def test_classes_of_pairs(telemetry, tmp_path):
    """Shares tell class and confidence; scores of several classes that are no shares tell nothing."""
    model = cross(tmp_path / "entailment", 3)
    model.predict(PAIRS)
    assert telemetry.points("ml.prediction.confidence") == []
    shares = model.predict(PAIRS, apply_softmax=True)
    points = telemetry.points("ml.prediction.confidence")
    assert sum(point.sum for point in points) == pytest.approx(float(shares.max(axis=1).sum()), rel=1e-6)
    assert telemetry.total("ml.predictions") == 6


def test_names_and_errors(telemetry, encoder):
    """A watched model has its name; what the library raises reaches the application, and counts."""
    watched = otelml.watch(copy.deepcopy(encoder), "search", "3")
    with pytest.raises(Exception) as raised:  # noqa: PT011 - whatever it is
        watched.encode([object()])
    (point,) = telemetry.points("ml.requests")
    assert point.attributes["ml.model.name"] == "search"
    assert point.attributes["error.type"] == type(raised.value).__name__


def test_nothing_changes(encoder, tmp_path):
    """Answers and signatures are those without otelml; afterwards the very functions are back."""
    model = cross(tmp_path / "ranker", 1)
    owners = (st.SentenceTransformer, "encode"), (st.CrossEncoder, "predict")
    before = [vars(owner)[name] for owner, name in owners]
    bare = encoder.encode(TEXTS), model.predict(PAIRS)
    with recording(integrations=["sentence_transformers"]):
        now = [vars(owner)[name] for owner, name in owners]
        assert all(a is not b for a, b in zip(now, before, strict=True))
        assert [str(inspect.signature(each)) for each in now] == [str(inspect.signature(each)) for each in before]
        for mine, others in zip((encoder.encode(TEXTS), model.predict(PAIRS)), bare, strict=True):
            assert mine.dtype == others.dtype
            np.testing.assert_array_equal(mine, others)
        np.testing.assert_array_equal(copy.deepcopy(encoder).encode(TEXTS), bare[0])
    assert [vars(owner)[name] for owner, name in owners] == before
