"""Files in passes over chunks, and the two commands, run as a user runs them."""

import json
import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from otelml import drift
from otelml.drift import files, profile


@pytest.fixture
def frame():
    """Numbers with gaps, whole numbers, texts, truth values: 1,000 rows."""
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "x": np.where(rng.random(1000) < 0.1, np.nan, rng.normal(size=1000)),
            "n": rng.integers(0, 5, 1000),
            "c": rng.choice(["a", "b,c", 'd"e'], 1000),
        }
    )


def written(frame, path):
    """Write a frame as CSV or Parquet; the path as text."""
    frame.to_csv(path, index=False) if path.suffix == ".csv" else frame.to_parquet(path)
    return str(path)


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
@pytest.mark.parametrize("rows", [7, 100_000])
def test_chunks_give_what_memory_gives(frame, tmp_path, monkeypatch, suffix, rows):
    """The reference of a file, in chunks of any size, is that of the frame; so are the counts."""
    monkeypatch.setattr(files.chunks, "__defaults__", (rows,))
    path = written(frame, tmp_path / f"data{suffix}")
    seen = []
    reference = profile.profile(path, categorical=["n"], progress=lambda *at: seen.append(at))
    assert reference == drift.Reference.fit(frame, categorical=["n"])
    counted, expected = profile.count(reference, path), reference.count(frame)
    assert all((counted.counts[name] == expected.counts[name]).all() for name in "xnc")
    assert seen[-1] == (1000, 1.0)


def test_a_sample_gives_the_quantiles_of_a_large_file(tmp_path, monkeypatch):
    """With a sample of a tenth the counts are still exact, and near equal."""
    monkeypatch.setattr(profile, "SAMPLE", 2_000)
    values = np.random.default_rng(0).normal(size=20_000)
    path = written(pd.DataFrame({"x": values}), tmp_path / "data.csv")
    feature = profile.profile(path).features[0]
    assert sum(feature.counts) == 20_000
    assert (feature.counts[0], feature.counts[-2]) == (0, 0)
    assert all(1_600 < count < 2_400 for count in feature.counts[1:-2])
    assert (feature.minimum, feature.cuts[-1]) == (values.min(), values.max())


def test_a_column_that_turns_out_to_hold_texts(tmp_path, monkeypatch):
    """Numbers in the first chunks and a text in a later one: all of it counts as categories."""
    monkeypatch.setattr(files.chunks, "__defaults__", (2,))
    (tmp_path / "data.csv").write_text("a,b\n1,1\n2,NA\n1,3\n,4\nx,5\n")
    reference = profile.profile(str(tmp_path / "data.csv"))
    assert reference.by_name["a"].labels == ("1", "2", "x", "other", "missing")
    assert reference.by_name["a"].counts == (2, 1, 1, 0, 1)
    assert reference.by_name["b"].counts[-1] == 1


def test_a_column_of_numbers_with_texts_later(tmp_path):
    """Where the reference has numbers, a text in the data is missing and the numbers beside it are counted."""
    (tmp_path / "data.csv").write_text("a\n1\noops\n2\n")
    reference = drift.Reference.fit({"a": [1.0, 2.0, 3.0]})
    assert profile.count(reference, str(tmp_path / "data.csv")).counts["a"].tolist() == [0, 1, 1, 0, 0, 1]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a,b\n1,2\n3\n", "a line of 1 cells, where the header has 2"),
        ("a,a\n1,2\n", "different name"),
        ("", "first line"),
        (f"a\n{'x' * 200_000}\n", "field larger than field limit"),
    ],
)
def test_files_that_are_no_table(tmp_path, text, said):
    """Said with the file's name, and where."""
    (tmp_path / "data.csv").write_text(text)
    with pytest.raises(drift.InvalidDataError, match=said):
        profile.profile(str(tmp_path / "data.csv"))
    (tmp_path / "data.parquet").write_text(text)
    with pytest.raises(drift.InvalidDataError, match=r"data\.parquet"):
        profile.profile(str(tmp_path / "data.parquet"))


def test_a_file_without_columns(tmp_path):
    """A Parquet file of no columns is no table."""
    pyarrow = pytest.importorskip("pyarrow", reason="pyarrow is not installed: pip install 'otelml[parquet]'")
    from pyarrow import parquet  # noqa: PLC0415 - as above

    parquet.write_table(pyarrow.table({}), tmp_path / "none.parquet")
    with pytest.raises(drift.InvalidDataError, match="it has no columns"):
        profile.profile(str(tmp_path / "none.parquet"))


def test_blank_lines_end_nothing(tmp_path, monkeypatch):
    """What comes after more blank lines than a chunk has rows is read."""
    monkeypatch.setattr(files.chunks, "__defaults__", (2,))
    (tmp_path / "data.csv").write_text("a,b\n1,2\n" + 9 * "\n" + "3,4\n")
    assert profile.profile(str(tmp_path / "data.csv")).rows == 2


def test_texts_of_files_with_types(tmp_path):
    """Texts that look like numbers are numbers in a CSV file, which has only texts, and categories in Parquet."""
    frame = pd.DataFrame({"code": ["01", "02", None, "01"]})
    kinds = []
    for suffix in ("csv", "parquet"):
        reference = profile.profile(written(frame, tmp_path / f"data.{suffix}"))
        kinds.append((reference.features[0].kind, reference.features[0].counts))
    assert kinds == [("number", (0, 2, 1, 0, 1)), ("category", (2, 1, 0, 1))]
    assert reference == drift.Reference.fit(frame)
    numbers = drift.Reference.fit({"code": [1.0, 2.0]})
    assert profile.count(numbers, str(tmp_path / "data.parquet")).counts["code"].tolist() == [0, 0, 0, 0, 4]


MEASURED = """
import re, sys
from pathlib import Path
from otelml.drift import profile
reference = profile.profile(sys.argv[1])
profile.count(reference, sys.argv[1])
print(reference.rows, re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the peak of a process is read from /proc")
@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_memory_does_not_grow_with_the_file(tmp_path, suffix):
    """The peak with 300,000 rows is at most 10 MiB above that with 100,000; as texts they are 60 MiB."""
    rng = np.random.default_rng(0)
    peaks = []
    for rows in (100_000, 300_000):
        frame = pd.DataFrame(rng.normal(size=(rows, 6)).round(3), columns=[f"x{i}" for i in range(6)])
        path = tmp_path / f"{rows}.{suffix}"
        frame.to_csv(path, index=False) if suffix == "csv" else frame.to_parquet(path, row_group_size=50_000)
        command = [sys.executable, "-c", MEASURED, str(path)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=110, check=True)
        counted, peak = map(int, done.stdout.split())
        assert counted == rows
        peaks.append(peak / 1024)
    assert peaks[1] - peaks[0] < 10


def test_progress_on_a_terminal(tmp_path):
    """On a terminal it shows rows and share; the pipe that takes the output gets none of it."""
    pty = pytest.importorskip("pty")
    (tmp_path / "data.csv").write_text("a\n1\n2\n")
    command = [sys.executable, "-m", "otelml", "profile", "data.csv"]
    master, slave = pty.openpty()
    done = subprocess.run(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=slave, timeout=60, check=True)
    os.close(slave)
    assert b"2 rows, 100%" in os.read(master, 1000)
    os.close(master)
    assert done.stdout.startswith(b"1 features of 2 rows in reference.json")


def otelml(*arguments):
    """Run ``otelml`` in a process of its own."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("OTEL_", "OTELML_"))}
    command = [sys.executable, "-m", "otelml", *map(str, arguments)]
    return subprocess.run(command, env=clean, capture_output=True, text=True, timeout=60, check=False)


def test_commands(frame, tmp_path):
    """A reference is written and compared with: exit status 0 without drift, 1 with, and JSON says which."""
    before, reference = written(frame, tmp_path / "before.csv"), tmp_path / "reference.json"
    made = otelml("profile", before, "-o", reference, "--categorical", "n")
    assert (made.returncode, made.stderr) == (0, "")
    assert made.stdout.startswith("3 features of 1000 rows in ")
    assert otelml("drift", reference, before).stdout.endswith("none of 3 features drifted\n")
    now = written(frame.assign(x=frame["x"] + 1), tmp_path / "now.parquet")
    done = otelml("drift", reference, now, "--json")
    assert (done.returncode, json.loads(done.stdout)["drifted"]) == (1, ["x"])


def test_commands_with_bad_input(tmp_path):
    """A file that isn't there, a bad reference, a missing column, a wrong option: status 2 and what is wrong."""
    (tmp_path / "data.csv").write_text("a\n1\n")
    (tmp_path / "r.json").write_text('{"format": "otelml.drift.reference", "version": 9}')
    drift.Reference.fit({"b": [1]}).save(tmp_path / "b.json")
    for arguments, said in (
        (("profile", tmp_path / "no.csv"), "no.csv"),
        (("profile", tmp_path / "data.csv", "--bins", "1"), "bins=1: from 2 to 100"),
        (("drift", tmp_path / "r.json", tmp_path / "data.csv"), "version: 9"),
        (("drift", tmp_path / "b.json", tmp_path / "data.csv"), "column 'b' of the reference is missing"),
    ):
        done = otelml(*arguments)
        assert (done.returncode, done.stdout) == (2, "")
        assert said in done.stderr
        assert "Traceback" not in done.stderr


def test_otelml_does_not_import_drift():
    """Importing otelml, or listing its commands, imports neither drift nor NumPy."""
    code = "import sys, otelml, otelml.cli; otelml.cli.main([]); print({'numpy', 'otelml.drift'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.endswith("set()\n")
