"""The sentence at the top of a model's page: how things are, and what stands out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from otelml.viewer.api.parameters import Window


def answer(found: dict[str, Any], span: Window) -> str:
    """Return one sentence about the panels of a model, the most important thing first."""
    traffic, latency = found["traffic"], found["latency"]
    if not traffic or not traffic["requests"]:
        return f"No predictions in {_length(span)}."
    requests, errors = traffic["requests"], traffic["errors"]
    parts = [f"{requests:,} requests in {_length(span)}, {_failed(errors, requests)}"]
    if latency and latency["overall"]["p95_s"] is not None:
        parts.append(f"p95 {seconds(latency['overall']['p95_s'])}")
    drifted = [row["feature"] for row in found["drift"] or () if row["detected"]]
    if drifted:
        more = f" and {len(drifted) - 3} more" if len(drifted) > 3 else ""  # noqa: PLR2004 - as many as are named
        noun = "feature has" if len(drifted) == 1 else "features have"
        parts.append(f"{len(drifted)} {noun} drifted ({', '.join(drifted[:3])}{more})")
    parts += _accuracy(found["quality"])
    return "; ".join(parts) + "."


def _accuracy(quality: dict[str, Any] | None) -> list[str]:
    for side, word in (("measured", ""), ("estimated", "estimated ")):
        key = "accuracy" if side == "measured" else "estimated_accuracy"
        values = [value for value in (quality or {}).get(side, {}).get(key, ()) if value is not None]
        if values:
            return [f"{word}accuracy {values[-1]:.1%}"]
    return []


def _failed(errors: float, requests: float) -> str:
    return "none failed" if not errors else f"{errors / requests:.2%} failed"


def _length(span: Window) -> str:
    length = span.seconds
    for size, name in ((86_400, "d"), (3600, "h"), (60, "min"), (1, "s")):
        if length >= 1.5 * size or size == 1:
            return f"the last {length / size:.0f} {name}"
    return "the range"


def seconds(value: float) -> str:
    """Return a duration as text with three digits: ``4.21 ms``."""
    if value >= 1:
        return f"{value:.3g} s"
    return f"{value * 1e3:.3g} ms" if value >= 1e-3 else f"{value * 1e6:.3g} µs"  # noqa: PLR2004 - a millisecond
