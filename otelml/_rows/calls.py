"""Rows of ``semconv`` about calls of other services: attributes of the conventions' that otelml bounds."""

from __future__ import annotations

from otelml._rows.kinds import Attribute

SERVER_ADDRESS = "server.address"
RPC_METHOD = "rpc.method"

CALL_ATTRIBUTES: tuple[Attribute, ...] = (
    Attribute(SERVER_ADDRESS, "string", "Host that was called; on metrics of clients that otelml measures.", limit=100),
    Attribute(RPC_METHOD, "string", "Service and method of a gRPC call, `flights.Delays/Predict`.", limit=100),
)
