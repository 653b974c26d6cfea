"""Applications of Ray Serve: a plain deployment that asks another one, with batches and streams; a FastAPI ingress."""

import os

import numpy as np
from fastapi import FastAPI
from ray import serve
from sklearn.linear_model import LogisticRegression

import otelml

RNG = np.random.default_rng(5)
X = RNG.normal(size=(80, 3))
SMALL = {"ray_actor_options": {"num_cpus": 0.1}, "max_ongoing_requests": 64}
api = FastAPI()


def start():
    """Start otelml in a replica, where nothing else has: Serve hands over a class without its module."""
    if os.environ["START"] == "constructor":
        otelml.auto_instrument()


@serve.deployment(**SMALL)
class Churn:
    """Answers how likely a row is of class 1: alone, or with the rows of other requests."""

    def __init__(self):
        start()
        self.model = LogisticRegression().fit(X, (X[:, 0] > 0).astype(int))

    def score(self, row):
        """Score one row."""
        return float(self.model.predict_proba([row])[0, 1])

    def stream(self, row):
        """Score it twice."""
        for _ in range(2):
            yield self.score(row)

    @serve.batch(max_batch_size=8, batch_wait_timeout_s=0.5)
    async def together(self, rows):
        """Score the rows of several requests."""
        return self.model.predict_proba(np.array(rows))[:, 1].tolist()


@serve.deployment(**SMALL)
class Front:
    """Hands rows on."""

    def __init__(self, churn):
        start()
        self.churn = churn

    async def __call__(self, request):
        """Answer what the other deployment says, or fail."""
        if request.url.path.endswith("/health"):
            return "ok"
        row = (await request.json())["row"]
        if len(row) == 0:
            raise LookupError("no account of 'John Smith'")
        how = request.query_params.get("how", "score")
        if how == "stream":
            return [each async for each in self.churn.options(stream=True).stream.remote(row)]
        return await getattr(self.churn, how).remote(row)


@serve.deployment(**SMALL)
@serve.ingress(api)
class Web:
    """The same behind FastAPI."""

    def __init__(self, churn):
        start()
        self.churn = churn

    @api.get("/health")
    async def health(self) -> str:
        """Answer."""
        return "ok"

    @api.post("/score/{account}")
    async def score(self, account: str, row: list[float]) -> float:
        """Answer what the other deployment says."""
        del account
        return await self.churn.score.remote(row)


plain = Front.bind(Churn.bind())
web = Web.bind(Churn.bind())
