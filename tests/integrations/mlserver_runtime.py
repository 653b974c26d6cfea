"""A model of MLServer's own kind: a classifier that says how sure it is, or fails."""

import numpy as np
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceResponse
from sklearn.linear_model import LogisticRegression

RNG = np.random.default_rng(5)
X = RNG.normal(size=(80, 3))


class Churn(MLModel):
    """Answers how likely each row is of class 1."""

    async def load(self):
        """Make the model."""
        self.model = LogisticRegression().fit(X, (X[:, 0] > 0).astype(int))
        return True

    async def predict(self, payload):
        """Score the rows of a request, or of several."""
        rows = self.decode(payload.inputs[0], default_codec=NumpyCodec)
        if rows[0, 0] < 0:
            raise LookupError("no account of 'John Smith'")
        scores = self.model.predict_proba(rows)[:, 1:]
        return InferenceResponse(model_name=self.name, outputs=[NumpyCodec.encode_output("score", scores)])
