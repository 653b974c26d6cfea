"""A LitServe server: one row a request, a batch of them, and tasks; two workers. Run: litserve_service.py PORT."""

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


if __name__ == "__main__":
    apis = [
        Alone(api_path="/alone"),
        Batched(api_path="/batched", max_batch_size=8, batch_timeout=0.2),
    ]
    server = litserve.LitServer(apis, accelerator="cpu", workers_per_device=1)
    server.run(port=int(sys.argv[1]), host="127.0.0.1", num_api_servers=1, generate_client_file=False)
