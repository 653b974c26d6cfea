"""Tokens of generated text, and the time that they took: counted by shapes, told by the names of the conventions."""

from __future__ import annotations

from importlib.metadata import version
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from otelml import _labels, runtime, semconv

if TYPE_CHECKING:
    from collections.abc import Mapping

    from otelml.integrations._runs import Run

NANO = 1e-9
OPERATION, PROVIDER = "text_completion", "transformers"
_ROWS = (semconv.TOKEN_USAGE, semconv.TIME_TO_FIRST_TOKEN, semconv.TIME_PER_OUTPUT_TOKEN)
_instruments: WeakKeyDictionary[Any, tuple[Any, ...]] = WeakKeyDictionary()


class Generation:
    """One call of ``generate``: when it began, when the model answered for the first token and the last, its tokens."""

    __slots__ = ("answered", "asked", "began", "first", "last", "steps")

    def __init__(self) -> None:
        self.began = perf_counter_ns()
        self.first = self.last = self.steps = self.asked = self.answered = 0

    def step(self) -> None:
        """Take note that the model has answered for one more token."""
        self.last = perf_counter_ns()
        self.first = self.first or self.last
        self.steps += 1


def count(made: Generation, model: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any], result: Any) -> int:
    """Count the tokens of one ``generate``; return the number of answers."""
    answers = _shape(getattr(result, "sequences", result))
    given = args[0] if args else kwargs.get("inputs", kwargs.get("input_ids"))
    embedded = kwargs.get("inputs_embeds")
    prompts = _shape(given if given is not None else embedded)
    if not answers:
        return 1
    rows, length = answers[0], answers[-1]
    asked = prompts[0] * prompts[1] if len(prompts) > 1 else 0
    apart = getattr(getattr(model, "config", None), "is_encoder_decoder", False)
    if apart:
        length -= 1  # the token that every answer starts with
    elif given is not None and len(prompts) > 1:
        length -= prompts[1]
    made.asked, made.answered = asked, rows * max(length, 0)
    return rows


def _shape(tensor: Any) -> tuple[int, ...]:
    return tuple(int(size) for size in getattr(tensor, "shape", ()))


def tell(run: Run) -> None:
    """Say on the span and in metrics what was generated, where anything was."""
    active, prediction, every = runtime.active, run.call.prediction, run.generations
    if active is None or not every:
        return
    asked, answered = sum(each.asked for each in every), sum(each.answered for each in every)
    name = _labels.bounded(semconv.GEN_AI_MODEL, prediction.series.model)
    said = {
        semconv.GEN_AI_OPERATION: OPERATION,
        semconv.GEN_AI_PROVIDER: PROVIDER,
        semconv.GEN_AI_MODEL: name,
    }
    prediction.set_attributes(
        {
            **said,
            semconv.GEN_AI_INPUT_TOKENS: asked,
            semconv.GEN_AI_OUTPUT_TOKENS: answered,
        }
    )
    usage, first, later = _made(active.meter_provider)
    usage.record(asked, {**said, semconv.GEN_AI_TOKEN_TYPE: "input"})
    usage.record(answered, {**said, semconv.GEN_AI_TOKEN_TYPE: "output"})
    for made in every:
        if made.steps:
            first.record((made.first - made.began) * NANO, said)
        if made.steps > 1:
            later.record((made.last - made.first) * NANO / (made.steps - 1), said)


def _made(provider: Any) -> tuple[Any, ...]:
    """Return the instruments of a meter provider."""
    known = _instruments.get(provider)
    if known is None:
        meter = provider.get_meter(semconv.SCOPE, version("otelml"), semconv.SCHEMA_URL)
        known = _instruments[provider] = tuple(
            meter.create_histogram(row.name, row.unit, row.help, explicit_bucket_boundaries_advisory=row.buckets)
            for row in _ROWS
        )
    return known
