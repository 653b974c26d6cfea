"""Stages, results and business value said by hand: for models that no integration knows."""

import math

import otelml

otelml.auto_instrument("pricing")

PRICES = {"sofa": 899.0, "chair": 149.0, "lamp": 39.0}


def demand(price: float, season: float) -> float:
    return 100 * math.exp(-price / 400) * season


for month, item in enumerate(PRICES, start=1):
    with otelml.prediction("demand", version="2026-11") as p:
        with p.stage("feature_retrieval"):
            price = PRICES[item]
        with p.stage("preprocessing"):
            season = 1 + 0.2 * math.sin(month)
        with p.stage("inference"):
            units = demand(price, season)
        with p.stage("postprocessing"):
            revenue = units * price
        p.result(values=units, inputs=[[price, season]], business_value=revenue, business_value_unit="EUR")
        print(f"{item}: {units:.0f} units, prediction {p.id}")


@otelml.track_prediction(model="greeter", version="1")
def greet(name: str):
    yield "hello"
    yield name


print(" ".join(greet("world")))
