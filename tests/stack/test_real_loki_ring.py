"""Three Lokis in a ring, each line on three of them: one is killed while lines are written, and nothing is missing."""

from collections import Counter

import psutil
import pytest
import requests
from kafka_broker import free_ports
from running_stack import eventually, settled
from sent import Sender

from otelml.stack import build, places, processes, web

pytestmark = [pytest.mark.stack, pytest.mark.timeout(180)]
RING = places.files() / "collector" / "overlays" / "loki-ring.sh"
NAMES = ("a", "b", "c")
LINES, STREAMS = 1000, 10
READY_SECONDS = 60


class Ring:
    """Three Lokis, started by the script that is shipped; ``flags`` are further ones."""

    def __init__(self, root, *flags):
        self.root, self.flags = root, flags
        gossip = free_ports(6)
        self.ports = dict(zip(NAMES, gossip[3:], strict=True))
        self.gossip, everyone = gossip[:3], ",".join(f"127.0.0.1:{port}" for port in gossip[:3])
        self.shared = {"STACK_LOKI": str(build.binary("loki")), "STACK_LOKI_RING": everyone}
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.headers["Accept"] = "application/json"
        self.grpc = dict(zip(NAMES, free_ports(3), strict=True))

    def up(self, name):
        """Start one of them."""
        environment = {
            **self.shared,
            "STACK_LOKI_NAME": name,
            "STACK_LOKI_GOSSIP": str(self.gossip[NAMES.index(name)]),
            "STACK_LOKI_PORT": str(self.ports[name]),
            "STACK_LOKI_GRPC_PORT": str(self.grpc[name]),
            "STACK_LOKI_DIR": str(self.root / name),
            "STACK_LOKI_SHARED": str(self.root / "shared"),
        }
        processes.start(name, [str(RING), *self.flags], environment, self.root, self.root)

    def wait(self, *names):
        """Wait until these are ready and each knows that all three are."""

        def complete(name):
            if not web.is_ok(self.url(name, "/ready")):
                return False
            ring = self.session.get(self.url(name, "/ring"), timeout=5).json()
            return [shard["state"] for shard in ring["shards"] or ()] == ["ACTIVE"] * len(NAMES)

        done = eventually(lambda: all(complete(name) for name in names), READY_SECONDS)
        assert done, {name: processes.last_lines(self.root / f"{name}.log", 8) for name in names}

    def kill(self, name):
        """End one at once; it is gone when this returns."""
        process = processes.find(name, self.root)
        process.kill()
        process.wait(20)

    def down(self):
        """End those that run, at once: nobody needs what they stored."""
        for name in NAMES:
            if processes.find(name, self.root):
                self.kill(name)

    def listening(self):
        """Return the addresses that they listen on, each as often as it is."""
        pids = {processes.find(name, self.root).pid for name in NAMES}
        rows = psutil.net_connections("inet")
        return [row.laddr.ip for row in rows if row.pid in pids and row.status == psutil.CONN_LISTEN]

    def url(self, name, path=""):
        """Return an address of one of them."""
        return f"http://127.0.0.1:{self.ports[name]}{path}"

    def lines(self, name):
        """Return how often one of them finds each line; nothing when it can't answer."""
        query = {"query": '{service_name=~"ring.*"}', "limit": "5000", "since": "1h"}
        said = web.json_of(self.url(name, "/loki/api/v1/query_range"), query)
        streams = said["data"]["result"] if said else []
        return Counter(line for stream in streams for _, line in stream["values"])


@pytest.fixture
def rings(tmp_path):
    """Start rings: ``rings(flag, ...)``."""
    made = []

    def start(*flags):
        ring = Ring(tmp_path, *flags)
        made.append(ring)
        for name in NAMES:
            ring.up(name)
        ring.wait(*NAMES)
        return ring

    yield start
    for ring in made:
        ring.down()


def write(ring, name, numbers):
    """Write ten lines of ten streams each through one of them; each request is acknowledged at once."""
    for number in numbers:
        sender = Sender(ring.url(name, "/otlp"), f"ring{number % STREAMS}")
        answer = sender.post("logs", sender.log(10, body=f"{number}"))
        assert answer.status_code == 204, answer.text


EVERY_LINE = Counter(f"{number} {line}" for number in range(LINES // 10) for line in range(10))


def test_one_of_three_is_killed_while_lines_are_written(rings):
    """Written through the first, the second killed in the middle: the third has all, each once; so too when it is back.

    So too when all three have written their copies into the one store. In the end the first is killed: what the second
    missed while it was away is still there. All of this on loopback: three ports each.
    """
    ring = rings()
    assert ring.listening() == ["127.0.0.1"] * 9
    write(ring, "a", range(50))
    ring.kill("b")
    write(ring, "a", range(50, 100))
    assert settled(lambda: ring.lines("c"), EVERY_LINE) == EVERY_LINE
    ring.up("b")
    ring.wait("c")
    assert settled(lambda: ring.lines("b"), EVERY_LINE) == EVERY_LINE
    for name in NAMES:
        web.post(ring.url(name, "/flush"), b"", {})
    assert eventually(lambda: any((ring.root / "shared" / "fake").rglob("*")))
    assert settled(lambda: ring.lines("c"), EVERY_LINE) == EVERY_LINE
    ring.kill("a")
    assert settled(lambda: ring.lines("c"), EVERY_LINE) == EVERY_LINE


def test_without_replication_the_test_sees_loss(rings):
    """With one copy of each line, the same kill takes lines away."""
    ring = rings("-distributor.replication-factor=1")
    write(ring, "a", range(100))
    assert settled(lambda: ring.lines("c"), EVERY_LINE) == EVERY_LINE
    ring.kill("b")
    assert ring.lines("c") != EVERY_LINE
