"""The command without a running stack: what it prints, its exit codes, and what it says when it can't."""

import json
import os

import pytest

from otelml import cli
from otelml.stack import build, native, places, ports, secret_files


@pytest.fixture
def state(tmp_path):
    """A state directory that exists."""
    made = places.State(tmp_path / "state")
    made.make()
    return made


def run(capsys, *arguments):
    """Run `otelml stack`; return its exit code and what it printed."""
    before = os.umask(0o022)
    try:
        code = cli.main(["stack", *map(str, arguments)])
    finally:
        os.umask(before)
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_help_names_every_command(capsys):
    """Alone it prints its help and ends well."""
    code, out, _ = run(capsys)
    assert code == 0
    assert all(f" {name} " in out for name in ("build", "up", "down", "status", "env", "logs", "verify"))


@pytest.mark.parametrize("command", ["status", "env", "logs", "verify"])
def test_what_needs_a_running_stack_says_so(capsys, tmp_path, command):
    """Exit code 1, and the command that helps."""
    code, out, err = run(capsys, command, "--state", tmp_path / "none")
    assert (code, out) == (1, "")
    assert "otelml stack up" in err


def test_down_where_nothing_runs_is_fine(capsys, tmp_path, state):
    """There is nothing to do, and that is no fault."""
    assert run(capsys, "down", "--state", tmp_path / "none")[0] == 0
    assert run(capsys, "down", "--state", state.root)[:2] == (0, "nothing runs\n")


def test_wrong_ports_are_all_named(capsys, tmp_path):
    """Before anything is built or started."""
    code, _, err = run(capsys, "up", "--state", tmp_path / "s", "--port", "loki=x", "--port", "grafana=1")
    assert code == 1
    assert err.count("  - ") == 2


def test_an_unknown_module_is_named(capsys):
    """With those that there are."""
    code, _, err = run(capsys, "build", "tempo")
    assert code == 2
    assert err.startswith("no such module: tempo; there are alertmanager, compose, jaeger")


def test_env_is_what_a_shell_evaluates(capsys, state):
    """The endpoint of the chosen port, and the token by way of its file, so that it does not stand on the screen."""
    secret_files.make(state)
    native.Plan(ports.choose(100, [])).write(state)
    code, out, _ = run(capsys, "env", "--state", state.root)
    assert code == 0
    assert "export OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4418\n" in out
    assert secret_files.token(state) not in out
    assert str(state.token_file) in out


def test_two_commands_at_once_are_told_apart(capsys, state):
    """While one starts or stops the stack the other says so and does nothing."""
    with native.alone(state):
        code, _, err = run(capsys, "down", "--state", state.root)
    assert code == 1
    assert "wait for the other command" in err


def test_delete_leaves_what_the_user_wrote(capsys, state):
    """What was stored and made is gone; the files in notify/ are the user's."""
    secret_files.make(state)
    (state.notify / "slack.yaml").write_text("receivers: []")
    assert run(capsys, "down", "--delete", "--state", state.root)[0] == 0
    assert [str(path.relative_to(state.root)) for path in state.root.rglob("*")] == ["notify", "notify/slack.yaml"]


def test_a_plan_is_read_as_it_was_written(state):
    """Ports, overlays and Docker come back; a file that is no plan is none."""
    plan = native.Plan(ports.choose(7, []), ("tail-sampling",), docker=True)
    plan.write(state)
    assert native.Plan.read(state) == plan
    (state.run / "stack.json").write_text(json.dumps({"ports": 1}))
    assert native.Plan.read(state) is None


def test_build_lists_what_is_there(capsys, monkeypatch, tmp_path):
    """With everything built it prints the paths and compiles nothing."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    for module in build.MODULES:
        for name in module.binaries:
            path = build.directory(module) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
    code, out, _ = run(capsys, "build")
    assert code == 0
    expected = {name for module in build.MODULES for name in module.binaries}
    assert {line.rsplit("/", 1)[1] for line in out.splitlines()} == expected
    path = build.binary("docker-compose")
    path.parent.mkdir()
    path.touch()
    assert run(capsys, "build", "--with", "compose")[1] == f"{out}{path}\n"
    assert run(capsys, "build", "compose")[1] == f"{path}\n"
