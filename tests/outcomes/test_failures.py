"""A database that is locked, full, corrupt or down: nothing is lost, nothing is blocked, one warning is given."""

import contextlib
import logging
import os
import sqlite3
import stat
import subprocess
import time
from pathlib import Path

import pytest
from recorded_outcomes import recorded, sums, written

import otelml
from otelml.outcomes import spool as spooling
from otelml.outcomes import writer
from otelml.outcomes.database import connect
from otelml.outcomes.rows import Actual, Predicted
from otelml.outcomes.spool import Spool, directory

N = 50


@pytest.fixture(autouse=True)
def _patient(monkeypatch):
    """Give up on a locked database sooner, and try again at once."""
    monkeypatch.setattr(writer, "TIMEOUT", 0.2)
    monkeypatch.setattr(writer, "RETRY", (0.0, 0.0))


def fill(n=N, start=0):
    """Predict and tell the truth n times; return how long the calls took, in seconds."""
    began = time.perf_counter()
    for i in range(start, start + n):
        with otelml.prediction("delay", "1", prediction_id=f"p{i}") as p:
            p.result(classes="late", confidence=0.9)
        otelml.record_outcome(f"p{i}", "late")
    return time.perf_counter() - began


def joined(address):
    """Return how many predictions have their truth in the database."""
    database = connect(address)
    try:
        return database.select("SELECT COUNT(*) FROM otelml_predictions WHERE joined IS NOT NULL")[0][0]
    finally:
        database.close()


def warnings(caplog):
    """Return the warnings that were logged about the database."""
    return [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]


def check_recovery(telemetry, address, caplog):
    """Check that everything told during an outage was kept on the disk, and is written and told once afterwards."""
    with caplog.at_level(logging.INFO, "otelml"):
        assert written(telemetry)
    assert joined(address) == N
    assert telemetry.total("ml.outcomes") == N
    assert telemetry.total("otelml.outcomes.unwritten") == 0
    assert telemetry.total("ml.outcomes.ignored") == 0
    assert telemetry.drops.counts() == {}
    assert len(warnings(caplog)) == 1
    assert [r.message for r in caplog.records if "takes everything again" in r.message]


def test_locked(tmp_path, caplog):
    """While another program holds the file's lock, everything waits on the disk; afterwards it is written."""
    address, spool = str(tmp_path / "o.db"), tmp_path / "spool"
    with recorded(outcomes_database=address, outcomes_spool=str(spool)) as telemetry:
        assert written(telemetry)
        other = sqlite3.connect(address, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        fill()
        for _ in range(3):
            assert not written(telemetry)
        assert telemetry.total("otelml.outcomes.unwritten") == 2 * N
        assert telemetry.total("otelml.outcomes.failures") == 3
        assert "database is locked" in warnings(caplog)[0]
        other.execute("ROLLBACK")
        other.close()
        check_recovery(telemetry, address, caplog)


def test_callers_are_never_blocked(tmp_path):
    """With a thread that waits for a locked file, predicting and telling go on as fast as ever."""
    address = str(tmp_path / "o.db")
    with recorded(outcomes_database=address, outcomes_spool=str(tmp_path / "spool")) as telemetry:
        assert written(telemetry)
        other = sqlite3.connect(address, isolation_level=None, check_same_thread=False)
        other.execute("BEGIN IMMEDIATE")
        telemetry.runtime.outcomes.start()
        took = []
        for i in range(20):
            took.append(fill(10, start=10 * i))
            telemetry.drain()
            time.sleep(0.02)
        assert telemetry.runtime.outcomes.failures > 0
        assert sorted(took)[-3] < 0.02  # ten of each; a wait for the file would take 0.2 s
        other.execute("ROLLBACK")
        other.close()
        assert written(telemetry)
        assert telemetry.total("ml.outcomes") == 200


@pytest.mark.skipif(os.getuid() != 0 or not Path("/dev/full").exists(), reason="needs root: it mounts a small disk")
def test_full(tmp_path, caplog):
    """On a full disk everything waits elsewhere until there is room."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=160k", "tmpfs", disk], check=False, capture_output=True
    )
    if mounted.returncode:
        pytest.skip("may not mount a disk here")
    try:
        check_full(disk, tmp_path, caplog)
    finally:
        subprocess.run(["umount", "-l", disk], check=True)


def check_full(disk, tmp_path, caplog):
    """Fill the disk, predict, make room."""
    address = str(disk / "o.db")
    with recorded(outcomes_database=address, outcomes_spool=str(tmp_path / "spool")) as telemetry:
        assert written(telemetry)
        ballast = disk / "ballast"
        with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while file.write(b"x" * 512):
                pass
        fill()
        assert not written(telemetry)
        assert "full" in warnings(caplog)[0]
        ballast.unlink()
        subprocess.run(["mount", "-o", "remount,size=8m", disk], check=True)
        check_recovery(telemetry, address, caplog)


@pytest.mark.parametrize("damage", ["no database", "pages"])
def test_corrupt(tmp_path, caplog, damage):
    """A file that is no database, or a damaged one, is left as it is; once it is moved away a new one is made."""
    address = str(tmp_path / "o.db")
    if damage == "pages":
        connect(address).close()
        content = bytearray(Path(address).read_bytes())
        content[1000:] = b"\xff" * (len(content) - 1000)
        Path(address).write_bytes(content)
    else:
        Path(address).write_bytes(b"no database at all" * 500)
    before = Path(address).read_bytes()
    with recorded(outcomes_database=address, outcomes_spool=str(tmp_path / "spool")) as telemetry:
        fill()
        assert not written(telemetry)
        assert not written(telemetry)
        assert Path(address).read_bytes() == before
        assert telemetry.total("otelml.outcomes.unwritten") == 2 * N
        Path(address).rename(tmp_path / "broken.db")
        check_recovery(telemetry, address, caplog)


def test_no_such_directory(tmp_path, caplog):
    """A path that can't be made is one warning that names it; made later, it is used."""
    address = str(tmp_path / "later" / "o.db")
    with recorded(outcomes_database=address, outcomes_spool=str(tmp_path / "spool")) as telemetry:
        fill()
        assert not written(telemetry)
        assert address in warnings(caplog)[0]
        (tmp_path / "later").mkdir()
        check_recovery(telemetry, address, caplog)


def test_postgresql_down(server, tmp_path, caplog):
    """A server that crashes and comes back: what was told meanwhile waits on the disk and is written once."""
    address = server.url(f"down_{os.getpid()}")
    with recorded(outcomes_database=address, outcomes_spool=str(tmp_path / "spool")) as telemetry:
        assert written(telemetry)
        server.stop()
        try:
            assert fill() < 1.0
            assert not written(telemetry)
            assert not written(telemetry)
        finally:
            server.start()
        assert telemetry.total("otelml.outcomes.unwritten") == 2 * N
        check_recovery(telemetry, address, caplog)


def test_password_is_not_shown(tmp_path, caplog):
    """The warning about an unreachable server shows its address without the password."""
    settings = {"outcomes_database": "postgresql://me:s3cret@127.0.0.1:9/db", "outcomes_spool": str(tmp_path)}
    with recorded(**settings) as telemetry:
        assert not written(telemetry)
    assert "postgresql://me:***@127.0.0.1:9/db" in warnings(caplog)[0]
    assert "s3cret" not in caplog.text
    for path in tmp_path.rglob("*"):
        assert "s3cret" not in str(path)


def test_stop_while_down(tmp_path):
    """A process that ends while the database is away leaves everything to the next one."""
    address = str(tmp_path / "later" / "o.db")
    settings = {"outcomes_database": address, "outcomes_spool": str(tmp_path / "spool")}
    with recorded(**settings) as telemetry:
        fill()
        telemetry.drain()
    (tmp_path / "later").mkdir()
    with recorded(**settings) as telemetry:
        assert written(telemetry)
        assert telemetry.total("ml.outcomes") == N
        assert sums(telemetry, "ml.outcomes", "ml.model.name") == {("delay",): N}
    assert joined(address) == N


def test_neither_database_nor_spool(tmp_path, caplog):
    """Where the disk takes nothing either, what is told stays in memory within its bound and is written later."""
    spool = tmp_path / "spool"
    spool.write_text("a file where a directory should be")
    address = str(tmp_path / "later" / "o.db")
    with recorded(outcomes_database=address, outcomes_spool=str(spool)) as telemetry:
        fill()
        assert not written(telemetry)
        assert telemetry.total("otelml.outcomes.unwritten") == 2 * N
        (tmp_path / "later").mkdir()
        check_recovery(telemetry, address, caplog)


def test_row_that_is_refused(settings, monkeypatch):
    """A row that the database refuses is dropped and counted; the others of its batch are written."""
    from otelml.outcomes import joining  # noqa: PLC0415
    from otelml.outcomes.database import RefusedError  # noqa: PLC0415

    write = joining.write

    def picky(database, predictions, truths, now, *, report):
        if any(truth.id == "p7" for truth in truths):
            raise RefusedError("no sevens")
        return write(database, predictions, truths, now, report=report)

    monkeypatch.setattr(joining, "write", picky)
    with recorded(**settings) as telemetry:
        fill()
        assert written(telemetry)
        assert telemetry.total("ml.outcomes") == N - 1
        assert telemetry.drops.counts() == {("outcome", "refused"): 1}


# The spool ------------------------------------------------------------------------------------------------------

ITEMS = [Predicted("a", "m", "1", 1.5, "late", None, 0.5, "t", "s"), Actual("a", "lat\u00e9", None, 2.5)]


def test_spool_gives_back_what_it_took(tmp_path):
    """Items come back as they were, oldest file first; done, the files are gone; put back, they are there again."""
    spool = Spool(tmp_path / "s")
    assert (spool.add(ITEMS), spool.add(ITEMS[:1]), spool.items()) == (True, True, 3)
    taken = list(spool.take())
    assert [items for items, _ in taken] == [ITEMS, ITEMS[:1]]
    assert list(spool.take()) == []  # another process's, until it is known to be gone
    taken[0][1].done()
    taken[1][1].back()
    assert [items for items, _ in spool.take()] == [ITEMS[:1]]
    assert {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "s").iterdir()} == {0o600}
    assert stat.S_IMODE((tmp_path / "s").stat().st_mode) == 0o700


def test_spool_of_a_process_that_died(tmp_path, monkeypatch):
    """A file that was taken over by a process that never finished is anybody's after a while."""
    spool = Spool(tmp_path / "s")
    spool.add(ITEMS)
    assert len(list(spool.take())) == 1
    monkeypatch.setattr(spooling, "STALE", -1.0)
    assert [items for items, _ in spool.take()] == [ITEMS]


def test_spool_is_bounded(tmp_path):
    """Over its size it takes nothing more; a file that can't be read is put aside, not given up in silence."""
    spool = Spool(tmp_path / "s", max_bytes=120)
    assert (spool.add(ITEMS), spool.add(ITEMS)) == (True, False)
    (path,) = (tmp_path / "s").iterdir()
    path.write_text("{")
    assert list(spool.take()) == []
    assert [p.suffix for p in (tmp_path / "s").iterdir()] == [".bad"]


def test_spool_belongs_to_its_database(tmp_path, monkeypatch):
    """Two databases never share a spool; the default is in the user's state directory."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    one, other = directory(None, "/a.db"), directory(None, "/b.db")
    assert one != other
    assert one.parent == tmp_path / "otelml" / "outcomes"
    assert directory("/x", "/a.db").parent == Path("/x")
