"""The directory of profiles: private, bounded, the oldest removed; nothing else in it is touched."""

import json
import stat
from concurrent.futures import ThreadPoolExecutor
from time import gmtime, strftime, time

import pytest

from otelml.profiling.folder import NAME, Folder


def ident(number):
    """Return an id."""
    return f"{number:016x}"


def test_files_are_private_and_named_by_time_and_number(tmp_path):
    """The directory is made for its owner, a file is readable by its owner alone, and no part of one is left."""
    path = Folder(str(tmp_path / "a" / "b"), 5, 10_000).write(ident(1), {"x": "é"})
    assert NAME.fullmatch(path.name)
    assert json.loads(path.read_text()) == {"x": "é"}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize(("files", "size"), [(3, 10_000), (100, 3 * 120)])
def test_the_oldest_go_first(tmp_path, files, size):
    """By number or by size: the newest three stay, and what is not a profile of ours stays whatever it is."""
    folder = Folder(str(tmp_path), files, size)
    (tmp_path / "notes.txt").write_text("x" * 1000)
    (tmp_path / "otelml-other.speedscope.json").write_text("x" * 1000)
    for number in range(6):
        path = folder.write(ident(number), {"x": "y" * 100})
        path.rename(tmp_path / f"otelml-2026010{number}T000000Z-{ident(number)}.speedscope.json")
    folder.write(ident(9), {"x": "y" * 100})
    kept = sorted(each.name[-32:-16] for each in tmp_path.iterdir() if NAME.fullmatch(each.name))
    assert kept == [ident(4), ident(5), ident(9)] if files == 3 else len(kept) == 3
    assert (tmp_path / "notes.txt").exists()
    assert (tmp_path / "otelml-other.speedscope.json").exists()


def test_one_that_is_larger_than_all_may_be_is_not_written(tmp_path):
    """Nothing is removed for it either."""
    folder = Folder(str(tmp_path), 5, 200)
    kept = folder.write(ident(1), {"x": "y"})
    assert folder.write(ident(2), {"x": "y" * 500}) is None
    assert list(tmp_path.iterdir()) == [kept]


def test_a_link_is_not_followed(tmp_path):
    """A file of that name that is already there, such as a link to another one, is not written to."""
    target = tmp_path / "target"
    folder = Folder(str(tmp_path / "profiles"), 5, 10_000)
    folder.write(ident(1), {})
    for ahead in range(5):
        when = strftime("%Y%m%dT%H%M%SZ", gmtime(time() + ahead))
        (tmp_path / "profiles" / f"otelml-{when}-{ident(2)}.speedscope.json.part").symlink_to(target)
    with pytest.raises(FileExistsError):
        folder.write(ident(2), {})
    assert not target.exists()


def test_several_at_once(tmp_path):
    """Writers of other processes and threads remove the same files at the same time: no error, and the bound holds."""

    def write(number):
        return Folder(str(tmp_path), 4, 10_000).write(ident(number), {"x": number})

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(64)))
    assert 1 <= len(list(tmp_path.iterdir())) <= 4 + 8
