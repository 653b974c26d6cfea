"""An OTLP endpoint that notes who speaks on which connection, for programs of several processes."""

import socket

import pytest
from received import Endpoint


@pytest.fixture
def endpoint():
    """Run an OTLP/HTTP endpoint with connections that stay open; give what it received."""
    with Endpoint() as made:
        yield made


@pytest.fixture
def silent():
    """Give the address of an endpoint that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture
def free_port():
    """Give a port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]
