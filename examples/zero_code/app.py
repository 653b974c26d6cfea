"""No line of otelml: start it with `otelml run -- python app.py`."""

import logging

from sklearn.datasets import load_diabetes
from sklearn.linear_model import Ridge

logging.basicConfig(level=logging.INFO)
X, y = load_diabetes(return_X_y=True)
model = Ridge().fit(X, y)
for row in X[:5]:
    value = model.predict([row])[0]
    logging.getLogger("diabetes").info("progression %.1f", value)
