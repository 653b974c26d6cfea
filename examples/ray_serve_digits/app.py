"""A classifier of small images on Ray Serve. Run: otelml run -- serve run config.yaml."""

import logging

import numpy as np
from ray import serve
from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier

import otelml

log = otelml.logger("digits")


@serve.deployment(ray_actor_options={"num_cpus": 0.1})
class Model:
    """Says which digits images show: those of requests that come together, together."""

    def __init__(self) -> None:
        images, digits = load_digits(return_X_y=True)
        self.forest = RandomForestClassifier(30, random_state=0, n_jobs=1).fit(images, digits)

    @serve.batch(max_batch_size=16, batch_wait_timeout_s=0.05)
    async def classify(self, rows: list[list[float]]) -> list[int]:
        """Classify rows of 64 pixels."""
        return self.forest.predict(np.array(rows)).tolist()


@serve.deployment(ray_actor_options={"num_cpus": 0.1})
class Digits:
    """Takes images of 8 by 8 pixels over HTTP."""

    def __init__(self, model) -> None:
        self.model = model
        logging.getLogger("digits").setLevel(logging.INFO)

    async def __call__(self, request):
        """Classify the image of a request; pixels are 0 to 16."""
        image = (await request.json())["image"]
        log.info("an image of %d by %d pixels", len(image), len(image[0]))
        return {"digit": await self.model.classify.remote(np.ravel(image).tolist())}


app = Digits.bind(Model.bind())
