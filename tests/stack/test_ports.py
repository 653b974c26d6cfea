"""Ports: chosen as asked, all faults at once, taken ones named."""

import socket

import pytest

from otelml.stack import ports
from otelml.stack.errors import StackError


def test_all_move_by_the_offset_and_one_can_be_chosen():
    """`--port-offset` moves every port, `--port` sets one."""
    chosen = ports.choose(1000, ["prometheus=9999"])
    assert chosen == {name: number + 1000 for name, number in ports.DEFAULT.items()} | {"prometheus": 9999}


def test_every_fault_is_named():
    """An unknown name, no number, a number out of range and one used twice: four faults in one message."""
    with pytest.raises(StackError) as error:
        ports.choose(0, ["grafana=3000", "loki=many", "jaeger=70000", "prometheus=9093"])
    assert [fault.split(":")[0] for fault in error.value.faults] == [
        "--port grafana=3000",
        "--port loki=many",
        "jaeger",
        "port 9093 is given to prometheus and alertmanager",
    ]


def test_a_taken_port_is_named_with_its_owner_and_the_fix():
    """The message names the port, what it is for, who has it and how to choose another."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        number = server.getsockname()[1]
        with pytest.raises(StackError) as error:
            ports.check_free({"loki": number})
    assert f"port {number} (loki) is taken by python" in str(error.value)
    assert f"--port loki={number + 1}" in str(error.value)
    ports.check_free({"loki": number})
