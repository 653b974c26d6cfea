"""`otelml stack up --docker` as far as it goes without a daemon: no container was ever run for this.

The program `docker` is a stand-in that answers as if there were a daemon; what it is asked of Compose is given to
Compose's own client, which resolves the shipped file as it would to run it.
"""

import os
import stat
import subprocess
from pathlib import Path

import pytest
import yaml

from otelml import cli
from otelml.stack import build, docker, native, places, ports, secret_files

STAND_IN = """#!/bin/sh
[ "$1" = info ] && exit 0
shift
[ "$1" = version ] && exit 0
echo "$@" >> "{noted}/asked"
case "$*" in
*" up "*) exec "{client}" --file "$2" --project-name "$4" --env-file "$6" config > "{noted}/resolved" ;;
esac
"""


def run(capsys, *arguments):
    """Run `otelml stack`; return its exit code and what it printed."""
    code = cli.main(["stack", *map(str, arguments)])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def program(folder, script, monkeypatch, path=None):
    """Put a program `docker` on the PATH."""
    folder.mkdir()
    (folder / "docker").write_text(script)
    (folder / "docker").chmod(stat.S_IRWXU)
    monkeypatch.setenv("PATH", str(folder), prepend=path)


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        (None, "the command `docker` is not on the PATH"),
        ("echo no daemon >&2; exit 1", "its daemon does not answer"),
        ('test "$1" = info || { echo unknown command >&2; exit 1; }', "it has no `docker compose`"),
    ],
    ids=["missing", "no-daemon", "no-compose"],
)
def test_docker_that_cannot_be_used_is_explained(capsys, monkeypatch, tmp_path, script, reason):
    """Missing, without a daemon, without compose: the reason, and that the stack runs without it."""
    if script:
        program(tmp_path / "bin", f"#!/bin/sh\n{script}\n", monkeypatch)
    else:
        monkeypatch.setenv("PATH", str(tmp_path))
    code, _, err = run(capsys, "up", "--docker", "--state", tmp_path / "state")
    assert code == 1
    assert reason in err
    assert "otelml stack up" in err


def built_client():
    """Return Compose's own client; without it the test is skipped, in continuous integration it fails."""
    path = build.binary("docker-compose")
    if not path.is_file():
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)("otelml stack build --with compose (needs Go)")
    return path


@pytest.fixture
def client(monkeypatch, tmp_path):
    """Compose's own client behind the stand-in; return the folder of what it was asked and what it made of the file."""
    script = STAND_IN.format(noted=tmp_path, client=built_client())
    program(tmp_path / "bin", script, monkeypatch, ":")
    monkeypatch.delenv("PORT_GRAFANA", raising=False)
    return tmp_path


@pytest.mark.stack
def test_up_starts_what_compose_resolves(capsys, client, tmp_path):
    """Secrets are made first; published are the ports that were asked for, so that `verify` finds the stores."""
    root = tmp_path / "a stack"
    root.mkdir()
    (root / "notify").mkdir()
    (root / "notify/webhook.yaml").write_text((places.files() / "collector/notify/webhook.yaml").read_text())
    for name in ("webhook_url", "watchdog_url"):
        (root / "notify" / name).write_text("http://127.0.0.1:1/")
    code, out, err = run(capsys, "up", "--docker", "--state", root, "--port-offset", 1000, "--port", "loki=3999")
    assert code == 0, err
    services = yaml.safe_load((client / "resolved").read_text())["services"]
    published = {(name, int(port["published"])) for name, each in services.items() for port in each.get("ports", ())}
    plan = native.Plan.read(places.State(root))
    asked = {(name.split("-")[0].replace("otlp", "otelcol"), plan.ports[name]) for name in docker.PUBLISHED}
    assert published == {*asked, ("grafana", 3000)}
    assert plan.ports["loki"] == 3999
    assert {port["host_ip"] for each in services.values() for port in each.get("ports", ())} == {"127.0.0.1"}
    files = yaml.safe_load((client / "resolved").read_text())["secrets"]
    assert {name: stat.S_IMODE(Path(each["file"]).stat().st_mode) for name, each in files.items()} == dict.fromkeys(
        ["grafana_key", "grafana_password", "ingest_token", "redaction_key"], 0o600
    )
    (alertmanager,) = [
        mount["source"]
        for mount in services["alertmanager"]["volumes"]
        if mount["target"].endswith("alertmanager.yaml")
    ]
    assert alertmanager == str(root / "config/alertmanager/alertmanager.yaml")
    mounts = {mount["target"] for mount in services["alertmanager"]["volumes"]}
    assert "url_file: /etc/alertmanager/notify/webhook_url" in Path(alertmanager).read_text()
    assert "/etc/alertmanager/notify" in mounts
    assert f"made {root}/secrets/ingest_token" in out
    assert secret_files.token(places.State(root)) not in out
    assert f"http://127.0.0.1:{1000 + ports.DEFAULT['otlp-http']}" in out


@pytest.mark.stack
def test_the_other_commands_ask_compose_too(capsys, client, tmp_path):
    """`status`, `logs` and `down` name the same file, project and variables; `down --delete` leaves nothing."""
    root = tmp_path / "state"
    for command in (["up", "--docker"], ["status"], ["logs", "loki", "-n", "7"], ["down", "--delete"]):
        assert run(capsys, *command, "--state", root)[0] == 0
    shared = f"--file {places.files() / 'docker-compose.yml'} --project-name otelml --env-file {root}/compose.env"
    assert (client / "asked").read_text().splitlines() == [
        f"{shared} up --detach --wait",
        f"{shared} ps",
        f"{shared} logs --tail=7 loki",
        f"{shared} down --volumes",
    ]
    assert [path.name for path in root.rglob("*") if path.is_file()] == []


def test_a_start_that_fails_can_be_ended(capsys, monkeypatch, tmp_path):
    """Compose may fail after half of the containers started: `down` still asks it to end them."""
    script = f'#!/bin/sh\ncase "$*" in *" up "*) exit 17;; *" down"*) touch {tmp_path}/ended;; esac\n'
    program(tmp_path / "bin", script, monkeypatch, ":")
    assert run(capsys, "up", "--docker", "--state", tmp_path / "state")[0] == 1
    assert run(capsys, "down", "--state", tmp_path / "state")[0] == 0
    assert (tmp_path / "ended").exists()


def test_overlays_are_refused(capsys, tmp_path):
    """What `--docker` can't do it says, instead of leaving it out."""
    code, _, err = run(capsys, "up", "--docker", "--overlay", "tail-sampling", "--state", tmp_path / "state")
    assert code == 2
    assert "--overlay" in err


def test_secrets_that_cannot_be_made_are_told(tmp_path):
    """A file where a directory should be: the script's own words."""
    state = places.State(tmp_path / "file")
    state.root.touch()
    with pytest.raises(docker.StackError, match="can't be made"):
        docker.make_secrets(state, lambda _: None)


@pytest.mark.stack
def test_compose_is_the_release_that_the_docs_name():
    """The client says its version."""
    done = subprocess.run([built_client(), "version", "--short"], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "2.40.3"
