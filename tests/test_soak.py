"""The soak: two minutes of it, its bounds, and that each of them can be broken."""

import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

pytest.importorskip("rich", reason="the demo's packages are missing: pip install 'otelml[demo]'")

SCRIPTS = Path(__file__).parent.parent / "scripts"


@pytest.fixture
def load(monkeypatch):
    """Import a part of the soak by its name."""
    monkeypatch.syspath_prepend(SCRIPTS)
    return lambda name: importlib.import_module(f"_soak.{name}")


def soak(load, folder, *arguments):
    """Run the soak; return its exit code and result."""
    command = [sys.executable, SCRIPTS / "soak.py", "--folder", folder, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode in {0, 1}, done.stdout + done.stderr
    return done, load("report").result_of(folder)


@pytest.mark.timeout(400)
def test_two_minutes(load, tmp_path):
    """Nothing grows and every count is exact while the receiver is killed six times, twice followed by silence."""
    picture = tmp_path / "soak.svg"
    done, result = soak(load, tmp_path / "run", "--minutes", "1.9", "--rate", "80", "--graph", picture)
    assert done.returncode == 0, done.stdout
    counts = {count["what"]: count for count in result["counts"]}
    assert counts["requests"]["made"] > 80 * 114 * 0.5
    assert counts["spans"]["made"] == 6 * counts["requests"]["made"]
    assert counts["spans"]["dropped"] > 0
    assert result["kills"] == 6
    assert result["down"] == 20
    assert picture.read_text().startswith("<?xml")


@pytest.mark.timeout(400)
def test_every_bound_sees_its_leak(load, tmp_path):
    """A service that leaks memory, files and threads, and predicts more than it is told, breaks those bounds alone."""
    arguments = ["--minutes", "0.4", "--rate", "100", "--kill-every", "30", "--leak", "memory,files,threads,counts"]
    done, result = soak(load, tmp_path / "run", *arguments)
    assert done.returncode == 1
    broken = [bound["what"] for bound in result["bounds"] if not bound["holds"]]
    assert broken == ["memory, growth after warm-up", "file descriptors, most", "threads, most", "counts"]
    inexact = {count["what"] for count in result["counts"] if not count["exact"]}
    assert inexact == {"spans", "logs", "ml.requests", "ml.prediction.duration"}


def sampled(load, *, memory=0.0, files=0, threads=0, wobble=0.0):
    """Return a sample a second of a service that grows by so much each second."""
    make = load("samples").Sample
    return [
        make(s, 300 + memory * s + wobble * (s % 2), 20 + files * s, 8 + threads * s, s * 0.1, 100 * s, up=True)
        for s in range(1, 101)
    ]


def broken(load, samples, counts=(), *, rate=100.0, stopped=1.0, strange=0):
    """Return the names of the bounds that do not hold."""
    found = load("verdict").judged(samples, counts, rate, stopped, strange)
    return [bound.what.partition(",")[0] for bound in found if not bound.holds]


def test_the_bounds(load):
    """Noise and growth below a bound hold; growth over it, a low rate, a slow end and lost counts do not."""
    count = load("counts").Count
    assert broken(load, sampled(load, memory=0.1, wobble=5)) == []
    assert broken(load, sampled(load, memory=0.3)) == ["memory"]
    assert broken(load, sampled(load, files=1)) == ["file descriptors"]
    assert broken(load, sampled(load, threads=1)) == ["threads"]
    assert broken(load, sampled(load), rate=250) == ["requests a second"]
    assert broken(load, sampled(load), stopped=6) == ["end after SIGTERM"]
    assert broken(load, sampled(load), strange=1) == ["lines of the service that are no outage"]
    assert broken(load, sampled(load), [count("spans", 10, 9)]) == ["counts"]


@pytest.mark.parametrize(
    ("figures", "exact"),
    [
        ((10, 10), True),
        ((10, 12, 2), True),
        ((10, 7, 0, 3), True),
        ((10, 8, 0, 4, 2), True),
        ((10, 8, 0, 4, 1), False),
        ((10, 9), False),
        ((10, 11), False),
        ((10, 11, 2), False),
        ((10, 7, 0, 2, 5), False),
    ],
)
def test_a_count_is_exact(load, figures, exact):
    """Made is received less twice plus dropped; more by what a kill cut off at most, never less."""
    assert load("counts").Count("spans", *figures).exact is exact


def test_rows_that_came_twice_are_counted_once_each(load, tmp_path):
    """The same span again is twice, in whichever piece it comes; pruned rows that were not looked at are an error."""
    parts = load("receiver")
    with parts.Remembering(str(tmp_path / "store.db"), max_bytes=8 << 20) as store:
        server = parts.Server(store, 0, os.open(tmp_path / "answered.txt", os.O_WRONLY | os.O_CREAT))
        twice = load("counts").Twice(f"http://127.0.0.1:{server.port}")

        def put(*names, note=b""):
            request = ExportTraceServiceRequest()
            scope = request.resource_spans.add().scope_spans.add()
            for name in names:
                span = scope.spans.add(span_id=name.encode() * 8)
                span.attributes.add(key="note").value.bytes_value = note
            store.add("traces", request)

        put("a", "b", "a", "c")
        twice.look()
        put("d", "d", "d")
        twice.look()
        twice.look()
        assert twice.found == {"traces": 3, "logs": 0}
        while store.pruned["traces"] <= 7:
            put("e", note=os.urandom(1 << 20))
        with pytest.raises(RuntimeError, match="pruned"):
            twice.look()
        server.close()


def test_kills(load):
    """One each so often, the second and each nth followed by silence, none during a recovery or at the end."""
    plan = load("outages").plan
    outages = plan(114, 12, 4, 10)
    assert [outage.at for outage in outages] == [12, 24, 48, 60, 72, 96]
    assert [outage.down for outage in outages] == [0, 10, 0, 0, 10, 0]
    assert len(plan(3600, 20, 15, 30)) > 150
    assert plan(10, 12, 4, 10) == []
