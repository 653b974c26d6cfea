"""transformers: a call of a pipeline or of generate is one prediction with its stages, and nothing else changes."""

import copy
import gc
import inspect
import threading
import weakref

import pytest

import otelml
from otelml.testing import recording

torch = pytest.importorskip("torch", reason="PyTorch is not installed; scripts/test-integrations transformers")
transformers = pytest.importorskip(
    "transformers", reason="transformers is not installed; scripts/test-integrations transformers"
)
from transformers import pipelines  # noqa: E402 - only where it is installed

torch.set_num_threads(1)
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "very", "good", "bad", "flight", "delay", "?"]
TEXTS = ["a good flight", "a bad delay", "good good", "very bad flight ?"]
SMALL = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 16}
CLASSIFY = "text-classification"


def tokenizer():
    """Return a tokenizer of a dozen words."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors  # noqa: PLC0415 - comes with transformers

    unknown = {"unk_token": "[UNK]"}
    made = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, **unknown))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    made.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    special = {**unknown, "pad_token": "[PAD]", "cls_token": "[CLS]", "sep_token": "[SEP]", "mask_token": "[MASK]"}
    return transformers.PreTrainedTokenizerFast(tokenizer_object=made, **special)


def classifier(task=CLASSIFY, kind=None, **more):
    """Return a pipeline that classifies, with a model of random weights, the same each time."""
    torch.manual_seed(0)
    labels = {0: "late", 1: "on time", 2: "entailment"}
    config = transformers.BertConfig(
        vocab_size=len(WORDS), max_position_embeddings=32, id2label=labels, label2id={v: k for k, v in labels.items()},
        pad_token_id=0, **SMALL,
    )  # fmt: skip
    model = (kind or transformers.BertForSequenceClassification)(config).eval()
    return transformers.pipeline(task, model=model, tokenizer=tokenizer(), device="cpu", **more)


def writer():
    """Return a model that generates, with random weights, the same each time."""
    torch.manual_seed(0)
    config = transformers.GPT2Config(
        vocab_size=len(WORDS), n_positions=64, n_embd=16, n_layer=2, n_head=2, bos_token_id=2, eos_token_id=None,
        pad_token_id=0,
    )  # fmt: skip
    model = transformers.GPT2LMHeadModel(config).eval()
    model.generation_config.pad_token_id = 0
    return model


def prompts(rows=1):
    """Return prompts of four tokens."""
    return torch.tensor([[2, 5, 7, 9]] * rows)


@pytest.fixture
def telemetry():
    """Measure transformers into memory, and PyTorch, which runs its models."""
    with recording(integrations=["torch", "transformers", "sklearn"]) as seen:
        yield seen


def root(telemetry):
    """Return the only prediction."""
    (found,) = [span for span in telemetry.spans() if span.name.startswith("predict ")]
    return found


def stages(telemetry):
    """Return the names of all stages in order."""
    spans = sorted(telemetry.spans(), key=lambda span: span.start)
    return [span.name for span in spans if not span.name.startswith("predict ")]


# Pipelines ------------------------------------------------------------------------------------------------------------


def test_one_call_is_one_prediction(telemetry):
    """A call has its three stages, and the label and score that it returned; the model in it counts not again."""
    (answer,) = classifier()(TEXTS[0])
    span = root(telemetry)
    assert span.name == "predict BertForSequenceClassification"
    assert span.attributes["ml.model.framework"] == "transformers"
    assert span.attributes["ml.prediction.class"] == answer["label"]
    assert span.attributes["ml.prediction.confidence"] == pytest.approx(answer["score"])
    assert stages(telemetry) == ["preprocessing", "inference", "postprocessing"]
    assert telemetry.total("ml.requests") == telemetry.total("ml.predictions") == 1
    assert not any(text in str(telemetry.spans()) for text in TEXTS)


@pytest.mark.parametrize("size", [1, 2])
def test_a_list(telemetry, size):
    """A list is one request with a row for each text, in batches or not."""
    answers = classifier()(TEXTS, batch_size=size)
    assert (telemetry.total("ml.requests"), telemetry.total("ml.predictions")) == (1, len(TEXTS))
    assert sum(point.count for point in telemetry.points("ml.prediction.confidence")) == len(answers)
    assert stages(telemetry).count("inference") == len(TEXTS) / size


def test_all_labels(telemetry):
    """Of all labels with their scores the best one is the class; scores that are no shares are no confidence."""
    answer = classifier()(TEXTS[0], top_k=None)
    best = max(answer, key=lambda each: each["score"])
    assert root(telemetry).attributes["ml.prediction.class"] == best["label"]
    pipe = classifier()
    pipe.model.classifier.bias.data += 50
    with recording(integrations=["transformers"]) as seen:
        pipe(TEXTS[0], function_to_apply="none")
        assert "ml.prediction.class" in root(seen).attributes
        assert "ml.prediction.confidence" not in root(seen).attributes


def test_zero_shot(telemetry):
    """A pipeline of chunks: one forward for each label, one request, the best label with its score."""
    answer = classifier("zero-shot-classification")(TEXTS[0], candidate_labels=["good", "bad"])
    assert root(telemetry).attributes["ml.prediction.class"] == answer["labels"][0]
    assert root(telemetry).attributes["ml.prediction.confidence"] == pytest.approx(answer["scores"][0])
    assert stages(telemetry).count("inference") == 2
    assert stages(telemetry)[0] == "preprocessing"
    assert telemetry.total("ml.requests") == telemetry.total("ml.predictions") == 1


def test_labels_of_parts_are_no_class(telemetry):
    """Tokens with labels say nothing of the whole text."""
    classifier("token-classification", transformers.BertForTokenClassification)(TEXTS[0])
    assert "ml.prediction.class" not in root(telemetry).attributes
    assert telemetry.total("ml.predictions") == 1


def test_an_iterator_is_not_consumed(telemetry):
    """What a generator gives is read as the application asks; the call is one request, which ends with it."""
    read = []

    def texts():
        for text in TEXTS:
            read.append(text)
            yield text

    answers = classifier()(texts())
    assert type(answers) is pipelines.pt_utils.PipelineIterator
    assert len(read) <= 1
    first = next(iter(answers))
    assert len(read) < len(TEXTS)
    assert telemetry.total("ml.requests") == 0
    assert first["label"]
    assert len(list(answers)) >= len(TEXTS) - 1


def test_a_stream_ends(telemetry):
    """One that is read to its end counts its items as rows, has its stages, and the time to the first item."""
    answers = list(classifier()(text for text in TEXTS))
    assert len(answers) == len(TEXTS)
    assert (telemetry.total("ml.requests"), telemetry.total("ml.predictions")) == (1, len(TEXTS))
    span = root(telemetry)
    (event,) = [log for log in telemetry.logs() if log.event == "ml.prediction"]
    assert event.attributes["ml.prediction.items"] == len(TEXTS)
    assert {each.parent_id for each in telemetry.spans() if each is not span and each.name == "inference"} == {
        span.span_id
    }
    assert stages(telemetry).count("inference") == len(TEXTS)


def test_a_stream_that_is_left(telemetry):
    """One that the application drops ends there, with what was given; one that fails, fails."""
    answers = classifier()(text for text in TEXTS)
    next(iter(answers))
    del answers
    gc.collect()
    assert (telemetry.total("ml.requests"), telemetry.total("ml.predictions")) == (1, 1)

    def broken():
        yield TEXTS[0]
        yield TEXTS[1]
        raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        list(classifier()(broken()))
    errors = [point.attributes.get("error.type") for point in telemetry.points("ml.requests")]
    assert sorted(map(str, errors)) == ["LookupError", "None"]


def test_within_a_prediction_of_the_application(telemetry):
    """Its stages and its result go there; within a stage of the application's there are none."""
    with otelml.prediction("own"):
        classifier()(TEXTS[0])
    assert stages(telemetry) == ["preprocessing", "inference", "postprocessing"]
    assert "ml.prediction.class" in root(telemetry).attributes
    with recording(integrations=["torch", "transformers"]) as seen:
        with otelml.prediction("own") as p, p.stage("inference"):
            classifier()(TEXTS[0])
        assert stages(seen) == ["inference"]
        assert seen.total("ml.requests") == 1


def test_names(telemetry):
    """A pipeline is named as it or its model is watched, else as the hub or the folder calls the model."""
    pipe = classifier()
    pipe.model.name_or_path = "acme/late-flights"
    pipe(TEXTS[0])
    pipe.model.name_or_path = "/srv/jane/models/late"
    pipe(TEXTS[0])
    otelml.watch(pipe.model, "watched", "2")
    pipe(TEXTS[0])
    names = {point.attributes["ml.model.name"] for point in telemetry.points("ml.requests")}
    assert names == {"acme/late-flights", "late", "watched"}


def test_threads(telemetry):
    """Threads on one pipeline: every call counts, with its own stages."""
    pipe = classifier()
    threads = [threading.Thread(target=lambda: [pipe(text) for text in TEXTS]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert telemetry.total("ml.requests") == 16
    assert len(stages(telemetry)) == 48


# Generation -----------------------------------------------------------------------------------------------------------


def points(telemetry, name):
    """Return {token type: sum} of a histogram."""
    return {point.attributes.get("gen_ai.token.type"): point.sum for point in telemetry.points(name)}


def test_generate(telemetry):
    """Tokens are those of the shapes, answers are rows; times are told for the first token and for those after it."""
    answers = writer().generate(prompts(2), max_new_tokens=5, do_sample=False)
    assert answers.shape == (2, 9)
    span = root(telemetry)
    assert span.attributes["ml.operation"] == "generate"
    assert span.attributes["gen_ai.usage.input_tokens"] == 8
    assert span.attributes["gen_ai.usage.output_tokens"] == 10
    assert span.attributes["gen_ai.operation.name"] == "text_completion"
    assert span.attributes["gen_ai.request.model"] == "GPT2LMHeadModel"
    assert points(telemetry, "gen_ai.client.token.usage") == {"input": 8, "output": 10}
    (first,) = telemetry.points("gen_ai.server.time_to_first_token")
    (later,) = telemetry.points("gen_ai.server.time_per_output_token")
    whole = (span.end - span.start) * 1e-9
    assert 0 < first.sum < first.sum + 4 * later.sum <= whole
    assert (telemetry.total("ml.requests"), telemetry.total("ml.predictions")) == (1, 2)


@pytest.mark.parametrize(
    ("how", "rows"),
    [
        ({"num_beams": 2}, 1),
        ({"num_beams": 2, "num_return_sequences": 2}, 2),
        ({"return_dict_in_generate": True, "output_scores": True}, 1),
        ({"use_cache": False}, 1),
    ],
)
def test_ways_to_generate(telemetry, how, rows):
    """Beams, several answers, results with names: one request, with the tokens of what came back."""
    writer().generate(input_ids=prompts(), max_new_tokens=3, do_sample=False, **how)
    assert root(telemetry).attributes["gen_ai.usage.output_tokens"] == 3 * rows
    assert (telemetry.total("ml.requests"), telemetry.total("ml.predictions")) == (1, rows)


def test_an_assistant_does_not_count(telemetry):
    """A model that drafts for another one is part of its call."""
    kept = writer().generate(prompts(), max_new_tokens=6, do_sample=False, assistant_model=writer())
    assert root(telemetry).attributes["gen_ai.usage.output_tokens"] == kept.shape[1] - 4
    assert telemetry.total("ml.requests") == 1


def test_a_streamer_streams(telemetry):
    """The application's streamer gets every token, and is the only one who waits for them."""
    got = []

    class Streamer(transformers.generation.streamers.BaseStreamer):
        def put(self, value):
            got.append(value)

        def end(self):
            got.append(None)

    writer().generate(prompts(), max_new_tokens=3, do_sample=False, streamer=Streamer())
    assert len(got) == 5
    assert telemetry.total("ml.requests") == 1


def test_a_pipeline_that_generates(telemetry):
    """Its call is the request; tokens and times of what it generates are told there."""
    pipe = transformers.pipeline("text-generation", model=writer(), tokenizer=tokenizer(), device="cpu")
    pipe(TEXTS[:2], max_new_tokens=4, do_sample=False)
    span = root(telemetry)
    assert span.attributes["ml.operation"] == "__call__"
    assert span.attributes["gen_ai.usage.output_tokens"] == 8
    assert [point.count for point in telemetry.points("gen_ai.server.time_to_first_token")] == [2]
    assert (telemetry.total("ml.requests"), telemetry.total("ml.predictions")) == (1, 2)
    assert "ml.prediction.class" not in span.attributes


def test_errors_pass(telemetry):
    """What transformers raises reaches the application, and counts."""
    with pytest.raises(ValueError, match="max_new_tokens"):
        writer().generate(prompts(), max_new_tokens=-1)
    with pytest.raises(Exception) as raised:  # noqa: PT011 - whatever it is
        classifier()(3)
    kinds = {point.attributes["error.type"] for point in telemetry.points("ml.requests")}
    assert kinds == {"ValueError", type(raised.value).__name__}


# What does not change -------------------------------------------------------------------------------------------------


def owners():
    """Return what is replaced."""
    base, kind = pipelines.base.Pipeline, pipelines.TextClassificationPipeline
    return [
        (base, "__call__"), (base, "forward"), (kind, "preprocess"), (kind, "postprocess"),
        (pipelines.pt_utils.PipelineIterator, "__next__"),
        (transformers.GenerationMixin, "generate"),
    ]  # fmt: skip


def test_everything_comes_back():
    """Answers, signatures and copies are those without otelml; afterwards the very functions are back."""
    pipe, model = classifier(), writer()
    bare, text = pipe(TEXTS), model.generate(prompts(), max_new_tokens=4, do_sample=False)
    before = [vars(owner)[name] for owner, name in owners()]
    signatures = [str(inspect.signature(each)) for each in before]
    with recording(integrations=["transformers"]):
        assert pipe(TEXTS) == bare
        assert torch.equal(model.generate(prompts(), max_new_tokens=4, do_sample=False), text)
        now = [vars(owner)[name] for owner, name in owners()]
        assert all(a is not b for a, b in zip(now, before, strict=True))
        assert [str(inspect.signature(each)) for each in now] == signatures
        assert copy.deepcopy(pipe)(TEXTS) == bare
    assert [vars(owner)[name] for owner, name in owners()] == before


def test_nothing_is_kept_alive(telemetry):
    """Pipelines, prompts and answers end when the application lets go of them."""
    pipe, model, given = classifier(), writer(), prompts()
    pipe(TEXTS)
    stream = pipe(text for text in TEXTS)
    list(stream)
    answer = model.generate(given, max_new_tokens=2, do_sample=False)
    kept = [weakref.ref(each) for each in (pipe, model, given, answer, stream)]
    del pipe, model, given, answer, stream
    gc.collect()
    assert [each() for each in kept] == [None] * 5
