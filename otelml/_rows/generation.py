"""Rows of ``semconv`` about generated text, by the names of OpenTelemetry's conventions for generative AI."""

from __future__ import annotations

from otelml._rows.kinds import Attribute, Metric

GEN_AI_OPERATION = "gen_ai.operation.name"
GEN_AI_PROVIDER = "gen_ai.provider.name"
GEN_AI_MODEL = "gen_ai.request.model"
GEN_AI_TOKEN_TYPE = "gen_ai.token.type"  # noqa: S105 - a name
GEN_AI_INPUT_TOKENS = "gen_ai.usage.input_tokens"
GEN_AI_OUTPUT_TOKENS = "gen_ai.usage.output_tokens"

GENERATION_ATTRIBUTES: tuple[Attribute, ...] = (
    Attribute(GEN_AI_OPERATION, "string", "`text_completion`.", limit=1),
    Attribute(GEN_AI_PROVIDER, "string", "Library that generates: `transformers`.", limit=1),
    Attribute(GEN_AI_MODEL, "string", "Name of the model that generates.", limit=50),
    Attribute(GEN_AI_TOKEN_TYPE, "string", "`input` or `output`.", limit=2),
    Attribute(GEN_AI_INPUT_TOKENS, "int", "Tokens of the prompts, padding included."),
    Attribute(GEN_AI_OUTPUT_TOKENS, "int", "Tokens that were generated, padding of shorter answers included."),
)
_SAID = (GEN_AI_OPERATION, GEN_AI_PROVIDER, GEN_AI_MODEL)
TOKEN_USAGE = Metric(
    "gen_ai.client.token.usage",
    "histogram",
    "{token}",
    "Tokens of one call.",
    (*_SAID, GEN_AI_TOKEN_TYPE),
    tuple(4**power + 0.5 for power in range(14)),
)
TIME_TO_FIRST_TOKEN = Metric(
    "gen_ai.server.time_to_first_token",
    "histogram",
    "s",
    "Time until the model has answered for the first token.",
    _SAID,
    (0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.5, 2.5, 4.5, 7.5, 10.5),
)
TIME_PER_OUTPUT_TOKEN = Metric(
    "gen_ai.server.time_per_output_token",
    "histogram",
    "s",
    "Time per token after the first one.",
    _SAID,
    (0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.5, 2.5),
)
GENERATION_METRICS: tuple[Metric, ...] = (TOKEN_USAGE, TIME_TO_FIRST_TOKEN, TIME_PER_OUTPUT_TOKEN)
