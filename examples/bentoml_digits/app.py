"""A classifier of small images as a BentoML service. Run: bentoml serve app:Digits."""

import logging

import bentoml
import numpy as np
from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier

import otelml
from otelml import health

otelml.auto_instrument("digits", model_name="digits", model_version="1")
logging.getLogger("digits").setLevel(logging.INFO)  # BentoML configures the rest
log = otelml.logger("digits")


@bentoml.service(workers=1, threads=4)
@bentoml.asgi_app(health.asgi_app(), path="/health")
class Digits:
    """Says which digit an image of 8 by 8 pixels shows."""

    def __init__(self) -> None:
        images, digits = load_digits(return_X_y=True)
        self.model = RandomForestClassifier(30, random_state=0, n_jobs=1).fit(images, digits)
        health.model("digits", self.model.predict_proba, images[:1])

    @bentoml.api
    def classify(self, image: list[list[float]]) -> dict[str, float]:
        """Classify one image; pixels are 0 to 16."""
        chances = self.model.predict_proba([np.ravel(image)])[0]
        log.info("an image of %d by %d pixels", len(image), len(image[0]))
        return {"digit": int(chances.argmax()), "confidence": float(chances.max())}

    @bentoml.api(batchable=True, max_batch_size=64, max_latency_ms=10_000)
    def classify_many(self, images: list[list[float]]) -> list[int]:
        """Classify rows of 64 pixels; requests that come together are predicted together."""
        return self.model.predict(np.array(images)).tolist()
