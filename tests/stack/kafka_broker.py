"""A real Kafka broker: Apache Kafka's own artifacts from Maven Central, one process in KRaft mode, on loopback."""

import hashlib
import os
import re
import shutil
import socket
import struct
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import requests
from running_stack import eventually

from otelml.stack import places, processes

JARS = Path(__file__).with_name("kafka_jars.txt")
MAVEN = os.environ.get("MAVEN_REPOSITORY", "https://repo1.maven.org/maven2")
"""Where the artifacts come from; set it to a mirror. Whatever comes is checked against ``kafka_jars.txt``."""
JAVA_NEEDED = 17
NO_JAVA = "needs Java 17 or newer for Apache Kafka: apt-get install openjdk-17-jre-headless"
START_SECONDS = 60
PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
controller.listener.names=CONTROLLER
log.dirs={root}/data
offsets.topic.replication.factor=1
offsets.topic.num.partitions=3
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
auto.create.topics.enable=false
group.initial.rebalance.delay.ms=3000
message.max.bytes=4194304
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=1000
"""


def java():
    """Return the path of a Java that is new enough, or None."""
    home = os.environ.get("JAVA_HOME")
    found = shutil.which("java", path=f"{home}/bin") if home else shutil.which("java")
    if found is None:
        return None
    said = subprocess.run([found, "-version"], capture_output=True, text=True, timeout=30, check=False).stderr
    version = re.search(r'version "(\d+)', said)
    return found if version and int(version[1]) >= JAVA_NEEDED else None


def artifacts():
    """Return (SHA-256, path in the repository) of every file a broker needs."""
    lines = [line for line in JARS.read_text("ascii").splitlines() if not line.startswith("#")]
    return [tuple(line.split()) for line in lines]


def digest(path):
    """Return the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fetch(folder, wanted, path):
    """Put an artifact into a folder unless it is there; return where it is.

    Raises:
        ValueError: When what came is not what was wanted; it is not kept.
    """
    kept = folder / path.rsplit("/", 1)[1]
    if kept.is_file() and digest(kept) == wanted:
        return kept
    folder.mkdir(parents=True, exist_ok=True)
    fresh = kept.with_suffix(f".{os.getpid()}")
    answer = requests.get(f"{MAVEN}/{path}", timeout=120)
    answer.raise_for_status()
    fresh.write_bytes(answer.content)
    if digest(fresh) != wanted:
        fresh.unlink()
        raise ValueError(f"{path} is not what kafka_jars.txt says: it was changed on the way")
    fresh.replace(kept)
    return kept


def class_path():
    """Return Java's class path of a broker; what is missing is downloaded into the user's cache first."""
    folder = places.cache().parent / "kafka"
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda artifact: fetch(folder, *artifact), artifacts()))
    return os.pathsep.join(map(str, found))


def free_ports(count):
    """Return ports of loopback that nothing listens on."""
    probes = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    try:
        return [probe.getsockname()[1] for probe in probes]
    finally:
        for probe in probes:
            probe.close()


class Broker:
    """One broker that is its own controller; what it stored outlives a kill."""

    def __init__(self, root):
        if java() is None:
            raise RuntimeError(NO_JAVA)
        root.mkdir()
        self.root, self.jars = root, class_path()
        self.port, controller = free_ports(2)
        self.address = f"127.0.0.1:{self.port}"
        self.properties = root / "server.properties"
        self.properties.write_text(PROPERTIES.format(port=self.port, controller=controller, root=root))
        format_storage = ["kafka.tools.StorageTool", "format", "-t", "b3RlbG1sLXRlc3RzLTAwMQ", "-c", self.properties]
        subprocess.run(self._java(*format_storage), capture_output=True, timeout=START_SECONDS, check=True)

    def _java(self, *arguments):
        # The cheaper compiler alone, a small heap and few threads: the machine is shared with the whole stack.
        options = ["-Xms128m", "-Xmx384m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Djava.awt.headless=true"]
        return [java(), *options, "-cp", self.jars, *map(str, arguments)]

    def start(self):
        """Start it and wait until it answers."""
        command = self._java("kafka.Kafka", self.properties)
        processes.start("kafka", command, {}, self.root, self.root)
        assert eventually(self._answers, START_SECONDS), "\n".join(processes.last_lines(self.root / "kafka.log", 30))

    def kill(self):
        """End it at once, as a power cut would; it is gone when this returns."""
        process = processes.find("kafka", self.root)
        if process is not None:
            process.kill()
            process.wait(20)

    def stop(self):
        """End it as an operator would."""
        process = processes.find("kafka", self.root)
        if process is not None:
            processes.end({"kafka": process}, self.root, 20)

    def _answers(self):
        """Say whether it answers which APIs it has, which it does once it takes part in its cluster."""
        try:
            return self._ask(18, 0, b"")[4:6] == b"\0\0"
        except OSError:
            return False

    def make_topics(self, *names, partitions):
        """Make topics, as an operator would with ``kafka-topics.sh --create``."""
        rows = b"".join(_text(name) + struct.pack(">ihii", partitions, 1, 0, 0) for name in names)
        answer = self._ask(19, 2, struct.pack(">i", len(names)) + rows + struct.pack(">i?", 20_000, False))  # noqa: FBT003 - a field
        at = 12  # behind the correlation, the throttle time and the number of topics
        for _ in names:
            (length,) = struct.unpack_from(">h", answer, at)
            (fault,) = struct.unpack_from(">h", answer, at + 2 + length)
            assert fault == 0, f"Kafka's error code {fault}"
            (message,) = struct.unpack_from(">h", answer, at + 4 + length)
            at += 6 + length + max(0, message)

    def _ask(self, api, version, body):
        """Send one request of Kafka's protocol; return the answer behind its length."""
        request = struct.pack(">hhi", api, version, 1) + _text("test") + body
        with socket.create_connection(("127.0.0.1", self.port), timeout=30) as connection:
            connection.sendall(struct.pack(">i", len(request)) + request)
            with connection.makefile("rb") as answers:
                (length,) = struct.unpack(">i", answers.read(4).ljust(4, b"\0"))
                return answers.read(length)


def _text(value):
    return struct.pack(">h", len(value)) + value.encode()
