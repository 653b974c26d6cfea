"""The public API as people type it. Checked by ``mypy --strict``, never run."""

from collections.abc import AsyncIterator, Iterator
from typing import Any, assert_type

import numpy as np
from numpy.typing import NDArray

import otelml
from otelml.testing import LogSeen, PointSeen, SpanSeen, Telemetry, recording


def start() -> None:
    """Start, flush and stop."""
    active = otelml.auto_instrument("service", model_name="delay", disabled=["requests"], config={"capture": "stats"})
    assert_type(active, otelml.Runtime)
    assert_type(active.force_flush(), bool)
    assert_type(active.shutdown(timeout=1.0), bool)


def predict(features: NDArray[np.float64]) -> str:
    """Make one prediction."""
    with otelml.prediction("delay", "3", request_id="r") as p:
        assert_type(p, otelml.Prediction | otelml.NoPrediction)
        with p.stage("inference"), otelml.stage("inner"):
            pass
        p.result(predictions=features, classes=["a"], confidence=0.5, values=1.5, inputs=features)
        p.result(business_value=9.5, business_value_unit="EUR")
        p.slice(carrier="AA", gate=7)
        return p.id


def watch() -> float | None:
    """Read a window, and be told."""
    remove = otelml.on_alert(lambda alert: (alert.sentence(), alert.window.p95))
    remove()
    found = otelml.window("delay", "3")
    assert_type(found, otelml.Window)
    return found.p95


async def predict_async() -> str | None:
    """Make one prediction in a coroutine."""
    async with otelml.prediction() as p, p.stage("inference"):
        current = otelml.current_prediction()
        assert_type(current, otelml.Prediction | None)
        return p.request_id


@otelml.track_prediction
def plain(x: int) -> float:
    """Keep the signature."""
    return x / 2


@otelml.track_prediction(model="m", version="1", variant="canary")
async def coroutine(x: int) -> str:
    """Keep the signature."""
    return str(x)


@otelml.track_prediction()
def stream(n: int) -> Iterator[int]:
    """Keep the signature."""
    yield n


@otelml.track_prediction(model="m")
async def astream(n: int) -> AsyncIterator[int]:
    """Keep the signature."""
    yield n


async def use() -> None:
    """See that decorated functions have the types they had."""
    assert_type(plain(1), float)
    assert_type(await coroutine(1), str)
    assert_type(stream(1), Iterator[int])
    assert_type(astream(1), AsyncIterator[int])
    otelml.event("cache.miss", severity="warning", body="no entry", key="k", size=3)
    assert_type(otelml.__version__, str)


def errors() -> list[str]:
    """Catch what otelml raises."""
    try:
        otelml.auto_instrument(capture="everything")
    except otelml.ConfigError as error:
        return error.faults
    except otelml.MissingExtraError as error:
        return [error.extra]
    except otelml.OtelmlError:
        pass
    return []


def testing() -> None:
    """Look at what was exported."""
    with recording(deterministic=True, capture="payload") as seen:
        assert_type(seen, Telemetry)
        assert_type(seen.spans(), list[SpanSeen])
        assert_type(seen.logs(), list[LogSeen])
        assert_type(seen.metrics(), list[PointSeen])
        assert_type(seen.total("ml.requests", {"ml.model.name": "m"}), float)
        assert_type(seen.spans()[0].attributes, dict[str, Any])


def load(model: list[float]) -> list[float]:
    """Watch a model, which keeps its type, and let it go."""
    assert_type(otelml.watch(model, "rules", version="1", device="cpu", artifact="rules.json"), list[float])
    otelml.unwatch(model)
    return model
