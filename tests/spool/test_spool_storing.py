"""Files of the spool: private, whole or not at all, bounded by bytes and age, and everyone's folder their own."""

import errno
import fcntl
import os
import stat
import subprocess
import sys
import time

import pytest

from otelml._drops import Drops
from otelml.spool import folders
from otelml.spool.batches import BLOCK, TornError, decoded, encoded, of_name
from otelml.spool.storing import Spool


def spool(root, drops=None, *, signals=("traces", "metrics", "logs"), max_bytes=1 << 30, max_age=3600.0):
    """Return a spool of this process."""
    made = Spool(root, max_bytes, max_age, (drops or Drops()).add)
    made.signals = set(signals)
    return made


def files(root):
    """Return the files that hold a batch."""
    return sorted(path for path in root.rglob("*") if of_name(path.name))


def abandoned(root, count=1, signal="traces", content=None):
    """Leave a folder behind as a killed process does; return its files."""
    folder = folders.make(root)
    made = Spool(root, 1 << 30, 3600.0, Drops().add)
    made._own = folder
    for i in range(count):
        made.keep(signal, 7, content or b"request %d" % i, packed=False)
    folder.forget()
    return [folder.path / batch.name for batch in folder.batches()]


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("request_", [b"", b"x", os.urandom(100_000), b"\n" * 5000])
def test_a_batch_is_read_as_it_was_written(request_, packed):
    """Whatever bytes a request has, packed or not, its file gives them back."""
    assert decoded(encoded("traces", 3, time.time_ns(), request_, packed=packed)) == request_


@pytest.mark.parametrize("packed", [True, False])
def test_a_file_that_is_not_whole_is_told(packed):
    """Cut anywhere, with a byte changed anywhere, or with more at its end, a file is never taken for a request."""
    content = encoded("logs", 3, 1, b"spans and more spans", packed=packed)
    changed = [content[:i] + bytes((content[i] ^ 1,)) + content[i + 1 :] for i in range(len(content))]
    cut = [content[:i] for i in range(len(content))]
    for torn in [*cut, *changed, content + b"x", b"", b"\n", b"{}\n", b"[]\n", b"null\nx", b"x" * 5000]:
        with pytest.raises(TornError):
            decoded(torn)


def test_files_are_for_their_owner_only(tmp_path):
    """Directories have mode 0700 and files 0600, even where the process's umask would allow more."""
    before = os.umask(0)
    try:
        made = spool(tmp_path / "deep" / "spool")
        made.keep("traces", 1, b"request", packed=False)
    finally:
        os.umask(before)
    modes = {path: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "deep" / "spool").rglob("*")}
    assert {mode for path, mode in modes.items() if path.is_dir()} == {0o700}
    assert {mode for path, mode in modes.items() if path.is_file()} == {0o600}
    assert stat.S_IMODE((tmp_path / "deep" / "spool").stat().st_mode) == 0o700


def test_what_has_arrived_leaves_nothing(tmp_path):
    """A batch that is removed is gone from the disk, and a process that ends without batches leaves no folder."""
    made = spool(tmp_path)
    batch = made.keep("traces", 5, b"request", packed=False)
    assert made.take(batch)
    assert made.read(batch) == b"request"
    assert made.waiting() == (5, BLOCK)
    made.remove(batch)
    assert made.waiting() == (0, 0)
    for signal in ("traces", "metrics", "logs"):
        made.leave(signal)
    assert list(tmp_path.iterdir()) == []


def test_only_the_folders_of_dead_processes_are_adopted(tmp_path):
    """What a living process keeps is left to it; when it is dead, one other gets its batches, oldest first."""
    living, others = spool(tmp_path), [spool(tmp_path), spool(tmp_path)]
    kept = [living.keep("logs", i, b"%d" % i, packed=False).name for i in range(3)]
    for other in others:
        other.tend(now=True)
        assert other.arrived("logs") == []
    living._own.forget()  # the kernel does it for the dead
    for other in others:
        other.tend(now=True)
    first, second = (other.arrived("logs") for other in others)
    assert [batch.name for batch in first] == kept
    assert second == []
    for batch in first:
        assert others[0].take(batch)
        others[0].remove(batch)
    assert list(tmp_path.iterdir()) == []


def test_signals_that_nobody_sends_are_left_where_they_are(tmp_path):
    """A process that pushes no metrics adopts traces, and leaves the metrics of the dead for one that does."""
    abandoned(tmp_path, 2, "metrics")
    abandoned(tmp_path, 1, "traces")
    made = spool(tmp_path, signals=("traces", "logs"))
    made.tend(now=True)
    assert len(made.arrived("traces")) == 1
    assert made.arrived("metrics") == []
    other = spool(tmp_path, signals=("metrics",))
    other.tend(now=True)
    assert len(other.arrived("metrics")) == 2


def test_what_is_not_ours_is_left_alone(tmp_path):
    """Other files and directories, links, and folders that are being made are neither read nor deleted."""
    (tmp_path / "data").mkdir()
    (tmp_path / "notes.txt").write_text("x")
    (elsewhere := tmp_path / "elsewhere").mkdir()
    (tmp_path / f"{1:020d}-00000000").symlink_to(elsewhere)
    (tmp_path / f"{2:020d}-00000000.new").mkdir()
    made = spool(tmp_path)
    made.tend(now=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        ["data", "notes.txt", "elsewhere", f"{1:020d}-00000000", f"{2:020d}-00000000.new"]
    )
    assert list(elsewhere.iterdir()) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_folders_of_other_users_are_left_alone(tmp_path):
    """Somebody else cannot have their bytes sent with our credentials."""
    (path,) = abandoned(tmp_path)
    os.chown(path.parent, 12345, 12345)
    made = spool(tmp_path)
    made.tend(now=True)
    assert made.arrived("traces") == []


def test_a_torn_file_is_set_aside_and_counted(tmp_path):
    """A file of a dead process that is not whole is counted, kept for whoever wants to look, and never sent."""
    drops = Drops()
    good, torn = abandoned(tmp_path, 2)
    torn.write_bytes(torn.read_bytes()[:-1])
    made = spool(tmp_path, drops)
    made.tend(now=True)
    batches = made.arrived("traces")
    assert [made.read(batch) for batch in batches if made.take(batch)] == [b"request 0", None]
    assert drops.counts() == {("span", "spool_torn"): 7}
    made.remove(batches[0])
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == [torn.name]
    assert (tmp_path / folders.ASIDE / torn.name).exists()
    assert not good.exists()


def test_what_a_process_was_writing_when_it_died_is_counted(tmp_path):
    """A file that was never finished is deleted, and what it would have held is counted."""
    drops = Drops()
    (path,) = abandoned(tmp_path)
    path.rename(path.with_name(f"{path.name}.part"))
    made = spool(tmp_path, drops)
    made.tend(now=True)
    assert drops.counts() == {("span", "spool_torn"): 7}
    assert list(tmp_path.iterdir()) == []


def test_the_oldest_are_dropped_to_make_room(tmp_path):
    """At the limit the oldest batches go, those that are being sent stay, and every item is kept or counted."""
    drops = Drops()
    made = spool(tmp_path, drops, max_bytes=20 * BLOCK)
    batches = [made.keep("traces", 3, b"x" * 1000, packed=False) for _ in range(3)]
    assert made.take(batches[0])
    batches += [made.keep("traces", 3, b"x" * 1000, packed=False) for _ in range(97)]
    kept = [batch for batch in batches if not batch.gone]
    assert made.waiting()[1] <= 20 * BLOCK
    assert kept[0] is batches[0]
    assert kept[1:] == batches[-len(kept) + 1 :]
    assert made.waiting()[0] + drops.counts()["span", "spool_full"] == 300
    assert {path.name for path in files(tmp_path)} == {batch.name for batch in kept}
    assert not made.take(batches[1])


def test_processes_share_the_room(tmp_path):
    """Of two processes over the limit together, the one with more than its share gives way."""
    drops, few_drops = Drops(), Drops()
    few, many = spool(tmp_path, few_drops, max_bytes=20 * BLOCK), spool(tmp_path, drops, max_bytes=20 * BLOCK)
    for _ in range(4):
        few.keep("logs", 1, b"x", packed=False)
    many.tend(now=True)
    for _ in range(50):
        assert many.keep("logs", 1, b"x", packed=False)
    few.tend(now=True)
    assert few.keep("logs", 1, b"x", packed=False)
    assert sum(of_name(path.name).size for path in files(tmp_path)) <= 20 * BLOCK
    assert few.waiting()[0] == 5
    assert few_drops.counts() == {}
    assert many.waiting()[0] + drops.counts()["log", "spool_full"] == 50


def test_what_is_too_old_is_dropped(tmp_path):
    """Batches over the age, this process's and those it adopts, are dropped and counted; torn files are deleted."""
    drops = Drops()
    abandoned(tmp_path, 2)
    torn = abandoned(tmp_path)[0]
    (tmp_path / folders.ASIDE).mkdir()
    torn.rename(tmp_path / folders.ASIDE / torn.name)
    made = spool(tmp_path, drops, max_age=0.2)
    made.keep("logs", 4, b"x", packed=False)
    time.sleep(0.3)
    young = made.keep("logs", 5, b"x", packed=False)
    made.tend(now=True)
    assert drops.counts() == {("span", "spool_age"): 14, ("log", "spool_age"): 4}
    assert [path.name for path in files(tmp_path)] == [young.name]


def test_a_directory_that_vanishes_is_made_again(tmp_path, caplog):
    """Somebody deletes the directory: the next batch has a new one, and nothing raises."""
    made = spool(tmp_path / "spool")
    gone = made.keep("traces", 1, b"x", packed=False)
    subprocess.run(["rm", "-r", str(tmp_path / "spool")], check=True)
    again = made.keep("traces", 1, b"y", packed=False)
    made.remove(gone)
    assert made.read(again) == b"y"
    assert [path.name for path in files(tmp_path)] == [again.name]
    assert caplog.records == []


@pytest.mark.parametrize("fault", [errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EDQUOT])
def test_a_disk_that_takes_nothing_is_said_once(tmp_path, monkeypatch, caplog, fault):
    """No room, no right: None, one warning, nothing left half written; when there is room again it goes on."""
    made = spool(tmp_path)
    write = os.write

    def full(*_):
        raise OSError(fault, os.strerror(fault))

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        assert [made.keep("traces", 1, b"x", packed=False) for _ in range(5)] == [None] * 5
    assert os.write is write
    assert len(caplog.records) == 1
    assert os.strerror(fault) in caplog.text
    assert files(tmp_path) == []
    assert not list(tmp_path.rglob("*.part"))
    assert made.keep("traces", 1, b"x", packed=False)


SMALL_DISK = """
import resource, sys
from pathlib import Path
from otelml._drops import Drops
from otelml.spool.storing import Spool

resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
made = Spool(Path(sys.argv[1]), 1 << 30, 60.0, Drops().add)
print([made.keep("traces", 1, b"x" * size, packed=False) is not None for size in (100, 20_000, 100)])
"""


def test_a_file_that_the_system_cuts_short(tmp_path):
    """Where the kernel takes only a part of a file (a limit of 10,000 bytes), that file is not there at all."""
    done = subprocess.run(
        [sys.executable, "-c", SMALL_DISK, str(tmp_path)], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == "[True, False, True]\n"
    assert "File too large" in done.stderr
    assert len(files(tmp_path)) == 2
    assert not list(tmp_path.rglob("*.part"))


def test_a_forked_child_has_a_folder_of_its_own(tmp_path):
    """A child neither sends nor deletes what its parent keeps, and holds no lock of the parent's."""
    made = spool(tmp_path)
    mine = made.keep("traces", 1, b"parent's", packed=False)
    heard, said = os.pipe()
    pid = os.fork()
    if pid == 0:
        made.signals = {"traces"}
        child = made.keep("traces", 1, b"child's", packed=False)
        made.tend(now=True)
        fine = made.waiting()[0] == 1 and child.folder.path != mine.folder.path and not made.arrived("traces")
        os.write(said, b"x")
        time.sleep(0.5)
        os._exit(0 if fine else 1)
    os.read(heard, 1)
    mine.folder.forget()  # as if the parent died first
    other = spool(tmp_path)
    other.tend(now=True)
    assert [batch.name for batch in other.arrived("traces")] == [mine.name]
    assert os.waitpid(pid, 0)[1] == 0


def test_a_folder_that_is_deleted_meanwhile_is_not_adopted(tmp_path):
    """Whoever waited for the lock of a folder that is gone by then gets nothing."""
    folder = folders.make(tmp_path)
    with (folder.path / folders.LOCK).open("r+") as late:
        folder.release()
        fcntl.flock(late, fcntl.LOCK_EX | fcntl.LOCK_NB)
        assert os.fstat(late.fileno()).st_nlink == 0
    with pytest.raises(FileNotFoundError):
        folders.adopt(folder.path)
