"""Agent and gateway over OTLP, by the overlays that collector/kubernetes/ uses, as processes of this machine."""

import pytest
from one_collector import Collector, knows
from running_stack import settled
from sent import Sender

from otelml.stack import secret_files

pytestmark = [pytest.mark.stack, pytest.mark.timeout(120)]


def test_the_gateway_and_the_agent_killed(fresh_stack, tmp_path):
    """A thousand spans, points and lines through both; each is killed in the middle and comes back: all is there."""
    stack = fresh_stack("gateway")
    agent = Collector("agent", tmp_path, ["agent"], **knows(stack), STACK_GATEWAY=stack.url("otlp-http"))
    agent.up()
    try:
        sender = Sender(f"http://127.0.0.1:{agent.otlp}", "direct", secret_files.token(stack.state))
        sender.send(500)
        stack.kill("otelcol")
        sender.send(500)
        agent.kill()
        agent.up()
        stack.up()

        def counts():
            return stack.spans("direct"), stack.points("direct"), stack.lines("direct")

        assert settled(counts, (1000, 1000, 1000)) == (1000, 1000, 1000)
    finally:
        agent.down()
