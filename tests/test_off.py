"""Before auto_instrument() everything works and does nothing."""

import asyncio

from odd_values import Hostile

import otelml
from otelml.off import NoPrediction


def test_off_does_nothing():
    """Before auto_instrument() every call works and returns what it returns later; ids are ids."""
    with otelml.prediction("m", prediction_id="x") as p, p.stage("a"), otelml.stage("b"):
        p.result(predictions=Hostile())
        p.observe(predictions=Hostile())
        assert isinstance(p, NoPrediction)
        assert (p.id, p.stage_open, otelml.current_prediction()) == ("x", False, None)
        p.item()
        p.slice(carrier=Hostile())
        with p.attached():
            pass
    otelml.event("x", a=Hostile())
    fresh = otelml.prediction()
    assert len(fresh.id) == 32
    assert fresh.id == fresh.id


def test_off_async():
    """Off works with ``async with`` as well."""

    async def main():
        async with otelml.prediction("m") as p, p.stage("a"), otelml.stage("b"):
            return p.begin().id

    assert len(asyncio.run(main())) == 32
