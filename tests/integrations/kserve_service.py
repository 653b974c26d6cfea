"""A KServe model server: one model of scikit-learn."""

import numpy as np
from kserve import Model, ModelServer
from sklearn.linear_model import LogisticRegression

RNG = np.random.default_rng(5)
X = RNG.normal(size=(80, 3))


class Churn(Model):
    """Answers how likely each row is of class 1."""

    def load(self):
        """Make the model."""
        self.model = LogisticRegression().fit(X, (X[:, 0] > 0).astype(int))
        self.ready = True
        return True

    def predict(self, payload, headers=None, response_headers=None):  # noqa: ARG002 - KServe's signature
        """Score rows."""
        return {"predictions": self.model.predict_proba(payload["instances"])[:, 1].tolist()}


if __name__ == "__main__":
    model = Churn("churn")
    model.load()
    ModelServer().start([model])
