"""A receiver with both protocols for the tests of this folder."""

import pytest

from otelml.viewer.receiver import Receiver


@pytest.fixture
def receiver():
    """Run a receiver with both protocols on free ports."""
    with Receiver(grpc_port=0) as running:
        yield running
