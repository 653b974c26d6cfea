"""One collector by itself, as its binary is started by hand: files and variables."""

from kafka_broker import free_ports
from running_stack import QUICK, eventually

from otelml.stack import build, places, processes, services, web

COLLECTOR = places.files() / "collector"


class Collector:
    """One more collector, as its binary is started by hand: files and variables."""

    def __init__(self, name, root, overlays, **environment):
        self.name, self.root = name, root / name
        self.root.mkdir()
        self.files = [COLLECTOR / "otelcol.yaml", *(services.overlay_file(COLLECTOR, each) for each in overlays)]
        self.otlp, grpc, self.health, self.metrics = free_ports(4)
        self.environment = {
            "STACK_OTLP_GRPC": f"127.0.0.1:{grpc}",
            "STACK_OTLP_HTTP": f"127.0.0.1:{self.otlp}",
            "STACK_HEALTH": f"127.0.0.1:{self.health}",
            "STACK_OTELCOL_PORT": str(self.metrics),
            "STACK_QUEUE_DIR": str(self.root / "queue"),
            "STACK_KAFKA_MEMBER": name,
            **QUICK,
            **environment,
        }

    def up(self):
        """Start it and wait until it is ready."""
        command = [str(build.binary("otelcol")), *(word for f in self.files for word in ("--config", f"file:{f}"))]
        processes.start(self.name, command, self.environment, self.root, self.root)
        ready = eventually(lambda: web.is_ok(f"http://127.0.0.1:{self.health}/"), 30)
        assert ready, "\n".join(processes.last_lines(self.root / f"{self.name}.log", 20))

    def kill(self):
        """End it at once; it is gone when this returns."""
        process = processes.find(self.name, self.root)
        process.kill()
        process.wait(20)

    def down(self):
        """End it as an operator would."""
        process = processes.find(self.name, self.root)
        if process is not None:
            processes.end({self.name: process}, self.root, 20)

    def own(self, metric):
        """Return the sum of one of its own metrics."""
        text = web.get(f"http://127.0.0.1:{self.metrics}/metrics").text
        lines = [line for line in text.splitlines() if line.startswith((f"{metric}{{", f"{metric} "))]
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines)


def knows(stack):
    """Return the variables of another collector for the same stores and secrets."""
    return {
        "STACK_TOKEN_FILE": str(stack.state.token_file),
        "STACK_REDACTION_KEY_FILE": str(stack.state.key_file),
        "STACK_PROMETHEUS_URL": stack.url("prometheus"),
        "STACK_JAEGER_OTLP": f"127.0.0.1:{stack.ports['jaeger-otlp']}",
        "STACK_LOKI_URL": stack.url("loki"),
    }
