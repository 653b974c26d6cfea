"""ONNX models of the tests, as bytes."""

import base64

IDENTITY = base64.b64decode("CAg6NwoQCgF4EgF5IghJZGVudGl0eRIBZ1oPCgF4EgoKCAgBEgQKAggBYg8KAXkSCgoICAESBAoCCAFCBAoAEA0=")
"""A model of one Identity node: float x of shape (1,) in, y out."""
