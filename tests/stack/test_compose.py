"""docker-compose.yml: hardened, pinned, on the loopback, and nothing starts without its secrets.

No container was run for this: what is checked is the file, and what Compose's own client makes of it: the one that
`otelml stack build --with compose` made, `docker-compose` or `docker compose`.
"""

import os
import re
import shutil
import stat
import subprocess
from pathlib import Path

import pytest
import yaml

from otelml.stack import build

ROOT = Path(__file__).parents[2]
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
SERVICES = COMPOSE["services"]
BACKENDS = ["otelcol", "prometheus", "jaeger", "loki", "alertmanager", "grafana"]
PORTS = {"otelcol": [4317, 4318], "prometheus": [9090], "jaeger": [16686], "loki": [3100]}
PORTS |= {"alertmanager": [9093], "grafana": [3000]}
SECRETS = ["grafana_key", "grafana_password", "ingest_token", "redaction_key"]
VARIABLES = {"STACK_DIR": "/stack", "STACK_UID": "1000", "STACK_GID": "1000"}
EACH = pytest.mark.parametrize("name", sorted(SERVICES))


def client():
    """Return the command of a Compose client on this machine, or None."""
    for command in ([str(build.binary("docker-compose"))], ["docker-compose"], ["docker", "compose"]):
        if shutil.which(command[0]):
            asked = subprocess.run([*command, "version"], capture_output=True, check=False)
            if asked.returncode == 0:
                return command
    return None


def config(variables):
    """Return what `docker compose config` says, with these variables and no others."""
    command = client()
    if command is None:
        reason = "no Compose client on this machine: otelml stack build --with compose (needs Go)"
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(reason)
    environment = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", **variables}
    return subprocess.run(
        [*command, "config"], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False
    )


def mounted(service):
    """Return (path in the repository, path in the container) of what a service mounts from the repository."""
    mounts = [mount for mount in service["volumes"] if isinstance(mount, dict)]
    return [(re.sub(r"^\$\{\w+:-(.*)\}$", r"\1", mount["source"]), mount["target"]) for mount in mounts]


def test_it_is_the_whole_stack():
    """The collector, three backends, Alertmanager and Grafana, and one that asks whether the collector is well."""
    assert sorted(SERVICES) == sorted([*BACKENDS, "otelcol-ready"])


@EACH
def test_images_are_pinned(name):
    """Every image has a full version."""
    assert re.fullmatch(r"[\w.-]+/[\w.-]+:v?\d+\.\d+\.\d+(@sha256:[0-9a-f]{64})?", SERVICES[name]["image"])


@EACH
def test_containers_are_confined(name):
    """Not root, a read-only root file system, no capabilities nor new ones, limits on memory, CPU and processes."""
    service = SERVICES[name]
    assert re.fullmatch(r"\$\{STACK_UID:\?[^}]+\}:\$\{STACK_GID:\?[^}]+\}", service["user"])
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "cap_add" not in service
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert not service.get("privileged")
    assert {"mem_limit", "cpus", "pids_limit"} <= set(service)
    assert "docker.sock" not in str(service)
    assert not {"network_mode", "pid", "ipc", "devices"} & set(service)


@EACH
def test_memory_of_go_programs_is_below_the_limit(name):
    """GOMEMLIMIT, where it is given, is 80 % of the container's limit: Go collects before the kernel kills."""
    limit = SERVICES[name].get("environment", {}).get("GOMEMLIMIT")
    if limit is None:
        assert name in {"otelcol-ready", "alertmanager", "grafana"}
        return
    number, unit = re.fullmatch(r"(\d+)([mg])", SERVICES[name]["mem_limit"]).groups()
    hard = int(number) * (1024 if unit == "g" else 1)
    assert int(limit.removesuffix("MiB")) == int(0.8 * hard)


@EACH
def test_health_is_checked(name):
    """Every container checks its health; the collector's, which has no program to do so with, is asked by another."""
    asked = {"otelcol": "otelcol-ready"}.get(name, name)
    check = SERVICES[asked]["healthcheck"]
    assert check["test"][0] == "CMD"
    assert {"interval", "timeout", "retries", "start_period"} <= set(check)
    assert asked == name or any(f"http://{name}:" in word for word in check["test"])


@EACH
def test_who_waits_waits_for_health(name):
    """A service that needs another waits until it is well; the collector waits for none."""
    needed = SERVICES[name].get("depends_on", {})
    assert name != "otelcol" or needed == {}
    assert all(each["condition"] == "service_healthy" for other, each in needed.items() if other != "otelcol")


@EACH
def test_ports_are_on_the_loopback(name):
    """Only 127.0.0.1 is published, on the usual ports unless a variable says otherwise."""
    ports = SERVICES[name].get("ports", [])
    found = [re.fullmatch(r"127\.0\.0\.1:\$\{PORT_[A-Z_]+:-(\d+)\}:(\d+)", port).groups() for port in ports]
    assert [(int(outer), int(inner)) for outer, inner in found] == [(port, port) for port in PORTS.get(name, [])]


def test_nothing_listens_everywhere():
    """No address of the file is 0.0.0.0, and only Alertmanager has a way out of the machine."""
    assert "0.0.0.0" not in (ROOT / "docker-compose.yml").read_text(encoding="utf-8")  # noqa: S104 - looks for it
    assert [name for name in SERVICES if SERVICES[name]["networks"] != ["stack"]] == ["alertmanager"]
    options = COMPOSE["networks"]["stack"]["driver_opts"]
    assert options == {"com.docker.network.bridge.enable_ip_masquerade": "false"}


@pytest.mark.parametrize("name", BACKENDS)
def test_what_is_mounted_exists(name):
    """Every file or directory that a service mounts is in the repository, read-only, never made by Docker."""
    binds = [mount for mount in SERVICES[name]["volumes"] if isinstance(mount, dict)]
    assert all(mount["read_only"] and mount["bind"] == {"create_host_path": False} for mount in binds)
    assert [source for source, _ in mounted(SERVICES[name]) if not (ROOT / source).exists()] == []


@pytest.mark.parametrize("name", BACKENDS)
def test_what_is_kept_is_in_named_volumes(name):
    """Data is in named volumes, each a directory that scripts/stack-secrets makes."""
    named = [mount.split(":")[0] for mount in SERVICES[name]["volumes"] if isinstance(mount, str)]
    assert named
    assert all(COMPOSE["volumes"][each]["driver_opts"]["device"].endswith(f"/{each}") for each in named)


@pytest.mark.parametrize("name", BACKENDS)
def test_configurations_are_those_of_the_native_stack(name):
    """A configuration that a command names is mounted from collector/, and every variable it sets is read there."""
    service, text = SERVICES[name], ""
    for source, target in mounted(service):
        assert source.startswith("./collector/")
        if target.endswith(".yaml"):
            assert any(word.endswith(f"={target}") for word in service["command"])
        files = [ROOT / source] if (ROOT / source).is_file() else sorted((ROOT / source).rglob("*.yaml"))
        text += "".join(path.read_text(encoding="utf-8") for path in files)
    own = [key for key in service.get("environment", {}) if key.startswith(("STACK_", "OTELML_"))]
    assert [key for key in own if key not in text] == []


def test_docker_scrapes_what_the_native_stack_scrapes():
    """The targets in containers have the jobs of the native ones, and names that are services here."""
    scraped = {}
    for folder in ("collector/targets", "collector/docker/targets"):
        groups = yaml.safe_load((ROOT / folder / "stack.yaml").read_text(encoding="utf-8"))
        scraped[folder] = {group["labels"]["job"]: group["targets"] for group in groups}
    native, docker = scraped.values()
    assert list(native) == list(docker)
    assert {job: [t.split(":")[1] for t in targets] for job, targets in native.items()} == {
        job: [t.split(":")[1] for t in targets] for job, targets in docker.items()
    }
    assert [target.split(":")[0] for targets in docker.values() for target in targets] == list(docker)
    assert set(docker) <= set(SERVICES)


def test_grafana_has_no_default_password_and_no_guests():
    """Password and key come from secrets; nobody gets in without signing in, and nobody signs up."""
    settings = SERVICES["grafana"]["environment"]
    read = {key: value for key, value in settings.items() if key.endswith("__FILE")}
    secrets = {"ADMIN_PASSWORD": "grafana_password", "SECRET_KEY": "grafana_key"}
    assert read == {f"GF_SECURITY_{key}__FILE": f"/run/secrets/{name}" for key, name in secrets.items()}
    assert settings["GF_AUTH_ANONYMOUS_ENABLED"] == settings["GF_USERS_ALLOW_SIGN_UP"] == "false"
    assert not {f"GF_SECURITY_{key}" for key in secrets} & set(settings)


def test_secrets_come_from_files():
    """Each secret is a file that scripts/stack-secrets makes, and is given to who needs it alone."""
    files = {name: secret["file"] for name, secret in COMPOSE["secrets"].items()}
    assert sorted(files) == SECRETS
    assert all(re.fullmatch(rf"\$\{{STACK_DIR:\?[^}}]+\}}/secrets/{name}", file) for name, file in files.items())
    given = {name: service["secrets"] for name, service in SERVICES.items() if "secrets" in service}
    assert given == {"otelcol": ["ingest_token", "redaction_key"], "grafana": ["grafana_password", "grafana_key"]}


@pytest.mark.stack
def test_compose_accepts_it():
    """Compose's own client reads the file: its schema holds and every variable has a value."""
    done = config(VARIABLES)
    assert done.returncode == 0, done.stderr
    resolved = yaml.safe_load(done.stdout)
    assert {service["user"] for service in resolved["services"].values()} == {"1000:1000"}
    assert {port["host_ip"] for s in resolved["services"].values() for port in s.get("ports", [])} == {"127.0.0.1"}


@pytest.mark.stack
@pytest.mark.parametrize("missing", sorted(VARIABLES))
def test_compose_refuses_without_secrets(missing):
    """Without the variables that lead to the secrets nothing starts, and the message says what to run."""
    done = config({name: value for name, value in VARIABLES.items() if name != missing})
    assert done.returncode != 0
    assert "run scripts/stack-secrets first" in done.stderr


@pytest.fixture
def made(tmp_path):
    """Run scripts/stack-secrets; return its directory (with a blank in its name) and what it printed."""
    directory = tmp_path / "a stack"
    done = subprocess.run([ROOT / "scripts/stack-secrets", directory], capture_output=True, text=True, check=True)
    return directory, done.stdout


def test_secrets_are_private_and_differ(made):
    """Each secret has 256 random bits and is readable by its owner alone; data directories too."""
    directory, _ = made
    texts = {path.name: path.read_text(encoding="utf-8") for path in (directory / "secrets").iterdir()}
    assert sorted(texts) == SECRETS
    assert len(set(texts.values())) == len(SECRETS)
    assert all(re.fullmatch(r"[0-9a-f]{64}", text) for text in texts.values())
    for path in (directory, *directory.rglob("*")):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600)


def test_secrets_are_never_overwritten_nor_printed(made):
    """A second run keeps every file; what is printed says where the secrets are, not what they are."""
    directory, printed = made
    before = {path: path.read_bytes() for path in directory.rglob("*") if path.is_file()}
    again = subprocess.run([ROOT / "scripts/stack-secrets", directory], capture_output=True, text=True, check=True)
    assert {path: path.read_bytes() for path in directory.rglob("*") if path.is_file()} == before
    assert again.stdout.count("kept:") == len(before)
    for path in (directory / "secrets").iterdir():
        assert str(path) in printed
        assert path.read_text(encoding="utf-8") not in printed + again.stdout


def test_secrets_are_what_compose_asks_for(made):
    """With the variables that the script writes, every volume and secret exists, and no container is root."""
    directory, _ = made
    lines = (directory / "compose.env").read_text(encoding="utf-8").splitlines()
    values = {name: value.strip("'") for name, _, value in (line.partition("=") for line in lines)}
    assert sorted(values) == sorted(VARIABLES)
    assert values["STACK_DIR"] == str(directory)
    assert "0" not in {values["STACK_UID"], values["STACK_GID"]}
    for each in COMPOSE["volumes"].values():
        assert Path(re.sub(r"\$\{STACK_DIR[^}]*\}", str(directory), each["driver_opts"]["device"])).is_dir()
    for each in COMPOSE["secrets"].values():
        assert Path(re.sub(r"\$\{STACK_DIR[^}]*\}", str(directory), each["file"])).is_file()
