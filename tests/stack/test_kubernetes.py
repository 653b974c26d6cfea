"""The Kubernetes manifests: official schemas, pods confined, probes, the collector's own files and no copies of them.

No cluster was there: what is checked are the files, and what kustomize makes of them.
"""

import os
import re
import shutil
import subprocess
from pathlib import Path

import kubernetes_validate
import pytest
import yaml

from otelml.stack import build

ROOT = Path(__file__).parents[2]
COLLECTOR = ROOT / "collector"
KUSTOMIZATION = yaml.safe_load((COLLECTOR / "kustomization.yaml").read_text("utf-8"))
FILES = {path: yaml.safe_load((COLLECTOR / path).read_text("utf-8")) for path in KUSTOMIZATION["resources"]}
WORKLOADS = {n["metadata"]["name"]: n for n in FILES.values() if n["kind"] in {"DaemonSet", "StatefulSet"}}
VERSIONS = ("1.31", kubernetes_validate.latest_version())
"""The oldest that the providers still run, and the newest that there are schemas of."""
EACH = pytest.mark.parametrize("name", sorted(WORKLOADS))
CONFIG = "/etc/otelcol/"


def pod(name):
    """Return the pod of a workload."""
    return WORKLOADS[name]["spec"]["template"]["spec"]


def container(name):
    """Return the one container of a workload."""
    (only,) = pod(name)["containers"]
    return only


def kind(wanted):
    """Return every manifest of a kind."""
    return [manifest for manifest in FILES.values() if manifest["kind"] == wanted]


def variables(name):
    """Return what a container's variables are set to, where the manifest says it."""
    return {each["name"]: each.get("value") for each in container(name)["env"]}


def configurations(name):
    """Return the files that a container is started with."""
    return [argument.removeprefix(f"--config={CONFIG}") for argument in container(name)["args"]]


def sources():
    """Return where each file of the ConfigMap comes from."""
    generated = {each["name"]: each for each in KUSTOMIZATION["configMapGenerator"]}
    return {Path(path).name: COLLECTOR / path for path in generated["otelml-collector"]["files"]}


@pytest.fixture(scope="module")
def rendered():
    """Return every manifest as kustomize renders it: the one that was built, else kubectl's."""
    if build.binary("kustomize").is_file():
        command = [build.binary("kustomize"), "build"]
    elif shutil.which("kubectl") and os.environ.get("CI") != "true":
        command = ["kubectl", "kustomize"]
    else:
        found = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
        found("no kustomize on this machine: otelml stack build --with kustomize (needs Go)")
    done = subprocess.run([*command, COLLECTOR], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return list(yaml.safe_load_all(done.stdout))


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("path", sorted(FILES))
def test_schema(path, version):
    """Every file is what Kubernetes' own schema says, without a field it does not know."""
    kubernetes_validate.validate(FILES[path], version, strict=True)


def test_the_schema_sees_a_mistake():
    """A field spelt wrong, and a number given as text, are refused."""
    service = next(iter(kind("Service")))
    for wrong in ({"selectors": {}}, {"ports": [{"port": "http"}]}):
        with pytest.raises(kubernetes_validate.ValidationError):
            kubernetes_validate.validate(service | {"spec": service["spec"] | wrong}, VERSIONS[1], strict=True)


def test_every_file_is_used_and_says_that_it_was_not_run():
    """No manifest is left out of the kustomization; each begins with what was checked and what was not."""
    there = {str(path.relative_to(COLLECTOR)) for path in COLLECTOR.glob("kubernetes/*")}
    assert there == set(FILES)
    for path in [*FILES, "kustomization.yaml"]:
        assert "# Not run here: checked against the schemas" in (COLLECTOR / path).read_text("utf-8")


# The collector's files -----------------------------------------------------------------------------------------


@EACH
def test_the_configuration_is_the_collectors_own(name):
    """What a container is started with is made of the shipped files: the ConfigMap has no text of its own."""
    assert kind("ConfigMap") == []
    assert configurations(name)[0] == "otelcol.yaml"
    assert set(configurations(name)) <= set(sources())
    mounts = {mount["name"]: mount["mountPath"] for mount in container(name)["volumeMounts"]}
    volumes = {volume["name"]: volume for volume in pod(name)["volumes"]}
    assert f"{mounts['config']}/" == CONFIG
    assert volumes["config"]["configMap"]["name"] == "otelml-collector"


@pytest.mark.stack
def test_the_rendered_configuration_is_equal(rendered):
    """After kustomize, the ConfigMap holds the files' texts, and both workloads mount that very one."""
    (config,) = [m for m in rendered if m["kind"] == "ConfigMap" and "otelcol.yaml" in m["data"]]
    assert config["data"] == {name: path.read_text("utf-8") for name, path in sources().items()}
    mounted = [
        volume["configMap"]["name"]
        for m in rendered
        if m["kind"] in {"DaemonSet", "StatefulSet"}
        for volume in m["spec"]["template"]["spec"]["volumes"]
        if "configMap" in volume
    ]
    assert mounted == [config["metadata"]["name"]] * len(WORKLOADS)


@pytest.mark.stack
def test_what_is_rendered_fits_the_schemas(rendered):
    """As many manifests as files and generated ConfigMaps, all in one namespace, each as its schema says."""
    assert len(rendered) == len(FILES) + len(KUSTOMIZATION["configMapGenerator"])
    for manifest in rendered:
        kubernetes_validate.validate(manifest, VERSIONS[1], strict=True)
        if manifest["kind"] not in {"Namespace", "ClusterRole", "ClusterRoleBinding"}:
            assert manifest["metadata"]["namespace"] == "otelml"


@EACH
def test_variables_are_read(name):
    """Every STACK_ variable of a container stands in a file that it may be started with."""
    text = "".join(path.read_text("utf-8") for path in [*sources().values(), COLLECTOR / "overlays/kafka-gateway.yaml"])
    stores = [
        literal.split("=")[0] for each in KUSTOMIZATION["configMapGenerator"] for literal in each.get("literals", [])
    ]
    named = [key for key in [*variables(name), *stores] if key.startswith("STACK_")]
    assert [key for key in named if f"${{env:{key}:-" not in text] == []
    assert {"STACK_OTLP_GRPC", "STACK_OTLP_HTTP", "STACK_HEALTH", "STACK_OTELCOL_HOST"} <= set(named)


@pytest.mark.stack
@EACH
@pytest.mark.parametrize("kafka", [False, True], ids=["otlp", "kafka"])
def test_the_collector_takes_it(name, kafka, tmp_path):
    """The files that a container is started with, with its variables; and with Kafka between the two."""
    role = name.removeprefix("otelml-")
    paths = [sources()[each] for each in configurations(name)]
    paths = [COLLECTOR / "overlays" / f"kafka-{role}.yaml" if kafka and p.stem == role else p for p in paths]
    (tmp_path / "key").write_text("0123456789abcdef0123456789abcdef")
    given = {key: (value or "10.0.0.7").replace("$(POD_IP)", "10.0.0.7") for key, value in variables(name).items()}
    given |= {"STACK_TOKEN_FILE": str(tmp_path / "key"), "STACK_REDACTION_KEY_FILE": str(tmp_path / "key")}
    given |= {"KUBERNETES_SERVICE_HOST": "10.0.0.1", "KUBERNETES_SERVICE_PORT": "443"}
    command = [build.binary("otelcol"), "validate", *(word for p in paths for word in ("--config", f"file:{p}"))]
    done = subprocess.run(command, env={**os.environ, **given}, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert "deprecated" not in done.stdout + done.stderr


# Pods ------------------------------------------------------------------------------------------------------------


@EACH
def test_pods_are_confined(name):
    """Not root, a read-only root file system, no capabilities nor new ones, seccomp, nothing of the host."""
    security, own = pod(name)["securityContext"], container(name)["securityContext"]
    assert security["runAsNonRoot"] is True
    assert min(security[key] for key in ("runAsUser", "runAsGroup", "fsGroup")) > 1000
    assert security["seccompProfile"] == {"type": "RuntimeDefault"}
    assert own == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert not {"hostNetwork", "hostPID", "hostIPC"} & set(pod(name))
    assert [volume for volume in pod(name)["volumes"] if "hostPath" in volume] == []
    assert [port for port in container(name)["ports"] if "hostPort" in port] == []
    (namespace,) = kind("Namespace")
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"


@EACH
def test_images_are_pinned(name):
    """A full version, and the same as in docker-compose.yml."""
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))
    assert re.fullmatch(r"[\w.-]+/[\w.-]+:\d+\.\d+\.\d+(@sha256:[0-9a-f]{64})?", container(name)["image"])
    assert container(name)["image"] == compose["services"]["otelcol"]["image"]


@EACH
def test_resources_are_limited(name):
    """Requests and limits of CPU, memory and disk; Go collects at 80 %, and the collector refuses before that."""
    resources = container(name)["resources"]
    assert set(resources["requests"]) == set(resources["limits"]) == {"cpu", "memory", "ephemeral-storage"}
    hard = int(resources["limits"]["memory"].removesuffix("Mi"))
    go = int(variables(name)["GOMEMLIMIT"].removesuffix("MiB"))
    assert go == int(0.8 * hard)
    assert int(variables(name).get("STACK_MEMORY_MIB") or 512) < go


@EACH
def test_probes(name):
    """Started, ready and alive are each asked on a port that the container has; there is time to stop."""
    ports = {port["name"] for port in container(name)["ports"]}
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert container(name)[probe]["httpGet"]["port"] in ports
    startup = container(name)["startupProbe"]
    assert startup["periodSeconds"] * startup["failureThreshold"] >= 120
    assert pod(name)["terminationGracePeriodSeconds"] >= 45


@EACH
def test_secrets_are_referenced(name):
    """No manifest contains a secret: one is mounted, read-only, where the configuration looks for it."""
    assert kind("Secret") == []
    assert not any("secretGenerator" in key for key in KUSTOMIZATION)
    mounts = {mount["name"]: mount for mount in container(name)["volumeMounts"]}
    assert (mounts["secrets"]["mountPath"], mounts["secrets"]["readOnly"]) == ("/run/secrets", True)
    (volume,) = [each for each in pod(name)["volumes"] if each["name"] == "secrets"]
    assert oct(volume["secret"]["defaultMode"]) == "0o440"


@EACH
def test_what_waits_is_kept(name):
    """The queue is where the configuration puts it: the gateway's on a claim that is never deleted with its pod."""
    (queue,) = [mount for mount in container(name)["volumeMounts"] if mount["name"] == "queue"]
    assert f"{queue['mountPath']}/queue}}" in (COLLECTOR / "otelcol.yaml").read_text("utf-8")
    spec = WORKLOADS[name]["spec"]
    if WORKLOADS[name]["kind"] == "StatefulSet":
        assert [claim["metadata"]["name"] for claim in spec["volumeClaimTemplates"]] == ["queue"]
        assert set(spec["persistentVolumeClaimRetentionPolicy"].values()) == {"Retain"}
        assert "replicas" not in spec  # or each apply would undo the autoscaler
    else:
        (volume,) = [each for each in pod(name)["volumes"] if each["name"] == "queue"]
        assert volume["emptyDir"]["sizeLimit"]


# Around the pods -------------------------------------------------------------------------------------------------


def test_everything_finds_its_pods():
    """Services, the disruption budget, the autoscaler, the policies and the role name what is there."""
    labels = [workload["spec"]["template"]["metadata"]["labels"] for workload in WORKLOADS.values()]
    for workload in WORKLOADS.values():
        assert workload["spec"]["selector"]["matchLabels"] == workload["spec"]["template"]["metadata"]["labels"]
        assert workload["spec"]["template"]["spec"]["serviceAccountName"] == workload["metadata"]["name"]
    for service in kind("Service"):
        assert service["spec"]["selector"] in labels
    (budget,), (scaler,), (binding,) = (
        kind("PodDisruptionBudget"),
        kind("HorizontalPodAutoscaler"),
        kind("ClusterRoleBinding"),
    )
    assert budget["spec"]["selector"]["matchLabels"] in labels
    assert WORKLOADS[scaler["spec"]["scaleTargetRef"]["name"]]["kind"] == scaler["spec"]["scaleTargetRef"]["kind"]
    assert scaler["spec"]["minReplicas"] >= 3
    assert scaler["spec"]["behavior"]["scaleDown"] == {"selectPolicy": "Disabled"}
    accounts = [account["metadata"]["name"] for account in kind("ServiceAccount")]
    assert sorted(accounts) == sorted(WORKLOADS)
    assert [subject["name"] for subject in binding["subjects"]] == ["otelml-agent"]
    assert WORKLOADS["otelml-gateway"]["spec"]["serviceName"] in {s["metadata"]["name"] for s in kind("Service")}


def test_the_network_is_closed_but_for_what_is_named():
    """One policy denies everything; each workload has one that names who may come in and where it may go."""
    policies = {policy["metadata"]["name"]: policy["spec"] for policy in kind("NetworkPolicy")}
    assert policies.pop("default-deny") == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    assert set(policies) == set(WORKLOADS)
    for name, policy in policies.items():
        assert policy["podSelector"]["matchLabels"] == WORKLOADS[name]["spec"]["selector"]["matchLabels"]
        assert all(rule["from"] and rule["ports"] for rule in policy["ingress"])
        assert all(rule["ports"] for rule in policy["egress"])
        names = {port["port"] for rule in policy["ingress"] for port in rule["ports"]}
        assert names <= {port["name"] for port in container(name)["ports"]}


def test_only_the_agent_asks_the_api_and_only_reads():
    """No token is mounted but where it is used, and the role has no verb that writes."""
    assert pod("otelml-gateway")["automountServiceAccountToken"] is False
    assert {account["automountServiceAccountToken"] for account in kind("ServiceAccount")} == {False}
    (role,) = kind("ClusterRole")
    assert {verb for rule in role["rules"] for verb in rule["verbs"]} == {"get", "list", "watch"}
