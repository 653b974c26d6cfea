"""``otelml view`` and the terminal's commands, as processes of their own on real ports."""

import gzip
import http.client
import json
import os
import re
import signal
import stat
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcSpans
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExportResult

import otelml
from otelml import cli
from otelml.viewer import running, terminal
from otelml.viewer.sources import load
from otelml.viewer.store import Store

FREE = ("--port", "0", "--otlp-port", "0", "--grpc-port", "0", "--no-browser")


def environment(state):
    """Return the environment of a user without settings of ours, whose state is in a folder of its own."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("OTEL")}
    return kept | {"XDG_STATE_HOME": str(state), "PYTHONPATH": str(Path(otelml.__file__).parents[1])}


def command(state, *arguments):
    """Run ``otelml`` to its end."""
    run = [sys.executable, "-m", "otelml", *arguments]
    return subprocess.run(run, env=environment(state), capture_output=True, text=True, timeout=60, check=False)


@contextmanager
def viewing(state, *arguments):
    """Run ``otelml view`` until the block ends; give what it printed first and the process."""
    run = [sys.executable, "-u", "-m", "otelml", "view", *FREE, *arguments]
    process = subprocess.Popen(
        run, env=environment(state), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, bufsize=1
    )
    try:
        printed = ""
        while "Ctrl-C" not in printed:
            line = process.stdout.readline()
            assert line, printed
            printed += line
        yield printed, process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def send(endpoint, name="work", exporter=None):
    """Send one span; return the result of its export."""
    sent = []

    class Recorded(SimpleSpanProcessor):
        def on_end(self, span):
            sent.append(self.span_exporter.export([span]))

    provider = TracerProvider(resource=Resource({"service.name": "shop"}))
    provider.add_span_processor(Recorded(exporter or OTLPSpanExporter(endpoint=f"{endpoint}/v1/traces")))
    provider.get_tracer("t").start_span(name).end()
    provider.shutdown()
    return sent[0]


def endpoints(printed):
    """Return the link and the two OTLP endpoints that were printed."""
    link = re.search(r"http://\S+/\?token=\S+", printed)[0]
    return link, *re.search(r"OTLP: (\S+) \(HTTP\), (\S+) \(gRPC\)", printed).groups()


def test_from_the_first_line_to_the_last(tmp_path):
    """Start, open the link, send by both protocols, ask from the terminal, a second viewer, end: what is kept stays."""
    db = str(tmp_path / "kept.db")
    with viewing(tmp_path, "--db", db) as (printed, process):
        link, http_endpoint, grpc_endpoint = endpoints(printed)
        assert f"export OTEL_EXPORTER_OTLP_ENDPOINT={http_endpoint}" in printed
        assert "otelml run -- python app.py" in printed
        (file,) = (tmp_path / "otelml").iterdir()
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
        parts = urlsplit(link)
        connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=20)
        connection.request("GET", f"/?{parts.query}")
        assert connection.getresponse().status == 303
        connection.close()

        assert send(http_endpoint) is SpanExportResult.SUCCESS
        assert send(None, "other", GrpcSpans(endpoint=grpc_endpoint, insecure=True)) is SpanExportResult.SUCCESS
        done = command(tmp_path, "await", "spans>=2 service=shop", "--timeout", "20")
        assert (done.returncode, done.stdout) == (0, "spans>=2 service=shop: yes, it is 2\n")
        done = command(tmp_path, "sql", "SELECT name FROM spans ORDER BY name", "--json", "--db", db)
        assert json.loads(done.stdout) == [{"name": "other"}, {"name": "work"}]
        fresh = command(tmp_path, "view", "--url").stdout.strip()
        assert fresh.partition("?")[0] == link.partition("?")[0]
        assert fresh != link

        second = command(tmp_path, "view", "--db", db, *FREE)
        assert second.returncode == 2
        assert f"{db} is in use by process {process.pid}" in second.stderr
        assert "Traceback" not in second.stderr

        process.send_signal(signal.SIGTERM)
        rest = process.stdout.read()
        assert process.wait(20) == 0
        assert f"they stay in {db}" in rest
        assert list((tmp_path / "otelml").iterdir()) == []
    done = command(tmp_path, "traces", "name=work", "--db", db)
    assert "shop: work" in done.stdout
    assert "1 of 1" in done.stderr


def test_a_killed_viewer_is_not_taken_for_a_running_one(tmp_path):
    """Its file stays, and is passed over; what it had acknowledged is in its store."""
    db = str(tmp_path / "kept.db")
    with viewing(tmp_path, "--db", db) as (printed, process):
        assert send(endpoints(printed)[1]) is SpanExportResult.SUCCESS
        process.kill()
        process.wait()
    assert len(list((tmp_path / "otelml").iterdir())) == 1
    done = command(tmp_path, "errors")
    assert done.returncode == 2
    assert done.stderr == "otelml errors: no viewer runs here. Start one: otelml view. Or read a file: --db FILE\n"
    done = command(tmp_path, "sql", "SELECT count(*) AS n FROM spans", "--db", db, "--json")
    assert json.loads(done.stdout) == [{"n": 1}]


def test_others_are_let_in_with_the_token_alone(tmp_path):
    """``--listen`` without one is refused with the way to make it; with one, senders and programs need it."""
    done = command(tmp_path, "view", "--listen", "0.0.0.0", *FREE)  # noqa: S104 - that it is refused
    assert done.returncode == 2
    assert "needs --token-file FILE. Make one:" in done.stderr
    short, token = tmp_path / "short", tmp_path / "token"
    short.write_text("abc\n")
    assert "16 or more" in command(tmp_path, "view", "--token-file", str(short), *FREE).stderr
    token.write_text("a-token-that-is-long-enough\n")
    with viewing(tmp_path, "--listen", "127.0.0.1", "--token-file", str(token)) as (printed, _):
        _, http_endpoint, grpc_endpoint = endpoints(printed)
        assert "authorization=Bearer%20$(cat " in printed
        assert token.read_text().strip() not in printed
        assert send(http_endpoint) is SpanExportResult.FAILURE
        refused = GrpcSpans(endpoint=grpc_endpoint, insecure=True)
        assert send(None, exporter=refused) is SpanExportResult.FAILURE
        header = {"authorization": "Bearer a-token-that-is-long-enough"}
        good = OTLPSpanExporter(endpoint=f"{http_endpoint}/v1/traces", headers=header)
        assert send(None, exporter=good) is SpanExportResult.SUCCESS
        good = GrpcSpans(endpoint=grpc_endpoint, insecure=True, headers=tuple(header.items()))
        assert send(None, exporter=good) is SpanExportResult.SUCCESS
        assert command(tmp_path, "await", "spans=2", "--timeout", "5").returncode == 0


def test_lines_of_the_file_exporter_are_shown(tmp_path):
    """A file of the collector's, packed or not, with a bad line: the rest is shown, and the line is told."""
    line = {
        "resourceSpans": [
            {
                "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "shop"}}]},
                "scopeSpans": [{"spans": [{"traceId": "ab" * 16, "spanId": "cd" * 8, "name": "sold"}]}],
            }
        ]
    }
    file = tmp_path / "otlp.jsonl"
    file.write_text(f"{json.dumps(line)}\n\n{{broken\n{json.dumps({'a': 1})}\n")
    with viewing(tmp_path, str(file)) as (_, process):
        told = "".join(process.stdout.readline() for _ in range(4))
        assert "1 requests (1 traces, 0 metrics, 0 logs)" in told
        assert "has 2 lines that can't be read:\nline 3: " in told
        assert json.loads(command(tmp_path, "traces", "--json").stdout)["traces"][0]["name"] == "sold"
    packed = tmp_path / "otlp.jsonl.gz"
    packed.write_bytes(gzip.compress(f"{json.dumps(line)}\n".encode()))
    done = command(tmp_path, "await", "traces>=1 name=sold", "--db", str(packed), "--timeout", "0")
    assert done.returncode == 0


@pytest.fixture
def lines(tmp_path, monkeypatch):
    """Give a file of OTLP lines with a trace of two spans, a log and a counter, and a state folder of its own."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    attributes = [{"key": "service.name", "value": {"stringValue": "shop"}}]
    trace, begun = {"traceId": "ab" * 16}, 10**18
    sell = trace | {"spanId": "01" * 8, "name": "sell\x1b[31m", "status": {}}
    pay = trace | {"spanId": "02" * 8, "parentSpanId": "01" * 8, "name": "pay"}
    sell |= {"startTimeUnixNano": str(begun), "endTimeUnixNano": str(begun + 7 * 10**6)}
    pay |= {"startTimeUnixNano": str(begun + 10**6), "endTimeUnixNano": str(begun + 4 * 10**6)}
    pay |= {"status": {"code": 2, "message": "no money"}}
    record = trace | {"timeUnixNano": str(begun + 10**6), "severityNumber": 17, "severityText": "ERROR"}
    record |= {"body": {"stringValue": "declined\x07"}}
    point = {"asInt": "3", "startTimeUnixNano": str(begun), "timeUnixNano": str(begun + 10**9)}
    data = {"dataPoints": [point], "aggregationTemporality": 2, "isMonotonic": True}
    counter = {"name": "sales", "unit": "{sale}", "sum": data}
    file = tmp_path / "shop.jsonl"
    with file.open("w") as out:
        for outer, inner, key, items in (
            ("resourceSpans", "scopeSpans", "spans", [sell, pay]),
            ("resourceLogs", "scopeLogs", "logRecords", [record]),
            ("resourceMetrics", "scopeMetrics", "metrics", [counter]),
        ):
            out.write(json.dumps({outer: [{"resource": {"attributes": attributes}, inner: [{key: items}]}]}) + "\n")
    return str(file)


def test_the_terminal_shows_what_there_is(lines, capsys):
    """Every command in words and in JSON; what would steer the terminal is taken out of names and bodies."""
    for arguments, words in (
        (["traces"], ["7 ms", "1 errors", "shop: sell\ufffd[31m", "ab" * 16]),
        (["traces", "AB" * 16], ["sell\ufffd[31m  (shop)", "  pay  (shop)  error no money", "declined\ufffd"]),
        (["traces", "name=pay"], ["shop: sell"]),
        (["errors"], ["1 errors"]),
        (["slow", "--limit", "1"], ["7 ms", "ab" * 16]),
        (["logs", "severity>=warn", "declined"], ["error  shop  declined\ufffd"]),
        (["metrics"], ["sales", "{sale}", "1 series"]),
        (["sql", "SELECT name, duration_ns FROM spans ORDER BY name"], ["pay        3000000"]),
    ):
        assert cli.main([*arguments, "--db", lines]) == 0, arguments
        printed = capsys.readouterr().out
        assert all(word in printed for word in words), printed
        assert "\x1b" not in printed
        assert "\x07" not in printed
        assert cli.main([*arguments, "--db", lines, "--json"]) == 0
        assert json.loads(capsys.readouterr().out)


def test_waiting_has_three_ends(lines, capsys):
    """0 where it holds, 1 where time is up, 2 where the expression is none, or there is nothing to read."""
    for expression, code, word in (
        ("traces>=1 service=shop", 0, "yes, it is 1"),
        ("sales>=3", 0, "yes, it is 3"),
        ("errors=1", 0, "yes"),
        ("logs>=1 severity=error", 0, "yes"),
        ("SELECT count(*) = 2 FROM spans", 0, "yes"),
        ("traces>=2", 1, "no, it is 1"),
        ("sales<3", 1, "no, it is 3"),
        ("SELECT count(*) = 1 FROM spans", 1, "no"),
        ("what?", 2, ""),
        ("DELETE FROM spans", 2, ""),
        ("traces>=1 duration>soon", 2, ""),
    ):
        assert cli.main(["await", expression, "--db", lines, "--timeout", "0"]) == code, expression
        printed = capsys.readouterr()
        assert word in printed.out
        assert bool(printed.err) is (code == 2)
    assert cli.main(["await", "traces>=1", "--db", f"{lines}.none"]) == 2
    assert "there is no such file" in capsys.readouterr().err


def test_an_export_reads_back_equal(lines, tmp_path, capsys):
    """Spans, logs and points, every field, through a file of lines; never over a file that is there."""
    out = tmp_path / "out.jsonl"
    assert cli.main(["export", str(out), "--db", lines]) == 0
    assert "3 lines in" in capsys.readouterr().out
    assert cli.main(["export", str(out), "--db", lines]) == 2
    assert "exists" in capsys.readouterr().err
    with Store() as first, Store() as second:
        assert load(first, Path(lines))[1] == load(second, out)[1] == []
        assert first.spans() == second.spans()
        assert first.logs() == second.logs()
        assert first.metric_points() == second.metric_points()
    assert cli.main(["export", "-", "--db", lines]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 3


def test_misuse_is_told_in_one_line(lines, capsys):
    """Bad values and queries: exit code 2, the fault and the fix, no traceback."""
    for arguments, word in (
        (["sql", "DELETE FROM spans"], "not one statement that reads"),
        (["traces", "duration>soon"], "give q as"),
        (["metrics", "nothing"], "there is no metric 'nothing'"),
        (["traces", "--limit", "0"], "from 1 to 1000"),
    ):
        assert cli.main([*arguments, "--db", lines]) == 2
        assert word in capsys.readouterr().err
    with pytest.raises(SystemExit) as raised:
        terminal.main(["traces", "--last", "soon"])
    assert raised.value.code == 2


def test_only_files_of_our_own_are_believed(tmp_path, monkeypatch):
    """A state file that others can write could send the token elsewhere: it is passed over."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    viewer = running.Running("http://127.0.0.1:1/", "t", os.getpid(), None, None, None)
    with running.announced(viewer) as path:
        assert running.viewers() == [viewer]
        path.chmod(0o644)
        assert running.viewers() == []
        path.chmod(0o600)
        elsewhere = tmp_path / "elsewhere.json"
        path.rename(elsewhere)
        path.symlink_to(elsewhere)
        assert running.viewers() == []
    assert not path.exists()


def test_the_first_page_is_quick(tmp_path):
    """From the start of the process to the page's first answer; one second on an idle machine."""
    before = time.monotonic()
    with viewing(tmp_path) as (printed, _):
        parts = urlsplit(endpoints(printed)[0])
        connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=20)
        connection.request("GET", f"/?{parts.query}")
        connection.getresponse().read()
        connection.close()
    assert time.monotonic() - before < 10  # a busy machine; benchmarks/viewer.py says how long on an idle one
