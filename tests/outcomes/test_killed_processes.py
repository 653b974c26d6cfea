"""Several processes at once, forked ones, and ones that are killed: every pair is joined and told exactly once."""

import os
import signal
import subprocess
import time

import pytest
from recorded_outcomes import program

from otelml.outcomes import joining
from otelml.outcomes.database import connect

WRITER = """
import sys, time
from otelml.outcomes import joining
from otelml.outcomes.database import connect
from otelml.outcomes.rows import Actual, Predicted

address, me, writers, n = sys.argv[1], *map(int, sys.argv[2:])
database = connect(address, timeout=60)
joined = duplicates = 0
for i in range(0, n, 20):
    ids = range(i, i + 20)
    # Each predicts its own, and tells the truth of its neighbour's and again of the next one's.
    predictions = [Predicted(f"{me}-{k}", "m", "1", time.time(), "a", None, 0.5) for k in ids]
    truths = [Actual(f"{(me + 1) % writers}-{k}", "a", None, time.time()) for k in ids]
    truths += [Actual(f"{(me + 2) % writers}-{k}", "a", None, time.time()) for k in ids]
    found = joining.write(database, predictions, truths, time.time(), report=True)
    joined += len(found.joined)
    duplicates += sum(n for (what, *_), n in found.tallies.items() if what == "duplicate")
print(joined, duplicates)
"""


def counts(address):
    """Return predictions, joined ones and waiting truths in a database; check that SQLite finds it whole."""
    database = connect(address)
    try:
        if "://" not in address:
            assert database.select("PRAGMA integrity_check") == [("ok",)]
        kept, joined = database.select("SELECT COUNT(*), COUNT(joined) FROM otelml_predictions")[0]
        return kept, joined, database.select("SELECT COUNT(*) FROM otelml_actuals")[0][0]
    finally:
        database.close()


def test_concurrent_writers(address):
    """Four processes write 400 predictions each and every truth twice, out of order: all are joined once."""
    writers, n = 4, 400
    running = [program(WRITER, address, me, writers, n) for me in range(writers)]
    results = [tuple(map(int, p.communicate(timeout=100)[0].split())) for p in running]
    assert [p.returncode for p in running] == [0] * writers
    assert sum(joined for joined, _ in results) == writers * n
    assert sum(duplicates for _, duplicates in results) == writers * n
    assert counts(address) == (writers * n, writers * n, 0)


OPENER = """
import sys
from otelml.outcomes.database import connect

print("ready", flush=True)
for line in sys.stdin:
    connect(line.strip(), timeout=30).close()
    print("opened", flush=True)
"""


def test_new_file_is_opened_by_many(tmp_path):
    """Four processes that open the same new file in the same moment all get it: none is told that it is locked."""
    running = [program(OPENER, stdin=subprocess.PIPE) for _ in range(4)]
    assert [p.stdout.readline() for p in running] == ["ready\n"] * 4
    for turn in range(25):
        for p in running:
            p.stdin.write(f"{tmp_path / str(turn)}.db\n")
            p.stdin.flush()
        assert [p.stdout.readline() for p in running] == ["opened\n"] * 4
    for p in running:
        p.communicate(timeout=60)


KILLED = """
import sys, time
from otelml.outcomes import joining
from otelml.outcomes.database import connect
from otelml.outcomes.rows import Actual, Predicted

database = connect(sys.argv[1], timeout=60)
me = sys.argv[2]
i = 0
while True:
    ids = [f"{me}-{k}" for k in range(i, i + 10)]
    predictions = [Predicted(key, "m", "1", time.time(), "a", None, 0.5) for key in ids]
    truths = [Actual(key, "a", None, time.time()) for key in ids]
    joining.write(database, predictions, truths, time.time(), report=False)
    i += 10
    print(i, flush=True)
"""


def test_killed_writers(address):
    """Processes killed with -9 while they write leave a whole database with all they said was written, told once."""
    said = 0
    for turn in range(3):
        running = [program(KILLED, address, f"{turn}{k}") for k in range(2)]
        first = [p.stdout.readline() for p in running]
        time.sleep(0.3)
        for p in running:
            p.send_signal(signal.SIGKILL)
        for p in running:
            # Not by communicate(), which forgets what readline() has read ahead.
            lines = [first.pop(0), *p.stdout.read().split()]
            p.wait(timeout=20)
            said += int(lines[-1])
    kept, joined, waiting = counts(address)
    assert said <= kept <= said + 6 * 10  # the last transaction of each may have been written and not said
    assert (joined, waiting) == (kept, 0)
    database = connect(address)
    told = []
    while more := joining.unreported(database, most=100).joined:
        told += more
    database.close()
    assert len({one.prediction.id for one in told}) == len(told) == kept


SERVICE = """
import os, sys, time
from pathlib import Path
import otelml
where = {"outcomes_database": sys.argv[1], "outcomes_spool": sys.argv[2]}
otelml.auto_instrument(config={**where, "outcomes_interval": 0.5})
{body}
"""

FORKED = """
for i in range(50):
    with otelml.prediction("m", "1", prediction_id=f"parent-{i}") as p:
        p.result(classes="a")
otelml.api.runtime.active.force_flush()
children = []
for me in range(2):
    child = os.fork()
    if child == 0:
        for i in range(50):
            with otelml.prediction("m", "1", prediction_id=f"{me}-{i}") as p:
                p.result(classes="a")
            otelml.record_outcome(f"{me}-{i}", "a")
            otelml.record_outcome(f"parent-{i}", "a" if me else "b")
        ok = otelml.api.runtime.active.shutdown()
        os._exit(0 if ok else 1)
    children.append(child)
codes = [os.waitpid(child, 0)[1] for child in children]
for i in range(50):
    otelml.record_outcome(f"1-{i}", "a")
print(codes, otelml.api.runtime.active.force_flush())
"""

NONE = {f"OTEL_{signal_}_EXPORTER": "otlp" for signal_ in ("TRACES", "METRICS", "LOGS")}


def service(otlp, address, tmp_path, body):
    """Start a program with otelml on, which exports to the test's receiver."""
    environment = {**NONE, "OTEL_EXPORTER_OTLP_ENDPOINT": otlp.endpoint, "OTEL_METRIC_EXPORT_INTERVAL": "500"}
    text = SERVICE.replace("{body}", body)
    return program(text, address, tmp_path / "spool", env=environment)


def test_forked_children(otlp, address, tmp_path):
    """Children of a process whose connection is open use their own; parent and children tell each outcome once."""
    running = service(otlp, address, tmp_path, FORKED)
    out, _ = running.communicate(timeout=60)
    assert (running.returncode, out.strip()) == (0, "[0, 0] True")
    assert counts(address) == (150, 150, 0)
    assert sum(otlp.totals("ml.outcomes")) == 150
    assert sum(otlp.totals("ml.outcomes.ignored")) == 100
    assert otlp.events().count("ml.outcome") == 150
    assert sum(span.name == "outcome" for span in otlp.spans()) == 150


SERVE = """
for i in range(100):
    with otelml.prediction("m", "1", prediction_id=f"p-{i}") as p:
        p.result(classes="a", confidence=0.5)
print(otelml.api.runtime.active.force_flush(), flush=True)
while not Path(sys.argv[2]).with_name("told").exists():
    time.sleep(0.05)
print(otelml.api.runtime.active.force_flush(60))
"""

LABELS = """
import sys
import otelml
where = {"outcomes_database": sys.argv[1], "outcomes_spool": sys.argv[2]}
otelml.auto_instrument(config={**where, "outcomes_report": False})
for i in range(100):
    otelml.record_outcome(f"p-{i}", "a" if i % 4 else "b")
"""


def test_labels_from_a_short_job(otlp, address, tmp_path):
    """What a job of another process tells, which ends at once, the service that predicted counts as its own."""
    running = service(otlp, address, tmp_path, SERVE)
    assert running.stdout.readline() == "True\n"
    exporters = dict.fromkeys(NONE, "none")
    job = program(LABELS, address, tmp_path / "spool", env=exporters)
    assert job.wait(60) == 0
    (tmp_path / "told").touch()
    out, _ = running.communicate(timeout=60)
    assert (running.returncode, out) == (0, "True\n")
    assert counts(address) == (100, 100, 0)
    assert otlp.totals("ml.outcomes") == [100]
    assert otlp.events().count("ml.outcome") == 100


def test_service_is_killed(otlp, tmp_path):
    """A service killed with -9 after its flush has lost nothing; the next one goes on with the truths."""
    address = str(tmp_path / "o.db")
    running = service(otlp, address, tmp_path, SERVE)
    assert running.stdout.readline() == "True\n"
    os.kill(running.pid, signal.SIGKILL)
    running.communicate(timeout=20)
    assert counts(address) == (100, 0, 0)
    job = program(LABELS, address, tmp_path / "spool", env=dict.fromkeys(NONE, "none"))
    assert job.wait(60) == 0
    assert counts(address) == (100, 100, 0)


@pytest.mark.parametrize("n", [20_000])
def test_many_waiting_predictions(address, n):
    """20,000 predictions wait for their truth; all are joined, none twice."""
    from otelml.outcomes.rows import Actual, Predicted  # noqa: PLC0415

    database = connect(address)
    predictions = [Predicted(f"p{i}", "m", "1", 1.0 + i, "a", None, 0.5) for i in range(n)]
    for i in range(0, n, 2000):
        joining.write(database, predictions[i : i + 2000], (), 2.0, report=True)
    truths = [Actual(f"p{(i * 7919) % n}", "a", None, 3.0) for i in range(n)]
    joined = []
    for i in range(0, n, 2000):
        joined += joining.write(database, (), truths[i : i + 2000], 3.0, report=True).joined
    database.close()
    assert len(joined) == len({one.prediction.id for one in joined}) == n
    assert counts(address) == (n, n, 0)
