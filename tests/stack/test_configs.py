"""What every shipped configuration promises, read as data: the programs themselves read them in test_real_stack.py."""

import re

import pytest
import yaml

from otelml.stack import build, laid_out, places, ports

COLLECTOR = places.files() / "collector"
OVERLAYS = sorted(path.stem for path in COLLECTOR.glob("overlays/*.yaml"))
SHIPPED = sorted(path for path in COLLECTOR.rglob("*.yaml") if "build" not in path.parts and "rules" not in path.parts)
NETWORK = ("otlp_http", "otlp_grpc", "kafka")
DEFAULT = re.compile(r"\$\{(?:env:)?\w+:-([^}]*)\}")


def load(path):
    """Return a configuration with its variables' defaults in place."""
    return yaml.safe_load(DEFAULT.sub(r"\1", path.read_text("utf-8")))


def merged(below, above):
    """Lay a configuration over another as the collector does: mappings are merged, all else is replaced."""
    if not (isinstance(below, dict) and isinstance(above, dict)):
        return above
    return below | {key: merged(below[key], value) if key in below else value for key, value in above.items()}


def collector(overlay):
    """Return the collector's configuration with an overlay, or without."""
    config = load(COLLECTOR / "otelcol.yaml")
    return merged(config, load(COLLECTOR / "overlays" / f"{overlay}.yaml")) if overlay else config


each_collector = pytest.mark.parametrize("config", list(map(collector, [None, *OVERLAYS])), ids=["alone", *OVERLAYS])


@each_collector
def test_no_batch_processor(config):
    """The `batch` processor answers before anything is on disk; batches are made behind the queue."""
    used = {name for pipeline in config["service"]["pipelines"].values() for name in pipeline["processors"]}
    assert {name for name in used | set(config["processors"]) if name.split("/")[0] == "batch"} == set()


@each_collector
def test_the_memory_limiter_is_first(config):
    """In every pipeline: what is behind it in the line has used the memory already."""
    pipelines = config["service"]["pipelines"]
    assert {name: pipeline["processors"][0] for name, pipeline in pipelines.items()} == dict.fromkeys(
        pipelines, "memory_limiter"
    )


@each_collector
def test_every_exporter_keeps_what_waits(config):
    """On disk, counted in items, blocking when full, tried for ever."""
    assert config["exporters"]
    for name, exporter in config["exporters"].items():
        assert name.split("/")[0] in NETWORK
        queue, retry = exporter["sending_queue"], exporter["retry_on_failure"]
        assert (queue["storage"], queue["sizer"], queue["block_on_overflow"]) == ("file_storage/queue", "items", True)
        assert queue["storage"] in config["service"]["extensions"]
        assert retry["max_elapsed_time"] == "0s"


@each_collector
def test_everything_defined_is_used_and_the_other_way_round(config):
    """A pipeline names nothing that is not there; the shipped file defines nothing that no pipeline names."""
    pipelines = config["service"]["pipelines"].values()
    connectors = set(config["connectors"])
    used = {kind: {name for p in pipelines for name in p[kind]} for kind in ("receivers", "processors", "exporters")}
    assert used["receivers"] - connectors <= set(config["receivers"])
    assert used["processors"] <= set(config["processors"])
    assert used["exporters"] - connectors <= set(config["exporters"])
    assert connectors <= used["exporters"] & used["receivers"] | {"span_metrics"}


def test_the_disk_queue_is_safe():
    """Written through to disk, for the owner only; compacted where it lies."""
    storage = collector(None)["extensions"]["file_storage/queue"]
    assert (storage["fsync"], storage["directory_permissions"]) == (True, "0700")
    assert storage["compaction"]["directory"] == storage["directory"]


def test_every_way_in_asks_for_the_token():
    """Both OTLP protocols of the collector; there is no CORS."""
    protocols = collector(None)["receivers"]["otlp"]["protocols"]
    assert {name: p["auth"]["authenticator"] for name, p in protocols.items()} == dict.fromkeys(
        ["grpc", "http"], "bearertokenauth/ingest"
    )
    assert "cors" not in protocols["http"]


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: str(path.relative_to(COLLECTOR)))
def test_nothing_listens_everywhere(path):
    """No shipped file names the address of all interfaces, and each is a YAML document that begins by saying why."""
    text = path.read_text("utf-8")
    assert not re.search(r"0\.0\.0\.0|\[::\]", text)
    assert yaml.safe_load(text)
    assert text.startswith("#") or path.parent.name == "targets"


def addresses(value, key=""):
    """Return every address that something listens on, by what it is called."""
    if isinstance(value, dict):
        return [found for name, inner in value.items() for found in addresses(inner, name)]
    if isinstance(value, list):
        return [found for inner in value for found in addresses(inner, key)]
    return (
        [str(value)]
        if key in {"endpoint", "host", "http_listen_address", "grpc_listen_address", "instance_addr"}
        else []
    )


@pytest.mark.parametrize("name", ["otelcol", "jaeger", "loki"])
def test_addresses_are_of_this_machine(name):
    """Unless a variable says otherwise, everything listens on loopback and sends to it."""
    found = addresses(load(COLLECTOR / f"{name}.yaml"))
    assert found
    assert [each for each in found if not each.removeprefix("http://").startswith("127.0.0.1")] == []


def test_ports_of_the_files_are_those_of_the_command():
    """The defaults in the files, and the targets that Prometheus scrapes, are the ports `otelml stack` starts with."""
    text = "".join((COLLECTOR / f"{name}.yaml").read_text() for name in ("otelcol", "jaeger", "loki", "targets/stack"))
    assert {number for number in ports.DEFAULT.values() if str(number) not in text} == set()
    targets = load(COLLECTOR / "targets" / "stack.yaml")
    assert {t["labels"]["job"]: t["targets"] for t in targets} == {
        job: [f"127.0.0.1:{ports.DEFAULT[port]}"] for job, port in laid_out.SCRAPED.items()
    }


def test_loki_keeps_to_itself():
    """No reports to its makers, three labels, and lines as old as the longest outage are taken."""
    loki = load(COLLECTOR / "loki.yaml")
    assert loki["analytics"]["reporting_enabled"] is False
    attributes = loki["limits_config"]["otlp_config"]["resource_attributes"]
    assert attributes["ignore_defaults"] is True
    assert attributes["attributes_config"] == [
        {"action": "index_label", "attributes": ["service.name", "service.namespace", "deployment.environment.name"]}
    ]
    assert loki["ingester"]["max_chunk_age"] == "48h"


def test_jaeger_answers_after_it_has_written():
    """Kept on disk, in files that survive the process, and nothing between the receiver and the store."""
    jaeger = load(COLLECTOR / "jaeger.yaml")
    badger = jaeger["extensions"]["jaeger_storage"]["backends"]["traces"]["badger"]
    assert (badger["ephemeral"], badger["consistency"]) == (False, False)
    assert jaeger["service"]["pipelines"]["traces"]["processors"] == []


def test_prometheus_takes_what_waited():
    """Points up to a day behind, with the attributes that dashboards choose by as labels."""
    prometheus = load(COLLECTOR / "prometheus.yaml")
    assert prometheus["storage"]["tsdb"]["out_of_order_time_window"] == "24h"
    assert {"service.name", "service.namespace", "service.instance.id"} <= set(
        prometheus["otlp"]["promote_resource_attributes"]
    )


def test_no_receiver_of_alertmanager_needs_a_secret():
    """The shipped file notifies nobody, so that it works as it is; every route leads to a receiver."""
    config = load(COLLECTOR / "alertmanager.yaml")
    assert config["receivers"] == [{"name": name} for name in ("page", "ticket", "watchdog", "none")]
    routes = [config["route"], *config["route"]["routes"]]
    assert {route["receiver"] for route in routes} == {receiver["name"] for receiver in config["receivers"]}


# What is built ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("module", build.MODULES, ids=lambda module: module.name)
def test_modules_are_pinned(module):
    """Each has a go.mod that requires what is built and a go.sum that has its hash."""
    source = COLLECTOR / "build" / module.name
    required = dict(re.findall(r"^\s*(?:require )?([\w./-]+) (v\S+)", (source / "go.mod").read_text(), re.MULTILINE))
    sums = (source / "go.sum").read_text()
    for package in module.packages:
        if package != ".":
            owner = next(name for name in required if package.startswith(f"{name}/"))
            assert f"{owner} {required[owner]} h1:" in sums


def test_the_collectors_sources_are_those_of_its_manifest():
    """Every module of builder.yaml is required in that version, and its component is in components.go or main.go."""
    source = COLLECTOR / "build" / "otelcol"
    listed = re.findall(r"gomod: (\S+) (v\S+)", (source / "builder.yaml").read_text())
    required, code = (
        (source / "go.mod").read_text(),
        (source / "components.go").read_text() + (source / "main.go").read_text(),
    )
    assert len(listed) > 15
    for name, version in listed:
        assert f"{name} {version}" in required
        assert f'"{name}"' in code
