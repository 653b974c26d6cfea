"""A LitServe server: one row a request, a batch of them, streams and tasks, each a worker. litserve_service.py PORT."""

import asyncio
import sys

import litserve
import numpy as np
from sklearn.linear_model import LogisticRegression

RNG = np.random.default_rng(5)
X = RNG.normal(size=(80, 3))


class Alone(litserve.LitAPI):
    """Scores one row."""

    def setup(self, device):  # noqa: ARG002 - LitServe's signature
        """Make the model."""
        self.model = LogisticRegression().fit(X, (X[:, 0] > 0).astype(int))

    def decode_request(self, request):
        """Return the row."""
        return request["row"]

    def predict(self, x):
        """Score it."""
        return self.model.predict_proba([x])[0, 1]

    def encode_response(self, output):
        """Answer a number."""
        return {"score": float(output)}


class Batched(Alone):
    """Scores the rows of several requests."""

    def predict(self, x):
        """Score them."""
        return self.model.predict_proba(np.array(x))[:, 1]


class Streamed(Alone):
    """Scores one row, as a stream of one item."""

    def predict(self, x):
        """Score it while the stream is read."""
        yield super().predict(x)

    def encode_response(self, output):
        """Answer each number."""
        yield from map(super().encode_response, output)


class StreamedBatches(Batched):
    """Scores the rows of several requests, as streams."""

    def predict(self, x):
        """Score them while the streams are read."""
        yield super().predict(x)

    def unbatch(self, output):
        """Leave them together, as LitServe wants them."""
        yield from output

    def encode_response(self, output):
        """Answer a number to each request."""
        for scores in output:
            yield list(map(super().encode_response, scores))


class Tasks(Alone):
    """Scores one row in a task of its own, among others."""

    async def predict(self, x):
        """Score it after others had their turn."""
        await asyncio.sleep(0.01)
        return super().predict(x)


class StreamedTasks(Alone):
    """Scores one row as a stream, in a task of its own."""

    async def predict(self, x):
        """Score it after others had their turn."""
        await asyncio.sleep(0.01)
        yield super().predict(x)

    async def encode_response(self, output):
        """Answer each number."""
        async for score in output:
            yield super().encode_response(score)


if __name__ == "__main__":
    apis = [
        Alone(api_path="/alone"),
        Batched(api_path="/batched", max_batch_size=8, batch_timeout=0.2),
        StreamedBatches(api_path="/streamed_batches", max_batch_size=8, batch_timeout=0.2, stream=True),
        Streamed(api_path="/streamed", stream=True),
        Tasks(api_path="/tasks", enable_async=True),
        StreamedTasks(api_path="/streamed_tasks", stream=True, enable_async=True),
    ]
    server = litserve.LitServer(apis, accelerator="cpu", workers_per_device=1)
    server.run(port=int(sys.argv[1]), host="127.0.0.1", num_api_servers=1, generate_client_file=False)
