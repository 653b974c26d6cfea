"""``otelml spool``: what it lists, what it sends, and what it says where it cannot; what doctor says of a spool."""

import json
import os
import subprocess
import sys

import pytest

from otelml import config, doctor
from otelml._drops import Drops
from otelml.errors import ConfigError
from otelml.spool import folders
from otelml.spool.batches import decoded
from otelml.spool.command import age, size
from otelml.spool.storing import Spool


@pytest.fixture
def left(tmp_path):
    """Leave batches behind, as a killed process does: two of traces, one of logs."""
    root = tmp_path / "spool"
    made = Spool(root, 1 << 30, 3600.0, Drops().add)
    made.keep("traces", 3, b"\x0a\x00", packed=False)
    made.keep("traces", 4, b"\x0a\x00", packed=True)
    made.keep("logs", 5, b"\x0a\x00", packed=False)
    made._own.forget()
    return root


def test_the_list(left, cli):
    """One line for each signal: batches, items, bytes on the disk, age of the oldest; the same as JSON."""
    said = cli()
    assert said.returncode == 0, said.stderr
    lines = [line.split() for line in said.stdout.splitlines()]
    assert lines[0] == ["SIGNAL", "BATCHES", "ITEMS", "SIZE", "OLDEST"]
    assert lines[1][:5] == ["traces", "2", "7", "8.0", "KiB"]
    assert lines[2] == ["metrics", "0", "0", "0", "B", "-"]
    assert lines[3][:5] == ["logs", "1", "5", "4.0", "KiB"]
    assert "otelml spool send" in said.stdout
    found = json.loads(cli("--json", "--dir", str(left)).stdout)
    assert [(line["signal"], line["batches"], line["items"]) for line in found["signals"]] == [
        ("traces", 2, 7),
        ("metrics", 0, 0),
        ("logs", 1, 5),
    ]
    assert found["running"] == found["torn"] == 0


@pytest.mark.parametrize("endpoint", ["http/protobuf", "grpc"], indirect=True)
def test_sending(endpoint, left, cli):
    """Everything goes to the endpoint of the settings, the directory is empty after, and the exit code is 0."""
    done = cli("send")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "traces: 7 spans sent, in 2 of 2 batches",
        "logs: 5 logs sent, in 1 of 1 batches",
    ]
    assert [signal for signal, _ in endpoint.requests] == ["traces", "traces", "logs"]
    assert list(left.iterdir()) == []


def test_sending_elsewhere(endpoint, left, cli):
    """``--endpoint``, ``--protocol`` and ``--dir`` go before the environment."""
    settings = {"OTELML_SPOOL_DIR": "", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}
    settings["OTEL_EXPORTER_OTLP_PROTOCOL"] = "grpc"
    done = cli("send", "--endpoint", endpoint.url, "--protocol", "http/protobuf", "--dir", str(left), **settings)
    assert done.returncode == 0, done.stderr
    assert len(endpoint.requests) == 3


@pytest.mark.parametrize("answer", ["closed", 503, 404])
def test_what_is_left_is_said(endpoint, left, cli, answer):
    """Where the endpoint takes nothing: exit code 1, each signal with its endpoint and reason, all still there."""
    if answer == "closed":
        endpoint.close()
    else:
        endpoint.answer = answer
    done = cli("send", OTEL_EXPORTER_OTLP_TIMEOUT="0.5")
    assert done.returncode == 1
    assert f"2 batches of traces are left: {endpoint.url}/v1/traces" in done.stderr
    assert f"1 batches of logs are left: {endpoint.url}/v1/logs" in done.stderr
    assert "Traceback" not in done.stderr
    assert len(list(left.rglob("*.otlp"))) == 3


def test_what_is_refused_is_said(endpoint, left, cli):
    """Batches that the receiver refuses for good are dropped, with their number and the reason; nothing is left."""
    endpoint.answer = 400
    done = cli("send")
    assert done.returncode == 0
    assert "traces: 7 spans refused by the receiver" in done.stdout
    assert list(left.iterdir()) == []


def test_running_processes_send_their_own(endpoint, left, cli):
    """What a living process keeps is listed, and left to it; that is no failure."""
    living = Spool(left, 1 << 30, 3600.0, Drops().add)
    living.keep("traces", 9, b"\x0a\x00", packed=False)
    assert "Running processes with a folder of their own: 1." in cli().stdout
    done = cli("send")
    assert done.returncode == 0
    assert "Running processes" in done.stdout
    assert len(endpoint.requests) == 3
    assert len(list(left.rglob("*.otlp"))) == 1
    living._own.release()


def test_torn_files_are_listed(endpoint, left, cli):
    """A file that is not whole is set aside, said, and never sent."""
    torn = next(left.rglob("*-traces-3-*.otlp"))
    torn.write_bytes(torn.read_bytes()[:-1])
    done = cli("send")
    assert "spans in files that are not whole, set aside: 3" in done.stdout
    assert len(endpoint.requests) == 2
    assert f"1 files that are not whole: {left / folders.ASIDE}" in cli().stdout


def test_bad_input_is_told(tmp_path, cli):
    """No directory, a file for a directory, a directory without rights, an endpoint that is none: exit code 2."""
    done = cli(OTELML_SPOOL_DIR="")
    assert (done.returncode, "OTELML_SPOOL_DIR" in done.stderr) == (2, True)
    (tmp_path / "file").write_text("x")
    done = cli("--dir", str(tmp_path / "file" / "spool"))
    assert (done.returncode, "is a file" in done.stderr) == (2, True)
    done = cli("send", "--endpoint", "nowhere")
    assert (done.returncode, "must be a URL" in done.stderr) == (2, True)


def test_the_directory_is_checked_at_the_start(tmp_path):
    """A directory that cannot be is one of the faults of the settings; one that is not there yet is not made."""
    (tmp_path / "file").write_text("x")
    with pytest.raises(ConfigError, match="must be a directory"):
        config.load({"spool_dir": str(tmp_path / "file")}, {})
    settings = config.load({"spool_dir": str(tmp_path / "a" / "b")}, {})
    assert settings.spool_dir == str(tmp_path / "a" / "b")
    assert not (tmp_path / "a").exists()
    with pytest.raises(ConfigError, match="OTELML_SPOOL_MAX_BYTES"):
        config.load({}, {"OTELML_SPOOL_MAX_BYTES": "1"})


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_directory_without_rights_is_refused(tmp_path):
    """Where this user may not write, the settings say so."""
    tmp_path.chmod(0o500)
    with pytest.raises(ConfigError, match="no right to write"):
        config.load({"spool_dir": str(tmp_path / "spool")}, {})


def test_doctor(tmp_path, left):
    """It says how full the spool is, that nobody is there to send what waits, and which exporters have none."""
    given = {"spool_dir": str(left), "metrics_exporter": "prometheus", "traces_exporter": "otlp,console"}
    found = [(f.state, f.detail) for f in doctor.spool.spooled(config.load(given, {}))]
    assert found[0] == ("note", f"12.0 KiB of 1.0 GiB in {left}")
    assert [detail.partition(" are")[0] for _, detail in found[1:]] == ["traces to console", "metrics to prometheus"]
    assert list(doctor.spool.spooled(config.load({}, {}))) == []
    empty = config.load({"spool_dir": str(tmp_path / "none")}, {})
    assert [f.state for f in doctor.spool.spooled(empty)] == ["ok"]
    before = sorted(left.rglob("*"))
    doctor.examine(config.load(given | {"metrics_exporter": "none"}, {}))
    assert sorted(left.rglob("*")) == before


FOREIGN = """
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
import otelml

trace.set_tracer_provider(TracerProvider())
otelml.auto_instrument("x", config={"host": False, "gpu": False})
"""


def test_providers_of_the_application_are_said_to_have_none(environ, tmp_path):
    """Where the application exports traces itself, the spool keeps the other two signals and says so."""
    done = subprocess.run(
        [sys.executable, "-c", FOREIGN],
        env=environ,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert "otelml: traces are not kept in OTELML_SPOOL_DIR" in done.stderr


def test_units():
    """Sizes and ages read well."""
    assert [size(n) for n in (0, 1023, 4096, 5 << 20, 3 << 30, 5 << 40)] == [
        *("0 B", "1023 B", "4.0 KiB", "5.0 MiB", "3.0 GiB", "5120.0 GiB")
    ]
    assert [age(s) for s in (None, 3.0, 180.0, 7200.0, 200_000.0)] == [
        "-",
        "3 s ago",
        "3 min ago",
        "2 h ago",
        "2 d ago",
    ]


SECRETS = """
import logging, sys, time
import numpy as np
import otelml

runtime = otelml.auto_instrument("x", config={"host": False, "gpu": False})
with otelml.prediction("m") as p:
    p.result(classes="a")
try:
    with otelml.prediction("m") as p:
        raise ValueError("could not convert string to float: 'CANARY'")
except ValueError:
    pass
runtime.force_flush(10)
"""


def test_no_secret_is_on_the_disk(endpoint, environ, tmp_path):
    """Files hold what would have been sent: no header, no token, no raw value of an exception."""
    endpoint.close()
    secrets = {"OTEL_EXPORTER_OTLP_HEADERS": "authorization=Bearer%20CANARY", "OTEL_EXPORTER_OTLP_TIMEOUT": "0.3"}
    subprocess.run([sys.executable, "-c", SECRETS], env=environ | secrets, check=True, timeout=60)
    files = list((tmp_path / "spool").rglob("*.otlp"))
    assert len({path.name.split("-")[2] for path in files}) == 3
    held = b"".join(path.read_bytes() + decoded(path.read_bytes()) for path in files)
    assert b"ValueError" in held
    assert b"CANARY" not in held
    assert b"uthorization" not in held
