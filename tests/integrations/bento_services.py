"""A BentoML service: its methods score a row each, a batch, and a stream."""

import bentoml
import numpy as np
from sklearn.linear_model import LogisticRegression

RNG = np.random.default_rng(5)
X = RNG.normal(size=(80, 3))


@bentoml.service(workers=2, threads=4)
class Churn:
    """Answers how likely each row is of class 1."""

    def __init__(self):
        self.model = LogisticRegression().fit(X, (X[:, 0] > 0).astype(int))

    @bentoml.api
    def score(self, row: list[float]) -> float:
        """Score one row."""
        return float(self.model.predict_proba([row])[0, 1])

    @bentoml.api(batchable=True, max_batch_size=16, max_latency_ms=20_000)
    def together(self, rows: list[list[float]]) -> list[float]:
        """Score the rows of several requests."""
        return self.model.predict_proba(np.array(rows))[:, 1].tolist()

    @bentoml.api
    def broken(self) -> float:
        """Fail."""
        raise LookupError("no account of 'John Smith'")


@bentoml.service
class Front:
    """Asks the other service, which is processes of its own."""

    churn = bentoml.depends(Churn)

    @bentoml.api
    async def ask(self, row: list[float]) -> float:
        """Hand a row on."""
        return await self.churn.to_async.score(row=row)
